//! A machine and its agent: the real task engine, plans and reports, over processes that the dice start and end.
//!
//! The disk survives the agent and the machine; processes survive the agent only.

mod process;
mod wire;
mod work;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use agent::plan::{Identity, TaskPlan};
use agent::session::{Due, Effect, Ended, Jitter, Line, Session};
use agent::{AgentConfig, Machine, say};
use agent_api::close::code;
use agent_api::payload::{self, DesiredStatus};
use agent_api::tcs::{HealthMetadata, PublishHealth};
use agent_api::{FromAgent, ToAgent};
use api_ecs::SubmitTaskStateChangeRequest;
use model::capacity_provider::GROUP_ATTRIBUTE;
use stdx::{Ids, Timestamp};
use task_engine::{
    Action, Binding, Event as Engine, Failure, FailureKind, Found, Phase, Purpose, Task, TaskSpec, TaskStatus,
};

use crate::Sabotage;
use crate::call::{Answer, Call};
use crate::check::Checker;
use crate::dice::Dice;
use crate::kind::{EDGE_PORT, Kind};
use crate::scenario::Shape;
use crate::world::{Channel, Event, From, Wire, World};

const STOP_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an agent remembers a task whose end it has told.
const CLEANUP_WAIT: Duration = Duration::from_secs(10 * 60);
const UNKNOWN_TASK: &str = "TaskStateError: Agent could not progress task's state to stopped";
const PUBLISH_EVERY: Duration = Duration::from_secs(20);
const REPORT_WAIT_FIRST: Duration = Duration::from_millis(60);
const REPORT_WAIT_MAX: Duration = Duration::from_secs(300);
/// A request whose answer is lost.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// One run of one container: task, container, and how often it was restarted before.
pub type Run = (String, String, u32);

/// What happens on a machine.
#[derive(Clone, Debug)]
pub enum Happening {
    Boots,
    Registers,
    Connects {
        channel: Channel,
    },
    /// Has the control plane been silent, or is the connection old?
    Listens {
        wire: u64,
    },
    Pulled {
        task: String,
        container: String,
        gone: bool,
    },
    Starts {
        run: Run,
    },
    Ends {
        run: Run,
        incarnation: u64,
        code: i32,
    },
    Checked {
        task: String,
        container: String,
        purpose: Purpose,
        check: u64,
        passed: bool,
    },
    Ticks {
        task: String,
    },
    Says {
        wire: u64,
        message: FromAgent,
    },
    Reports {
        task: String,
    },
    Publishes {
        wire: u64,
    },
    Forgets {
        task: String,
    },
    /// The operator clears a machine that is not welcome any more, and lets it join anew.
    IsWiped,
}

pub struct AgentTask {
    pub plan: Arc<TaskPlan>,
    spec: TaskSpec,
    pub engine: Task,
    /// Its end was told and answered.
    pub told: bool,
    look: Option<Timestamp>,
}

/// Reports of one task, in order.
#[derive(Default)]
struct Mail {
    queue: VecDeque<SubmitTaskStateChangeRequest>,
    is_on_its_way: bool,
    wait: Option<Duration>,
}

pub struct Process {
    since: Timestamp,
    pub ended: Option<(i32, Timestamp)>,
    incarnation: u64,
    bindings: Vec<Binding>,
}

pub struct Node {
    pub number: usize,
    pub shape: Shape,
    pub slow_until: Timestamp,
    pub sick_until: Timestamp,
    pub unready_until: Timestamp,
    pub flips_until: Timestamp,
    /// What goes over its wire takes long.
    pub behind_until: Timestamp,
    unplugged_until: Timestamp,
    pub is_burnt: bool,
    pub is_up: bool,
    life: u32,
    dice: Dice,
    ids: Ids,
    identity: Option<String>,
    pub wire: Option<u64>,
    /// Since when its agent has been there and connected without a break.
    pub connected_since: Option<Timestamp>,
    /// The agent's own rules of the conversation, and of the one about telemetry.
    session: Session,
    tcs: Line,
    tcs_wire: Option<u64>,
    token: String,
    pub tasks: BTreeMap<String, AgentTask>,
    mail: BTreeMap<String, Mail>,
    pub processes: BTreeMap<Run, Process>,
    starting: BTreeSet<Run>,
    images: BTreeSet<String>,
    incarnations: u64,
    ports: u16,
    was_off: bool,
}

impl Node {
    fn new(number: usize, shape: Shape, seed: u64) -> Node {
        let mut dice = Dice::new(seed, &format!("node {number}"));
        let ids = Ids::from_seed(u128::from(dice.number()) << 64 | u128::from(dice.number()));
        Node {
            number,
            shape,
            slow_until: Timestamp::EPOCH,
            sick_until: Timestamp::EPOCH,
            unready_until: Timestamp::EPOCH,
            flips_until: Timestamp::EPOCH,
            behind_until: Timestamp::EPOCH,
            unplugged_until: Timestamp::EPOCH,
            is_burnt: false,
            is_up: false,
            life: 0,
            dice,
            ids,
            identity: None,
            wire: None,
            connected_since: None,
            session: Session::default(),
            tcs: Line::tcs(),
            tcs_wire: None,
            token: String::new(),
            tasks: BTreeMap::new(),
            mail: BTreeMap::new(),
            processes: BTreeMap::new(),
            starting: BTreeSet::new(),
            images: BTreeSet::new(),
            incarnations: 0,
            ports: 0,
            was_off: false,
        }
    }

    pub fn name(&self) -> String {
        format!("node-{}", self.number)
    }

    pub fn arn(&self) -> Option<String> {
        self.identity.clone()
    }

    pub fn unplugged_until(&self, now: Timestamp) -> Option<Timestamp> {
        (self.unplugged_until > now).then_some(self.unplugged_until)
    }

    /// Reports that nobody has answered yet.
    pub fn has_mail(&self) -> bool {
        self.mail.values().any(|mail| !mail.queue.is_empty())
    }

    /// A wait of this machine, longer while it is slow.
    fn takes(&mut self, now: Timestamp, low: u64, high: u64) -> Duration {
        let wait = self.dice.millis(low, high);
        if now < self.slow_until { wait * 10 } else { wait }
    }

    /// How long until it connects again.
    fn hangs_up(&mut self, channel: Channel, how: Ended, now: Timestamp) -> Duration {
        self.with_line(channel, |line, jitter| line.ended(how, now, jitter))
    }

    fn with_line<T>(&mut self, channel: Channel, act: impl FnOnce(&mut Line, Jitter<'_>) -> T) -> T {
        let Node { session, tcs, dice, .. } = self;
        let line = match channel {
            Channel::Acs => &mut session.line,
            Channel::Tcs => tcs,
        };
        act(line, &mut |most| dice.millis(0, most.as_millis() as u64))
    }

    fn wire_of(&mut self, channel: Channel) -> &mut Option<u64> {
        match channel {
            Channel::Acs => &mut self.wire,
            Channel::Tcs => &mut self.tcs_wire,
        }
    }

    /// How long a message over its wire takes.
    pub fn crosses(&self, now: Timestamp, dice: &mut Dice) -> Duration {
        if now < self.behind_until { dice.millis(100, 20_000) } else { dice.millis(0, 5) }
    }

    /// What a health message says, if there is anything that has health.
    fn health(&self) -> Option<agent_api::tcs::FromAgent> {
        let health = self.tasks.values().filter_map(|task| say::task_health(&task.plan, &task.engine));
        let tasks: Vec<agent_api::tcs::TaskHealth> = health.collect();
        (!tasks.is_empty()).then(|| {
            let metadata = HealthMetadata { fin: true, ..HealthMetadata::default() };
            agent_api::tcs::FromAgent::PublishHealth(PublishHealth { metadata, tasks, timestamp: None })
        })
    }
}

impl World {
    pub(crate) fn add_node(&mut self, shape: Shape) {
        let number = self.nodes.len();
        self.nodes.push(Node::new(number, shape, self.seed));
        self.node_after(number, Duration::ZERO, Happening::Boots);
    }

    pub(crate) fn node_after(&mut self, node: usize, wait: Duration, what: Happening) {
        let life = self.nodes[node].life;
        self.after(wait, Event::Node { node, life, what });
    }

    pub(crate) fn is_unplugged(&self, node: usize) -> bool {
        self.nodes[node].unplugged_until(self.now).is_some()
    }

    pub(crate) fn unplugged_until(&self, from: &From) -> Option<Timestamp> {
        match from {
            From::Registration { node, .. } | From::Report { node, .. } => self.nodes[*node].unplugged_until(self.now),
            From::Client { .. } | From::Echo => None,
        }
    }

    pub(crate) fn unplugged(&mut self, node: usize, lasts: Duration) {
        let now = self.now;
        // Not for longer while it is unplugged already: what waits on its wire comes when the first plug is back, and must not be overtaken.
        if let Some(node) = self.nodes.get_mut(node).filter(|node| node.unplugged_until <= now) {
            node.unplugged_until = now + lasts;
        }
    }

    pub(crate) fn node_event(&mut self, number: usize, life: u32, what: Happening) {
        // A process lives on without its agent.
        if let Happening::Ends { run, incarnation, code } = what {
            return self.process_ends(number, &run, incarnation, code);
        }
        let node = &self.nodes[number];
        if node.life != life || (node.is_up == matches!(what, Happening::Boots)) && !matches!(what, Happening::IsWiped)
        {
            return;
        }
        match what {
            Happening::Boots => self.boot(number),
            Happening::Registers => self.register(number),
            Happening::Connects { channel } => self.connect(number, channel),
            Happening::Listens { wire } => self.listen(number, wire),
            Happening::Pulled { task, container, gone } => self.pulled(number, &task, container, gone),
            Happening::Starts { run } => self.process_starts(number, &run),
            Happening::Ends { .. } => {}
            Happening::Checked { task, container, purpose, check, passed } => {
                let result = if passed { Ok(()) } else { Err("it is sick".to_owned()) };
                self.engine_step(number, &task, Engine::HealthChecked { container, purpose, check, result });
            }
            Happening::Ticks { task } => {
                let due = self.nodes[number].tasks.get(&task).and_then(|task| task.look);
                if due == Some(self.now) {
                    self.engine_step(number, &task, Engine::Tick);
                }
            }
            Happening::Says { wire, message } => self.say_up(wire, message),
            Happening::Reports { task } => self.send_mail(number, &task),
            Happening::Publishes { wire } => {
                if self.nodes[number].tcs_wire == Some(wire) {
                    self.publish(number);
                    self.node_after(number, PUBLISH_EVERY, Happening::Publishes { wire });
                }
            }
            Happening::Forgets { task } => drop(self.nodes[number].tasks.remove(&task)),
            Happening::IsWiped => self.wipe(number),
        }
    }

    /// The agent starts, and takes up what the disk says.
    pub(crate) fn boot(&mut self, number: usize) {
        let node = &mut self.nodes[number];
        if node.is_burnt {
            return;
        }
        node.is_up = true;
        node.life += 1;
        (node.session, node.tcs) = (Session::default(), Line::tcs());
        node.token = node.ids.uuid();
        let was_off = std::mem::take(&mut node.was_off);
        let name = node.name();
        let mut events = Vec::new();
        for (arn, task) in &mut node.tasks {
            // What is written is what is read.
            task.engine = Task::from_json(&task.engine.to_json()).expect("an engine reads what it wrote");
            task.look = None;
            if task.told {
                events.push((arn.clone(), Engine::Tick));
                continue;
            }
            let alive = task.engine.containers().iter().filter(|container| container.phase != Phase::Stopped);
            let found = alive.map(|container| {
                let run = (arn.clone(), container.spec.name.clone(), container.restarts);
                let found = match node.processes.get(&run) {
                    Some(Process { ended: Some((code, at)), .. }) => {
                        Found::Exited { exit_code: *code, oom_killed: false, at: *at }
                    }
                    Some(process) => Found::Running {
                        runtime_id: format!("run-{}", process.incarnation),
                        bindings: process.bindings.clone(),
                        at: process.since,
                    },
                    None if was_off => Found::Lost,
                    None => Found::Nothing,
                };
                (container.spec.name.clone(), found)
            });
            events.push((arn.clone(), Engine::Recover(found.collect())));
        }
        self.note(name, || "its agent starts".to_owned());
        for (arn, event) in events {
            self.engine_step(number, &arn, event);
        }
        self.register(number);
    }

    pub(crate) fn agent_dies(&mut self, number: usize, down: Duration) {
        if self.nodes.get(number).is_none_or(|node| !node.is_up) {
            return;
        }
        let wire = self.agent_is_gone(number);
        // What it was about to start has either been started or not.
        for run in std::mem::take(&mut self.nodes[number].starting) {
            if self.nodes[number].dice.chance(50) {
                self.process_starts(number, &run);
            }
        }
        if let Some(wire) = wire {
            let wait = self.dice.millis(0, 200);
            self.after(wait, Event::GoneBelow { wire });
        }
        self.node_after(number, down, Happening::Boots);
    }

    /// The machine loses power; for ever when nothing is said about its return.
    pub(crate) fn reboots(&mut self, number: usize, down: Option<Duration>) {
        if self.nodes.get(number).is_none_or(|node| node.is_burnt) {
            return;
        }
        self.agent_is_gone(number);
        let node = &mut self.nodes[number];
        node.processes.clear();
        node.starting.clear();
        node.was_off = true;
        node.is_burnt = down.is_none();
        for task in node.tasks.values_mut() {
            // A task's record is flushed; its state is not.
            if node.dice.chance(50) {
                task.engine = Task::new(task.spec.clone()).expect("it was valid before");
                task.told = false;
            }
        }
        if let Some(down) = down {
            self.node_after(number, down, Happening::Boots);
        }
    }

    /// The connection that it had.
    pub(crate) fn agent_is_gone(&mut self, number: usize) -> Option<u64> {
        let node = &mut self.nodes[number];
        node.is_up = false;
        node.life += 1;
        node.mail.clear();
        node.connected_since = None;
        let (wire, tcs_wire) = (node.wire.take(), node.tcs_wire.take());
        for wire in [wire, tcs_wire].into_iter().flatten() {
            if let Some(wire) = self.wires.get_mut(&wire) {
                wire.open_below = false;
            }
        }
        wire
    }

    pub(crate) fn wipe(&mut self, number: usize) {
        if let Some(wire) = self.agent_is_gone(number) {
            self.after(Duration::ZERO, Event::GoneBelow { wire });
        }
        let node = &mut self.nodes[number];
        node.identity = None;
        node.tasks.clear();
        node.processes.clear();
        node.starting.clear();
        let name = node.name();
        self.note(name, || "is wiped, and joins anew".to_owned());
        self.node_after(number, Duration::from_secs(1), Happening::Boots);
    }

    pub(crate) fn all_nodes_recover(&mut self) {
        for number in 0..self.nodes.len() {
            let now = self.now;
            let node = &mut self.nodes[number];
            // Who is unplugged is so to its end: what waits on its wire must not be overtaken.
            (node.slow_until, node.behind_until) = (now, now);
            (node.sick_until, node.unready_until, node.flips_until) = (now, now, now);
            if !node.is_up && !node.is_burnt {
                self.node_after(number, Duration::from_millis(100), Happening::Boots);
            }
        }
    }

    pub(crate) fn register(&mut self, number: usize) {
        let replica = self.any_replica();
        let node = &mut self.nodes[number];
        let mut config = AgentConfig::new("http://127.0.0.1:4566", "/sim");
        config.instance_attributes = [
            ("rack", node.shape.rack),
            ("machine", &node.name()),
            ("ecs.availability-zone", &node.shape.zone()),
            (GROUP_ATTRIBUTE, node.shape.group()),
        ]
        .map(|(key, value)| (key.into(), value.into()))
        .into();
        let machine = Machine {
            cpus: node.shape.cpus,
            memory_mib: node.shape.memory_mib,
            architecture: "x86_64",
            has_selinux: false,
            has_journal: false,
            gpus: Vec::new(),
            has_apparmor: false,
        };
        let request = say::registration(&config, &machine, node.identity.as_deref(), node.token.clone());
        let from = From::Registration { node: number, life: node.life };
        let wait = node.takes(self.now, 0, 10);
        self.after(wait, Event::Called { replica, from, call: Box::new(Call::RegisterContainerInstance(request)) });
    }

    pub(crate) fn any_replica(&mut self) -> usize {
        self.dice.below(self.replicas.len() as u64) as usize
    }

    pub(crate) fn registered(&mut self, number: usize, life: u32, answer: Answer) {
        let node = &mut self.nodes[number];
        if node.life != life || !node.is_up {
            return;
        }
        match answer {
            Answer::Registered(arn) => {
                let (name, text) = (node.name(), arn.clone());
                node.identity = Some(arn);
                self.note(name, || format!("is container instance {}", short(&text)));
                self.node_after(number, Duration::ZERO, Happening::Connects { channel: Channel::Acs });
                self.node_after(number, Duration::ZERO, Happening::Connects { channel: Channel::Tcs });
            }
            Answer::Unavailable => {
                let wait = node.dice.millis(100, 5_000);
                self.node_after(number, wait, Happening::Registers);
            }
            // The agent ends for good, and the operator clears its state.
            _ => {
                let wait = node.dice.millis(10_000, 60_000);
                self.node_after(number, wait, Happening::IsWiped);
            }
        }
    }
}

/// The first digits of the id in an ARN: enough for a reader to tell things apart.
pub fn short(arn: &str) -> &str {
    let id = arn.rsplit('/').next().unwrap_or(arn);
    &id[..id.len().min(6)]
}
