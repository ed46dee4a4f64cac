//! What an earlier process left in the write-ahead log.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::record::{self, Record};
use super::{WAL_MAGIC, WalFile, WalPart, numbers};
use crate::damage::Damages;
use crate::error::StoreError;
use crate::frame::{HEAD_BYTES, Piece, pieces};

/// Files that wait to be sealed, and what each group has in them.
#[derive(Default)]
pub(crate) struct Recovered {
    pub(crate) files: Vec<Arc<WalFile>>,
    pub(crate) parts: BTreeMap<u64, Vec<WalPart>>,
    /// The number of the next file.
    pub(crate) next: u64,
}

/// Reads every file behind `floor` and removes the others. `wants` says of a group whether its batches in a file are
/// still of use.
pub(crate) fn recover(
    directory: &Path,
    floor: u64,
    damages: &Damages,
    wants: impl Fn(u64, u64) -> bool,
) -> Result<Recovered, StoreError> {
    let mut recovered = Recovered { next: floor + 1, ..Recovered::default() };
    for number in numbers(directory)? {
        let file = WalFile::open(directory, number)?;
        if number <= floor {
            file.remove()?;
            continue;
        }
        recovered.next = number + 1;
        let file = Arc::new(file);
        let records = read(&file, damages)?;
        recovered.files.push(file.clone());
        for (group, records) in records {
            if wants(group, number) {
                recovered.parts.entry(group).or_default().push(WalPart { file: file.clone(), records });
            }
        }
    }
    Ok(recovered)
}

fn read(file: &WalFile, damages: &Damages) -> Result<BTreeMap<u64, Vec<Record>>, StoreError> {
    let mut groups: BTreeMap<u64, Vec<Record>> = BTreeMap::new();
    let bytes = file.read_all()?;
    let Some(pieces) = pieces(&bytes, WAL_MAGIC) else {
        // A file is made durable with its magic before anything is written to it.
        if bytes.len() >= WAL_MAGIC.len() && bytes.iter().any(|byte| *byte != 0) {
            damages.tell(file.damaged(0, "it is no write-ahead log"));
        }
        return Ok(groups);
    };
    for piece in pieces {
        match piece {
            Piece::Frame { offset, payload } => {
                let described = record::split_group(payload).and_then(|(group, batch)| {
                    Ok((group, record::describe(batch, offset, HEAD_BYTES + payload.len())?))
                });
                match described {
                    Ok((group, record)) => groups.entry(group).or_default().push(record),
                    Err(_) => damages.tell(file.damaged(offset as u64, "a batch does not hold events")),
                }
            }
            Piece::Damaged { offset, .. } => damages.tell(file.damaged(offset as u64, "a batch fails its checksum")),
            Piece::Torn { offset, bytes } => {
                let file = file.path.display();
                tracing::warn!(%file, offset, bytes, "a torn tail follows the last whole batch of logs");
            }
        }
    }
    Ok(groups)
}

/// How many batches and events of a file of the write-ahead log are sound.
pub(crate) fn count(bytes: &[u8]) -> Result<usize, crate::codec::Malformed> {
    let mut events = 0;
    for piece in pieces(bytes, WAL_MAGIC).ok_or(crate::codec::Malformed)? {
        if let Piece::Frame { offset, payload } = piece {
            let (_, batch) = record::split_group(payload)?;
            events += record::describe(batch, offset, HEAD_BYTES + payload.len())?.count as usize;
        }
    }
    Ok(events)
}
