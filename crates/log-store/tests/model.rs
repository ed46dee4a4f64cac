//! The store beside a sorted list: whatever is done to both, they tell the same.

mod world;

use std::collections::BTreeMap;

use log_store::{Direction, GroupChange, LogStore, Needles, NewGroup, Options, Position, Query, Streams};
use proptest::prelude::*;
use tempfile::TempDir;
use world::{NOW, event, group, messages};

const STREAMS: [&str; 3] = ["a", "ab", "b"];
const DAY: i64 = 24 * 3600 * 1000;

#[derive(Clone, Debug)]
enum Step {
    /// Events of a stream, at these hours before now.
    Put(usize, Vec<i64>),
    Seal,
    Reopen,
    /// A stream is deleted and made again.
    Recreate(usize),
    /// Retention in days, and time for it to act.
    Expire(u32),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0usize..3, prop::collection::vec(0i64..200, 1..12)).prop_map(|(stream, times)| Step::Put(stream, times)),
        3 => Just(Step::Seal),
        2 => Just(Step::Reopen),
        1 => (0usize..3).prop_map(Step::Recreate),
        1 => (1u32..6).prop_map(Step::Expire),
    ]
}

/// By time, then by the order of ingestion: the stream, and the message.
type Model = BTreeMap<(i64, usize), (usize, String)>;

fn options() -> Options {
    Options { wal_file_bytes_max: 400, wal_files_max: 2, segment_raw_bytes_max: 4000, ..Options::default() }
}

fn message(number: usize) -> String {
    format!("{} {number} {}", ["INFO", "WARN", "ERROR"][number % 3], "x".repeat(number % 40))
}

fn compare(store: &LogStore, model: &Model, hidden_before: i64, (from, to): (i64, i64), page: usize) {
    let (from, to) = (NOW.as_millis() - from * DAY / 24, NOW.as_millis() - to * DAY / 24);
    let (from, to) = (from.max(hidden_before), to);
    let selections: [(Streams, &dyn Fn(usize) -> bool); 3] = [
        (Streams::All, &|_| true),
        (Streams::Named(vec!["b".into()]), &|stream| stream == 2),
        (Streams::Prefix("a".into()), &|stream| stream < 2),
    ];
    for (streams, wants) in selections {
        let expected = model.iter().filter(|((time, _), (stream, _))| (from..=to).contains(time) && wants(*stream));
        let mut expected: Vec<String> = expected.map(|(_, (_, message))| message.clone()).collect();
        let query = Query { streams, from: Position::start_of(from), to: Position::end_of(to), ..Query::new(group()) };
        assert_eq!(messages(store, &query, page), expected);
        let needles = Needles { all: vec!["ERROR".into()], any: Vec::new() };
        let found = store.read(&Query { needles, ..query.clone() }, &|message| message.contains("ERROR")).unwrap();
        let found: Vec<_> = found.events.into_iter().map(|event| event.event.message).collect();
        assert_eq!(found, expected.iter().filter(|message| message.contains("ERROR")).cloned().collect::<Vec<_>>());
        expected.reverse();
        assert_eq!(messages(store, &Query { direction: Direction::Backward, ..query }, page), expected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn the_store_is_a_sorted_list(steps in prop::collection::vec(step(), 1..40), range in (0i64..200, 0i64..200), page in 1usize..9) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let directory = TempDir::new().unwrap();
            let mut store = LogStore::open_with(directory.path(), options()).unwrap();
            store.create_group(group(), NewGroup::default(), NOW).await.unwrap();
            for stream in STREAMS {
                store.create_stream(group().stream(stream), NOW).await.unwrap();
            }
            let (mut model, mut number, mut hidden_before) = (Model::new(), 0, 0);
            for step in steps {
                match step {
                    Step::Put(stream, hours) => {
                        let mut times: Vec<_> = hours.iter().map(|hours| NOW.as_millis() - hours * DAY / 24).collect();
                        times.sort_unstable();
                        let mut events = Vec::new();
                        for time in times {
                            model.insert((time, number), (stream, message(number)));
                            events.push(event(time, message(number)));
                            number += 1;
                        }
                        store.put(group().stream(STREAMS[stream]), events, NOW).await.unwrap();
                    }
                    Step::Seal => store.seal().await.unwrap(),
                    Step::Reopen => {
                        drop(store);
                        store = LogStore::open_with(directory.path(), options()).unwrap();
                    }
                    Step::Recreate(stream) => {
                        store.delete_stream(group().stream(STREAMS[stream])).await.unwrap();
                        store.create_stream(group().stream(STREAMS[stream]), NOW).await.unwrap();
                        model.retain(|_, (of, _)| *of != stream);
                    }
                    Step::Expire(days) => {
                        store.change_group(group(), GroupChange::Retention(Some(days))).await.unwrap();
                        store.expire(NOW).await.unwrap();
                        store.change_group(group(), GroupChange::Retention(None)).await.unwrap();
                        // The caller hides what is older; some of it is still there.
                        hidden_before = hidden_before.max(NOW.as_millis() - i64::from(days) * DAY);
                        model.retain(|(time, _), _| *time >= hidden_before);
                    }
                }
                compare(&store, &model.clone().into_iter().filter(|((time, _), _)| *time >= hidden_before).collect(), hidden_before, range, page);
            }
            assert!(store.damages().is_empty());
            let streams = store.streams(&group(), "").unwrap();
            for (at, stream) in streams.iter().enumerate() {
                let of = model.iter().filter(|((time, _), (of, _))| *of == at && *time >= hidden_before).map(|((time, _), _)| *time).max();
                if let Some(last) = of {
                    assert_eq!(stream.last_event.map(|at| at.as_millis()), Some(last));
                }
            }
        });
    }
}
