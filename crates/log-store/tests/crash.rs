//! A crash may leave any part of what was not acknowledged, and nothing of it may hurt what was.

mod world;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use log_store::{ChangeError, LogEvent, LogStore, NewGroup, Options, Query, StoreError, Streams};
use tempfile::TempDir;
use world::{NOW, copy, file, group};

const CHILD: &str = "BERTH_TEST_CRASH_LOGS";

fn read_all(store: &LogStore, stream: &str) -> Vec<String> {
    let mut query = Query { streams: Streams::Named(vec![stream.into()]), ..Query::new(group()) };
    let mut found = Vec::new();
    loop {
        let page = store.read(&query, &|_| true).unwrap();
        found.extend(page.events.into_iter().map(|event| event.event.message));
        match page.next {
            Some(next) => query.from = next,
            None => return found,
        }
    }
}

async fn put(store: &LogStore, stream: &str, number: u64) -> Result<(), ChangeError> {
    let event = LogEvent { timestamp_ms: number as i64, message: format!("{number}") };
    store.put(group().stream(stream), vec![event], NOW).await
}

/// The last record is cut, or spoilt, at each of its bytes: all before it is there, and writing goes on behind it.
#[tokio::test]
async fn a_torn_tail_is_cut_at_any_byte() {
    let original = TempDir::new().unwrap();
    let store = LogStore::open(original.path()).unwrap();
    store.create_group(group(), NewGroup::default(), NOW).await.unwrap();
    store.create_stream(group().stream("s"), NOW).await.unwrap();
    put(&store, "s", 1).await.unwrap();
    put(&store, "s", 2).await.unwrap();
    let whole = fs::metadata(file(original.path(), ".wal")).unwrap().len();
    put(&store, "s", 3).await.unwrap();
    drop(store);
    let bytes = fs::read(file(original.path(), ".wal")).unwrap();
    for at in whole as usize..bytes.len() {
        for torn in [bytes[..at].to_vec(), [&bytes[..at], &[!bytes[at]], &bytes[at + 1..]].concat()] {
            let directory = TempDir::new().unwrap();
            copy(original.path(), directory.path());
            fs::write(file(directory.path(), ".wal"), torn).unwrap();
            let store = LogStore::open(directory.path()).unwrap();
            assert_eq!(read_all(&store, "s"), ["1", "2"], "torn at {at}");
            put(&store, "s", 4).await.unwrap();
            drop(store);
            let store = LogStore::open(directory.path()).unwrap();
            assert_eq!(read_all(&store, "s"), ["1", "2", "4"], "written after a tear at {at}");
        }
    }
}

#[tokio::test]
async fn a_torn_list_of_streams_keeps_those_before() {
    let original = TempDir::new().unwrap();
    let store = LogStore::open(original.path()).unwrap();
    store.create_group(group(), NewGroup::default(), NOW).await.unwrap();
    store.create_stream(group().stream("one"), NOW).await.unwrap();
    let whole = fs::metadata(file(original.path(), "streams.log")).unwrap().len();
    store.create_stream(group().stream("two"), NOW).await.unwrap();
    drop(store);
    let bytes = fs::read(file(original.path(), "streams.log")).unwrap();
    for at in whole as usize..bytes.len() {
        let directory = TempDir::new().unwrap();
        copy(original.path(), directory.path());
        fs::write(file(directory.path(), "streams.log"), &bytes[..at]).unwrap();
        let store = LogStore::open(directory.path()).unwrap();
        assert_eq!(store.streams(&group(), "").unwrap().len(), 1, "torn at {at}");
        store.create_stream(group().stream("three"), NOW).await.unwrap();
        drop(store);
        let store = LogStore::open(directory.path()).unwrap();
        let names: Vec<_> = store.streams(&group(), "").unwrap().into_iter().map(|s| s.name.to_string()).collect();
        assert_eq!(names, ["one", "three"]);
    }
}

/// What the process does that `acknowledged_events_survive_kill_9` kills. Nothing, when it is run among the other tests.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Ok(path) = std::env::var(CHILD) else { return };
    // So small that most of the time something is being sealed or merged.
    let options = Options { wal_file_bytes_max: 2000, segment_raw_bytes_max: 30_000, ..Options::default() };
    let store = std::sync::Arc::new(LogStore::open_with(path, options).unwrap());
    let _ = store.create_group(group(), NewGroup::default(), NOW).await;
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..4 {
        let store = store.clone();
        writers.spawn(async move {
            let stream = format!("s{writer}");
            let _ = store.create_stream(group().stream(&stream), NOW).await;
            let mut number = read_all(&store, &stream).len() as u64;
            loop {
                put(&store, &stream, number).await.unwrap();
                number += 1;
                std::io::stdout().write_all(format!("\nacked {writer} {number}\n").as_bytes()).unwrap();
            }
        });
    }
    let _: Option<Result<(), _>> = writers.join_next().await;
}

#[test]
fn acknowledged_events_survive_kill_9() {
    let directory = TempDir::new().unwrap();
    let mut seed = u64::from(std::process::id()) | 1;
    let mut total = 0;
    for round in 0..10 {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let acked = run_and_kill(directory.path(), Duration::from_micros(seed % 150_000));
        let store = LogStore::open(directory.path()).unwrap();
        for (writer, count) in acked {
            let found = read_all(&store, &format!("s{writer}"));
            assert!(found.len() as u64 >= count, "round {round}: {count} were acknowledged, {} are there", found.len());
            let expected: Vec<String> = (0..found.len()).map(|number| number.to_string()).collect();
            assert_eq!(found, expected, "round {round}: in order, each once");
            total += count;
        }
    }
    assert!(total > 0, "the child never got as far as an acknowledged event");
}

/// How many events each writer was acknowledged.
fn run_and_kill(path: &Path, after: Duration) -> BTreeMap<u64, u64> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--nocapture"])
        .env(CHILD, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut acked, mut kill_at) = (BTreeMap::new(), None);
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let Some(line) = line.ok().and_then(|line| line.strip_prefix("acked ").map(str::to_owned)) else { continue };
        let Some((writer, count)) = line.split_once(' ') else { continue };
        acked.insert(writer.parse().unwrap(), count.parse().unwrap());
        if Instant::now() >= *kill_at.get_or_insert_with(|| Instant::now() + after) {
            let _ = child.kill();
        }
    }
    child.wait().unwrap();
    acked
}

/// A small file system of its own, gone with the value.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn new() -> Self {
        let disk = SmallDisk(TempDir::new().unwrap());
        disk.mount(&["-t", "tmpfs", "-o", "size=1m", "tmpfs"]);
        disk
    }

    fn mount(&self, arguments: &[&str]) {
        assert!(Command::new("mount").args(arguments).arg(self.0.path()).status().unwrap().success());
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn a_full_disk_is_an_error_and_passes() {
    let disk = SmallDisk::new();
    let store = LogStore::open(disk.0.path()).unwrap();
    store.create_group(group(), NewGroup::default(), NOW).await.unwrap();
    store.create_stream(group().stream("s"), NOW).await.unwrap();
    let large = || vec![LogEvent { timestamp_ms: 1, message: "x".repeat(100_000) }];
    let mut acked = 0;
    let refused = loop {
        match store.put(group().stream("s"), large(), NOW).await {
            Ok(()) => acked += 1,
            Err(refused) => break refused,
        }
        assert!(acked < 100, "a megabyte never fills up");
    };
    assert!(
        matches!(&refused, ChangeError::Write(StoreError::Io { source, .. }) if source.kind() == std::io::ErrorKind::StorageFull),
        "{refused:?}"
    );
    assert_eq!(read_all(&store, "s").len(), acked);
    disk.mount(&["-o", "remount,size=16m"]);
    store.put(group().stream("s"), large(), NOW).await.expect("writing goes on when there is space again");
    drop(store);
    let store = LogStore::open(disk.0.path()).unwrap();
    assert_eq!(read_all(&store, "s").len(), acked + 1);
}
