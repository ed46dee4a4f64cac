//! Which of the instances that could take the task is the best.

use std::collections::BTreeMap;

use crate::{Candidate, Request, Strategy};

/// The index of the best candidate among `fitting`.
///
/// Each strategy narrows the field to those it finds best, in the given order. What remains equal is decided by the
/// fewest tasks, then by `draw`, so that an idle cluster does not fill one instance first.
///
/// Source: Amazon ECS Developer Guide, "Use strategies to define task placement".
pub(crate) fn best(candidates: &[Candidate], fitting: Vec<usize>, request: &Request, draw: u64) -> Option<usize> {
    let mut field = fitting;
    for strategy in &request.strategies {
        field = match strategy {
            Strategy::Spread(attribute) => spread(candidates, field, attribute),
            Strategy::BinpackCpu => lowest(field, |index| u64::from(candidates[index].cpu_free.0)),
            Strategy::BinpackMemory => lowest(field, |index| u64::from(candidates[index].memory_free.0)),
            Strategy::Random => return pick(&field, draw),
        };
    }
    let field = lowest(field, |index| u64::from(candidates[index].tasks_of_group));
    let field = lowest(field, |index| u64::from(candidates[index].tasks));
    pick(&field, draw)
}

fn lowest(field: Vec<usize>, measure: impl Fn(usize) -> u64) -> Vec<usize> {
    let Some(least) = field.iter().map(|index| measure(*index)).min() else { return field };
    field.into_iter().filter(|index| measure(*index) == least).collect()
}

/// Counts the group's tasks by the attribute's value over all candidates, full ones too: those count as well.
fn spread(candidates: &[Candidate], field: Vec<usize>, attribute: &str) -> Vec<usize> {
    if attribute == "instanceId" {
        return lowest(field, |index| u64::from(candidates[index].tasks_of_group));
    }
    let value = |index: usize| candidates[index].instance.attribute(attribute).unwrap_or_default();
    let mut counts: BTreeMap<&str, u64> = BTreeMap::new();
    for (index, candidate) in candidates.iter().enumerate() {
        *counts.entry(value(index)).or_default() += u64::from(candidate.tasks_of_group);
    }
    lowest(field, |index| counts[value(index)])
}

fn pick(field: &[usize], draw: u64) -> Option<usize> {
    if field.is_empty() { None } else { Some(field[(draw % field.len() as u64) as usize]) }
}
