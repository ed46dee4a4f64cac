//! The first format, in which the events of a group lay uncompressed in its directory, `<number>.seg` with an index
//! `<number>.idx` beside most of them. Opening the store makes segments of them, one file at a time: each is removed once
//! the manifest has what it became, so a crash in between does nothing twice.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::codec::Malformed;
use crate::damage::Damages;
use crate::directory::remove;
use crate::error::StoreError;
use crate::event::RawEvent;
use crate::frame::{MAGIC_BYTES, Piece, pieces};
use crate::manifest::{Entry, Manifest};
use crate::meta::{FORMAT, Meta};
use crate::objects::Objects;
use crate::segment::index::Origin;
use crate::segment::{self, Builder};
use crate::wal::record;

const MAGIC: &[u8; MAGIC_BYTES] = b"BRTHSEG1";

/// Brings one group to the format of today.
pub(crate) fn convert(
    group: u64,
    directory: &Path,
    meta: &mut Meta,
    objects: &Objects,
    manifest: &mut Manifest,
    damages: &Damages,
) -> Result<(), StoreError> {
    let files = files(directory)?;
    if !files.is_empty() {
        tracing::info!(group = meta.name, files = files.len(), "compressing the logs of an earlier Berth");
    }
    let mut builder = Builder::new().map_err(|error| StoreError::Compress { source: Arc::new(error) })?;
    for (number, path) in files {
        let done = manifest.table.groups.get(&group).is_some_and(|segments| segments.next_segment > number);
        if !done {
            let bytes = fs::read(&path).map_err(StoreError::io("read", &path))?;
            let mut events = Vec::new();
            let sound = read(&bytes, &mut events);
            sound.unwrap_or_else(|(offset, what)| damages.tell(StoreError::damaged(&path, offset as u64, what)));
            let mut added = Vec::new();
            if !events.is_empty() {
                let built = builder.build(group, number, Origin::default(), &mut events);
                let (bytes, sealed) = built.map_err(|error| StoreError::Compress { source: Arc::new(error) })?;
                objects.put(&segment::name(group, number), bytes)?;
                added.push(Arc::new(sealed));
            }
            manifest.commit(&Entry::Replaced { group, removed: Vec::new(), added })?;
            manifest.commit(&Entry::Counters { group, next_segment: number + 1, next_number: 1 })?;
        }
        remove(&path)?;
        remove(&path.with_extension("idx"))?;
    }
    meta.format = FORMAT;
    meta.save(directory)
}

fn files(directory: &Path) -> Result<Vec<(u64, PathBuf)>, StoreError> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory).map_err(StoreError::io("list", directory))? {
        let path = entry.map_err(StoreError::io("list", directory))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if let Some(number) = name.and_then(|name| name.strip_suffix(".seg")?.parse().ok()) {
            files.push((number, path));
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// The sound events of a file of the first format; or where, and how, some of it is damaged.
fn read<'a>(bytes: &'a [u8], events: &mut Vec<RawEvent<'a>>) -> Result<(), (usize, &'static str)> {
    let mut damage = Ok(());
    for piece in pieces(bytes, MAGIC).into_iter().flatten() {
        match piece {
            Piece::Frame { offset, payload } => {
                let before = events.len();
                if record::for_each_event(payload, |event| events.push(event)).is_err() {
                    events.truncate(before);
                    damage = Err((offset, "a batch does not hold events"));
                }
            }
            Piece::Damaged { offset, .. } => damage = Err((offset, "a batch fails its checksum")),
            Piece::Torn { offset, bytes } => {
                tracing::warn!(offset, bytes, "a torn tail follows the last whole batch of an earlier Berth");
            }
        }
    }
    damage
}

/// How many events a file of the first format has.
pub(crate) fn count(bytes: &[u8]) -> Result<usize, Malformed> {
    let mut events = Vec::new();
    pieces(bytes, MAGIC).ok_or(Malformed)?;
    read(bytes, &mut events).map_err(|_| Malformed)?;
    Ok(events.len())
}
