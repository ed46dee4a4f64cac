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

/// What a machine has. Its rack is its Availability Zone, and its CPUs say of which Auto Scaling group it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub cpus: u32,
    pub memory_mib: u64,
    pub rack: &'static str,
}

pub const SMALL: Shape = Shape { cpus: 1, memory_mib: 2048, rack: "a" };

impl Shape {
    pub fn zone(&self) -> String {
        format!("us-east-1{}", self.rack)
    }

    /// Also the name of the capacity provider that offers it.
    pub fn group(&self) -> &'static str {
        GROUPS[usize::from(self.cpus > 1)]
    }
}

/// The Auto Scaling groups, and the capacity providers of the same names.
pub const GROUPS: [&str; 2] = ["small", "large"];

/// Minimum and maximum percent.
pub type Bounds = (u32, u32);

/// How a service wants its tasks placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placement {
    Anywhere,
    SpreadRacks,
    SpreadZones,
    Binpack,
    Distinct,
}

/// What kind of service it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Manner {
    #[default]
    Replica,
    /// With a circuit breaker, which may roll back.
    Guarded {
        rollback: bool,
    },
    /// A new revision comes up beside the old one. At a pause somebody has a minute to say something; then it goes back, or on.
    BlueGreen {
        rollback: bool,
    },
    /// Its tasks go to capacity providers.
    Provided {
        both: bool,
    },
    Daemon,
    /// Somebody else deploys it, by task sets.
    External,
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
        manner: Manner,
    },
    /// On, or off.
    Rebalance {
        service: usize,
        on: bool,
    },
    /// Somebody says something to a paused deployment.
    Proceed {
        service: usize,
        rollback: bool,
    },
    /// Its newest deployment ends, and what was before comes back unless it is an abort.
    StopDeployment {
        service: usize,
        abort: bool,
    },
    /// Of all live tasks of services, the nth is protected for that long, or no longer.
    Protect {
        nth: u64,
        minutes: u32,
    },
    /// Of a service that somebody else deploys. The scale is in percent.
    NewTaskSet {
        service: usize,
        kind: Kind,
        revision: u32,
        scale: u32,
    },
    ScaleTaskSet {
        service: usize,
        nth: u64,
        scale: u32,
    },
    PromoteTaskSet {
        service: usize,
        nth: u64,
    },
    DeleteTaskSet {
        service: usize,
        nth: u64,
    },
    /// A managed daemon, on the instances of one of the capacity providers or of both.
    CreateDaemon {
        daemon: usize,
        kind: Kind,
        drain: u32,
        both: bool,
    },
    UpdateDaemon {
        daemon: usize,
        kind: Kind,
        revision: u32,
        drain: u32,
        both: bool,
    },
    DeleteDaemon {
        daemon: usize,
    },
    /// A revision is deregistered and deleted.
    Forget {
        kind: Kind,
        revision: u32,
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
    /// A machine with an agent and a replica loses power.
    BothDie {
        replica: usize,
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
    /// What its agent and its replica say to each other arrives late.
    Behind {
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
    /// Readiness probes on that machine fail.
    Unready {
        node: usize,
        lasts: Duration,
    },
    /// Every check on that machine passes or fails as it likes.
    Flips {
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
                | Rebalance { .. }
                | StopDeployment { .. }
                | Protect { .. }
                | NewTaskSet { .. }
                | ScaleTaskSet { .. }
                | PromoteTaskSet { .. }
                | DeleteTaskSet { .. }
                | Forget { .. }
                | CreateDaemon { .. }
                | UpdateDaemon { .. }
                | DeleteDaemon { .. }
        )
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Create { service, kind, desired, bounds, placement, manner } => write!(
                f,
                "CreateService s{service} of {}, {manner:?}, desired {desired}, bounds {}/{}, {placement:?}",
                kind.family(),
                bounds.0,
                bounds.1
            ),
            Step::Rebalance { service, on } => {
                write!(f, "UpdateService s{service}, zones are {}balanced", if *on { "" } else { "not " })
            }
            Step::StopDeployment { service, abort } => {
                write!(f, "StopServiceDeployment s{service}, {}", if *abort { "abort" } else { "rollback" })
            }
            Step::Proceed { service, rollback } => {
                let what = if *rollback { "rollback" } else { "continue" };
                write!(f, "ContinueServiceDeployment s{service}, {what}")
            }
            Step::Protect { nth, minutes } => {
                write!(f, "UpdateTaskProtection, live task of a service number {nth}, for {minutes} min")
            }
            Step::NewTaskSet { service, kind, revision, scale } => {
                write!(f, "CreateTaskSet of s{service}, {}:{revision}, {scale} %", kind.family())
            }
            Step::ScaleTaskSet { service, nth, scale } => {
                write!(f, "UpdateTaskSet of s{service}, number {nth}, {scale} %")
            }
            Step::PromoteTaskSet { service, nth } => {
                write!(f, "UpdateServicePrimaryTaskSet of s{service}, number {nth}")
            }
            Step::DeleteTaskSet { service, nth } => write!(f, "DeleteTaskSet of s{service}, number {nth}"),
            Step::CreateDaemon { daemon, kind, drain, both } => {
                let on = if *both { "both groups" } else { GROUPS[0] };
                write!(f, "CreateDaemon d{daemon} of {}, {drain} % at a time, on {on}", kind.family())
            }
            Step::UpdateDaemon { daemon, kind, revision, drain, both } => {
                let on = if *both { "both groups" } else { GROUPS[0] };
                let name = kind.family();
                write!(f, "UpdateDaemon d{daemon} to {name}:{revision}, {drain} % at a time, on {on}")
            }
            Step::DeleteDaemon { daemon } => write!(f, "DeleteDaemon d{daemon}"),
            Step::Forget { kind, revision } => {
                write!(f, "DeregisterTaskDefinition and DeleteTaskDefinitions {}:{revision}", kind.family())
            }
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
            Step::BothDie { replica, node, down } => {
                write!(f, "node-{node} and replica-{replica} lose power for {down:?}")
            }
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
            Step::Behind { node, lasts } => {
                write!(f, "node-{node} and its replica hear each other late for {lasts:?}")
            }
            Step::SlowNode { node, lasts } => write!(f, "node-{node} is slow for {lasts:?}"),
            Step::Exits { nth, code } => write!(f, "running container number {nth} exits with {code}"),
            Step::Sick { node, lasts } => write!(f, "health checks on node-{node} fail for {lasts:?}"),
            Step::Unready { node, lasts } => write!(f, "readiness probes on node-{node} fail for {lasts:?}"),
            Step::Flips { node, lasts } => write!(f, "checks on node-{node} pass or fail as they like, for {lasts:?}"),
            Step::ImageGone { kind, lasts } => {
                write!(f, "the image of {} cannot be pulled for {lasts:?}", kind.family())
            }
        }
    }
}

const BOUNDS: [Bounds; 7] = [(100, 200), (100, 200), (50, 200), (50, 100), (0, 100), (100, 150), (75, 125)];
const BOUNDS_OF_DAEMONS: [Bounds; 4] = [(0, 100), (50, 100), (100, 150), (50, 200)];
const KINDS: [Kind; 15] = [
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
    Kind::Ready,
    Kind::Ready,
    Kind::Unready,
];
/// What leaves room and ports of each instance to others.
const KINDS_OF_DAEMONS: [Kind; 8] =
    [Kind::Web, Kind::Web, Kind::Web, Kind::Api, Kind::Api, Kind::Pair, Kind::Crashing, Kind::Broken];
const KINDS_OF_MANAGED: [Kind; 7] =
    [Kind::Web, Kind::Web, Kind::Api, Kind::Api, Kind::Broken, Kind::Crashing, Kind::Sickly];
/// Percent of the instances that a daemon deployment drains at a time.
const DRAINS: [u32; 5] = [0, 25, 50, 75, 100];
const MANNERS: [Manner; 15] = [
    Manner::Replica,
    Manner::Replica,
    Manner::Replica,
    Manner::Replica,
    Manner::Guarded { rollback: true },
    Manner::Guarded { rollback: true },
    Manner::Guarded { rollback: false },
    Manner::Provided { both: true },
    Manner::Provided { both: false },
    Manner::Daemon,
    Manner::External,
    Manner::External,
    Manner::BlueGreen { rollback: true },
    Manner::BlueGreen { rollback: true },
    Manner::BlueGreen { rollback: false },
];

impl Scenario {
    /// The story of a seed.
    pub fn of(seed: u64) -> Scenario {
        let mut dice = Dice::new(seed, "scenario");
        let replicas = dice.pick(&[1, 1, 2, 2, 3]);
        let nodes: Vec<Shape> = (0..dice.between(1, 6)).map(|_| shape(&mut dice)).collect();
        let services: Vec<Manner> = (0..dice.between(1, 4)).map(|_| dice.pick(&MANNERS)).collect();
        let length = dice.between(60, 900) * 1000;
        let count = dice.between(3, 45);
        let mut steps: Vec<(Duration, Step)> = Vec::new();
        for (service, manner) in services.iter().enumerate() {
            let at = dice.millis(0, 20_000);
            steps.push((at, create(&mut dice, service, *manner)));
            if *manner == Manner::External {
                let scale = dice.pick(&[100, 100, 50]);
                let set = Step::NewTaskSet { service, kind: dice.pick(&KINDS), revision: revision(&mut dice), scale };
                steps.push((at + dice.millis(100, 20_000), set));
            }
        }
        // A managed daemon or none.
        let daemons = dice.pick(&[0, 0, 1, 1, 2]);
        for daemon in 0..daemons {
            let (kind, drain) = (dice.pick(&Kind::OF_DAEMONS), dice.pick(&DRAINS));
            let create = Step::CreateDaemon { daemon, kind, drain, both: dice.chance(50) };
            steps.push((dice.millis(0, 60_000), create));
            for _ in 0..dice.below(5) {
                steps.push((dice.millis(5_000, length), of_daemon(&mut dice, daemon)));
            }
        }
        // Some stories are about clients alone, some about one kind of bad luck, most about everything.
        let faults = dice.pick(&[0, 30, 50, 50, 70]);
        for _ in 0..count {
            let at = dice.millis(5_000, length);
            let what = if dice.chance(faults) {
                fault(&mut dice, nodes.len(), replicas)
            } else {
                wish(&mut dice, nodes.len(), &services)
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

fn revision(dice: &mut Dice) -> u32 {
    dice.between(1, u64::from(REVISIONS)) as u32
}

fn create(dice: &mut Dice, service: usize, manner: Manner) -> Step {
    let is_daemon = manner == Manner::Daemon;
    let places =
        [Placement::Anywhere, Placement::SpreadRacks, Placement::SpreadZones, Placement::Binpack, Placement::Distinct];
    Step::Create {
        service,
        kind: kind(dice, manner),
        desired: dice.between(0, 6) as u32,
        bounds: if is_daemon { dice.pick(&BOUNDS_OF_DAEMONS) } else { dice.pick(&BOUNDS) },
        placement: if is_daemon { Placement::Anywhere } else { dice.pick(&places) },
        manner,
    }
}

fn kind(dice: &mut Dice, manner: Manner) -> Kind {
    if manner == Manner::Daemon { dice.pick(&KINDS_OF_DAEMONS) } else { dice.pick(&KINDS) }
}

fn wish(dice: &mut Dice, nodes: usize, services: &[Manner]) -> Step {
    let service = dice.below(services.len() as u64) as usize;
    let manner = services[service];
    let node = dice.below(nodes as u64) as usize;
    match dice.below(27) {
        0..=4 => Step::Scale { service, desired: dice.between(0, 8) as u32 },
        5..=8 if manner == Manner::External => task_set(dice, service),
        5..=8 => Step::Deploy { service, kind: kind(dice, manner), revision: revision(dice) },
        9 => Step::Redeploy { service },
        10 if manner == Manner::Daemon => Step::Bounds { service, bounds: dice.pick(&BOUNDS_OF_DAEMONS) },
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
        19 => Step::Rebalance { service, on: dice.chance(50) },
        20 | 21 if manner == Manner::External => task_set(dice, service),
        20 | 21 if matches!(manner, Manner::BlueGreen { .. }) && dice.chance(60) => {
            Step::Proceed { service, rollback: dice.chance(30) }
        }
        20 | 21 => Step::StopDeployment { service, abort: dice.chance(30) },
        22..=24 => Step::Protect { nth: dice.number(), minutes: dice.pick(&[0, 1, 3, 10]) },
        // The first revision stays: in the end something must be there that works.
        25 => Step::Forget { kind: dice.pick(&KINDS), revision: dice.between(2, u64::from(REVISIONS)) as u32 },
        _ => Step::Deregister { node },
    }
}

fn of_daemon(dice: &mut Dice, daemon: usize) -> Step {
    let (kind, drain, both) = (dice.pick(&KINDS_OF_MANAGED), dice.pick(&DRAINS), dice.chance(50));
    match dice.below(6) {
        0 => Step::DeleteDaemon { daemon },
        1 => Step::CreateDaemon { daemon, kind, drain, both },
        _ => Step::UpdateDaemon { daemon, kind, revision: revision(dice), drain, both },
    }
}

fn task_set(dice: &mut Dice, service: usize) -> Step {
    let scale = dice.pick(&[0, 10, 25, 50, 100]);
    match dice.below(6) {
        0 | 1 => Step::NewTaskSet { service, kind: dice.pick(&KINDS), revision: revision(dice), scale },
        2 | 3 => Step::ScaleTaskSet { service, nth: dice.number(), scale },
        4 => Step::PromoteTaskSet { service, nth: dice.number() },
        _ => Step::DeleteTaskSet { service, nth: dice.number() },
    }
}

fn fault(dice: &mut Dice, nodes: usize, replicas: usize) -> Step {
    let node = dice.below(nodes as u64) as usize;
    let replica = dice.below(replicas as u64) as usize;
    match dice.below(26) {
        23 | 24 => Step::Unready { node, lasts: dice.millis(1_000, 600_000) },
        25 => Step::Flips { node, lasts: dice.millis(5_000, 300_000) },
        22 => Step::BothDie { replica, node, down: dice.millis(10_000, 900_000) },
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
        19 | 20 => Step::Behind { node, lasts: dice.millis(1_000, 120_000) },
        _ => {
            Step::ImageGone { kind: dice.pick(&[Kind::Web, Kind::Api, Kind::Edge]), lasts: dice.millis(1_000, 120_000) }
        }
    }
}
