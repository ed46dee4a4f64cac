//! A round of placements on one snapshot.

use model::{ContainerInstanceArn, Scope};
use state::Snapshot;

use crate::filter::shortage;
use crate::rank::best;
use crate::{Candidate, Rejection, Request};

/// Where one task goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    pub instance: ContainerInstanceArn,
}

/// The instances of one cluster, with what this round has already placed on them.
pub struct Scheduler {
    candidates: Vec<Candidate>,
    /// Decides between equals; it comes from the caller, because nothing here may be random.
    seed: u64,
    rounds: u64,
}

impl Scheduler {
    /// All instances of the cluster, in the order of their ids.
    pub fn new(snapshot: &Snapshot, scope: &Scope, cluster: &str, group: &str, seed: u64) -> Self {
        let candidates = snapshot
            .container_instances
            .range(&format!("{scope}/{cluster}/"))
            .filter(|instance| instance.status != model::ContainerInstanceStatus::Inactive)
            .map(|instance| Candidate::new(snapshot, instance, group))
            .collect();
        Scheduler { candidates, seed, rounds: 0 }
    }

    /// True when the cluster has no instance that could ever take a task of this kind.
    pub fn is_empty(&self) -> bool {
        self.candidates.is_empty()
    }

    /// Places one task on the best instance, or says of each instance why not.
    pub fn place(&mut self, request: &Request) -> Result<Placement, Vec<Rejection>> {
        let fitting =
            self.candidates.iter().enumerate().filter(|(_, candidate)| shortage(candidate, request).is_none());
        let fitting = fitting.map(|(index, _)| index).collect();
        self.rounds += 1;
        let draw = mix(self.seed.wrapping_add(self.rounds));
        match best(&self.candidates, fitting, request, draw) {
            Some(index) => Ok(self.take(index, request)),
            // Reasons are worked out only when somebody will read them.
            None => Err(self.rejections(request)),
        }
    }

    fn rejections(&self, request: &Request) -> Vec<Rejection> {
        let why = |candidate: &Candidate| {
            let why = shortage(candidate, request)?;
            Some(Rejection { instance: candidate.instance.arn(), why })
        };
        self.candidates.iter().filter_map(why).collect()
    }

    /// Places one task on this very instance, as StartTask wants it. Strategies have no say.
    pub fn place_on(&mut self, id: &str, request: &Request) -> Result<Placement, Option<Rejection>> {
        let index = self.candidates.iter().position(|candidate| candidate.instance.id == id).ok_or(None)?;
        match shortage(&self.candidates[index], request) {
            None => Ok(self.take(index, request)),
            Some(why) => Err(Some(Rejection { instance: self.candidates[index].instance.arn(), why })),
        }
    }

    fn take(&mut self, index: usize, request: &Request) -> Placement {
        self.candidates[index].take(&request.reservation);
        Placement { instance: self.candidates[index].instance.arn() }
    }
}

/// Spreads the bits of a counter. Source: Sebastiano Vigna, splitmix64.
fn mix(value: u64) -> u64 {
    let mut z = value.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
