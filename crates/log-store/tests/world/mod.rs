//! What several tests of the store share.

#![allow(dead_code, reason = "each test binary uses a part of it")]

use std::fs;
use std::path::{Path, PathBuf};

use log_store::{Direction, GroupKey, LogEvent, LogStore, Query};
use stdx::Timestamp;

pub const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

pub fn group() -> GroupKey {
    GroupKey::new("000000000000", "us-east-1", "/ecs/web")
}

pub fn event(timestamp_ms: i64, message: impl Into<String>) -> LogEvent {
    LogEvent { timestamp_ms, message: message.into() }
}

/// Every message the query finds, read in pages of the given size.
pub fn messages(store: &LogStore, query: &Query, page: usize) -> Vec<String> {
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

pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else if fs::copy(&path, &target).is_err() {
            // What is removed while we copy is gone, as it would be after a crash a moment later.
            assert!(!path.exists(), "{} cannot be copied", path.display());
        }
    }
}

/// The first file below `root`, in the order of names, that ends so.
pub fn file(root: &Path, ends_with: &str) -> PathBuf {
    files(root, ends_with).into_iter().next().unwrap_or_else(|| panic!("no {ends_with}"))
}

pub fn files(root: &Path, ends_with: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut paths: Vec<_> = fs::read_dir(root).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            found.extend(files(&path, ends_with));
        } else if path.to_str().unwrap().ends_with(ends_with) {
            found.push(path);
        }
    }
    found
}
