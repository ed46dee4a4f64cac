//! Queries that do not come to their end.

use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use api_logs::*;
use log_store::LogStore;
use service_logs::LogsService;
use shape::{Caller, Timestamp};
use state::MemoryLedger;
use tempfile::TempDir;

const NOW: i64 = 1_700_000_000_000;
const PATIENCE: Duration = Duration::from_secs(30);

/// A clock that the threads of queries have to wait for while it is held; the test itself never waits.
struct Clock {
    test: ThreadId,
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    held: bool,
    now: i64,
    /// How far it goes on with each look.
    step: i64,
    waiting: usize,
}

impl Clock {
    fn new(held: bool, step: i64) -> Arc<Clock> {
        let state = State { held, now: NOW, step, waiting: 0 };
        Arc::new(Clock { test: thread::current().id(), state: Mutex::new(state), changed: Condvar::new() })
    }

    fn look(&self) -> Timestamp {
        let mut state = self.state.lock().unwrap();
        if thread::current().id() != self.test {
            state.waiting += 1;
            state = self.changed.wait_while(state, |state| state.held).unwrap();
            state.waiting -= 1;
        }
        state.now += state.step;
        Timestamp::from_millis(state.now)
    }

    fn release(&self) {
        self.state.lock().unwrap().held = false;
        self.changed.notify_all();
    }
}

struct World {
    service: LogsService,
    clock: Arc<Clock>,
    _directory: TempDir,
}

impl World {
    async fn new(clock: Arc<Clock>) -> World {
        let directory = TempDir::new().unwrap();
        let store = Arc::new(LogStore::open(directory.path()).unwrap());
        let shown = clock.clone();
        let service =
            LogsService::new(store, Arc::new(MemoryLedger::default())).with_clock(Arc::new(move || shown.look()));
        let world = World { service, clock, _directory: directory };
        let group = CreateLogGroupRequest { log_group_name: text("g"), ..Default::default() };
        world.service.create_log_group(&caller("make"), group).await.unwrap();
        world
    }

    async fn start(&self, id: &str) -> Result<String, Error> {
        let input = StartQueryRequest {
            log_group_name: text("g"),
            start_time: Some(0),
            end_time: Some(NOW),
            query_string: text("stats count(*)"),
            ..Default::default()
        };
        self.service.start_query(&caller(id), input).await.map(|started| started.query_id.unwrap())
    }

    async fn status(&self, id: &str) -> String {
        let input = GetQueryResultsRequest { query_id: text(id), ..Default::default() };
        self.service.get_query_results(&caller("ask"), input).await.unwrap().status.unwrap()
    }

    async fn until(&self, id: &str, status: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.status(id).await != status {
            assert!(Instant::now() < deadline, "{id} is {} and not {status}", self.status(id).await);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    async fn stop(&self, id: &str) -> Result<StopQueryResponse, Error> {
        self.service.stop_query(&caller("stop"), StopQueryRequest { query_id: text(id) }).await
    }
}

/// Queries are named after their requests.
fn caller(request: &str) -> Caller {
    Caller { request_id: request.to_owned(), ..Caller::root("111122223333", "eu-west-1") }
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[tokio::test]
async fn some_run_and_the_others_wait_for_their_turn() {
    let world = World::new(Clock::new(true, 0)).await;
    for id in ["a", "b", "c", "d"] {
        world.start(id).await.unwrap();
    }
    world.until("a", "Running").await;
    world.until("b", "Running").await;
    assert_eq!((world.status("c").await, world.status("d").await), ("Scheduled".to_owned(), "Scheduled".to_owned()));

    assert_eq!(world.stop("c").await.unwrap().success, Some(true));
    assert_eq!(world.stop("a").await.unwrap().success, Some(true));
    let again = world.stop("a").await.unwrap_err();
    assert_eq!(again.code, ErrorCode::InvalidParameterException);
    assert_eq!((world.status("a").await, world.status("c").await), ("Cancelled".to_owned(), "Cancelled".to_owned()));
    world.clock.release();
    world.until("b", "Complete").await;
    world.until("d", "Complete").await;
    assert_eq!((world.status("a").await, world.status("c").await), ("Cancelled".to_owned(), "Cancelled".to_owned()));

    let other = Caller::root("999999999999", "eu-west-1");
    let input = GetQueryResultsRequest { query_id: text("b"), ..Default::default() };
    let strange = world.service.get_query_results(&other, input).await.unwrap_err();
    assert_eq!(strange.code, ErrorCode::ResourceNotFoundException, "queries of others are not there");
}

#[tokio::test]
async fn an_account_has_a_hundred_at_once() {
    let world = World::new(Clock::new(true, 0)).await;
    for id in 0..100 {
        world.start(&format!("{id:03}")).await.unwrap();
    }
    let refused = world.start("one more").await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::LimitExceededException);
    assert_eq!(refused.message, "Account maximum query concurrency limit of [100] reached.");
    world.stop("050").await.unwrap();
    world.start("one more").await.unwrap();
    world.clock.release();
    world.until("one more", "Complete").await;
}

#[tokio::test]
async fn an_hour_is_enough() {
    // Two hours go by between one look at the clock and the next.
    let world = World::new(Clock::new(false, 2 * 3600 * 1000)).await;
    world.start("slow").await.unwrap();
    world.until("slow", "Timeout").await;
}
