//! One container prints a million lines: nothing grows, nobody waits, and its neighbours are heard as if it were silent.
//!
//! In a process of its own, because it looks at the memory of the whole process.

mod shim;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use log_store::{ChangeError, GroupKey, LogEvent, LogStore, NewGroup, Query, Streams};
use logs::{Drivers, Event, LogSink, SinkError, Subject};
use shim::{Shim, drained, until};
use stdx::Timestamp;
use tempfile::TempDir;

const LINES: usize = 1_000_000;
const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);
/// Of the whole process, above what it had before: the queue of the drivers, the turn of the store, and a segment while
/// it is made. The lines themselves are 40 MB.
const GROWTH_KIB_MAX: u64 = 128 << 10;

/// The log store without the wire between.
struct Store(Arc<LogStore>);

fn group(name: &str) -> GroupKey {
    GroupKey::new("000000000000", "us-east-1", name)
}

fn answer(changed: Result<(), ChangeError>) -> Result<(), SinkError> {
    let refused = |code: &str, status| Err(SinkError::Refused { code: code.into(), message: code.into(), status });
    match changed {
        Ok(()) => Ok(()),
        Err(ChangeError::GroupExists | ChangeError::StreamExists) => refused("ResourceAlreadyExistsException", 400),
        Err(ChangeError::GroupNotFound | ChangeError::StreamNotFound) => refused("ResourceNotFoundException", 400),
        Err(_) => refused("ServiceUnavailableException", 500),
    }
}

#[async_trait]
impl LogSink for Store {
    async fn create_group(&self, name: &str) -> Result<(), SinkError> {
        answer(self.0.create_group(group(name), NewGroup::default(), NOW).await)
    }

    async fn create_stream(&self, name: &str, stream: &str) -> Result<(), SinkError> {
        answer(self.0.create_stream(group(name).stream(stream), NOW).await)
    }

    async fn put(&self, name: &str, stream: &str, events: &[Event]) -> Result<(), SinkError> {
        let event = |event: &Event| LogEvent { timestamp_ms: event.timestamp_ms, message: event.message.clone() };
        answer(self.0.put(group(name).stream(stream), events.iter().map(event).collect(), NOW).await)
    }

    /// No answer is lost here, so nobody asks.
    async fn stored(&self, _: &str, _: &str, _: i64, _: i64) -> Result<Vec<(i64, Event)>, SinkError> {
        Err(SinkError::Unreachable("nobody asks".to_owned()))
    }
}

fn options(stream: &str) -> BTreeMap<String, String> {
    let options = [
        ("awslogs-group", "web"),
        ("awslogs-stream", stream),
        ("awslogs-region", "us-east-1"),
        ("awslogs-create-group", "true"),
    ];
    options.map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn stored(store: &LogStore, stream: &str, mut each: impl FnMut(&str)) {
    let mut query = Query { streams: Streams::Named(vec![stream.to_owned()]), ..Query::new(group("web")) };
    loop {
        let page = store.read(&query, &|_| true).unwrap();
        page.events.iter().for_each(|event| each(&event.event.message));
        match page.next {
            Some(next) => query.from = next,
            None => return,
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_million_lines_trouble_nobody() {
    let directory = TempDir::new().unwrap();
    let store = Arc::new(LogStore::open(directory.path()).unwrap());
    let sink = store.clone();
    let drivers = Drivers::new(move |_| Arc::new(Store(sink.clone())) as Arc<dyn LogSink>);
    let driver = drivers.open("awslogs", &options("loud"), &Subject::default()).await.unwrap();
    let (mut loud, mut quiet) = (Shim::with(driver.ring()), Shim::new());
    let following_loud = driver.follow(loud.dir());
    let following_quiet =
        drivers.open("awslogs", &options("quiet"), &Subject::default()).await.unwrap().follow(quiet.dir());
    // Whatever is made once is made now.
    quiet.say("0");
    let count = |stream: &str| {
        let mut lines = 0;
        stored(&store, stream, |_| lines += 1);
        lines
    };
    until("the first line is there", || count("quiet") == 1).await;
    let before = resident_kib();

    let flood = std::thread::spawn(move || {
        let begin = Instant::now();
        for number in 0..LINES {
            loud.say(&format!("{number} of a million lines, all from one"));
        }
        loud.exit();
        // The directory lives as long as this.
        (loud, begin.elapsed())
    });
    let (mut longest, mut said, mut most) = (Duration::ZERO, 1, before);
    while !flood.is_finished() || said < 20 {
        let begin = Instant::now();
        quiet.say(&said.to_string());
        said += 1;
        until("the neighbour is heard", || count("quiet") == said).await;
        longest = longest.max(begin.elapsed());
        most = most.max(resident_kib());
    }
    let (_loud, printing) = flood.join().unwrap();
    drained(&following_loud).await;
    most = most.max(resident_kib());
    quiet.exit();
    drained(&following_quiet).await;

    // In order, each once. The ring is smaller than all of them, but who is too fast waits.
    let (mut found, mut last) = (0, None);
    stored(&store, "loud", |message| {
        let number: usize = message.split(' ').next().unwrap().parse().unwrap();
        assert!(last.is_none_or(|last| last < number), "{number} behind {last:?}");
        last = Some(number);
        found += 1;
    });
    eprintln!(
        "{found} of {LINES} lines, printed in {printing:?}; the neighbour waited {longest:?} at most; {} KiB more memory",
        most - before
    );
    assert_eq!((found, last), (LINES, Some(LINES - 1)));
    assert!(longest < Duration::from_secs(5), "the neighbour waited {longest:?}");
    assert!(most - before < GROWTH_KIB_MAX, "{} KiB more", most - before);
    let mut neighbour = Vec::new();
    stored(&store, "quiet", |message| neighbour.push(message.to_owned()));
    assert_eq!(neighbour, (0..said).map(|number| number.to_string()).collect::<Vec<_>>());
}
