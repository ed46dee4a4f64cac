//! From a file of the write-ahead log to one segment for each group in it.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Sealer;
use crate::error::StoreError;
use crate::event::RawEvent;
use crate::frame;
use crate::group::Group;
use crate::manifest::Entry;
use crate::segment::Sealed;
use crate::segment::index::Origin;
use crate::wal::WalFile;
use crate::wal::record::{self, Record};

impl Sealer {
    pub(super) fn seal(&mut self, file: &Arc<WalFile>, groups: &[Arc<Group>]) -> Result<(), StoreError> {
        let bytes = file.read_all()?;
        let mut added = Vec::new();
        for group in groups.iter().filter(|group| !group.is_deleted()) {
            let sealed = self.seal_group(file, &bytes, group)?;
            added.extend(sealed.map(|sealed| (group.number, sealed)));
        }
        self.manifest.commit(&Entry::Sealed { wal: file.number, added: added.clone() })?;
        let mut added: BTreeMap<u64, Arc<Sealed>> = added.into_iter().collect();
        for group in groups {
            group.change(|state| {
                state.wal.retain(|part| part.file.number != file.number);
                state.sealed.extend(added.remove(&group.number));
            })?;
        }
        // Who reads it goes on reading it; and what cannot be removed now is removed at the next start.
        if let Err(error) = file.remove() {
            tracing::warn!(error = &error as &dyn std::error::Error, "a sealed file of the write-ahead log is left");
        }
        Ok(())
    }

    fn seal_group(
        &mut self,
        file: &Arc<WalFile>,
        bytes: &[u8],
        group: &Group,
    ) -> Result<Option<Arc<Sealed>>, StoreError> {
        let (records, names) = group.read(|state| {
            let part = state.wal.iter().find(|part| part.file.number == file.number);
            (part.map(|part| part.records.clone()).unwrap_or_default(), state.names.clone())
        })?;
        let mut events = Vec::new();
        for record in records.iter().filter(|record| names.contains_key(&record.stream)) {
            if read(bytes, record, &mut events).is_none() {
                self.damages.tell(file.damaged(record.offset.into(), "a batch fails its checksum"));
            }
        }
        self.store(group.number, Origin { wal: file.number, replaces: Vec::new() }, &mut events)
    }
}

fn read<'a>(bytes: &'a [u8], record: &Record, events: &mut Vec<RawEvent<'a>>) -> Option<()> {
    let offset = record.offset as usize;
    let payload = frame::only(bytes.get(offset..offset.checked_add(record.length as usize)?)?)?;
    let (_, batch) = record::split_group(payload).ok()?;
    let before = events.len();
    let read = record::for_each_event(batch, |event| events.push(event));
    if read.is_err() {
        events.truncate(before);
    }
    read.ok()
}
