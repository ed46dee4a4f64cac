//! The power fails at any moment of a store's life. What was acknowledged is there, whole commits only, and the store
//! works on.

mod disk;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use disk::{Disk, Event};
use store::{Engine, Expect, RawChanges, Revision};
use store_embedded::{EmbeddedEngine, Options};
use tempfile::TempDir;

const WRITERS: usize = 4;
/// So many commits fill the write-ahead log more than once, and it moves into the main file.
const COMMITS: u64 = 500;
/// `BERTH_TEST_POWER_CUTS` has more of them.
const CUTS: u64 = 120;

/// One process has one recorder.
static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_commits_survive_a_power_cut() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let directory = TempDir::new().unwrap();
    disk::record(directory.path());
    let engine = Arc::new(EmbeddedEngine::open(directory.path().join("store.db"), Options::default()).unwrap());
    disk::directory_is_synced();
    let writers: Vec<_> = (0..WRITERS).map(|writer| tokio::spawn(write(engine.clone(), writer))).collect();
    for writer in writers {
        writer.await.unwrap();
    }
    // The end of the last connection moves the log into the main file and deletes it.
    drop(engine);
    let events = disk::events();
    assert!(events.iter().any(|(path, event)| path.ends_with("store.db") && matches!(event, Event::Sync)));

    let cuts: u64 = std::env::var("BERTH_TEST_POWER_CUTS").map_or(CUTS, |text| text.parse().unwrap());
    let seed = u64::from(std::process::id());
    let mut dice = dice(seed);
    // Half of them early, when much is new and the files are small.
    let end = events.len() as u64;
    let mut at: Vec<u64> = (0..cuts).map(|cut| dice(if cut % 2 == 0 { end / 16 } else { end + 1 })).collect();
    at.sort_unstable();
    let (mut disk, mut done, mut told) = (Disk::default(), 0, BTreeMap::new());
    for cut in at {
        for (path, event) in &events[done..cut as usize] {
            disk.apply(path, event);
            if let Event::Told { writer, count } = event {
                told.insert(*writer, *count);
            }
        }
        done = cut as usize;
        let recovered = TempDir::new().unwrap();
        disk.cut(directory.path(), recovered.path(), &mut dice);
        check(&recovered.path().join("store.db"), &told, &format!("cut {cut} of seed {seed}")).await;
    }
}

/// Counts up under one key, and leaves a twin of every number under another, in one commit each.
async fn write(engine: Arc<EmbeddedEngine>, writer: usize) {
    let key = format!("counter/{writer}");
    let mut expect = Expect::Absent;
    for count in 1..=COMMITS {
        let value = format!("{count} {}", "x".repeat((count as usize * 37) % 3000));
        let changes = RawChanges::new()
            .guard(key.clone(), expect)
            .put(key.clone(), value.clone())
            .put(format!("twin/{writer}/{:03}", count % 200), value);
        expect = Expect::At(engine.commit(changes).await.unwrap());
        disk::told(writer, count);
    }
}

async fn check(path: &Path, told: &BTreeMap<usize, u64>, what: &str) {
    let engine = EmbeddedEngine::open(path, Options::default()).unwrap_or_else(|error| panic!("{what}: {error:?}"));
    let (head, entries) = engine.range(b"").await.unwrap();
    let entries: BTreeMap<_, _> = entries.into_iter().map(|entry| (entry.key.clone(), entry)).collect();
    let mut sum = 0;
    for writer in 0..WRITERS {
        let told = told.get(&writer).copied().unwrap_or_default();
        let entry = entries.get(format!("counter/{writer}").as_bytes());
        let found = entry.map_or(0, |entry| number(&entry.value));
        assert!(found >= told, "{what}: writer {writer} was told {told}, the store has {found}");
        if let Some(entry) = entry {
            let twin = &entries[format!("twin/{writer}/{:03}", found % 200).as_bytes()];
            assert_eq!((&twin.value, twin.mod_revision), (&entry.value, entry.mod_revision), "{what}: half a commit");
        }
        sum += found;
    }
    // Each commit is one revision, so these are the first commits without a gap.
    assert_eq!(head, Revision(sum), "{what}: something in between is missing");
    let mut watch = engine.watch(Revision(0));
    for revision in 1..=head.0 {
        assert_eq!(watch.recv().await.unwrap().revision, Revision(revision), "{what}");
    }
    // It works on, and the next start finds that as well.
    let last = engine.commit(RawChanges::new().put("after", "x")).await.unwrap();
    drop(engine);
    let engine = EmbeddedEngine::open(path, Options::default()).unwrap();
    assert_eq!(engine.range(b"after").await.unwrap().1[0].mod_revision, last, "{what}");
}

fn number(value: &[u8]) -> u64 {
    let text = std::str::from_utf8(value).unwrap();
    text.split(' ').next().unwrap().parse().unwrap()
}

/// Each question of the exam is asked of a store whose power failed while it was made.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn passes_the_exam_after_a_power_cut() {
    let _turn = ONE_AT_A_TIME.lock().await;
    let directory = TempDir::new().unwrap();
    disk::record(directory.path());
    drop(EmbeddedEngine::open(directory.path().join("store.db"), Options::default()).unwrap());
    let events = disk::events();
    let dice = std::sync::Mutex::new(dice(u64::from(std::process::id())));
    let kept = std::sync::Mutex::new(Vec::new());
    store::exam::run(|setup| {
        let mut dice = dice.lock().unwrap();
        let mut disk = Disk::default();
        let cut = dice(events.len() as u64 + 1) as usize;
        events[..cut].iter().for_each(|(path, event)| disk.apply(path, event));
        let recovered = TempDir::new().unwrap();
        disk.cut(directory.path(), recovered.path(), &mut *dice);
        let path = recovered.path().join("store.db");
        kept.lock().unwrap().push(recovered);
        async move {
            let options = Options { history_revisions: setup.history_revisions, ..Options::default() };
            EmbeddedEngine::open(path, options).unwrap_or_else(|error| panic!("cut {cut}: {error:?}"))
        }
    })
    .await;
}

/// SplitMix64: a number below the given one.
fn dice(mut state: u64) -> impl FnMut(u64) -> u64 {
    move |end| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end.max(1)
    }
}
