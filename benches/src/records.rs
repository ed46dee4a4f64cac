//! Records without anybody who made them: a store that is full of tasks, and tasks that change all the time.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use controlplane::ControlPlane;
use model::{Cluster, Scope, Task, TaskStatus};
use serde_json::json;
use state::{Changes, Op, Record as _, Snapshot};
use stdx::Timestamp;
use store::{Engine as _, RawChanges};
use store_embedded::{EmbeddedEngine, Options};
use wire::AuthMode;

use crate::figures::Times;
use crate::rates::{FULL_CLUSTER, Rate};

/// How many records one commit of the preparation has.
const BATCH: usize = 2_000;
const INSTANCES: usize = 1_000;
const NOW: i64 = 1_795_384_329_148;
/// Transitions that are under way at the same time: as many agents report.
const REPORTERS: usize = 256;
const MEASURED: Duration = Duration::from_secs(5);

/// Fills the store of a Berth that does not run with running tasks.
pub fn seed(store: &Path, count: usize) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let engine = EmbeddedEngine::open(store, Options::default()).expect("the store opens");
        fill(&engine, count).await;
    });
}

async fn fill(engine: &EmbeddedEngine, count: usize) {
    let nothing = Snapshot::default();
    let mut changes = Changes::new();
    let scope = Scope::new(wire::OPEN_ACCOUNT, "us-east-1");
    let cluster = |name| Cluster::new(&scope, name, Timestamp::from_millis(NOW));
    changes.put(&nothing, &cluster(FULL_CLUSTER));
    changes.put(&nothing, &cluster(crate::rates::CLUSTER));
    for number in 0..count {
        changes.put(&nothing, &task(number));
        if changes.len() == BATCH {
            commit(engine, &std::mem::take(&mut changes)).await;
        }
    }
    commit(engine, &changes).await;
}

async fn commit(engine: &EmbeddedEngine, changes: &Changes) {
    let raw = changes.ops().fold(RawChanges::new(), |raw, op| match op {
        Op::Put { key, value, .. } => raw.put(key.as_bytes().to_vec(), value.clone()),
        Op::Delete { key } => raw.delete(key.as_bytes().to_vec()),
    });
    engine.commit(raw).await.expect("the store takes it");
}

/// A running task of one container with a host port, as a web service has them.
fn task(number: usize) -> Task {
    let hex = |salt: u128| {
        // Ids are spread as random ones are.
        format!("{:032x}", (number as u128 + salt).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835))
    };
    let time = NOW + number as i64;
    let binding =
        json!({ "bind_ip": "0.0.0.0", "container_port": 80, "host_port": 32768 + number % 20000, "protocol": "tcp" });
    let container = json!({
        "id": hex(1), "name": "web", "image": "hello-world:1", "last_status": "RUNNING", "runtime_id": hex(2).repeat(2),
        "network_bindings": [binding],
    });
    let task = json!({
        "scope": { "account": wire::OPEN_ACCOUNT, "region": "us-east-1" }, "cluster": FULL_CLUSTER, "id": hex(3), "family": "web", "revision": 1,
        "container_instance": format!("{:032x}", number % INSTANCES), "launch_type": "EC2", "last_status": "RUNNING",
        "desired_status": "RUNNING", "containers": [container], "group": "family:web", "created_at": time,
        "started_at": time, "connectivity_at": time, "pull_started_at": time, "pull_stopped_at": time, "version": 4,
    });
    serde_json::from_value(task).expect("a task's record")
}

/// Task transitions through the ledger: read, change, commit, and wait until it is durable and visible.
pub fn transitions() -> (Rate, Rate) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let dir = kit::Machine::new();
        let engine = EmbeddedEngine::open(dir.dir().join("store.db"), Options::default()).expect("the store opens");
        fill(&engine, 20_000).await;
        let plane =
            Arc::new(ControlPlane::start(Arc::new(engine), AuthMode::Open).await.expect("the records are read"));
        let burst = report(&plane, None).await;
        let pause = Duration::from_secs_f64(REPORTERS as f64 * 2.0 / burst.per_second);
        let half = report(&plane, Some(pause)).await;
        (burst, half)
    })
}

/// Every reporter has its own tasks, as every agent does. One that pauses starts a transition every so often.
async fn report(plane: &Arc<ControlPlane>, pause: Option<Duration>) -> Rate {
    let mut reporters = Vec::new();
    let began = Instant::now();
    for reporter in 0..REPORTERS {
        let plane = plane.clone();
        reporters.push(tokio::spawn(async move {
            let ledger = plane.ledger();
            let mut times = Vec::new();
            let mut next = began + pause.unwrap_or_default().mul_f64(reporter as f64 / REPORTERS as f64);
            for turn in 0.. {
                if began.elapsed() > MEASURED {
                    break;
                }
                if let Some(pause) = pause {
                    tokio::time::sleep_until(next.into()).await;
                    next += pause;
                }
                let one = Instant::now();
                let snapshot = ledger.snapshot();
                let name = task(reporter + REPORTERS * (turn % 64)).name();
                let mut changed = (**snapshot.tasks.get(&name).expect("the task is there")).clone();
                changed.last_status = if turn % 2 == 0 { TaskStatus::Stopping } else { TaskStatus::Running };
                changed.version += 1;
                let mut changes = Changes::new();
                changes.put(&snapshot, &changed);
                ledger.commit(changes).await.expect("nobody else changes it");
                times.push(one.elapsed());
            }
            times
        }));
    }
    let mut times = Vec::new();
    for reporter in reporters {
        times.extend(reporter.await.expect("a reporter ends"));
    }
    Rate { per_second: times.len() as f64 / began.elapsed().as_secs_f64(), times: Times::new(times) }
}
