//! Where the tasks of each group are.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::classes::Classes;

#[derive(Debug, Default)]
pub(crate) struct Group {
    /// The slots that have tasks of it, and how many.
    pub members: BTreeMap<u32, u32>,
    /// How many of its tasks are where an attribute has a value: by the number of the attribute, then of the value. Only for
    /// attributes that the group was spread by.
    spread: BTreeMap<usize, Vec<u32>>,
    /// How many instances were looked at in vain on its account since it has no order of its own.
    pub vain: usize,
}

#[derive(Debug, Default)]
pub(crate) struct Groups {
    groups: BTreeMap<Arc<str>, Group>,
}

impl Groups {
    pub fn get(&self, name: &str) -> Option<&Group> {
        self.groups.get(name)
    }

    pub fn get_mut(&mut self, name: &str) -> Option<&mut Group> {
        self.groups.get_mut(name)
    }

    pub fn on(&self, name: &str, slot: u32) -> u32 {
        self.get(name).and_then(|group| group.members.get(&slot)).copied().unwrap_or_default()
    }

    /// The number of the group's tasks on the slot is another now.
    pub fn set(&mut self, name: &str, (slot, class): (u32, u32), count: u32, classes: &Classes) {
        if !self.groups.contains_key(name) {
            self.groups.insert(name.into(), Group::default());
        }
        let group = self.groups.get_mut(name).expect("it has just been put there");
        let before = match count {
            0 => group.members.remove(&slot),
            _ => group.members.insert(slot, count),
        };
        for (attribute, counts) in &mut group.spread {
            let total = at(counts, classes.value(class, *attribute));
            *total = *total + count - before.unwrap_or_default();
        }
        if group.members.is_empty() {
            self.groups.remove(name);
        }
    }

    /// Counts the group by the value of an attribute, and goes on counting.
    pub fn spread_by(&mut self, name: &str, attribute: usize, classes: &Classes, class_of: impl Fn(u32) -> u32) {
        let Some(group) = self.groups.get_mut(name) else { return };
        if group.spread.contains_key(&attribute) {
            return;
        }
        let mut counts = Vec::new();
        for (slot, count) in &group.members {
            *at(&mut counts, classes.value(class_of(*slot), attribute)) += count;
        }
        group.spread.insert(attribute, counts);
    }

    pub fn clear(&mut self) {
        self.groups.clear();
    }
}

impl Group {
    /// How many tasks it has where the attribute has that value.
    pub fn tasks_at(&self, attribute: usize, value: u32) -> u32 {
        self.spread.get(&attribute).and_then(|counts| counts.get(value as usize)).copied().unwrap_or_default()
    }
}

fn at(counts: &mut Vec<u32>, value: u32) -> &mut u32 {
    if counts.len() <= value as usize {
        counts.resize(value as usize + 1, 0);
    }
    &mut counts[value as usize]
}
