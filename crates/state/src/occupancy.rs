//! What placement depends on: which instances there are, and what their tasks hold.

use std::collections::BTreeSet;
use std::sync::Arc;

use imbl::OrdMap;
use imbl::ordmap::DiffItem;
use model::ContainerInstance;

use crate::{Key, Load, Record, Table};

/// The instances of a snapshot and their loads, without everything else that a snapshot holds. Cheap to keep.
#[derive(Clone, Debug, Default)]
pub struct Occupancy {
    pub(crate) instances: Table<ContainerInstance>,
    pub(crate) loads: OrdMap<Key, Arc<Load>>,
}

impl Occupancy {
    /// The names of the instances whose record or load is another than before. Cheap when most of them are the same.
    pub fn changed_since(&self, before: &Occupancy) -> BTreeSet<String> {
        let kind = ContainerInstance::KIND.len() + 1;
        let records = before.instances.changed(&self.instances).map(|key| key[kind..].to_owned());
        let loads = before.loads.diff(&self.loads).map(|item| match item {
            DiffItem::Add(key, _) | DiffItem::Remove(key, _) => key.to_string(),
            DiffItem::Update { new: (key, _), .. } => key.to_string(),
        });
        records.chain(loads).collect()
    }
}
