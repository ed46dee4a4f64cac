//! The scheduler as it would be if time did not matter: it looks at every instance for every task, and keeps nothing.

use model::resources::Protocol;
use model::task::LaunchType;
use model::{ContainerInstanceStatus, PortReservation, Reservation, Scope};
use scheduler::{Candidate, Request, Strategy, draws, tie};
use state::Snapshot;

pub struct Reference {
    pub candidates: Vec<Candidate>,
    pub kept: Vec<Request>,
    seed: u64,
    placements: u64,
}

impl Reference {
    pub fn new(snapshot: &Snapshot, scope: &Scope, cluster: &str, seed: u64) -> Self {
        let instances = snapshot.container_instances.range(&format!("{scope}/{cluster}/"));
        let candidates = instances
            .filter(|instance| instance.status != ContainerInstanceStatus::Inactive)
            .map(|instance| Candidate::new(snapshot, instance))
            .collect();
        Reference { candidates, kept: Vec::new(), seed, placements: 0 }
    }

    /// The id of the instance that takes the task.
    pub fn place(&mut self, request: &Request) -> Option<String> {
        self.placements += 1;
        let fitting: Vec<usize> =
            (0..self.candidates.len()).filter(|at| self.fits(&self.candidates[*at], request)).collect();
        let ranks: Vec<Vec<u64>> = fitting.iter().map(|at| self.rank(*at, request)).collect();
        let least = ranks.iter().min()?;
        let best = fitting.iter().zip(&ranks).filter(|(_, rank)| *rank == least).map(|(at, _)| *at);
        let best: Vec<usize> = best.collect();
        let mut draws = draws(self.seed, self.placements);
        let chosen = if request.strategies.contains(&Strategy::Random) {
            let count = self.candidates.len() as u64;
            draws.map(|draw| (draw % count) as usize).find(|at| best.contains(at)).unwrap()
        } else {
            let draw = draws.next().unwrap();
            let distance = |at: &usize| tie(&self.candidates[*at].instance.id).wrapping_sub(draw);
            best.into_iter().min_by_key(distance).unwrap()
        };
        self.candidates[chosen].load.plan(&request.reservation, &request.group);
        Some(self.candidates[chosen].instance.id.clone())
    }

    pub fn place_on(&mut self, id: &str, request: &Request) -> bool {
        let found = self.candidates.iter().position(|candidate| candidate.instance.id == id);
        let Some(at) = found.filter(|at| self.fits(&self.candidates[*at], request)) else { return false };
        self.candidates[at].load.plan(&request.reservation, &request.group);
        true
    }

    pub fn fits(&self, candidate: &Candidate, request: &Request) -> bool {
        let others = self.kept.iter().filter(|daemon| daemon.group != request.group);
        let kept = others
            .filter(|daemon| candidate.load.tasks_of_group(&daemon.group) == 0 && may_run(candidate, daemon))
            .map(|daemon| &daemon.reservation);
        let distinct = !request.distinct_instance || candidate.load.tasks_of_group(&request.group) == 0;
        may_run(candidate, request) && distinct && has_room(candidate, &request.reservation, &kept.collect::<Vec<_>>())
    }

    fn rank(&self, at: usize, request: &Request) -> Vec<u64> {
        let candidate = &self.candidates[at];
        let of_group = |candidate: &Candidate| u64::from(candidate.load.tasks_of_group(&request.group));
        let mut rank = Vec::new();
        let mut is_full = false;
        for strategy in &request.strategies {
            match strategy {
                Strategy::Spread(field) if field == "instanceId" => rank.push(of_group(candidate)),
                Strategy::Spread(attribute) => {
                    let value = |one: &Candidate| one.instance.attribute(attribute).unwrap_or_default().to_owned();
                    let alike = self.candidates.iter().filter(|one| value(one) == value(candidate));
                    rank.push(alike.map(of_group).sum());
                }
                Strategy::BinpackCpu => rank.push(u64::from(candidate.cpu_free().0)),
                Strategy::BinpackMemory => rank.push(u64::from(candidate.memory_free().0)),
                Strategy::Random => return rank,
            }
            is_full |= matches!(strategy, Strategy::BinpackCpu | Strategy::BinpackMemory);
        }
        if !is_full {
            rank.extend([of_group(candidate), u64::from(candidate.load.tasks())]);
        }
        rank
    }
}

fn may_run(candidate: &Candidate, request: &Request) -> bool {
    let instance = &candidate.instance;
    let has = |wanted: &model::Attribute| {
        let found = instance.attributes.iter().find(|one| one.name == wanted.name);
        found.is_some_and(|found| wanted.value.is_none() || found.value == wanted.value)
    };
    instance.status == ContainerInstanceStatus::Active
        && instance.agent_connected
        && instance.attributes.iter().all(|attribute| attribute.name != "berth.disk-pressure")
        && instance.has_attribute("ecs.capability.external") == (request.launch_type == LaunchType::External)
        && request.requires_attributes.iter().all(has)
        && request.member_of.iter().all(|expression| expression.matches(candidate))
}

fn has_room(candidate: &Candidate, wanted: &Reservation, kept: &[&Reservation]) -> bool {
    let (all, load) = (&candidate.instance.registered, &candidate.load);
    let fits = |wanted: u32, all: u32, load: u32, kept: u32| wanted <= all.saturating_sub(load).saturating_sub(kept);
    let sum = |of: fn(&Reservation) -> u32| kept.iter().map(|one| of(one)).sum::<u32>();
    let port_is_free = |port: &PortReservation| {
        let reserved = match port.protocol {
            Protocol::Tcp => &all.ports_tcp,
            Protocol::Udp => &all.ports_udp,
        };
        !reserved.contains(&port.port)
            && !load.ports.contains_key(port)
            && !kept.iter().any(|one| one.ports.contains(port))
    };
    let interfaces =
        |all: u32| fits(wanted.network_interfaces, all, load.network_interfaces, sum(|one| one.network_interfaces));
    fits(wanted.cpu.0, all.cpu.0, load.cpu.0, sum(|one| one.cpu.0))
        && fits(wanted.memory.0, all.memory.0, load.memory.0, sum(|one| one.memory.0))
        && fits(wanted.gpus, all.gpus.len() as u32, load.gpus, sum(|one| one.gpus))
        && all.network_interfaces.is_none_or(interfaces)
        && wanted.ports.iter().all(port_is_free)
}
