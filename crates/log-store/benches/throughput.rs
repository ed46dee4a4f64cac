//! How fast it is with two million events, and how much memory a large group costs: `cargo bench -p log-store`.

use std::sync::Arc;
use std::time::Instant;

use log_store::{Direction, GroupKey, LogEvent, LogStore, Needles, NewGroup, Query, Streams};
use stdx::Timestamp;
use tempfile::TempDir;

const STREAMS: usize = 16;
const BATCHES: usize = 640;
const EVENTS: usize = 200;

fn group() -> GroupKey {
    GroupKey::new("000000000000", "us-east-1", "large")
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let directory = TempDir::new().unwrap();
    let store = Arc::new(LogStore::open(directory.path()).unwrap());
    let now = Timestamp::from_millis(1_700_000_000_000);
    store.create_group(group(), NewGroup::default(), now).await.unwrap();
    let start = Instant::now();
    let mut writers = Vec::new();
    for writer in 0..STREAMS {
        let store = store.clone();
        writers.push(tokio::spawn(async move {
            let stream = group().stream(format!("web/{writer}"));
            store.create_stream(stream.clone(), now).await.unwrap();
            for batch in 0..BATCHES {
                let time = now.as_millis() + (batch * 1000) as i64;
                let line = |i: usize| {
                    format!("GET /items/{i} 200 {batch} the quick brown fox jumps over the lazy dog, again and again")
                };
                let events =
                    (0..EVENTS).map(|i| LogEvent { timestamp_ms: time + i as i64, message: line(i) }).collect();
                store.put(stream.clone(), events, now).await.unwrap();
            }
        }));
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let events = STREAMS * BATCHES * EVENTS;
    let took = start.elapsed();
    println!(
        "{events} events in {took:?}: {:.0} durable events/s, in {} batches",
        events as f64 / took.as_secs_f64(),
        STREAMS * BATCHES
    );
    let start = Instant::now();
    store.seal().await.unwrap();
    let bytes = size(&directory.path().join("segments"));
    let (segments, each) = (bytes >> 20, bytes as f64 / events as f64);
    println!("sealed to the last {:?} later: {segments} MiB of segments, {each:.1} bytes an event", start.elapsed());
    drop(store);
    println!("resident after closing: {} KiB", resident());

    let start = Instant::now();
    let store = LogStore::open(directory.path()).unwrap();
    let newest = Query { direction: Direction::Backward, events_max: 100, ..Query::new(group()) };
    assert_eq!(store.read(&newest, &|_| true).unwrap().events.len(), 100);
    println!("open and read the newest 100: {:?}", start.elapsed());
    let start = Instant::now();
    let one = Query {
        streams: Streams::Named(vec!["web/3".into()]),
        direction: Direction::Backward,
        events_max: 100,
        ..Query::new(group())
    };
    assert_eq!(store.read(&one, &|_| true).unwrap().events.len(), 100);
    println!("the newest 100 of one stream: {:?}", start.elapsed());
    let (start, mut query, mut pages) = (Instant::now(), Query::new(group()), 0);
    loop {
        let page = store.read(&query, &|message| message.contains("never there")).unwrap();
        assert!(page.events.is_empty());
        pages += 1;
        match page.next {
            Some(next) => query.from = next,
            None => break,
        }
    }
    println!("look through all of them for a word: {:?}, {pages} pages; resident {} KiB", start.elapsed(), resident());
    let start = Instant::now();
    let needles = Needles { all: vec!["never there".into()], any: Vec::new() };
    let page =
        store.read(&Query { needles, ..Query::new(group()) }, &|message| message.contains("never there")).unwrap();
    assert!(page.events.is_empty() && page.next.is_none());
    println!("the same with the word known: {:?}", start.elapsed());
}

fn size(path: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap());
    entries.map(|entry| if entry.path().is_dir() { size(&entry.path()) } else { entry.metadata().unwrap().len() }).sum()
}

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
