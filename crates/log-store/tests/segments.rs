//! From the write-ahead log to segments, to larger segments, to nothing: what a reader sees stays the same.

mod world;

use std::fs;
use std::sync::Arc;
use std::time::{Duration, Instant};

use log_store::{Direction, GroupChange, LogStore, Needles, NewGroup, Options, Position, Query, Streams, format};
use object_store::memory::InMemory;
use tempfile::TempDir;
use world::{NOW, event, file, files, group, messages};

/// Waits for what the sealer does by itself.
async fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < deadline, "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn with_stream(store: LogStore) -> LogStore {
    store.create_group(group(), NewGroup::default(), NOW).await.unwrap();
    store.create_stream(group().stream("a"), NOW).await.unwrap();
    store
}

fn of_a() -> Query {
    Query { streams: Streams::Named(vec!["a".into()]), ..Query::new(group()) }
}

fn line(number: usize) -> String {
    format!(
        "GET /items/{number} 200 in {} ms, request {:016x}",
        number % 97,
        (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    )
}

#[tokio::test]
async fn a_place_stays_the_same_place() {
    let directory = TempDir::new().unwrap();
    let store = with_stream(LogStore::open(directory.path()).unwrap()).await;
    let put = async |store: &LogStore, from: usize| {
        // Many of one millisecond, and late ones.
        let events = (from..from + 50).map(|number| event((number / 10 + 100 - from) as i64, line(number))).collect();
        store.put(group().stream("a"), events, NOW).await.unwrap();
    };
    put(&store, 0).await;
    put(&store, 50).await;
    let before = store.read(&of_a(), &|_| true).unwrap();
    let place = before.events[29].event.position();
    let behind = Query { from: place.next(), ..of_a() };
    let ahead = Query { to: place.previous(), direction: Direction::Backward, ..of_a() };
    let (later, earlier) = (messages(&store, &behind, 7), messages(&store, &ahead, 7));
    assert_eq!((later.len(), earlier.len()), (70, 29));
    let check = |store: &LogStore, when: &str| {
        assert_eq!(store.read(&of_a(), &|_| true).unwrap(), before, "{when}");
        assert_eq!(messages(store, &behind, 7), later, "{when}");
        assert_eq!(messages(store, &ahead, 7), earlier, "{when}");
    };
    store.seal().await.unwrap();
    assert!(files(directory.path(), ".wal").is_empty(), "what is sealed leaves the write-ahead log");
    check(&store, "sealed");
    drop(store);
    let store = LogStore::open(directory.path()).unwrap();
    check(&store, "opened again");
    // Small segments behind it, until they are merged.
    let mut put = 0;
    while files(directory.path(), ".seg").len() != 1 || put < 8 {
        store.put(group().stream("a"), vec![event(1_000_000 + put, "later")], NOW).await.unwrap();
        store.seal().await.unwrap();
        put += 1;
        assert!(put < 30, "they are never merged");
    }
    let until_then = Query { to: Position::start_of(1_000_000).previous(), ..of_a() };
    assert_eq!(store.read(&until_then, &|_| true).unwrap().events, before.events, "merged");
    assert_eq!(messages(&store, &of_a(), 1000).len(), 100 + put as usize);
    assert!(store.damages().is_empty());
}

#[tokio::test]
async fn the_write_ahead_log_is_bounded_in_bytes_and_in_age() {
    let directory = TempDir::new().unwrap();
    let options = Options { wal_file_bytes_max: 10_000, wal_age_max: Duration::from_millis(50), ..Options::default() };
    let store = with_stream(LogStore::open_with(directory.path(), options).unwrap()).await;
    for number in 0..500 {
        store
            .put(group().stream("a"), vec![event(number, format!("{number} {}", "x".repeat(1000)))], NOW)
            .await
            .unwrap();
        let waiting: u64 =
            files(directory.path(), ".wal").iter().filter_map(|path| Some(path.metadata().ok()?.len())).sum();
        assert!(waiting <= 6 * 11_100, "{waiting} bytes wait to be sealed");
    }
    until("the last ones grow old", || files(directory.path(), ".wal").is_empty()).await;
    let all: Vec<i32> =
        messages(&store, &of_a(), 100).iter().map(|m| m.split(' ').next().unwrap().parse().unwrap()).collect();
    assert_eq!(all, (0..500).collect::<Vec<_>>());
}

/// A million events, read back; disk and memory stay small.
#[tokio::test]
async fn segments_are_small_and_pages_need_little_memory() {
    let directory = TempDir::new().unwrap();
    let store = with_stream(LogStore::open(directory.path()).unwrap()).await;
    let mut bytes = 0;
    for batch in 0..20 {
        let events: Vec<_> =
            (0..10_000).map(|i| event(batch * 1000 + i / 100, line((batch * 10_000 + i) as usize))).collect();
        bytes += events.iter().map(|event| event.message.len()).sum::<usize>();
        store.put(group().stream("a"), events, NOW).await.unwrap();
    }
    store.seal().await.unwrap();
    let on_disk: u64 = files(directory.path(), ".seg").iter().map(|path| path.metadata().unwrap().len()).sum();
    assert!(on_disk * 3 < bytes as u64, "{on_disk} bytes on disk for {bytes} bytes of messages");
    assert_eq!(messages(&store, &of_a(), 10_000).len(), 200_000);
}

#[tokio::test]
async fn needles_save_looking_and_change_nothing() {
    let directory = TempDir::new().unwrap();
    let store = with_stream(LogStore::open(directory.path()).unwrap()).await;
    for batch in 0..10usize {
        let mut lines: Vec<_> = (0..10_000).map(|i| line(batch * 10_000 + i)).collect();
        if batch == 7 {
            lines[1234] = "ERROR it broke".into();
        }
        let events = lines.into_iter().map(|line| event(batch as i64, line)).collect();
        store.put(group().stream("a"), events, NOW).await.unwrap();
    }
    store.seal().await.unwrap();
    let looked_at = std::cell::Cell::new(0);
    let find = |needle: &str, needles: Needles| {
        looked_at.set(0);
        let accept = |message: &str| {
            looked_at.set(looked_at.get() + 1);
            message.contains(needle)
        };
        let page = store.read(&Query { needles, ..of_a() }, &accept).unwrap();
        assert_eq!(page.next, None);
        (page.events.len(), looked_at.get())
    };
    let all = |needle: &str| Needles { all: vec![needle.into()], any: Vec::new() };
    let any = |needles: &[&str]| Needles { all: Vec::new(), any: needles.iter().map(|n| (*n).to_owned()).collect() };
    assert_eq!(find("ERROR", Needles::default()), (1, 100_000));
    let (found, seen) = find("ERROR", all("ERROR"));
    assert!(found == 1 && seen < 25_000, "{seen} messages were looked at for one");
    assert_eq!(find("ERROR", any(&["ERROR", "FATAL"])).0, 1);
    assert_eq!(find("FATAL", all("FATAL")), (0, 0));
    assert_eq!(find("request 00", all("request 00")).0, find("request 00", Needles::default()).0);
    // What is not sealed yet is simply looked at.
    store.put(group().stream("a"), vec![event(50, "ERROR again")], NOW).await.unwrap();
    assert_eq!(find("ERROR", all("ERROR")).0, 2);
}

#[tokio::test]
async fn what_goes_frees_the_disk() {
    let directory = TempDir::new().unwrap();
    let store = with_stream(LogStore::open(directory.path()).unwrap()).await;
    store.create_stream(group().stream("b"), NOW).await.unwrap();
    let sealed = async |stream: &str, time: i64| {
        store.put(group().stream(stream), vec![event(time, stream)], NOW).await.unwrap();
        store.seal().await.unwrap();
    };
    let day = 24 * 3600 * 1000;
    sealed("a", NOW.as_millis()).await;
    sealed("b", NOW.as_millis() - 3 * day).await;
    let segments = || files(directory.path(), ".seg").len();
    assert_eq!(segments(), 2);
    store.change_group(group(), GroupChange::Retention(Some(1))).await.unwrap();
    store.expire(NOW).await.unwrap();
    assert_eq!((segments(), messages(&store, &Query::new(group()), 10)), (1, vec!["a".to_owned()]));
    store.delete_stream(group().stream("a")).await.unwrap();
    until("the stream's segment is gone", || segments() == 0).await;
    sealed("b", NOW.as_millis()).await;
    assert_eq!(segments(), 1);
    store.delete_group(group()).await.unwrap();
    until("the group's segments are gone", || segments() == 0).await;
    until("its directory too", || files(directory.path(), "streams.log").is_empty()).await;
}

#[tokio::test]
async fn a_deleted_stream_leaves_segments_that_it_shares() {
    let directory = TempDir::new().unwrap();
    let store = with_stream(LogStore::open(directory.path()).unwrap()).await;
    store.create_stream(group().stream("b"), NOW).await.unwrap();
    for batch in 0..3 {
        store.put(group().stream("a"), (0..5000).map(|i| event(i, line(i as usize))).collect(), NOW).await.unwrap();
        store.put(group().stream("b"), vec![event(batch, format!("kept {batch}"))], NOW).await.unwrap();
        store.seal().await.unwrap();
    }
    let size =
        || files(directory.path(), ".seg").iter().filter_map(|path| Some(path.metadata().ok()?.len())).sum::<u64>();
    let before = size();
    store.delete_stream(group().stream("a")).await.unwrap();
    until("its space is free", || size() * 20 < before).await;
    assert_eq!(messages(&store, &Query::new(group()), 10), ["kept 0", "kept 1", "kept 2"]);
    drop(store);
    let store = LogStore::open(directory.path()).unwrap();
    assert_eq!(messages(&store, &Query::new(group()), 10), ["kept 0", "kept 1", "kept 2"]);
    assert!(store.damages().is_empty());
}

/// Batches of a deleted group that are still in the write-ahead log are nobody's, also after a restart.
#[tokio::test]
async fn a_new_group_inherits_nothing() {
    let directory = TempDir::new().unwrap();
    let store = with_stream(LogStore::open(directory.path()).unwrap()).await;
    store.put(group().stream("a"), vec![event(1, "old")], NOW).await.unwrap();
    store.delete_group(group()).await.unwrap();
    until("it is gone", || files(directory.path(), "group.json").is_empty()).await;
    drop(store);
    let store = with_stream(LogStore::open(directory.path()).unwrap()).await;
    store.put(group().stream("a"), vec![event(2, "new")], NOW).await.unwrap();
    store.seal().await.unwrap();
    assert_eq!(messages(&store, &of_a(), 10), ["new"]);
}

#[tokio::test]
async fn segments_may_lie_elsewhere() {
    let directory = TempDir::new().unwrap();
    let elsewhere = Arc::new(InMemory::new());
    let open = || LogStore::open_in(directory.path(), elsewhere.clone(), Options::default()).unwrap();
    let store = with_stream(open()).await;
    store.put(group().stream("a"), vec![event(1, "one"), event(2, "two")], NOW).await.unwrap();
    store.seal().await.unwrap();
    assert!(files(directory.path(), ".seg").is_empty());
    drop(store);
    let store = open();
    assert_eq!(messages(&store, &of_a(), 1), ["one", "two"]);
    store.delete_group(group()).await.unwrap();
    drop(store);
    let store = open();
    until("they are gone", || {
        let mut left = object_store::ObjectStore::list(&*elsewhere, None);
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        matches!(left.as_mut().poll_next(&mut context), std::task::Poll::Ready(None))
    })
    .await;
    drop(store);
}

/// More events overlap than a page reads at once: it ends early, and still every page gets on.
#[tokio::test]
async fn pages_get_on_whatever_overlaps() {
    let directory = TempDir::new().unwrap();
    let store = with_stream(LogStore::open(directory.path()).unwrap()).await;
    for batch in 0..30 {
        // Each spans all of the time.
        let events = (0..20).map(|i| event(i * 1000 + batch, format!("{batch}/{i} {}", "x".repeat(2000)))).collect();
        store.put(group().stream("a"), events, NOW).await.unwrap();
        if batch % 4 == 3 {
            store.seal().await.unwrap();
        }
    }
    for direction in [Direction::Forward, Direction::Backward] {
        let mut query = Query {
            direction,
            scan_bytes_max: 10_000,
            bytes_max: 30_000,
            from: Position::start_of(5000),
            to: Position::end_of(15_000),
            ..of_a()
        };
        let (mut found, mut pages) = (0, 0);
        loop {
            let page = store.read(&query, &|message| message.contains("/7 ") || message.contains("/12 ")).unwrap();
            found += page.events.len();
            pages += 1;
            assert!(pages < 1000, "it never ends");
            match (page.next, direction) {
                (None, _) => break,
                (Some(next), Direction::Forward) => query.from = next,
                (Some(next), Direction::Backward) => query.to = next,
            }
        }
        assert_eq!(found, 60, "{direction:?}");
        assert!(pages > 5);
    }
}

#[tokio::test]
async fn files_are_what_the_decoders_say() {
    let directory = TempDir::new().unwrap();
    let store = with_stream(LogStore::open(directory.path()).unwrap()).await;
    let read = |ends_with: &str| fs::read(file(directory.path(), ends_with)).unwrap();
    store.put(group().stream("a"), vec![event(1, "one"), event(2, "two")], NOW).await.unwrap();
    assert_eq!(format::wal(&read(".wal")), Ok(2));
    store.seal().await.unwrap();
    let segment = read(".seg");
    assert_eq!(format::segment(&segment), Ok(2));
    assert_eq!(format::streams(&read("streams.log")), Ok(1));
    assert!(format::manifest(&read("manifest.log")).unwrap() >= 3);
    // Whatever one byte becomes, the decoders notice or do not care, and never panic.
    for at in 0..segment.len() {
        let mut spoilt = segment.clone();
        spoilt[at] ^= 0x41;
        let _ = format::segment(&spoilt);
        let _ = format::segment(&spoilt[..at]);
        for bytes in [read("streams.log"), read("manifest.log")].iter_mut().filter(|bytes| at < bytes.len()) {
            bytes[at] ^= 0x41;
            let _ = (format::manifest(bytes), format::streams(bytes), format::wal(bytes), format::first_segment(bytes));
        }
    }
}

/// Far more overlaps than a page may hold back: it keeps what fits, and the next page finds the rest.
#[tokio::test]
async fn a_page_holds_no_more_than_it_needs() {
    let directory = TempDir::new().unwrap();
    let store = with_stream(LogStore::open(directory.path()).unwrap()).await;
    let (batches, each) = (40, 50);
    for batch in 0..batches {
        let events = (0..each).map(|i| event(i * 100 + batch, format!("{i}/{batch} {}", "x".repeat(10_000)))).collect();
        store.put(group().stream("a"), events, NOW).await.unwrap();
        if batch == batches / 2 {
            store.seal().await.unwrap();
        }
    }
    let mut expected: Vec<String> =
        (0..each).flat_map(|i| (0..batches).map(move |batch| format!("{i}/{batch}"))).collect();
    for direction in [Direction::Forward, Direction::Backward] {
        for (page, bytes_max) in [(10_000, 1 << 20), (70, 1 << 20), (10_000, 300_000)] {
            let query = Query { direction, bytes_max, ..of_a() };
            let found = messages(&store, &query, page);
            let found: Vec<_> = found.iter().map(|message| message.split(' ').next().unwrap()).collect();
            assert_eq!(found, expected, "{direction:?}, {page} events and {bytes_max} bytes");
        }
        expected.reverse();
    }
}
