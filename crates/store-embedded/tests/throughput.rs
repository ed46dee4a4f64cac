//! How many durable commits a second. Run by hand:
//! `cargo test -p store-embedded --test throughput -- --ignored --nocapture`; `BERTH_BENCH_DIR` chooses the disk.

use std::sync::Arc;
use std::time::{Duration, Instant};

use store::{Engine, Expect, RawChanges};
use store_embedded::{EmbeddedEngine, Options};

const COMMITTERS: usize = 64;
const RUN: Duration = Duration::from_secs(5);

/// Each committer moves records of its own through states: a guard, a put of one KiB, a put of a small one.
async fn commit_for_a_while(engine: Arc<EmbeddedEngine>, committer: usize) -> Vec<Duration> {
    let mut latencies = Vec::new();
    let mut revisions = vec![Expect::Absent; 100];
    let value = vec![b'v'; 1024];
    let end = Instant::now() + RUN;
    for i in (0..revisions.len()).cycle() {
        let start = Instant::now();
        if start >= end {
            break;
        }
        let key = format!("task/{committer}/{i}");
        let changes = RawChanges::new()
            .guard(key.clone(), revisions[i])
            .put(key.clone(), value.clone())
            .put(format!("status/{committer}/{i}"), "RUNNING");
        revisions[i] = Expect::At(engine.commit(changes).await.unwrap());
        latencies.push(start.elapsed());
    }
    latencies
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, not a test"]
async fn durable_commits_a_second() {
    let directory = match std::env::var_os("BERTH_BENCH_DIR") {
        Some(path) => tempfile::TempDir::new_in(path).unwrap(),
        None => tempfile::TempDir::new().unwrap(),
    };
    let engine = Arc::new(EmbeddedEngine::open(directory.path().join("store.db"), Options::default()).unwrap());
    for committers in [1, COMMITTERS] {
        let start = Instant::now();
        let tasks: Vec<_> =
            (0..committers).map(|i| tokio::spawn(commit_for_a_while(engine.clone(), i + committers * 1000))).collect();
        let mut latencies = Vec::new();
        for task in tasks {
            latencies.extend(task.await.unwrap());
        }
        let rate = latencies.len() as f64 / start.elapsed().as_secs_f64();
        latencies.sort();
        let at = |percent: usize| latencies[latencies.len() * percent / 100];
        println!("{committers:>3} committers: {rate:>8.0} commits/s, p50 {:?}, p99 {:?}", at(50), at(99));
    }
}
