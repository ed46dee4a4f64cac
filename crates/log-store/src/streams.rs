//! `streams.log`: the streams of a group that were made and deleted, in order.

use std::collections::{BTreeMap, HashMap};
use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::codec::{Malformed, Reader, put_bytes, put_i64, put_u64};
use crate::directory::{remove, sync_directory, write_durably};
use crate::error::StoreError;
use crate::frame::{self, MAGIC_BYTES, Piece, pieces};
use crate::group::Group;
use crate::stats::StreamStats;

const STREAMS_MAGIC: &[u8; MAGIC_BYTES] = b"BRTHSTR1";
const CREATED: u64 = 1;
const DELETED: u64 = 2;
/// The file is written anew on loading when it has this many more entries than there are streams.
const SLACK: usize = 1000;

#[derive(Clone, Debug)]
pub(crate) struct Stream {
    pub(crate) id: u64,
    pub(crate) created_ms: i64,
    pub(crate) stats: Option<StreamStats>,
}

fn streams_path(directory: &Path) -> PathBuf {
    directory.join("streams.log")
}

pub(crate) fn put_created(out: &mut Vec<u8>, name: &str, stream: &Stream) {
    frame::put_frame(out, |out| {
        put_u64(out, CREATED);
        put_u64(out, stream.id);
        put_i64(out, stream.created_ms);
        put_bytes(out, name.as_bytes());
    });
}

pub(crate) fn put_deleted(out: &mut Vec<u8>, id: u64) {
    frame::put_frame(out, |out| {
        put_u64(out, DELETED);
        put_u64(out, id);
    });
}

/// Appends, durably, and leaves no half of it behind.
pub(crate) fn append(group: &Group, bytes: &[u8]) -> Result<(), StoreError> {
    let path = streams_path(&group.directory);
    let error = |action| StoreError::io(action, &path);
    let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(&path).map_err(error("open"))?;
    let before = file.seek(SeekFrom::End(0)).map_err(error("open"))?;
    let fresh = before == 0;
    let written = match fresh {
        true => file.write_all(STREAMS_MAGIC).and_then(|()| file.write_all(bytes)),
        false => file.write_all(bytes),
    };
    if let Err(failed) = written {
        if file.set_len(before).is_err() {
            group.mark_broken();
        }
        return Err(error("write")(failed));
    }
    if let Err(failed) = file.sync_data() {
        group.mark_broken();
        return Err(error("make durable")(failed));
    }
    if fresh { sync_directory(&group.directory) } else { Ok(()) }
}

/// What the entries say.
#[derive(Default)]
struct List {
    streams: BTreeMap<Arc<str>, Stream>,
    names: HashMap<u64, Arc<str>>,
    next: u64,
    entries: usize,
}

impl List {
    fn apply(&mut self, payload: &[u8]) -> Result<(), Malformed> {
        let mut reader = Reader::new(payload);
        let (kind, id) = (reader.u64()?, reader.u64()?);
        match kind {
            CREATED => {
                let created_ms = reader.i64()?;
                let name: Arc<str> = reader.text()?.into();
                self.names.insert(id, name.clone());
                self.streams.insert(name, Stream { id, created_ms, stats: None });
            }
            DELETED => {
                if let Some(name) = self.names.remove(&id) {
                    self.streams.remove(&name);
                }
            }
            _ => return Err(Malformed),
        }
        self.next = self.next.max(id.saturating_add(1));
        self.entries += 1;
        Ok(())
    }
}

/// How many streams a `streams.log` leaves.
pub(crate) fn count(bytes: &[u8]) -> Result<usize, Malformed> {
    let mut list = List::default();
    for piece in pieces(bytes, STREAMS_MAGIC).ok_or(Malformed)? {
        if let Piece::Frame { payload, .. } = piece {
            list.apply(payload)?;
        }
    }
    Ok(list.streams.len())
}

/// The streams of a group, and the number of the next. A torn tail is cut off; an entry that is damaged is said, and the
/// others are kept.
pub(crate) fn load(directory: &Path) -> Result<(BTreeMap<Arc<str>, Stream>, u64), StoreError> {
    let path = streams_path(directory);
    let mut list = List { next: 1, ..List::default() };
    let bytes = match fs::read(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok((list.streams, list.next)),
        read => read.map_err(StoreError::io("read", &path))?,
    };
    let Some(pieces) = pieces(&bytes, STREAMS_MAGIC) else {
        if bytes.len() >= MAGIC_BYTES && bytes.iter().any(|byte| *byte != 0) {
            return Err(StoreError::damaged(&path, 0, "it does not list streams"));
        }
        remove(&path)?;
        return Ok((list.streams, list.next));
    };
    let (mut end, mut damaged) = (bytes.len(), false);
    for piece in pieces {
        let told = match piece {
            Piece::Frame { offset, payload } => list.apply(payload).map_err(|_| offset),
            Piece::Damaged { offset, .. } => Err(offset),
            Piece::Torn { offset, bytes } => {
                tracing::warn!(file = %path.display(), offset, bytes, "a torn tail follows the last stream");
                end = offset;
                Ok(())
            }
        };
        if let Err(offset) = told {
            tracing::error!(file = %path.display(), offset, "the list of streams is damaged; the others are kept");
            damaged = true;
        }
    }
    if list.entries > list.streams.len() + SLACK || damaged {
        rewrite(&path, &list.streams, list.next)?;
    } else if end < bytes.len() {
        cut(&path, end as u64)?;
    }
    Ok((list.streams, list.next))
}

/// Cuts a torn tail off, durably: the next append must not leave a hole of old bytes behind it.
fn cut(path: &Path, end: u64) -> Result<(), StoreError> {
    let file = OpenOptions::new().write(true).open(path).map_err(StoreError::io("open", path))?;
    file.set_len(end).and_then(|()| file.sync_all()).map_err(StoreError::io("cut the torn tail of", path))
}

fn rewrite(path: &Path, streams: &BTreeMap<Arc<str>, Stream>, next: u64) -> Result<(), StoreError> {
    let mut out = STREAMS_MAGIC.to_vec();
    // The highest number ever given out must not be forgotten with its stream.
    put_deleted(&mut out, next - 1);
    for (name, stream) in streams {
        put_created(&mut out, name, stream);
    }
    write_durably(path, &out)
}
