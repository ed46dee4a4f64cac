//! What the manifest says, and its steps. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::codec::{Malformed, Reader, put_u64};
use crate::segment::Sealed;

#[derive(Debug, Default)]
pub(crate) struct Table {
    /// The write-ahead log up to this file is sealed.
    pub(crate) wal_floor: u64,
    /// Directories of groups below this number were given out once.
    pub(crate) next_group: u64,
    pub(crate) groups: BTreeMap<u64, GroupSegments>,
    /// Groups and files of the write-ahead log behind the floor that are sealed already, known from the segments.
    pub(crate) covered: BTreeSet<(u64, u64)>,
}

#[derive(Debug)]
pub(crate) struct GroupSegments {
    /// The number of the next segment, and of the next event.
    pub(crate) next_segment: u64,
    pub(crate) next_number: u64,
    pub(crate) live: BTreeMap<u64, Arc<Sealed>>,
    /// No longer part of the group, and perhaps still there: a reader may hold one, or a removal failed.
    pub(crate) doomed: BTreeMap<u64, Arc<Sealed>>,
}

impl Default for GroupSegments {
    fn default() -> Self {
        GroupSegments { next_segment: 1, next_number: 1, live: BTreeMap::new(), doomed: BTreeMap::new() }
    }
}

/// One step.
#[derive(Debug)]
pub(crate) enum Entry {
    /// The write-ahead log up to this file has become these segments of these groups.
    Sealed {
        wal: u64,
        added: Vec<(u64, Arc<Sealed>)>,
    },
    /// Segments of a group have become others, or nothing.
    Replaced {
        group: u64,
        removed: Vec<u64>,
        added: Vec<Arc<Sealed>>,
    },
    /// The files of these segments are gone.
    Purged {
        group: u64,
        numbers: Vec<u64>,
    },
    GroupDeleted {
        group: u64,
    },
    /// What numbers begin with.
    Counters {
        group: u64,
        next_segment: u64,
        next_number: u64,
    },
    NextGroup(u64),
    Covered {
        group: u64,
        wal: u64,
    },
}

impl Table {
    pub(crate) fn apply(&mut self, entry: &Entry) {
        match entry {
            Entry::Sealed { wal, added } => {
                self.wal_floor = self.wal_floor.max(*wal);
                let floor = self.wal_floor;
                self.covered.retain(|(_, wal)| *wal > floor);
                added.iter().for_each(|(group, sealed)| self.group(*group).add(sealed));
            }
            Entry::Replaced { group, removed, added } => {
                let group = self.group(*group);
                for number in removed {
                    group.doomed.extend(group.live.remove(number).map(|sealed| (*number, sealed)));
                }
                added.iter().for_each(|sealed| group.add(sealed));
            }
            Entry::Purged { group, numbers } => {
                let group = self.group(*group);
                group.doomed.retain(|number, _| !numbers.contains(number));
            }
            Entry::GroupDeleted { group } => {
                self.groups.remove(group);
                self.next_group = self.next_group.max(group.saturating_add(1));
            }
            Entry::Counters { group, next_segment, next_number } => {
                let group = self.group(*group);
                group.next_segment = group.next_segment.max(*next_segment);
                group.next_number = group.next_number.max(*next_number);
            }
            Entry::NextGroup(next) => self.next_group = self.next_group.max(*next),
            Entry::Covered { group, wal } => drop(self.covered.insert((*group, *wal))),
        }
    }

    fn group(&mut self, group: u64) -> &mut GroupSegments {
        self.groups.entry(group).or_default()
    }

    /// Steps that lead from nothing to here.
    pub(crate) fn entries(&self) -> impl Iterator<Item = Entry> {
        let head = [Entry::Sealed { wal: self.wal_floor, added: Vec::new() }, Entry::NextGroup(self.next_group)];
        let covered = self.covered.iter().map(|(group, wal)| Entry::Covered { group: *group, wal: *wal });
        let groups = self.groups.iter().flat_map(|(group, segments)| {
            let (group, next_segment, next_number) = (*group, segments.next_segment, segments.next_number);
            let all = segments.live.values().chain(segments.doomed.values());
            let each =
                all.map(move |sealed| Entry::Replaced { group, removed: Vec::new(), added: vec![sealed.clone()] });
            let doomed: Vec<u64> = segments.doomed.keys().copied().collect();
            let doomed = (!doomed.is_empty()).then_some(Entry::Replaced { group, removed: doomed, added: Vec::new() });
            each.chain(doomed).chain([Entry::Counters { group, next_segment, next_number }])
        });
        head.into_iter().chain(covered).chain(groups)
    }
}

impl GroupSegments {
    fn add(&mut self, sealed: &Arc<Sealed>) {
        self.next_segment = self.next_segment.max(sealed.number.saturating_add(1));
        self.next_number = self.next_number.max(sealed.last_number.saturating_add(1));
        self.live.insert(sealed.number, sealed.clone());
    }
}

const SEALED: u64 = 1;
const REPLACED: u64 = 2;
const PURGED: u64 = 3;
const GROUP_DELETED: u64 = 4;
const COUNTERS: u64 = 5;
const NEXT_GROUP: u64 = 6;
const COVERED: u64 = 7;

impl Entry {
    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        let mut put = |numbers: &[u64]| numbers.iter().for_each(|number| put_u64(out, *number));
        match self {
            Entry::Sealed { wal, added } => {
                put(&[SEALED, *wal, added.len() as u64]);
                for (group, sealed) in added {
                    put_u64(out, *group);
                    sealed.encode(out);
                }
            }
            Entry::Replaced { group, removed, added } => {
                put(&[REPLACED, *group, removed.len() as u64]);
                put(removed);
                put(&[added.len() as u64]);
                added.iter().for_each(|sealed| sealed.encode(out));
            }
            Entry::Purged { group, numbers } => {
                put(&[PURGED, *group, numbers.len() as u64]);
                put(numbers);
            }
            Entry::GroupDeleted { group } => put(&[GROUP_DELETED, *group]),
            Entry::Counters { group, next_segment, next_number } => {
                put(&[COUNTERS, *group, *next_segment, *next_number]);
            }
            Entry::NextGroup(next) => put(&[NEXT_GROUP, *next]),
            Entry::Covered { group, wal } => put(&[COVERED, *group, *wal]),
        }
    }

    pub(crate) fn decode(payload: &[u8]) -> Result<Entry, Malformed> {
        let mut reader = Reader::new(payload);
        let entry = match reader.u64()? {
            SEALED => {
                let (wal, mut added) = (reader.u64()?, Vec::new());
                for _ in 0..reader.u64()? {
                    added.push((reader.u64()?, Arc::new(Sealed::decode(&mut reader)?)));
                }
                Entry::Sealed { wal, added }
            }
            REPLACED => {
                let (group, removed, mut added) = (reader.u64()?, numbers(&mut reader)?, Vec::new());
                for _ in 0..reader.u64()? {
                    added.push(Arc::new(Sealed::decode(&mut reader)?));
                }
                Entry::Replaced { group, removed, added }
            }
            PURGED => Entry::Purged { group: reader.u64()?, numbers: numbers(&mut reader)? },
            GROUP_DELETED => Entry::GroupDeleted { group: reader.u64()? },
            COUNTERS => {
                let group = reader.u64()?;
                Entry::Counters { group, next_segment: reader.u64()?, next_number: reader.u64()? }
            }
            NEXT_GROUP => Entry::NextGroup(reader.u64()?),
            COVERED => Entry::Covered { group: reader.u64()?, wal: reader.u64()? },
            _ => return Err(Malformed),
        };
        reader.end()?;
        Ok(entry)
    }
}

fn numbers(reader: &mut Reader<'_>) -> Result<Vec<u64>, Malformed> {
    let mut numbers = Vec::new();
    for _ in 0..reader.u64()? {
        numbers.push(reader.u64()?);
    }
    Ok(numbers)
}
