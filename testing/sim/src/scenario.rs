//! What a seed stands for: the machines, and what clients and bad luck do to them, and when.

use std::fmt;
use std::time::Duration;

use crate::dice::Dice;
use crate::engine::Doom;
use crate::kind::{Kind, REVISIONS};

/// A whole story. Steps can be left out of it; the rest then goes as it went before, as far as that is possible.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    pub seed: u64,
    /// Replicas of the control plane.
    pub replicas: usize,
    pub nodes: Vec<Shape>,
    /// In the order of their times.
    pub steps: Vec<(Duration, Step)>,
}

/// What a machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub cpus: u32,
    pub memory_mib: u64,
    pub rack: &'static str,
}

pub const SMALL: Shape = Shape { cpus: 1, memory_mib: 2048, rack: "a" };

/// Minimum and maximum percent.
pub type Bounds = (u32, u32);

/// How a service wants its tasks placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    Anywhere,
    SpreadRacks,
    Binpack,
    Distinct,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Step {
    // What clients do.
    Create {
        service: usize,
        kind: Kind,
        desired: u32,
        bounds: Bounds,
        placement: Placement,
    },
    Scale {
        service: usize,
        desired: u32,
    },
    /// Another revision of what the service has, or another family.
    Deploy {
        service: usize,
        kind: Kind,
        revision: u32,
    },
    Redeploy {
        service: usize,
    },
    Bounds {
        service: usize,
        bounds: Bounds,
    },
    Delete {
        service: usize,
    },
    Run {
        kind: Kind,
        count: u32,
    },
    /// Of all live tasks, the nth.
    Stop {
        nth: u64,
    },
    Drain {
        node: usize,
    },
    Activate {
        node: usize,
    },
    Deregister {
        node: usize,
    },
    AddNode {
        shape: Shape,
    },
    // What goes wrong.
    AgentDies {
        node: usize,
        down: Duration,
    },
    Reboots {
        node: usize,
        down: Duration,
    },
    /// For ever.
    Burns {
        node: usize,
    },
    Unplugged {
        node: usize,
        lasts: Duration,
    },
    ReplicaDies {
        replica: usize,
        down: Duration,
        doom: Option<Doom>,
    },
    Lags {
        replica: usize,
        lasts: Duration,
    },
    /// Requests and answers get lost, and some arrive twice.
    Lossy {
        lasts: Duration,
    },
    SlowNode {
        node: usize,
        lasts: Duration,
    },
    /// Of all running containers, the nth ends.
    Exits {
        nth: u64,
        code: i32,
    },
    /// Health checks on that machine fail.
    Sick {
        node: usize,
        lasts: Duration,
    },
    ImageGone {
        kind: Kind,
        lasts: Duration,
    },
}

impl Step {
    /// It is a fault, and no wish of a client.
    pub fn is_fault(&self) -> bool {
        use Step::*;
        !matches!(
            self,
            Create { .. }
                | Scale { .. }
                | Deploy { .. }
                | Redeploy { .. }
                | Bounds { .. }
                | Delete { .. }
                | Run { .. }
                | Stop { .. }
                | Drain { .. }
                | Activate { .. }
                | Deregister { .. }
                | AddNode { .. }
        )
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Create { service, kind, desired, bounds, placement } => write!(
                f,
                "CreateService s{service} of {}, desired {desired}, bounds {}/{}, {placement:?}",
                kind.family(),
                bounds.0,
                bounds.1
            ),
            Step::Scale { service, desired } => write!(f, "UpdateService s{service}, desired {desired}"),
            Step::Deploy { service, kind, revision } => {
                write!(f, "UpdateService s{service} to {}:{revision}", kind.family())
            }
            Step::Redeploy { service } => write!(f, "UpdateService s{service}, a new deployment of the same"),
            Step::Bounds { service, bounds } => write!(f, "UpdateService s{service}, bounds {}/{}", bounds.0, bounds.1),
            Step::Delete { service } => write!(f, "DeleteService s{service}"),
            Step::Run { kind, count } => write!(f, "RunTask {} x {count}", kind.family()),
            Step::Stop { nth } => write!(f, "StopTask, live task number {nth}"),
            Step::Drain { node } => write!(f, "node-{node} drains"),
            Step::Activate { node } => write!(f, "node-{node} is active again"),
            Step::Deregister { node } => write!(f, "node-{node} is deregistered by force"),
            Step::AddNode { shape } => write!(f, "a machine of {} MiB comes", shape.memory_mib),
            Step::AgentDies { node, down } => write!(f, "the agent of node-{node} dies for {down:?}"),
            Step::Reboots { node, down } => write!(f, "node-{node} loses power for {down:?}"),
            Step::Burns { node } => write!(f, "node-{node} burns"),
            Step::Unplugged { node, lasts } => write!(f, "node-{node} is unplugged for {lasts:?}"),
            Step::ReplicaDies { replica, down, doom } => {
                let when = match doom {
                    None => "now",
                    Some(Doom::BeforeCommit) => "right before its next commit",
                    Some(Doom::AfterCommit) => "right after its next commit",
                };
                write!(f, "replica-{replica} dies {when}, for {down:?}")
            }
            Step::Lags { replica, lasts } => {
                write!(f, "replica-{replica} is slow and sees everything late, for {lasts:?}")
            }
            Step::Lossy { lasts } => write!(f, "requests and answers get lost or come twice, for {lasts:?}"),
            Step::SlowNode { node, lasts } => write!(f, "node-{node} is slow for {lasts:?}"),
            Step::Exits { nth, code } => write!(f, "running container number {nth} exits with {code}"),
            Step::Sick { node, lasts } => write!(f, "health checks on node-{node} fail for {lasts:?}"),
            Step::ImageGone { kind, lasts } => {
                write!(f, "the image of {} cannot be pulled for {lasts:?}", kind.family())
            }
        }
    }
}

const BOUNDS: [Bounds; 7] = [(100, 200), (100, 200), (50, 200), (50, 100), (0, 100), (100, 150), (75, 125)];
const KINDS: [Kind; 12] = [
    Kind::Web,
    Kind::Web,
    Kind::Web,
    Kind::Api,
    Kind::Api,
    Kind::Edge,
    Kind::Edge,
    Kind::Pair,
    Kind::Big,
    Kind::Broken,
    Kind::Crashing,
    Kind::Sickly,
];

impl Scenario {
    /// The story of a seed.
    pub fn of(seed: u64) -> Scenario {
        let mut dice = Dice::new(seed, "scenario");
        let replicas = dice.pick(&[1, 1, 2, 2, 3]);
        let nodes: Vec<Shape> = (0..dice.between(1, 6)).map(|_| shape(&mut dice)).collect();
        let services = dice.between(1, 4) as usize;
        let length = dice.between(60, 900) * 1000;
        let count = dice.between(3, 45);
        let mut steps: Vec<(Duration, Step)> = Vec::new();
        for service in 0..services {
            let create = Step::Create {
                service,
                kind: dice.pick(&KINDS),
                desired: dice.between(0, 6) as u32,
                bounds: dice.pick(&BOUNDS),
                placement: dice.pick(&[
                    Placement::Anywhere,
                    Placement::SpreadRacks,
                    Placement::Binpack,
                    Placement::Distinct,
                ]),
            };
            steps.push((dice.millis(0, 20_000), create));
        }
        // Some stories are about clients alone, some about one kind of bad luck, most about everything.
        let faults = dice.pick(&[0, 30, 50, 50, 70]);
        for _ in 0..count {
            let at = dice.millis(5_000, length);
            let what = if dice.chance(faults) {
                fault(&mut dice, nodes.len(), replicas)
            } else {
                wish(&mut dice, nodes.len(), services)
            };
            steps.push((at, what));
        }
        steps.sort_by_key(|(at, _)| *at);
        Scenario { seed, replicas, nodes, steps }
    }

    /// When the last step is taken.
    pub fn ends(&self) -> Duration {
        self.steps.last().map(|(at, _)| *at).unwrap_or_default()
    }
}

fn shape(dice: &mut Dice) -> Shape {
    Shape { cpus: dice.pick(&[1, 2]), memory_mib: dice.pick(&[1024, 2048, 4096]), rack: dice.pick(&["a", "b", "c"]) }
}

fn wish(dice: &mut Dice, nodes: usize, services: usize) -> Step {
    let service = dice.below(services as u64) as usize;
    let node = dice.below(nodes as u64) as usize;
    match dice.below(20) {
        0..=4 => Step::Scale { service, desired: dice.between(0, 8) as u32 },
        5..=8 => {
            Step::Deploy { service, kind: dice.pick(&KINDS), revision: dice.between(1, u64::from(REVISIONS)) as u32 }
        }
        9 => Step::Redeploy { service },
        10 => Step::Bounds { service, bounds: dice.pick(&BOUNDS) },
        11 => Step::Delete { service },
        12 | 13 => Step::Run {
            kind: dice.pick(&[Kind::Batch, Kind::Web, Kind::Edge, Kind::Broken]),
            count: dice.between(1, 4) as u32,
        },
        14 | 15 => Step::Stop { nth: dice.number() },
        16 => Step::Drain { node },
        17 => Step::Activate { node },
        18 => Step::AddNode { shape: shape(dice) },
        _ => Step::Deregister { node },
    }
}

fn fault(dice: &mut Dice, nodes: usize, replicas: usize) -> Step {
    let node = dice.below(nodes as u64) as usize;
    let replica = dice.below(replicas as u64) as usize;
    match dice.below(20) {
        0..=2 => Step::AgentDies { node, down: dice.millis(10, 30_000) },
        3 => Step::Reboots { node, down: dice.millis(5_000, 120_000) },
        4 => Step::Burns { node },
        5 | 6 => Step::Unplugged { node, lasts: dice.millis(100, 240_000) },
        7..=9 => {
            let doom = dice.pick(&[None, Some(Doom::BeforeCommit), Some(Doom::AfterCommit)]);
            Step::ReplicaDies { replica, down: dice.millis(100, 60_000), doom }
        }
        10 | 11 => Step::Lags { replica, lasts: dice.millis(1_000, 60_000) },
        12 => Step::Lossy { lasts: dice.millis(1_000, 60_000) },
        13 => Step::SlowNode { node, lasts: dice.millis(1_000, 120_000) },
        14..=16 => Step::Exits { nth: dice.number(), code: dice.pick(&[0, 1, 137]) },
        17 | 18 => Step::Sick { node, lasts: dice.millis(1_000, 60_000) },
        _ => {
            Step::ImageGone { kind: dice.pick(&[Kind::Web, Kind::Api, Kind::Edge]), lasts: dice.millis(1_000, 120_000) }
        }
    }
}
