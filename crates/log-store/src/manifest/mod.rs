//! Which segments there are: one file for all groups, `manifest.log`, that only grows till it is written anew.
//!
//! One frame commits one step as a whole: that a file of the write-ahead log is sealed, with all the segments it became;
//! that some segments take the place of others; that a group is gone. Segments are durable before their frame is
//! written, and what a frame has made superfluous is removed after it. So a crash leaves a segment that nobody knows,
//! whose name the next attempt writes again, or a file that is done with, which the next start removes.

mod recover;
mod table;

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

pub(crate) use table::{Entry, Table};

use crate::codec::Malformed;
use crate::damage::Damages;
use crate::directory::write_durably;
use crate::error::StoreError;
use crate::frame::{self, MAGIC_BYTES, Piece, pieces};
use crate::objects::Objects;

const MANIFEST_MAGIC: &[u8; MAGIC_BYTES] = b"BRTHMAN1";
/// The file is written anew when it is twice as long as it would be, and this much longer.
const SLACK_BYTES: u64 = 64 << 10;

pub(crate) struct Manifest {
    path: PathBuf,
    /// Made with the first step: a start writes nothing.
    file: Option<File>,
    length: u64,
    /// How long it was when it was written anew.
    fresh: u64,
    broken: bool,
    pub(crate) table: Table,
}

impl Manifest {
    /// Reads it. One that is damaged, or lost, is made again from what the segments say of themselves.
    pub(crate) fn open(root: &Path, objects: &Objects, damages: &Damages) -> Result<Manifest, StoreError> {
        let path = root.join("manifest.log");
        let mut table = Table::default();
        let damaged = |offset, what| damages.tell(StoreError::damaged(&path, offset as u64, what));
        let whole = match std::fs::read(&path) {
            Ok(bytes) => match read(&bytes, &mut table) {
                Ok(End::Whole) => Some(bytes.len() as u64),
                Ok(End::Torn { offset }) => {
                    if recover::adopt(&mut table, objects, &root.join("wal"))? {
                        damaged(offset, "the last step fails its checksum");
                    }
                    None
                }
                Err(offset) => {
                    damaged(offset, "the manifest fails its checksum");
                    table = recover::rebuild(objects, damages)?;
                    None
                }
            },
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                table = recover::rebuild(objects, damages)?;
                if !table.groups.is_empty() {
                    damaged(0, "the manifest is missing");
                }
                None
            }
            Err(error) => return Err(StoreError::io("read", &path)(error)),
        };
        let file = whole.map(|_| open(&path)).transpose()?;
        let length = whole.unwrap_or_default();
        Ok(Manifest { path, file, length, fresh: length, broken: false, table })
    }

    /// Commits one step: it is durable when this returns, or has not happened.
    pub(crate) fn commit(&mut self, entry: &Entry) -> Result<(), StoreError> {
        if self.file.is_none() {
            self.rewrite()?;
        }
        let Some(file) = self.file.as_ref().filter(|_| !self.broken) else {
            return Err(StoreError::Broken { path: self.path.clone() });
        };
        let mut bytes = Vec::new();
        frame::put_frame(&mut bytes, |out| entry.encode(out));
        if let Err(error) = file.write_all_at(&bytes, self.length) {
            self.broken = file.set_len(self.length).is_err();
            return Err(StoreError::io("write", &self.path)(error));
        }
        failpoint::place("logs.manifest");
        if let Err(error) = file.sync_data() {
            // Nobody knows what is on the disk now; only reading it anew can tell.
            self.broken = true;
            return Err(StoreError::io("make durable", &self.path)(error));
        }
        self.length += bytes.len() as u64;
        self.table.apply(entry);
        if self.length > 2 * self.fresh + SLACK_BYTES
            && let Err(error) = self.rewrite()
        {
            tracing::warn!(error = &error as &dyn std::error::Error, "the manifest of the logs could not be shortened");
            // Till next time; it is whole as it is.
            self.fresh = self.length;
        }
        Ok(())
    }

    /// Writes it anew, which also takes a torn tail off.
    fn rewrite(&mut self) -> Result<(), StoreError> {
        let bytes = encode(&self.table);
        write_durably(&self.path, &bytes)?;
        // If that fails, what we hold open has lost its name.
        let file = open(&self.path).inspect_err(|_| self.broken = true)?;
        (self.length, self.fresh) = (bytes.len() as u64, bytes.len() as u64);
        self.file = Some(file);
        Ok(())
    }
}

fn encode(table: &Table) -> Vec<u8> {
    let mut out = MANIFEST_MAGIC.to_vec();
    for entry in table.entries() {
        frame::put_frame(&mut out, |out| entry.encode(out));
    }
    out
}

fn open(path: &Path) -> Result<File, StoreError> {
    OpenOptions::new().read(true).write(true).open(path).map_err(StoreError::io("open", path))
}

enum End {
    Whole,
    /// What is there of the last step does not make one. As a rule it was never acknowledged.
    Torn {
        offset: usize,
    },
}

/// What a manifest says, or where it is damaged.
fn read(bytes: &[u8], table: &mut Table) -> Result<End, usize> {
    let mut end = End::Whole;
    for piece in pieces(bytes, MANIFEST_MAGIC).ok_or(0usize)? {
        match piece {
            Piece::Frame { offset, payload } => table.apply(&Entry::decode(payload).map_err(|_| offset)?),
            Piece::Damaged { offset, .. } => return Err(offset),
            Piece::Torn { offset, bytes } => {
                tracing::warn!(offset, bytes, "a torn tail follows the last whole step in the manifest of the logs");
                end = End::Torn { offset };
            }
        }
    }
    Ok(end)
}

/// How many steps lead to what a manifest says.
pub(crate) fn count(bytes: &[u8]) -> Result<usize, Malformed> {
    let mut table = Table::default();
    read(bytes, &mut table).map_err(|_| Malformed)?;
    Ok(table.entries().count())
}
