//! What every engine must pass, whatever lies below it.
//!
//! An engine calls [`run`] from one test of its own. Every question gets a fresh engine, and a failed one panics with a
//! sentence. Only whole seconds of lease time are waited for; everything else is as fast as the engine is.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::engine::{
    Batch, CommitError, Engine, Entry, Expect, LeaseError, LeaseId, RawChanges, Revision, VALUE_BYTES_MAX, Watch,
    WatchError,
};

/// How long anything may take before the exam calls it lost.
const PATIENCE: Duration = Duration::from_secs(30);

/// What one question wants of the engine it is asked about.
#[derive(Clone, Copy, Debug)]
pub struct Setup {
    /// How many revisions of history the engine keeps at least. It may keep up to twice as many.
    pub history_revisions: usize,
}

/// Asks every question, each of a fresh and empty engine that `start` makes.
pub async fn run<E, F, Fut>(start: F)
where
    E: Engine,
    F: Fn(Setup) -> Fut,
    Fut: Future<Output = E>,
{
    let usual = Setup { history_revisions: 10_000 };
    ranges(&start(usual).await).await;
    prefix_edges(&start(usual).await).await;
    guards(&start(usual).await).await;
    atomicity(&start(usual).await).await;
    revisions(&start(usual).await).await;
    refusals(&start(usual).await).await;
    big_values(&start(usual).await).await;
    watch_from_the_past(&start(usual).await).await;
    watch_waits(&start(usual).await).await;
    watch_is_compacted(&start(Setup { history_revisions: 16 }).await).await;
    watch_during_commits(Arc::new(start(usual).await)).await;
    counters_lose_nothing(Arc::new(start(usual).await)).await;
    leases(&start(usual).await).await;
    lease_moves(&start(usual).await).await;
}

async fn put<E: Engine>(engine: &E, key: &'static str, value: &'static str) -> Revision {
    engine.commit(RawChanges::new().put(key, value)).await.expect("a plain put is committed")
}

async fn all<E: Engine>(engine: &E, prefix: &[u8]) -> Vec<Entry> {
    let (revision, entries) = engine.range(prefix).await.expect("a range is read");
    let parts = Arc::new(Mutex::new(Vec::new()));
    let taken = parts.clone();
    let take = move |part| taken.lock().expect("nobody panics with it").extend(part);
    let scanned = engine.scan(prefix, Box::new(take)).await.expect("a scan is read");
    assert!(scanned >= revision, "a scan is not older than a range before it");
    if scanned == revision {
        assert_eq!(*parts.lock().expect("nobody panics with it"), entries, "a scan reads what a range reads");
    }
    entries
}

async fn keys<E: Engine>(engine: &E, prefix: &[u8]) -> Vec<Bytes> {
    all(engine, prefix).await.into_iter().map(|entry| entry.key).collect()
}

async fn next(watch: &mut Watch) -> Arc<Batch> {
    let batch = tokio::time::timeout(PATIENCE, watch.recv()).await.expect("a watcher hears of a commit in time");
    batch.expect("the history is still there")
}

async fn ranges<E: Engine>(engine: &E) {
    let (revision, entries) = engine.range(b"").await.expect("an empty store can be read");
    assert!(entries.is_empty(), "a fresh engine is empty");
    let first = put(engine, "task/2", "two").await;
    assert!(first > revision, "a commit raises the revision");
    put(engine, "task/1", "one").await;
    put(engine, "tasks", "not below task/").await;
    let (revision, entries) = engine.range(b"task/").await.expect("a range is read");
    let found: Vec<_> = entries.iter().map(|e| (&e.key[..], &e.value[..])).collect();
    assert_eq!(found, [(&b"task/1"[..], &b"one"[..]), (b"task/2", b"two")], "ordered by key, only below the prefix");
    assert_eq!(entries[1].mod_revision, first, "an entry carries the revision of its last put");
    assert!(revision > first, "the range says when it was true");
    assert_eq!(all(engine, b"task/1").await.len(), 1, "a whole key is a prefix of itself");
    assert!(all(engine, b"service/").await.is_empty(), "nothing below a prefix is no error");
    put(engine, "empty", "").await;
    assert_eq!(all(engine, b"empty").await[0].value, Bytes::new(), "an empty value is a value");
}

async fn prefix_edges<E: Engine>(engine: &E) {
    let stored: [&[u8]; 7] = [b"\x00", b"a", b"a\xfe", b"a\xff", b"a\xff\xff", b"b", b"\xff\xff"];
    let changes = stored.iter().fold(RawChanges::new(), |all, key| all.put(key.to_vec(), "v"));
    engine.commit(changes).await.expect("any byte may be in a key");
    assert_eq!(keys(engine, b"").await, stored, "keys are ordered as bytes");
    assert_eq!(keys(engine, b"a\xff").await, [&b"a\xff"[..], b"a\xff\xff"], "0xff at the end of a prefix");
    assert_eq!(keys(engine, b"\xff").await, [&b"\xff\xff"[..]], "a prefix without an upper end");
    assert_eq!(keys(engine, b"\x00").await, [&b"\x00"[..]], "a zero byte");
}

async fn guards<E: Engine>(engine: &E) {
    let absent = || RawChanges::new().guard("k", Expect::Absent).put("k", "1");
    let first = engine.commit(absent()).await.expect("the key is absent");
    conflict(engine.commit(absent()).await, b"k");
    let second = engine.commit(RawChanges::new().guard("k", Expect::At(first)).put("k", "2")).await;
    let second = second.expect("the key is as it was read");
    conflict(engine.commit(RawChanges::new().guard("k", Expect::At(first)).put("k", "3")).await, b"k");
    conflict(engine.commit(RawChanges::new().guard("gone", Expect::At(first)).put("k", "3")).await, b"gone");
    assert_eq!(all(engine, b"k").await[0].value, "2", "a refused commit leaves no trace");
    let both = RawChanges::new().guard("k", Expect::At(second)).guard("other", Expect::Absent).put("other", "x");
    engine.commit(both).await.expect("a guard need not be on the key that changes");
    engine.commit(RawChanges::new().guard("k", Expect::At(second)).delete("k")).await.expect("a guarded delete");
    engine.commit(absent()).await.expect("a deleted key is absent");
}

fn conflict(answer: Result<Revision, CommitError>, on: &[u8]) {
    match answer {
        Err(CommitError::Conflict { key }) => assert_eq!(key, on, "a conflict names the key that moved"),
        other => panic!("expected a conflict on {}, got {other:?}", on.escape_ascii()),
    }
}

async fn atomicity<E: Engine>(engine: &E) {
    put(engine, "a", "old").await;
    let before = engine.range(b"").await.expect("read");
    let changes = RawChanges::new().put("a", "new").put("b", "new").guard("c", Expect::At(Revision(1 << 40)));
    conflict(engine.commit(changes).await, b"c");
    assert_eq!(engine.range(b"").await.expect("read"), before, "not even the revision moved");
    let done = engine.commit(RawChanges::new().put("b", "new").put("c", "new").delete("a")).await.expect("committed");
    let (revision, entries) = engine.range(b"").await.expect("read");
    assert_eq!(revision, done);
    assert!(entries.iter().all(|e| e.mod_revision == done), "one commit, one revision");
    assert_eq!(keys(engine, b"").await, [&b"b"[..], b"c"]);
}

async fn revisions<E: Engine>(engine: &E) {
    let first = put(engine, "k", "1").await;
    let same = engine.commit(RawChanges::new().delete("absent")).await.expect("deleting nothing is allowed");
    assert_eq!(same, first, "a commit that changes nothing makes no revision");
    let same = engine.commit(RawChanges::new().guard("k", Expect::At(first))).await.expect("only a guard");
    assert_eq!(same, first, "a commit of only guards makes no revision");
    let again = put(engine, "k", "1").await;
    assert!(again > first, "putting the same value again is a change");
    assert_eq!(all(engine, b"k").await[0].mod_revision, again);
}

async fn refusals<E: Engine>(engine: &E) {
    let twice = engine.commit(RawChanges::new().put("k", "1").delete("k")).await;
    assert!(matches!(twice, Err(CommitError::DuplicateKey { .. })), "a key twice in one commit: {twice:?}");
    let empty = engine.commit(RawChanges::new().put("", "1")).await;
    assert!(matches!(empty, Err(CommitError::EmptyKey)), "an empty key: {empty:?}");
    let large = engine.commit(RawChanges::new().put("k", vec![0; VALUE_BYTES_MAX + 1])).await;
    assert!(matches!(large, Err(CommitError::TooLarge { .. })), "a value above the limit");
    let lease = LeaseId(77);
    let unknown = engine.commit(RawChanges::new().put("a", "1").put_leased("k", "1", lease)).await;
    assert!(matches!(unknown, Err(CommitError::LeaseNotFound { .. })), "an unknown lease: {unknown:?}");
    assert!(all(engine, b"").await.is_empty(), "refused commits leave nothing");
}

async fn big_values<E: Engine>(engine: &E) {
    let value: Bytes = (0..VALUE_BYTES_MAX).map(|i| ((i * 31) >> 3) as u8).collect::<Vec<u8>>().into();
    let changes = (0..8).fold(RawChanges::new(), |all, i| all.put(format!("big/{i}"), value.clone()));
    let revision = engine.commit(changes).await.expect("eight values of the greatest size");
    let entries = all(engine, b"big/").await;
    assert_eq!(entries.len(), 8);
    assert!(entries.iter().all(|e| e.value == value), "big values come back as they went in");
    let batch = next(&mut engine.watch(Revision(revision.0 - 1))).await;
    assert!(batch.changes.iter().all(|(_, v)| v.as_ref() == Some(&value)), "watchers get them as well");
    let many = (0..5000).fold(RawChanges::new(), |all, i| all.put(format!("many/{i:05}"), "v"));
    engine.commit(many).await.expect("thousands of keys in one commit");
    assert_eq!(all(engine, b"many/").await.len(), 5000);
}

async fn watch_from_the_past<E: Engine>(engine: &E) {
    let one = put(engine, "a", "1").await;
    let two = engine.commit(RawChanges::new().put("b", "2").delete("a").delete("absent")).await.expect("committed");
    let three = put(engine, "a", "3").await;
    let mut watch = engine.watch(Revision(one.0 - 1));
    let first = next(&mut watch).await;
    assert_eq!((first.revision, &first.changes), (one, &vec![("a".into(), Some("1".into()))]));
    let mut second = next(&mut watch).await.as_ref().clone();
    second.changes.sort();
    assert_eq!(second.revision, two);
    let expected = [(Bytes::from("a"), None), (Bytes::from("b"), Some(Bytes::from("2")))];
    assert_eq!(second.changes, expected, "one commit is one batch, without deletions that changed nothing");
    assert_eq!(next(&mut watch).await.revision, three);
    assert_eq!(next(&mut engine.watch(two)).await.revision, three, "a watch begins after its revision");
}

async fn watch_waits<E: Engine>(engine: &E) {
    let now = put(engine, "a", "1").await;
    let mut watch = engine.watch(now);
    let mut ahead = engine.watch(Revision(now.0 + 1));
    let quiet = tokio::time::timeout(Duration::from_millis(50), watch.recv()).await;
    assert!(quiet.is_err(), "there is nothing to hear yet");
    let (heard, done) = tokio::join!(next(&mut watch), put(engine, "b", "2"));
    assert_eq!(heard.revision, done, "a watch that was dropped while it waited lost nothing");
    let third = put(engine, "c", "3").await;
    assert_eq!(next(&mut ahead).await.revision, third, "a watch may begin in the future");
}

async fn watch_is_compacted<E: Engine>(engine: &E) {
    let start = put(engine, "k", "0").await;
    let mut last = start;
    for _ in 0..100 {
        last = put(engine, "k", "more").await;
    }
    let deadline = Instant::now() + PATIENCE;
    loop {
        // History may be cut a little later than the limit says; every further commit is another chance.
        match tokio::time::timeout(PATIENCE, engine.watch(start).recv()).await.expect("an answer in time") {
            Err(WatchError::Compacted { through }) => {
                assert!(through > start && through <= last, "compacted through {through}, of {start} to {last}");
                let after = next(&mut engine.watch(through)).await;
                assert_eq!(after.revision.0, through.0 + 1, "what is not compacted can be watched");
                break;
            }
            Ok(_) => assert!(Instant::now() < deadline, "history is never compacted"),
            Err(other) => panic!("expected Compacted, got {other:?}"),
        }
        last = put(engine, "k", "more").await;
    }
    let recent = next(&mut engine.watch(Revision(last.0 - 15))).await;
    assert_eq!(recent.revision.0, last.0 - 14, "the promised history is kept");
}

/// A copy that follows the watch is at the end what a range says.
async fn watch_during_commits<E: Engine>(engine: Arc<E>) {
    const WRITERS: usize = 4;
    const ROUNDS: usize = 100;
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let engine = engine.clone();
        writers.push(tokio::spawn(async move {
            for round in 0..ROUNDS {
                let key = format!("{writer}/{}", round % 7);
                let changes = match round % 3 {
                    2 => RawChanges::new().delete(key),
                    _ => RawChanges::new().put(key, format!("{round}")),
                };
                let own = RawChanges { guards: Vec::new(), ops: changes.ops };
                engine.commit(own.put(format!("{writer}/round"), format!("{round}"))).await.expect("committed");
            }
        }));
    }
    let mut watch = engine.watch(Revision(0));
    let mut copy = BTreeMap::new();
    let mut last = Revision(0);
    for _ in 0..WRITERS * ROUNDS {
        let batch = next(&mut watch).await;
        assert_eq!(batch.revision.0, last.0 + 1, "revisions come in order and without gaps");
        last = batch.revision;
        for (key, value) in &batch.changes {
            match value {
                Some(value) => copy.insert(key.clone(), (value.clone(), batch.revision)),
                None => copy.remove(key),
            };
        }
    }
    for writer in writers {
        writer.await.expect("a writer ends well");
    }
    let (revision, entries) = engine.range(b"").await.expect("read");
    assert_eq!(revision, last, "the watcher heard of every commit");
    let read: BTreeMap<_, _> = entries.into_iter().map(|e| (e.key, (e.value, e.mod_revision))).collect();
    assert_eq!(copy, read, "a copy that follows the watch is the store");
}

/// Eight writers add to the same counters by read, guard, put, and try again.
async fn counters_lose_nothing<E: Engine>(engine: Arc<E>) {
    const WRITERS: u64 = 8;
    const ADDITIONS: u64 = 25;
    let mut writers = Vec::new();
    for writer in 0..WRITERS {
        let engine = engine.clone();
        writers.push(tokio::spawn(async move {
            for addition in 0..ADDITIONS {
                add(&*engine, format!("counter/{}", (writer + addition) % 2)).await;
            }
        }));
    }
    for writer in writers {
        writer.await.expect("a writer ends well");
    }
    let sum: u64 = all(&*engine, b"counter/").await.iter().map(|e| number(&e.value)).sum();
    assert_eq!(sum, WRITERS * ADDITIONS, "no addition was lost");
}

fn number(value: &Bytes) -> u64 {
    std::str::from_utf8(value).expect("text").parse().expect("a number")
}

async fn add<E: Engine>(engine: &E, key: String) {
    loop {
        let entry = all(engine, key.as_bytes()).await.pop();
        let (value, expect) = match &entry {
            Some(entry) => (number(&entry.value), Expect::At(entry.mod_revision)),
            None => (0, Expect::Absent),
        };
        let changes = RawChanges::new().guard(key.clone(), expect).put(key.clone(), format!("{}", value + 1));
        match engine.commit(changes).await {
            Ok(_) => return,
            Err(CommitError::Conflict { .. }) => continue,
            Err(other) => panic!("failed to add: {other:?}"),
        }
    }
}

async fn leases<E: Engine>(engine: &E) {
    let second = Duration::from_secs(1);
    assert!(matches!(engine.grant(Duration::ZERO).await, Err(LeaseError::Ttl)), "a lease needs time to live");
    let (kept, left, held) =
        (grant(engine, second).await, grant(engine, second).await, grant(engine, PATIENCE * 4).await);
    let changes =
        RawChanges::new().put_leased("kept", "1", kept).put_leased("left", "1", left).put_leased("held", "1", held);
    let put_at = engine.commit(changes.put("free", "1")).await.expect("committed");
    let mut watch = engine.watch(put_at);
    // One lease is kept alive while the other runs out, and then for another whole life of a third.
    for round in ["left", "later"] {
        let gone = loop {
            match tokio::time::timeout(Duration::from_millis(100), watch.recv()).await {
                Err(_) => engine.keep_alive(kept).await.expect("a lease that is kept alive lives"),
                Ok(batch) => break batch.expect("watched"),
            }
        };
        assert_eq!(gone.changes, [(Bytes::from(round), None)], "an expired lease takes its keys along, in a revision");
        if round == "left" {
            let later = grant(engine, second).await;
            let at = engine.commit(RawChanges::new().put_leased("later", "1", later)).await.expect("committed");
            assert_eq!(next(&mut watch).await.revision, at);
        }
    }
    assert!(matches!(engine.keep_alive(left).await, Err(LeaseError::NotFound { .. })), "an expired lease is gone");
    assert_eq!(keys(engine, b"").await, [&b"free"[..], b"held", b"kept"]);
    assert_eq!(next(&mut watch).await.changes, [(Bytes::from("kept"), None)], "nobody kept it alive any more");
    engine.revoke(held).await.expect("revoked");
    assert_eq!(next(&mut watch).await.changes, [(Bytes::from("held"), None)], "a revoked lease ends at once");
    assert!(matches!(engine.revoke(held).await, Err(LeaseError::NotFound { .. })), "a lease is revoked once");
    assert_eq!(keys(engine, b"").await, [&b"free"[..]]);
    assert!(grant(engine, second).await > held, "an engine never gives a lease out twice");
}

async fn grant<E: Engine>(engine: &E, ttl: Duration) -> LeaseId {
    engine.grant(ttl).await.expect("a lease is granted")
}

async fn lease_moves<E: Engine>(engine: &E) {
    let (one, two) = (grant(engine, PATIENCE).await, grant(engine, PATIENCE).await);
    for (key, first) in [("freed", one), ("moved", one), ("stays", one)] {
        engine.commit(RawChanges::new().put_leased(key, "1", first)).await.expect("committed");
    }
    engine.commit(RawChanges::new().put("freed", "2").put_leased("moved", "2", two)).await.expect("committed");
    engine.revoke(one).await.expect("revoked");
    assert_eq!(keys(engine, b"").await, [&b"freed"[..], b"moved"], "a key belongs to the lease of its last put");
    engine.revoke(two).await.expect("revoked");
    assert_eq!(keys(engine, b"").await, [&b"freed"[..]]);
}
