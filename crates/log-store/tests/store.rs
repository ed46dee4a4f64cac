//! Groups, streams and events as a caller sees them, before and after a restart.

use std::collections::BTreeMap;
use std::time::Duration;

use log_store::{
    ChangeError, Direction, GroupChange, GroupKey, LogEvent, LogStore, NewGroup, Position, Query, ReadError, Streams,
};
use proptest::prelude::*;
use stdx::Timestamp;
use tempfile::TempDir;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn group() -> GroupKey {
    GroupKey::new("000000000000", "us-east-1", "/ecs/web")
}

fn event(timestamp_ms: i64, message: impl Into<String>) -> LogEvent {
    LogEvent { timestamp_ms, message: message.into() }
}

async fn with_streams(directory: &TempDir, streams: &[&str]) -> LogStore {
    let store = LogStore::open(directory.path()).unwrap();
    store.create_group(group(), NewGroup::default(), NOW).await.unwrap();
    for stream in streams {
        store.create_stream(group().stream(*stream), NOW).await.unwrap();
    }
    store
}

/// Every message the query finds, read in pages of the given size.
fn messages(store: &LogStore, query: &Query, page: usize) -> Vec<String> {
    let mut query = Query { events_max: page, ..query.clone() };
    let mut found = Vec::new();
    loop {
        let page = store.read(&query, &|_| true).unwrap();
        assert!(page.events.len() <= query.events_max);
        found.extend(page.events.into_iter().map(|event| event.event.message));
        match (page.next, query.direction) {
            (None, _) => return found,
            (Some(next), Direction::Forward) => query.from = next,
            (Some(next), Direction::Backward) => query.to = next,
        }
    }
}

#[tokio::test]
async fn events_come_back_in_order_in_both_directions_and_after_a_restart() {
    let directory = TempDir::new().unwrap();
    let store = with_streams(&directory, &["a", "b"]).await;
    store
        .put(group().stream("a"), vec![event(10, "a10"), event(20, "a20"), event(20, "a20 again")], NOW)
        .await
        .unwrap();
    store.put(group().stream("b"), vec![event(5, "b5"), event(15, "b15"), event(20, "b20")], NOW).await.unwrap();
    let check = |store: &LogStore| {
        let all = ["b5", "a10", "b15", "a20", "a20 again", "b20"];
        for page in [1, 2, 100] {
            assert_eq!(messages(store, &Query::new(group()), page), all);
            let backward = Query { direction: Direction::Backward, ..Query::new(group()) };
            assert_eq!(messages(store, &backward, page), all.iter().rev().copied().collect::<Vec<_>>());
        }
        let of_a = Query { streams: Streams::Named(vec!["a".into()]), ..Query::new(group()) };
        assert_eq!(messages(store, &of_a, 2), ["a10", "a20", "a20 again"]);
        let by_prefix = Query { streams: Streams::Prefix("b".into()), ..Query::new(group()) };
        assert_eq!(messages(store, &by_prefix, 2), ["b5", "b15", "b20"]);
        let middle = Query { from: Position::start_of(10), to: Position::end_of(19), ..Query::new(group()) };
        assert_eq!(messages(store, &middle, 2), ["a10", "b15"]);
        let backwards = Query { from: Position::start_of(19), to: Position::end_of(11), ..Query::new(group()) };
        assert!(messages(store, &backwards, 2).is_empty(), "a range that ends before it begins is empty");
        let wanted = store.read(&Query::new(group()), &|message| message.contains("20")).unwrap();
        assert_eq!(wanted.events.len(), 3);
        let streams = store.streams(&group(), "").unwrap();
        assert_eq!(streams[1].first_event, Some(Timestamp::from_millis(5)));
        assert_eq!(streams[1].last_event, Some(Timestamp::from_millis(20)));
    };
    check(&store);
    drop(store);
    check(&LogStore::open(directory.path()).unwrap());
}

#[tokio::test]
async fn what_is_deleted_stays_deleted() {
    let directory = TempDir::new().unwrap();
    let store = with_streams(&directory, &["a", "b"]).await;
    store.put(group().stream("a"), vec![event(1, "of a")], NOW).await.unwrap();
    store.put(group().stream("b"), vec![event(2, "of b")], NOW).await.unwrap();
    store.delete_stream(group().stream("a")).await.unwrap();
    assert_eq!(messages(&store, &Query::new(group()), 10), ["of b"]);
    store.create_stream(group().stream("a"), NOW).await.unwrap();
    drop(store);

    let store = LogStore::open(directory.path()).unwrap();
    assert_eq!(
        messages(&store, &Query::new(group()), 10),
        ["of b"],
        "a new stream does not inherit an old one's events"
    );
    store.delete_group(group()).await.unwrap();
    assert!(store.group(&group()).is_none());
    assert!(matches!(store.read(&Query::new(group()), &|_| true), Err(ReadError::GroupNotFound)));
    store.create_group(group(), NewGroup::default(), NOW).await.unwrap();
    assert!(store.streams(&group(), "").unwrap().is_empty());
    drop(store);
    let store = LogStore::open(directory.path()).unwrap();
    assert_eq!(store.groups("000000000000", "us-east-1", "/ecs").len(), 1);
}

#[tokio::test]
async fn groups_are_kept_apart_and_remember_their_settings() {
    let directory = TempDir::new().unwrap();
    let store = LogStore::open(directory.path()).unwrap();
    let tags = BTreeMap::from([("team".to_owned(), "blue".to_owned()), ("tier".to_owned(), "web".to_owned())]);
    store.create_group(group(), NewGroup { tags, class: None }, NOW).await.unwrap();
    for other in [
        ("000000000000", "eu-west-1", "/ecs/web"),
        ("111111111111", "us-east-1", "/ecs/web"),
        ("000000000000", "us-east-1", "/ecs/x"),
    ] {
        store.create_group(GroupKey::new(other.0, other.1, other.2), NewGroup::default(), NOW).await.unwrap();
    }
    store.change_group(group(), GroupChange::Retention(Some(7))).await.unwrap();
    store.change_group(group(), GroupChange::Untag(vec!["tier".into()])).await.unwrap();
    drop(store);
    let store = LogStore::open(directory.path()).unwrap();
    let names: Vec<_> = store.groups("000000000000", "us-east-1", "").into_iter().map(|info| info.key.group).collect();
    assert_eq!(names, ["/ecs/web", "/ecs/x"]);
    let info = store.group(&group()).unwrap();
    assert_eq!((info.retention_days, info.tags.len(), info.created), (Some(7), 1, NOW));
}

#[tokio::test]
async fn refusals() {
    let directory = TempDir::new().unwrap();
    let store = with_streams(&directory, &["a"]).await;
    let nowhere = GroupKey::new("000000000000", "us-east-1", "nowhere");
    assert!(matches!(store.create_group(group(), NewGroup::default(), NOW).await, Err(ChangeError::GroupExists)));
    assert!(matches!(store.create_stream(group().stream("a"), NOW).await, Err(ChangeError::StreamExists)));
    assert!(matches!(store.create_stream(nowhere.stream("a"), NOW).await, Err(ChangeError::GroupNotFound)));
    let put = store.put(group().stream("b"), vec![event(1, "x")], NOW).await;
    assert!(matches!(put, Err(ChangeError::StreamNotFound)));
    assert!(matches!(store.delete_stream(group().stream("b")).await, Err(ChangeError::StreamNotFound)));
    assert!(matches!(store.delete_group(nowhere).await, Err(ChangeError::GroupNotFound)));
    let unknown = Query { streams: Streams::Named(vec!["b".into()]), ..Query::new(group()) };
    assert!(matches!(store.read(&unknown, &|_| true), Err(ReadError::StreamNotFound)));
    assert!(LogStore::open(directory.path()).err().unwrap().to_string().contains("in use by another Berth"));
}

/// Fills several segments, so that reading goes through indexes; then time passes and the old ones go.
#[tokio::test]
async fn many_segments_are_read_and_expire() {
    let directory = TempDir::new().unwrap();
    let store = with_streams(&directory, &["a", "b"]).await;
    let day = 24 * 3600 * 1000;
    let batches = 48;
    let padding = "x".repeat(100_000);
    for batch in 0..batches {
        let stream = group().stream(if batch % 2 == 0 { "a" } else { "b" });
        let time = NOW.as_millis() + batch * day / 8;
        let events = (0..10).map(|i| event(time + i, format!("{batch}/{i} {padding}"))).collect();
        store.put(stream, events, NOW).await.unwrap();
    }
    store.seal().await.unwrap();
    let segments = || {
        let groups = std::fs::read_dir(directory.path().join("segments")).unwrap().map(|entry| entry.unwrap().path());
        groups.map(|group| std::fs::read_dir(group).unwrap().count()).sum::<usize>()
    };
    assert!(segments() >= 3, "{} segments", segments());
    let first_words = |store: &LogStore, query: &Query| -> Vec<String> {
        messages(store, query, 7).into_iter().map(|message| message.split(' ').next().unwrap().to_owned()).collect()
    };
    let all: Vec<String> = (0..batches).flat_map(|batch| (0..10).map(move |i| format!("{batch}/{i}"))).collect();
    assert_eq!(first_words(&store, &Query::new(group())), all);
    drop(store);
    let store = LogStore::open(directory.path()).unwrap();
    let backward = Query { direction: Direction::Backward, ..Query::new(group()) };
    assert_eq!(first_words(&store, &backward), all.iter().rev().cloned().collect::<Vec<_>>());
    let bounded = store.read(&Query { scan_bytes_max: 1_500_000, ..Query::new(group()) }, &|_| false).unwrap();
    assert!(bounded.events.is_empty() && bounded.next.is_some(), "a page that finds nothing ends and can go on");

    let bytes = store.stored_bytes(&group()).unwrap();
    store.change_group(group(), GroupChange::Retention(Some(1))).await.unwrap();
    store.expire(NOW + Duration::from_secs(4 * 24 * 3600)).await.unwrap();
    assert!(store.stored_bytes(&group()).unwrap() < bytes);
    let left = first_words(&store, &Query::new(group()));
    assert!(left.len() < all.len() && all.ends_with(&left));
    store.expire(NOW + Duration::from_secs(30 * 24 * 3600)).await.unwrap();
    assert_eq!((segments(), store.stored_bytes(&group()).unwrap()), (0, 0));
    store.put(group().stream("a"), vec![event(1, "and on it goes")], NOW).await.unwrap();
    assert_eq!(messages(&store, &Query::new(group()), 7), ["and on it goes"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn readers_beside_writers_see_a_prefix_of_each_stream() {
    let directory = TempDir::new().unwrap();
    let names: Vec<String> = (0..4).map(|i| format!("s{i}")).collect();
    let store =
        std::sync::Arc::new(with_streams(&directory, &names.iter().map(String::as_str).collect::<Vec<_>>()).await);
    let writers: Vec<_> = names
        .iter()
        .cloned()
        .map(|name| {
            let store = store.clone();
            tokio::spawn(async move {
                for i in 0..100 {
                    store.put(group().stream(&name), vec![event(i, format!("{i}"))], NOW).await.unwrap();
                    let own = Query { streams: Streams::Named(vec![name.clone()]), ..Query::new(group()) };
                    let seen = messages(&store, &own, 1000);
                    assert_eq!(seen, (0..=i).map(|n| n.to_string()).collect::<Vec<_>>(), "own writes are read");
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
    assert_eq!(messages(&store, &Query::new(group()), 33).len(), 400);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, ..ProptestConfig::default() })]

    /// Whatever is written in whatever order, every page size and direction finds what a sorted list would.
    #[test]
    fn reading_is_sorting(
        batches in prop::collection::vec((0usize..3, prop::collection::vec(0i64..60, 1..12)), 1..20),
        (from, to) in (0i64..60, 0i64..60),
        page in 1usize..9,
        reopen: bool,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let directory = TempDir::new().unwrap();
            let streams = ["a", "b", "c"];
            let mut store = with_streams(&directory, &streams).await;
            let mut expected: BTreeMap<(i64, usize), (usize, String)> = BTreeMap::new();
            for (stream, mut times) in batches {
                times.sort_unstable();
                let mut events = Vec::new();
                for time in times {
                    let number = expected.len();
                    expected.insert((time, number), (stream, format!("{number}")));
                    events.push(event(time, format!("{number}")));
                }
                store.put(group().stream(streams[stream]), events, NOW).await.unwrap();
            }
            if reopen {
                drop(store);
                store = LogStore::open(directory.path()).unwrap();
            }
            for (wanted, selection) in [(None, Streams::All), (Some(1), Streams::Named(vec!["b".into()]))] {
                let found = expected.iter().filter(|((time, _), (stream, _))| {
                    (from..=to).contains(time) && wanted.is_none_or(|wanted| wanted == *stream)
                });
                let mut found: Vec<String> = found.map(|(_, (_, message))| message.clone()).collect();
                let range = Query { streams: selection, from: Position::start_of(from), to: Position::end_of(to), ..Query::new(group()) };
                assert_eq!(messages(&store, &range, page), found);
                found.reverse();
                assert_eq!(messages(&store, &Query { direction: Direction::Backward, ..range }, page), found);
            }
        });
    }
}
