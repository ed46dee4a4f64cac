//! The manifest as the segments tell it, for when it cannot be read.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use super::table::{Entry, Table};
use crate::damage::Damages;
use crate::error::StoreError;
use crate::objects::Objects;
use crate::segment::{Sealed, of_name};
use crate::wal::wal_path;

/// All of it. It may bring back what was removed on purpose and whose file was still there; retention and the names of
/// streams hide that again. What was sealed is not sealed again.
pub(super) fn rebuild(objects: &Objects, damages: &Damages) -> Result<Table, StoreError> {
    let (mut table, mut replaced) = (Table::default(), BTreeMap::<u64, Vec<u64>>::new());
    for (group, number) in segments(objects)? {
        match Sealed::discover(objects, group, number) {
            Ok((sealed, index)) => {
                replaced.entry(group).or_default().extend(index.origin.replaces);
                table.apply(&Entry::Replaced { group, removed: Vec::new(), added: vec![Arc::new(sealed)] });
                if index.origin.wal > 0 {
                    table.covered.insert((group, index.origin.wal));
                }
            }
            Err(error @ StoreError::Damaged { .. }) => damages.tell(error),
            Err(error) => return Err(error),
        }
    }
    for (group, removed) in replaced {
        table.apply(&Entry::Replaced { group, removed, added: Vec::new() });
    }
    Ok(table)
}

/// Takes in what only the last step knew, which cannot be read: segments whose origins are gone already. Says whether
/// there were any, for then that step had been acknowledged. Else it had not: its origins are there, and it is done anew.
pub(super) fn adopt(table: &mut Table, objects: &Objects, wal: &Path) -> Result<bool, StoreError> {
    let there = segments(objects)?;
    let unknown = there
        .iter()
        .filter(|(group, number)| table.groups.get(group).is_none_or(|known| *number >= known.next_segment));
    let mut steps = Vec::new();
    for (group, number) in unknown {
        let Ok((sealed, index)) = Sealed::discover(objects, *group, *number) else { continue };
        let (sealed, replaces) = (Arc::new(sealed), index.origin.replaces);
        if index.origin.wal > table.wal_floor && !wal_path(wal, index.origin.wal).exists() {
            steps.push(Entry::Sealed { wal: index.origin.wal, added: vec![(*group, sealed)] });
        } else if replaces.iter().any(|number| !there.contains(&(*group, *number))) {
            steps.push(Entry::Replaced { group: *group, removed: replaces, added: vec![sealed] });
        }
    }
    steps.iter().for_each(|step| table.apply(step));
    Ok(!steps.is_empty())
}

fn segments(objects: &Objects) -> Result<BTreeSet<(u64, u64)>, StoreError> {
    Ok(objects.list(None)?.iter().filter_map(|name| of_name(name)).collect())
}
