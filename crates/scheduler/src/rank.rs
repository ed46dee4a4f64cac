//! By what instances are compared: the lower, the better.
//!
//! Each strategy only decides between those that the ones before it find equal. Without `binpack` and `random` the fewest
//! tasks of the group decide then, and the fewest tasks at all, so that an idle cluster does not fill one instance first.
//! What is still equal is decided by the draw.
//!
//! Source: Amazon ECS Developer Guide, "Use strategies to define task placement".

use crate::{Candidate, Request, Strategy};

/// What is counted on an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Measure {
    TasksOfGroup,
    CpuFree,
    MemoryFree,
    Tasks,
}

/// The measures of an instance, in the sequence of an [`Order`].
pub(crate) type Key = [u32; 4];

/// The measures by which instances are compared that are alike in everything a spread asks for. None is there twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Order([Option<Measure>; 4]);

impl Order {
    fn push(&mut self, measure: Measure) -> usize {
        let place = |one: &Option<Measure>| one.is_none_or(|known| known == measure);
        let at = self.0.iter().position(place).expect("there are as many places as measures");
        self.0[at] = Some(measure);
        at
    }

    /// True when it depends on the group that is placed.
    pub fn is_of_group(&self) -> bool {
        self.0.contains(&Some(Measure::TasksOfGroup))
    }

    /// Without its first measure, when that is the tasks of the group.
    pub fn behind_group(&self) -> Option<Order> {
        let [Some(Measure::TasksOfGroup), second, third, fourth] = self.0 else { return None };
        Some(Order([second, third, fourth, None]))
    }

    pub fn key(&self, candidate: &Candidate, tasks_of_group: u32) -> Key {
        self.0.map(|measure| match measure {
            None => 0,
            Some(Measure::TasksOfGroup) => tasks_of_group,
            Some(Measure::CpuFree) => candidate.cpu_free().0,
            Some(Measure::MemoryFree) => candidate.memory_free().0,
            Some(Measure::Tasks) => candidate.load.tasks(),
        })
    }
}

/// All that is compared, step by step.
pub(crate) type Rank = [u32; 8];

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// How many tasks of the group are where that attribute has the same value.
    Spread(String),
    /// The measure at that place of the order.
    Measure(usize),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ranking {
    pub steps: Vec<Step>,
    pub order: Order,
    /// After the steps, every instance is as good as any other.
    pub is_random: bool,
}

impl Ranking {
    pub fn new(request: &Request) -> Ranking {
        let mut ranking = Ranking::default();
        if request.distinct_instance {
            // It only fits where there is none, so this says nothing new; but those with one then come last.
            ranking.measure(Measure::TasksOfGroup);
        }
        let mut binpacks = false;
        for strategy in &request.strategies {
            match strategy {
                Strategy::Spread(attribute) if attribute == "instanceId" => ranking.measure(Measure::TasksOfGroup),
                Strategy::Spread(attribute) => ranking.spread(attribute),
                Strategy::BinpackCpu => ranking.measure(Measure::CpuFree),
                Strategy::BinpackMemory => ranking.measure(Measure::MemoryFree),
                Strategy::Random => {
                    ranking.is_random = true;
                    return ranking;
                }
            }
            binpacks |= matches!(strategy, Strategy::BinpackCpu | Strategy::BinpackMemory);
        }
        if !binpacks {
            ranking.measure(Measure::TasksOfGroup);
            ranking.measure(Measure::Tasks);
        }
        ranking
    }

    fn measure(&mut self, measure: Measure) {
        let at = self.order.push(measure);
        self.step(Step::Measure(at));
    }

    fn spread(&mut self, attribute: &str) {
        self.step(Step::Spread(attribute.to_owned()));
    }

    /// What is asked a second time decides nothing any more.
    fn step(&mut self, step: Step) {
        if !self.steps.contains(&step) && self.steps.len() < Rank::default().len() {
            self.steps.push(step);
        }
    }

    pub fn attributes(&self) -> impl Iterator<Item = &str> {
        self.steps.iter().filter_map(|step| match step {
            Step::Spread(attribute) => Some(attribute.as_str()),
            Step::Measure(_) => None,
        })
    }

    /// How many spreads come before anything else.
    pub fn leading(&self) -> usize {
        self.steps.iter().take_while(|step| matches!(step, Step::Spread(_))).count()
    }
}
