//! What a person is told when the file or its disk is not as it should be.

use std::fs;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use store::{CommitError, Engine, RawChanges};
use store_embedded::{EmbeddedEngine, OpenError, Options};
use tempfile::TempDir;

fn open(path: &Path) -> Result<EmbeddedEngine, OpenError> {
    EmbeddedEngine::open(path, Options::default())
}

fn refusal(path: &Path) -> OpenError {
    open(path).err().expect("this file must not be opened")
}

#[tokio::test]
async fn a_second_user_is_refused() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("store.db");
    let engine = open(&path).unwrap();
    let refused = refusal(&path);
    assert!(matches!(&refused, OpenError::InUse { process: Some(id), .. } if *id == std::process::id()), "{refused}");
    assert!(refused.to_string().contains("in use by another Berth"), "{refused}");
    drop(engine);
    open(&path).unwrap();
}

#[test]
fn a_newer_format_is_refused() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("store.db");
    drop(open(&path).unwrap());
    rusqlite::Connection::open(&path).unwrap().pragma_update(None, "user_version", 2).unwrap();
    let refused = refusal(&path);
    assert!(matches!(refused, OpenError::Newer { found: 2, known: 1, .. }), "{refused}");
}

#[test]
fn what_is_not_a_store_is_refused_and_left_alone() {
    let directory = TempDir::new().unwrap();
    let text = directory.path().join("notes.txt");
    let notes = "not a database at all, only a text that is long enough to be one. ".repeat(40);
    fs::write(&text, &notes).unwrap();
    assert!(matches!(refusal(&text), OpenError::Damaged { .. }));
    assert_eq!(fs::read_to_string(&text).unwrap(), notes);

    let other = directory.path().join("other.db");
    rusqlite::Connection::open(&other).unwrap().execute_batch("CREATE TABLE theirs (x)").unwrap();
    assert!(matches!(refusal(&other), OpenError::NotAStore { .. }));

    let nowhere = directory.path().join("missing/store.db");
    assert!(matches!(refusal(&nowhere), OpenError::Io { .. }));
}

#[tokio::test]
async fn a_damaged_file_is_an_error_and_not_a_panic() {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("store.db");
    let engine = open(&path).unwrap();
    for i in 0..200 {
        engine.commit(RawChanges::new().put(format!("key/{i}"), vec![b'x'; 2000])).await.unwrap();
    }
    drop(engine);
    let file = fs::OpenOptions::new().write(true).open(&path).unwrap();
    let length = file.metadata().unwrap().len();
    for offset in (8192..length - 4096).step_by(4096) {
        file.write_all_at(&[0xa5; 4096], offset).unwrap();
    }
    drop(file);
    match open(&path) {
        Err(refused) => assert!(matches!(refused, OpenError::Damaged { .. }), "{refused:?}"),
        Ok(engine) => {
            let read = engine.range(b"").await.expect_err("the pages are gone");
            assert!(matches!(read, store::EngineError::Damaged(_)), "{read:?}");
            let written = engine.commit(RawChanges::new().put("key/100", "new")).await.expect_err("the pages are gone");
            assert!(matches!(written, CommitError::Damaged(_)), "{written:?}");
        }
    }
}

/// A small file system of its own, gone with the value.
struct SmallDisk(TempDir);

impl SmallDisk {
    fn new(size: &str) -> Self {
        let disk = SmallDisk(TempDir::new().unwrap());
        disk.mount(&["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]);
        disk
    }

    fn mount(&self, arguments: &[&str]) {
        let status = Command::new("mount").args(arguments).arg(self.0.path()).status().unwrap();
        assert!(status.success(), "mount {arguments:?}");
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn a_full_disk_refuses_writes_and_keeps_what_was_acknowledged() {
    let disk = SmallDisk::new("2m");
    let path = disk.0.path().join("store.db");
    let engine = open(&path).unwrap();
    let mut acknowledged = 0;
    let refused = loop {
        match engine.commit(RawChanges::new().put(format!("{acknowledged:05}"), vec![3; 20_000])).await {
            Ok(_) => acknowledged += 1,
            Err(refused) => break refused,
        }
        assert!(acknowledged < 1000, "two megabytes never fill up");
    };
    assert!(matches!(refused, CommitError::Full), "{refused:?}");
    assert_eq!(engine.range(b"").await.unwrap().1.len(), acknowledged, "reading goes on");
    disk.mount(&["-o", "remount,size=64m"]);
    engine.commit(RawChanges::new().put("after", "x")).await.expect("writing goes on when there is space again");
    drop(engine);
    let engine = open(&path).unwrap();
    assert_eq!(engine.range(b"").await.unwrap().1.len(), acknowledged + 1);
}
