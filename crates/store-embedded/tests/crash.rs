//! A process that commits is killed at random points. What it was told is durable must be there.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use store::{Engine, Expect, RawChanges, Revision};
use store_embedded::{EmbeddedEngine, Options};
use tempfile::TempDir;

const CHILD: &str = "BERTH_TEST_CRASH_STORE";
const WRITERS: usize = 8;
const ROUNDS: u64 = 12;

/// Not a test: what the killed process does. It runs only when the test below starts it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the child of acknowledged_commits_survive_kill_9"]
async fn child() {
    let Ok(path) = std::env::var(CHILD) else { return };
    let engine = Arc::new(EmbeddedEngine::open(path, Options::default()).unwrap());
    let writers: Vec<_> = (0..WRITERS).map(|writer| tokio::spawn(write_forever(engine.clone(), writer))).collect();
    for writer in writers {
        writer.await.unwrap();
    }
}

/// Counts up under one key, and leaves a twin of every number under another, in one commit each.
async fn write_forever(engine: Arc<EmbeddedEngine>, writer: usize) {
    let key = format!("counter/{writer}");
    let (mut count, mut expect) = match engine.range(key.as_bytes()).await.unwrap().1.pop() {
        Some(entry) => (number(&entry.value), Expect::At(entry.mod_revision)),
        None => (0, Expect::Absent),
    };
    loop {
        count += 1;
        let value = format!("{count} {}", "x".repeat((count as usize * 37) % 3000));
        let changes = RawChanges::new()
            .guard(key.clone(), expect)
            .put(key.clone(), value.clone())
            .put(format!("twin/{writer}/{:03}", count % 500), value);
        let revision = engine.commit(changes).await.unwrap();
        expect = Expect::At(revision);
        // One write call per line: a line is there as a whole, or not at all.
        std::io::stdout().write_all(format!("\nacked {writer} {count} {revision}\n").as_bytes()).unwrap();
    }
}

fn number(value: &[u8]) -> u64 {
    let text = std::str::from_utf8(value).unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

#[tokio::test]
async fn acknowledged_commits_survive_kill_9() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("store.db");
    // The seed is printed with a failure, because every assertion below names its round.
    let mut seed = u64::from(std::process::id()) | 1;
    let mut total = 0;
    for round in 0..ROUNDS {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let acked = run_and_kill(&path, Duration::from_micros(seed % 250_000));
        total += acked.values().map(|(count, _)| count).sum::<u64>();
        check(&path, &acked, round).await;
    }
    assert!(total > 0, "the child never got as far as an acknowledged commit");
}

/// The last acknowledged number of each writer and its revision, from a child that was killed `after` its first line.
fn run_and_kill(path: &std::path::Path, after: Duration) -> BTreeMap<usize, (u64, Revision)> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["child", "--exact", "--ignored", "--nocapture"])
        .env(CHILD, path)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut acked = BTreeMap::new();
    let mut kill_at = None;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let Some(line) = line.ok().and_then(|line| line.strip_prefix("acked ").map(str::to_owned)) else { continue };
        let numbers: Vec<u64> = line.split(' ').filter_map(|word| word.parse().ok()).collect();
        let [writer, count, revision] = numbers[..] else { continue };
        acked.insert(writer as usize, (count, Revision(revision)));
        let at = *kill_at.get_or_insert_with(|| Instant::now() + after);
        if Instant::now() >= at {
            // SIGKILL. What is already in the pipe is read to its end: those commits were acknowledged as well.
            let _ = child.kill();
        }
    }
    child.wait().unwrap();
    acked
}

async fn check(path: &std::path::Path, acked: &BTreeMap<usize, (u64, Revision)>, round: u64) {
    let engine = EmbeddedEngine::open(path, Options::default()).unwrap();
    let (head, entries) = engine.range(b"").await.unwrap();
    let entries: BTreeMap<_, _> = entries.into_iter().map(|entry| (entry.key.clone(), entry)).collect();
    for (writer, (count, revision)) in acked {
        let entry = &entries[format!("counter/{writer}").as_bytes()];
        let found = number(&entry.value);
        assert!(found >= *count, "round {round}: writer {writer} was acknowledged {count}, the store has {found}");
        assert!(head >= *revision, "round {round}: revision {revision} was acknowledged, the store is at {head}");
        if found == *count {
            assert_eq!(entry.mod_revision, *revision, "round {round}");
        }
        let twin = &entries[format!("twin/{writer}/{:03}", found % 500).as_bytes()];
        assert_eq!(
            (&twin.value, twin.mod_revision),
            (&entry.value, entry.mod_revision),
            "round {round}: half a commit"
        );
    }
    // The history ends where the store ends, without a gap.
    let mut watch = engine.watch(Revision(head.0.saturating_sub(100)));
    for revision in head.0.saturating_sub(100) + 1..=head.0 {
        assert_eq!(watch.recv().await.unwrap().revision, Revision(revision), "round {round}");
    }
}
