//! The exam of every engine, and what only an engine with a file must do.

use std::time::Duration;

use store::{CommitError, Engine, Expect, RawChanges, Revision, WatchError};
use store_embedded::{EmbeddedEngine, Options};
use tempfile::TempDir;

fn options(history_revisions: usize) -> Options {
    Options { history_revisions, ..Options::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passes_the_exam() {
    let directory = TempDir::new().unwrap();
    let number = std::sync::atomic::AtomicU32::new(0);
    store::exam::run(|setup| {
        let file = format!("{}.db", number.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        let path = directory.path().join(file);
        async move { EmbeddedEngine::open(path, options(setup.history_revisions)).unwrap() }
    })
    .await;
}

#[tokio::test]
async fn everything_is_there_after_a_restart() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("store.db");
    let engine = EmbeddedEngine::open(&path, Options::default()).unwrap();
    let lease = engine.grant(Duration::from_secs(1)).await.unwrap();
    let first = engine.commit(RawChanges::new().put("a", "1").put_leased("b", "2", lease)).await.unwrap();
    let second = engine.commit(RawChanges::new().put("c", vec![7; 500_000])).await.unwrap();
    let before = engine.range(b"").await.unwrap();
    drop(engine);

    let engine = EmbeddedEngine::open(&path, Options::default()).unwrap();
    assert_eq!(engine.range(b"").await.unwrap(), before);
    let mut watch = engine.watch(Revision(0));
    assert_eq!(watch.recv().await.unwrap().revision, first);
    assert_eq!(watch.recv().await.unwrap().revision, second);
    let gone = watch.recv().await.unwrap();
    assert_eq!(gone.changes, [("b".into(), None)], "a lease goes on after a restart, with its whole time");
    assert!(engine.grant(Duration::from_secs(1)).await.unwrap() > lease);
    let guarded = RawChanges::new().guard("a", Expect::At(first)).put("a", "2");
    assert!(engine.commit(guarded).await.unwrap() > gone.revision);
}

#[tokio::test]
async fn a_watcher_ends_with_its_engine() {
    let directory = TempDir::new().unwrap();
    let engine = EmbeddedEngine::open(directory.path().join("store.db"), Options::default()).unwrap();
    let mut watch = engine.watch(Revision(0));
    let waiting = tokio::spawn(async move { watch.recv().await });
    tokio::task::yield_now().await;
    drop(engine);
    assert!(matches!(waiting.await.unwrap(), Err(WatchError::Closed)));
}

#[tokio::test]
async fn history_is_bounded_by_bytes_as_well() {
    let directory = TempDir::new().unwrap();
    let bounded = Options { history_bytes_max: 4 * 1024 * 1024, ..Options::default() };
    let engine = EmbeddedEngine::open(directory.path().join("store.db"), bounded).unwrap();
    let mut last = Revision(0);
    for _ in 0..40 {
        last = engine.commit(RawChanges::new().put("k", vec![1; 512 * 1024])).await.unwrap();
    }
    let through = match engine.watch(Revision(0)).recv().await {
        Err(WatchError::Compacted { through }) => through,
        other => panic!("expected Compacted, got {other:?}"),
    };
    assert!(through.0 >= last.0 - 8 && through < last, "{through} of {last}");
    let mut watch = engine.watch(through);
    for revision in through.0 + 1..=last.0 {
        assert_eq!(watch.recv().await.unwrap().revision, Revision(revision));
    }
}

/// More history than memory keeps for watchers, so that it is read in pages from the file.
#[tokio::test]
async fn a_slow_watcher_reads_pages_without_gaps() {
    let directory = TempDir::new().unwrap();
    let engine = EmbeddedEngine::open(directory.path().join("store.db"), Options::default()).unwrap();
    for _ in 0..30 {
        engine.commit(RawChanges::new().put("large", vec![1; 300_000])).await.unwrap();
    }
    let commits: Vec<_> = (0..600).map(|i| engine.commit(RawChanges::new().put(format!("{i}"), "x"))).collect();
    for commit in futures::future::join_all(commits).await {
        commit.unwrap();
    }
    let mut watch = engine.watch(Revision(0));
    for revision in 1..=630 {
        assert_eq!(watch.recv().await.unwrap().revision, Revision(revision));
    }
}

#[tokio::test]
async fn a_large_store_is_scanned_in_parts() {
    let directory = TempDir::new().unwrap();
    let engine = EmbeddedEngine::open(directory.path().join("store.db"), Options::default()).unwrap();
    let many = (0..5_000).fold(RawChanges::new(), |all, i| all.put(format!("{i:04}"), format!("value {i}")));
    engine.commit(many).await.unwrap();
    let (parts, taken) = std::sync::mpsc::channel();
    let revision = engine.scan(b"", Box::new(move |part| parts.send(part).unwrap())).await.unwrap();
    let parts: Vec<_> = taken.into_iter().collect();
    assert!(parts.len() > 1 && parts.iter().all(|part| !part.is_empty()));
    assert_eq!((revision, parts.concat()), engine.range(b"").await.unwrap());
}

#[tokio::test]
async fn one_refused_commit_does_not_touch_its_neighbours() {
    let directory = TempDir::new().unwrap();
    let engine = EmbeddedEngine::open(directory.path().join("store.db"), Options::default()).unwrap();
    // All of these wait at the same time, so they share transactions; half of them must be refused.
    let commits = (0..200).map(|i| {
        engine.commit(RawChanges::new().guard(format!("{}", i / 2), Expect::Absent).put(format!("{}", i / 2), "x"))
    });
    let (done, refused): (Vec<_>, Vec<_>) =
        futures::future::join_all(commits).await.into_iter().partition(Result::is_ok);
    assert_eq!((done.len(), refused.len()), (100, 100));
    assert!(refused.iter().all(|answer| matches!(answer, Err(CommitError::Conflict { .. }))));
    assert_eq!(engine.range(b"").await.unwrap().0, Revision(100));
}
