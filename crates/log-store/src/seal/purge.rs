//! What nobody needs any more goes: segments by retention, by deletion, or because others took their place.

use std::path::Path;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use stdx::Timestamp;

use super::Sealer;
use crate::error::StoreError;
use crate::event::Position;
use crate::group::Group;
use crate::manifest::Entry;
use crate::segment::{self, Sealed};

impl Sealer {
    /// Removes segments that hold nothing younger than the retention of their group.
    pub(super) fn expire(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let groups: Vec<_> = self.groups.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        for group in groups {
            let Some(days) = group.meta().retention_days else { continue };
            let cutoff = Position::start_of((now - Duration::from_secs(u64::from(days) * 24 * 3600)).as_millis());
            let waiting = group
                .read(|state| state.wal.iter().any(|part| part.records.iter().any(|record| record.last() < cutoff)))?;
            if waiting {
                // They leave the disk with their file, which is soon; till then a restart would bring them back.
                group.change(|state| {
                    state.wal.iter_mut().for_each(|part| part.records.retain(|record| record.last() >= cutoff));
                    state.recount();
                })?;
            }
            self.drop_segments(&group, |sealed| sealed.last < cutoff)?;
        }
        self.purge();
        Ok(())
    }

    /// Removes segments in which no stream that lives has anything.
    pub(super) fn sweep(&mut self, group: &Group) -> Result<(), StoreError> {
        if !group.is_deleted() {
            let names = group.read(|state| state.names.clone())?;
            self.drop_segments(group, |sealed| !sealed.has_stream(|stream| names.contains_key(&stream)))?;
            self.purge();
        }
        Ok(())
    }

    fn drop_segments(&mut self, group: &Group, useless: impl Fn(&Sealed) -> bool) -> Result<(), StoreError> {
        let removed: Vec<u64> = group
            .read(|state| state.sealed.iter().filter(|sealed| useless(sealed)).map(|sealed| sealed.number).collect())?;
        if removed.is_empty() { Ok(()) } else { self.replace(group, removed, None) }
    }

    /// Removes the files of segments that are part of no group, once nobody reads them. What fails is tried again.
    pub(super) fn purge(&mut self) {
        let mut purged = Vec::new();
        for (group, segments) in &self.manifest.table.groups {
            let unread = segments.doomed.iter().filter(|(_, sealed)| Arc::strong_count(sealed) == 1);
            let gone = unread.filter(|(number, _)| {
                let removed = self.objects.remove(&segment::name(*group, **number));
                removed.inspect_err(|error| warn(error, "a segment that is needed no more is left")).is_ok()
            });
            let numbers: Vec<u64> = gone.map(|(number, _)| *number).collect();
            if !numbers.is_empty() {
                purged.push(Entry::Purged { group: *group, numbers });
            }
        }
        for entry in purged {
            if let Err(error) = self.manifest.commit(&entry) {
                warn(&error, "the manifest of the logs could not be written");
            }
        }
    }

    /// Removes all that a deleted group left. Its directory goes last: while it is there, the next start comes here again.
    pub(super) fn purge_group(&mut self, group: u64, directory: &Path) {
        let purged = self.objects.list(Some(&format!("{group:016x}"))).and_then(|names| {
            names.iter().try_for_each(|name| self.objects.remove(name))?;
            self.manifest.commit(&Entry::GroupDeleted { group })?;
            std::fs::remove_dir_all(directory).map_err(StoreError::io("remove", directory))
        });
        if let Err(error) = purged {
            warn(&error, "a deleted log group keeps its space till the next start");
        }
    }
}

fn warn(error: &StoreError, what: &'static str) {
    tracing::warn!(error = error as &dyn std::error::Error, "{what}");
}
