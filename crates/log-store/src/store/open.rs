//! What a start does: lock, manifest, groups, write-ahead log, threads.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, RwLock, mpsc};

use tokio::sync::Semaphore;

use super::LogStore;
use crate::damage::Damages;
use crate::error::StoreError;
use crate::gate::Gate;
use crate::group::{Found, Group};
use crate::legacy;
use crate::limits::{QUEUE_KIB_MAX, READS_MAX};
use crate::manifest::Manifest;
use crate::meta::{FORMAT, Meta};
use crate::objects::Objects;
use crate::options::Options;
use crate::seal::{Backlog, Job, Sealer};
use crate::segment::Builder;
use crate::wal;
use crate::writer::{Groups, Writer};

pub(super) fn open(
    root: &Path,
    options: Options,
    objects: impl FnOnce() -> Result<Objects, StoreError>,
) -> Result<LogStore, StoreError> {
    let wal_directory = root.join("wal");
    fs::create_dir_all(&wal_directory).map_err(StoreError::io("create", &wal_directory))?;
    let lock = Arc::new(lock(root)?);
    let (objects, damages) = (objects()?, Damages::default());
    let mut manifest = Manifest::open(root, &objects, &damages)?;
    let Directories { mut groups, deleted, next } = directories(root)?;
    for (number, (directory, meta)) in &mut groups {
        if meta.format < FORMAT {
            legacy::convert(*number, directory, meta, &objects, &mut manifest, &damages)?;
        }
    }
    let known: BTreeSet<u64> = groups.keys().copied().collect();
    let covered = &manifest.table.covered;
    let wants = |group: u64, file: u64| known.contains(&group) && !covered.contains(&(group, file));
    let mut recovered = wal::recover(&wal_directory, manifest.table.wal_floor, &damages, wants)?;

    let mut by_number = BTreeMap::new();
    for (number, (directory, meta)) in groups {
        let found = found(&manifest, number, recovered.parts.remove(&number).unwrap_or_default());
        by_number.insert(number, Arc::new(Group::new(number, directory, meta, found)));
    }
    // A file that is known to be sealed, and is gone, must not lend its number to another.
    let next_file = manifest.table.covered.iter().map(|(_, file)| file + 1).fold(recovered.next, u64::max);
    let groups: Groups =
        Arc::new(RwLock::new(by_number.values().map(|group| (group.meta().key(), group.clone())).collect()));

    let (jobs, to_do) = mpsc::channel();
    for (group, directory) in deleted {
        let _ = jobs.send(Job::Purge { group, directory });
    }
    // Every group that has anything there; one that has nothing costs nothing.
    let all: Vec<_> = by_number.into_values().filter(|group| group.has_found_batches()).collect();
    let backlog = Arc::new(Backlog::new(recovered.files.len(), options.wal_files_max));
    for file in recovered.files {
        let _ = jobs.send(Job::Seal { file, groups: all.clone() });
    }
    let next_directory = next.max(manifest.table.next_group).max(1);
    let stopping = Arc::new(AtomicBool::new(false));
    let builder = Builder::new().map_err(|error| StoreError::Compress { source: Arc::new(error) })?;
    let sealer = Sealer {
        groups: groups.clone(),
        objects: objects.clone(),
        manifest,
        options: options.clone(),
        backlog: backlog.clone(),
        damages: damages.clone(),
        stopping: stopping.clone(),
        builder,
        _lock: lock.clone(),
    };
    let writer = Writer {
        root: root.to_owned(),
        groups: groups.clone(),
        options,
        next_directory,
        next_file,
        active: None,
        broken: None,
        behind: false,
        jobs,
        backlog,
        _lock: lock,
    };
    let (requests, queue) = mpsc::channel();
    let spawn = |name: &str, run: Box<dyn FnOnce() + Send>| {
        let thread = std::thread::Builder::new().name(name.into()).spawn(run);
        thread.map_err(StoreError::io("start a thread of", root))
    };
    let threads = vec![
        spawn("log-writer", Box::new(move || writer.run(&queue)))?,
        spawn("log-sealer", Box::new(move || sealer.run(&to_do)))?,
    ];
    let places = Arc::new(Semaphore::new(QUEUE_KIB_MAX as usize));
    Ok(LogStore {
        groups,
        objects,
        damages,
        requests: Some(requests),
        places,
        stopping,
        reads: Gate::new(READS_MAX),
        threads,
    })
}

fn found(manifest: &Manifest, group: u64, wal: Vec<wal::WalPart>) -> Found {
    let segments = manifest.table.groups.get(&group);
    let last = wal.iter().flat_map(|part| &part.records).map(|record| record.last_number()).max().unwrap_or(0);
    Found {
        sealed: segments.map(|segments| segments.live.values().cloned().collect()).unwrap_or_default(),
        next_number: segments.map_or(1, |segments| segments.next_number).max(last.saturating_add(1)),
        wal,
    }
}

fn lock(root: &Path) -> Result<File, StoreError> {
    let path = root.join("lock");
    let open = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
    let file = open.map_err(StoreError::io("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse { path: root.to_owned() }),
        Err(TryLockError::Error(source)) => Err(StoreError::io("lock", &path)(source)),
    }
}

struct Directories {
    groups: BTreeMap<u64, (PathBuf, Meta)>,
    /// Groups that are to be removed.
    deleted: Vec<(u64, PathBuf)>,
    /// The number of the next directory.
    next: u64,
}

/// Every group by its small file. What a crash left half made goes.
fn directories(root: &Path) -> Result<Directories, StoreError> {
    let mut found = Directories { groups: BTreeMap::new(), deleted: Vec::new(), next: 1 };
    for entry in fs::read_dir(root).map_err(StoreError::io("list", root))? {
        let directory: PathBuf = entry.map_err(StoreError::io("list", root))?.path();
        let Some(name) = directory.file_name().and_then(|name| name.to_str()) else { continue };
        let digits = name.trim_end_matches(".deleted");
        let number = u64::from_str_radix(digits, 16).ok().filter(|_| digits.len() == 16);
        // Whatever else lies here is not ours to touch.
        let Some(number) = number else { continue };
        found.next = found.next.max(number.saturating_add(1));
        if name.ends_with(".deleted") {
            found.deleted.push((number, directory));
            continue;
        }
        match Meta::load(&directory)? {
            Some(meta) => drop(found.groups.insert(number, (directory, meta))),
            None => fs::remove_dir_all(&directory).map_err(StoreError::io("remove", &directory))?,
        }
    }
    Ok(found)
}
