//! Which tasks leave when some have to, so that those which stay are spread as their owner wants it.
//!
//! Source: Amazon ECS Developer Guide, "How Amazon ECS places tasks on container instances", task termination: by the
//! placement strategy of the service, and without one from the zone, then the instance, with the most tasks.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use model::{ContainerInstance, Task};
use scheduler::Strategy;
use stdx::Timestamp;

use super::view::{ServiceView, serves};
use super::zones::ZONE;

const INSTANCE: &str = "instanceId";

/// For scaling in: what does not work goes first, then what keeps the rest spread, then the youngest. What has run longest
/// has proved itself.
pub(crate) fn newest_first<'a>(view: &ServiceView<'_>, tasks: &[&'a Task], count: usize) -> Vec<&'a Task> {
    let (working, mut idle): (Vec<&Task>, Vec<&Task>) = tasks.iter().partition(|task| serves(task));
    idle.sort_by_key(|task| Reverse((task.created_at, &task.id)));
    idle.truncate(count);
    let still = count - idle.len();
    let working = Field::new(view, working, |task| Age::Youngest((task.created_at, task.id.as_str()))).take(still);
    [idle, working].concat()
}

/// For a newer deployment: the oldest deployment goes first, and of each the oldest tasks.
pub(crate) fn oldest_first<'a>(view: &ServiceView<'_>, tasks: Vec<&'a Task>, count: usize) -> Vec<&'a Task> {
    if count >= tasks.len() {
        let mut tasks = tasks;
        tasks.sort_by_key(|task| (task.created_at, &task.id));
        return tasks;
    }
    let mut by_deployment: BTreeMap<Reverse<usize>, Vec<&Task>> = BTreeMap::new();
    for task in tasks {
        let place = view.service.deployments.iter().position(|one| one.id == task.started_by).unwrap_or(usize::MAX);
        by_deployment.entry(Reverse(place)).or_default().push(task);
    }
    let mut leaving = Vec::new();
    for tasks in by_deployment.into_values() {
        let field = Field::new(view, tasks, |task| Age::Oldest(Reverse((task.created_at, task.id.as_str()))));
        leaving.extend(field.take(count - leaving.len()));
    }
    leaving
}

/// Whoever is the greatest leaves first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Age<'a> {
    Youngest((Timestamp, &'a str)),
    Oldest(Reverse<(Timestamp, &'a str)>),
}

/// The tasks by their instance, and how many there are of each value that they are spread over.
struct Field<'a> {
    instances: Vec<OnInstance<'a>>,
    /// For each spread, the tasks of each of its values.
    counts: Vec<Vec<usize>>,
}

struct OnInstance<'a> {
    /// The next to leave is the last.
    tasks: Vec<(Age<'a>, &'a Task)>,
    ranks: Vec<Rank>,
}

/// By what one step of the strategy chooses; the greatest leaves first.
#[derive(Clone, Copy)]
enum Rank {
    /// The instance's value in the spread of that number.
    Spread { spread: usize, value: usize },
    /// What is free on the instance: the fullest keep their tasks.
    Free(u64),
}

impl<'a> Field<'a> {
    fn new(view: &ServiceView<'_>, tasks: Vec<&'a Task>, age: impl Fn(&'a Task) -> Age<'a>) -> Field<'a> {
        let steps = steps(view);
        let mut values: Vec<BTreeMap<String, usize>> = vec![BTreeMap::new(); steps.len()];
        let mut field = Field { instances: Vec::new(), counts: vec![Vec::new(); steps.len()] };
        let mut by_instance: BTreeMap<&str, Vec<(Age<'a>, &'a Task)>> = BTreeMap::new();
        for task in tasks {
            by_instance.entry(&task.container_instance).or_default().push((age(task), task));
        }
        for (id, mut tasks) in by_instance {
            tasks.sort_by_key(|(age, _)| *age);
            let instance = view.instance(id);
            let mut ranks = Vec::new();
            for (spread, step) in steps.iter().enumerate() {
                let free = |resource: fn(&ContainerInstance) -> u32, taken: u32| {
                    instance.map_or(0, |instance| u64::from(resource(instance).saturating_sub(taken)))
                };
                let load = instance.map(|instance| view.snapshot.load(instance));
                let rank = match step {
                    Strategy::Spread(attribute) => {
                        let value = match attribute.as_str() {
                            INSTANCE => id,
                            name => instance.and_then(|instance| instance.attribute(name)).unwrap_or_default(),
                        };
                        let next = values[spread].len();
                        let value = *values[spread].entry(value.to_owned()).or_insert(next);
                        let counts = &mut field.counts[spread];
                        counts.resize(counts.len().max(value + 1), 0);
                        counts[value] += tasks.len();
                        Rank::Spread { spread, value }
                    }
                    Strategy::BinpackCpu => {
                        Rank::Free(free(|one| one.registered.cpu.0, load.map_or(0, |load| load.cpu.0)))
                    }
                    Strategy::BinpackMemory => {
                        Rank::Free(free(|one| one.registered.memory.0, load.map_or(0, |load| load.memory.0)))
                    }
                    _ => continue,
                };
                ranks.push(rank);
            }
            field.instances.push(OnInstance { tasks, ranks });
        }
        field
    }

    fn take(mut self, count: usize) -> Vec<&'a Task> {
        let mut leaving = Vec::new();
        while leaving.len() < count {
            let weight = |one: &OnInstance<'a>| {
                let ranks = one.ranks.iter().map(|rank| match rank {
                    Rank::Spread { spread, value } => self.counts[*spread][*value] as u64,
                    Rank::Free(free) => *free,
                });
                (ranks.collect::<Vec<u64>>(), one.tasks.last().map(|(age, _)| *age))
            };
            let filled = self.instances.iter().enumerate().filter(|(_, one)| !one.tasks.is_empty());
            let Some((place, _)) = filled.max_by_key(|(_, one)| weight(one)) else { break };
            let one = &mut self.instances[place];
            leaving.extend(one.tasks.pop().map(|(_, task)| task));
            for rank in &one.ranks {
                if let Rank::Spread { spread, value } = rank {
                    self.counts[*spread][*value] -= 1;
                }
            }
        }
        leaving
    }
}

/// The steps of the service's placement strategy. Without one its tasks are spread over zones, then over instances.
fn steps(view: &ServiceView<'_>) -> Vec<Strategy> {
    let given: Vec<Strategy> =
        view.service.placement_strategy.iter().filter_map(|one| Strategy::parse(one).ok()).collect();
    if !given.is_empty() {
        return given;
    }
    vec![Strategy::Spread(ZONE.to_owned()), Strategy::Spread(INSTANCE.to_owned())]
}
