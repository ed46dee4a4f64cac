//! The loop: the next event in the order of time, what it leads to, and a look at all of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use agent_api::{FromAgent, ToAgent};
use service_ecs::Environment;
use shape::Caller;
use stdx::{Ids, Timestamp};

use crate::call::{Answer, Call};
use crate::check::{Checker, Checks, Violation};
use crate::client::Client;
use crate::control::Replica;
use crate::dice::Dice;
use crate::engine::Engine;
use crate::history::History;
use crate::node::{Happening, Node};
use crate::scenario::{Scenario, Step};
use crate::{Options, Outcome, Sabotage};

/// When every story begins.
pub const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);
/// More than this happens in no story that goes well.
const EVENTS_MAX: u64 = 5_000_000;
/// How often everything is looked at as a whole.
const SAMPLE_EVERY: Duration = Duration::from_secs(5);

/// How often the operator looks whether something has failed.
const LOOKS_AFTER_EVERY: Duration = Duration::from_secs(5 * 60);

/// Everything that can happen.
pub enum Event {
    Step(Step),
    /// All faults end.
    Calm,
    /// The operator cleans up.
    CleanUp,
    /// The operator looks again at what has failed.
    LookAfter,
    Sample,
    /// A replica hears of what others committed.
    Follow {
        replica: usize,
        life: u32,
        revision: state::Revision,
    },
    Turn {
        replica: usize,
        life: u32,
    },
    Commit {
        replica: usize,
        life: u32,
    },
    Janitor {
        replica: usize,
        life: u32,
    },
    /// Its lease.
    Renew {
        replica: usize,
        life: u32,
    },
    Tick {
        replica: usize,
        life: u32,
        instance: String,
    },
    ReplicaStarts {
        replica: usize,
    },
    Called {
        replica: usize,
        from: From,
        call: Box<Call>,
    },
    Answered {
        from: From,
        answer: Answer,
    },
    /// An agent asks for a websocket.
    Upgrade {
        wire: u64,
    },
    Down {
        wire: u64,
        message: Box<ToAgent>,
    },
    Up {
        wire: u64,
        message: FromAgent,
    },
    /// What an agent publishes; every so often that is nothing.
    Health {
        wire: u64,
        message: Option<Box<agent_api::tcs::FromAgent>>,
    },
    /// A replica acknowledges what was published.
    Acknowledged {
        wire: u64,
    },
    /// One side learns that the connection has ended; an agent with the code of it.
    GoneBelow {
        wire: u64,
    },
    /// An agent closes in good order.
    ClosesBelow {
        wire: u64,
    },
    GoneAbove {
        wire: u64,
        code: u16,
    },
    Node {
        node: usize,
        life: u32,
        what: Happening,
    },
}

/// Who called, and gets the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum From {
    Client {
        job: usize,
    },
    Registration {
        node: usize,
        life: u32,
    },
    Report {
        node: usize,
        life: u32,
        task: String,
    },
    /// A second copy of a request: nobody waits for the answer.
    Echo,
}

/// What a connection of an agent is for. Each of them finds a replica of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    Acs,
    Tcs,
}

/// What a story was made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub events: u64,
    pub commits: u64,
    pub conflicts: u64,
    pub tasks_started: u64,
    pub processes: u64,
    pub turns: u64,
    /// Simulated.
    pub lasted: Duration,
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.events += other.events;
        self.commits += other.commits;
        self.conflicts += other.conflicts;
        self.tasks_started += other.tasks_started;
        self.processes += other.processes;
        self.turns += other.turns;
        self.lasted += other.lasted;
    }
}

/// The time and the ids that the operations are given.
pub struct Clock {
    now: AtomicI64,
    ids: AtomicU64,
    seed: u64,
}

impl Environment for Clock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.now.load(Ordering::Relaxed))
    }

    fn ids(&self) -> Ids {
        let number = self.ids.fetch_add(1, Ordering::Relaxed);
        Ids::from_seed(u128::from(self.seed) << 64 | u128::from(number))
    }
}

pub struct World {
    pub(crate) now: Timestamp,
    pub(crate) clock: Arc<Clock>,
    queue: BTreeMap<(Timestamp, u64), Event>,
    order: u64,
    pub(crate) engine: Arc<Engine>,
    pub(crate) caller: Caller,
    pub(crate) replicas: Vec<Replica>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) wires: BTreeMap<u64, Wire>,
    pub(crate) client: Client,
    pub(crate) checks: Checks,
    pub(crate) history: History,
    pub(crate) counts: Counts,
    pub(crate) sabotage: Option<Sabotage>,
    /// Whatever nobody in particular throws.
    pub(crate) dice: Dice,
    pub(crate) seed: u64,
    /// Requests get lost until then.
    pub(crate) lossy_until: Timestamp,
    /// Images that cannot be pulled, by family, and until when.
    pub(crate) images_gone: BTreeMap<&'static str, Timestamp>,
    /// Since when there are no more faults.
    pub(crate) calm_since: Option<Timestamp>,
    violation: Option<Violation>,
    done: bool,
}

/// One websocket between an agent and a replica.
pub struct Wire {
    pub channel: Channel,
    pub node: usize,
    pub node_life: u32,
    pub replica: usize,
    pub replica_life: u32,
    /// The name of the instance's record, once the replica has let it in.
    pub instance: String,
    pub open_above: bool,
    pub open_below: bool,
    /// What was sent first arrives first.
    pub arrives_below: Timestamp,
    pub arrives_above: Timestamp,
}

impl World {
    pub fn new(scenario: &Scenario, options: &Options) -> World {
        let seed = scenario.seed;
        let blind: &'static [&'static str] = match options.sabotage {
            Some(Sabotage::NoFences) => &["placement-fence/", "container-instance/"],
            _ => &[],
        };
        let engine = Engine::new(blind);
        let clock = Arc::new(Clock { now: AtomicI64::new(START.as_millis()), ids: AtomicU64::new(0), seed });
        let mut caller = Caller::root("123456789012", "us-east-1");
        caller.endpoint = Some("http://127.0.0.1:4566".to_owned());
        let replicas =
            (0..scenario.replicas.max(1)).map(|number| Replica::new(number, &engine, &clock, seed)).collect();
        let mut world = World {
            now: START,
            clock,
            queue: BTreeMap::new(),
            order: 0,
            engine,
            caller,
            replicas,
            nodes: Vec::new(),
            wires: BTreeMap::new(),
            client: Client::new(seed),
            checks: Checks::default(),
            history: if options.history { History::kept() } else { History::default() },
            counts: Counts::default(),
            sabotage: options.sabotage,
            dice: Dice::new(seed, "world"),
            seed,
            lossy_until: START,
            images_gone: BTreeMap::new(),
            calm_since: None,
            violation: None,
            done: false,
        };
        for replica in 0..world.replicas.len() {
            world.start_replica(replica);
        }
        world.prepare();
        for shape in &scenario.nodes {
            world.add_node(*shape);
        }
        for (at, step) in &scenario.steps {
            world.push(START + *at, Event::Step(*step));
        }
        world.push(START + scenario.ends() + Duration::from_secs(10), Event::Calm);
        world.push(START + SAMPLE_EVERY, Event::Sample);
        world
    }

    pub fn run(mut self) -> Outcome {
        while let Some(((at, _), event)) = self.queue.pop_first() {
            self.now = at;
            self.clock.now.store(at.as_millis(), Ordering::Relaxed);
            self.handle(event);
            self.settle();
            self.examine();
            self.counts.events += 1;
            if self.counts.events > EVENTS_MAX {
                self.violate(Checker::Spins, "there is no end of events".to_owned());
            }
            if self.done || self.violation.is_some() {
                break;
            }
        }
        self.counts.lasted = self.now.since(START);
        self.counts.commits = self.engine.revision().0;
        if let Some(violation) = &self.violation {
            let at = self.now.since(START);
            self.history.note(at, "checker", || violation.to_string());
        }
        Outcome { violation: self.violation, history: self.history, counts: self.counts }
    }

    /// Let it happen then. Of the same moment, what was wanted first comes first.
    pub(crate) fn push(&mut self, at: Timestamp, event: Event) {
        self.order += 1;
        self.queue.insert((at.max(self.now), self.order), event);
    }

    pub(crate) fn after(&mut self, wait: Duration, event: Event) {
        self.push(self.now + wait, event);
    }

    pub(crate) fn note(&mut self, actor: impl Into<String>, what: impl FnOnce() -> String) {
        self.history.note(self.now.since(START), actor, what);
    }

    /// The first one counts.
    pub(crate) fn violate(&mut self, checker: Checker, what: String) {
        let at = self.now.since(START);
        self.violation.get_or_insert(Violation { at, checker, what });
    }

    pub(crate) fn finish(&mut self) {
        self.done = true;
    }

    pub(crate) fn is_lossy(&self) -> bool {
        self.now < self.lossy_until
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Step(step) => self.take(step),
            Event::Calm => self.calm_down(),
            Event::CleanUp => {
                self.note("operator", || "cleans up".to_owned());
                self.calm_since = Some(self.now);
                self.clean_up();
                self.after(LOOKS_AFTER_EVERY, Event::LookAfter);
            }
            Event::LookAfter => {
                self.look_after();
                self.after(LOOKS_AFTER_EVERY, Event::LookAfter);
            }
            Event::Sample => {
                self.sample();
                self.after(SAMPLE_EVERY, Event::Sample);
            }
            Event::Follow { replica, life, revision } => self.follow(replica, life, revision),
            Event::Turn { replica, life } => self.turn(replica, life),
            Event::Commit { replica, life } => self.commit(replica, life),
            Event::Janitor { replica, life } => self.janitor(replica, life),
            Event::Renew { replica, life } => self.renew(replica, life),
            Event::Tick { replica, life, instance } => self.tick(replica, life, &instance),
            Event::ReplicaStarts { replica } => self.start_replica(replica),
            Event::Called { replica, from, call } => self.called(replica, from, *call),
            Event::Answered { from, answer } => self.answered(from, answer),
            Event::Upgrade { wire } => self.upgrade(wire),
            Event::Down { wire, message } => self.message_down(wire, *message),
            Event::Up { wire, message } => self.message_up(wire, message),
            Event::Health { wire, message } => self.health(wire, message.as_deref()),
            Event::Acknowledged { wire } => self.acknowledged(wire),
            Event::GoneBelow { wire } => self.gone_below(wire),
            Event::ClosesBelow { wire } => self.closes_below(wire),
            Event::GoneAbove { wire, code } => self.gone_above(wire, code),
            Event::Node { node, life, what } => self.node_event(node, life, what),
        }
    }

    /// A step of the story. What it is about may not be there any more; then nothing happens.
    fn take(&mut self, step: Step) {
        self.note(if step.is_fault() { "fate" } else { "client" }, || step.to_string());
        let now = self.now;
        match step {
            Step::AddNode { shape } => self.add_node(shape),
            Step::AgentDies { node, down } => self.agent_dies(node, down),
            Step::Reboots { node, down } => self.reboots(node, Some(down)),
            Step::BothDie { replica, node, down } => {
                self.reboots(node, Some(down));
                self.replica_dies(replica, down, None);
            }
            Step::Burns { node } => self.reboots(node, None),
            Step::Unplugged { node, lasts } => self.unplugged(node, lasts),
            Step::ReplicaDies { replica, down, doom } => self.replica_dies(replica, down, doom),
            Step::Lags { replica, lasts } => {
                if let Some(replica) = self.replicas.get_mut(replica) {
                    replica.slow_until = now + lasts;
                }
            }
            Step::Lossy { lasts } => self.lossy_until = now + lasts,
            Step::SlowNode { node, lasts } => {
                if let Some(node) = self.nodes.get_mut(node) {
                    node.slow_until = now + lasts;
                }
            }
            Step::Behind { node, lasts } => {
                if let Some(node) = self.nodes.get_mut(node) {
                    node.behind_until = now + lasts;
                }
            }
            Step::Exits { nth, code } => self.some_process_exits(nth, code),
            Step::Sick { node, lasts } => {
                if let Some(node) = self.nodes.get_mut(node) {
                    node.sick_until = now + lasts;
                }
            }
            Step::Unready { node, lasts } => {
                if let Some(node) = self.nodes.get_mut(node) {
                    node.unready_until = now + lasts;
                }
            }
            Step::Flips { node, lasts } => {
                if let Some(node) = self.nodes.get_mut(node) {
                    node.flips_until = now + lasts;
                }
            }
            Step::ImageGone { kind, lasts } => drop(self.images_gone.insert(kind.family(), now + lasts)),
            wish => self.wish(wish),
        }
    }

    fn calm_down(&mut self) {
        self.note("fate", || "calm: no more faults".to_owned());
        self.lossy_until = self.now;
        self.images_gone.clear();
        self.all_replicas_recover();
        self.all_nodes_recover();
        self.client.leaves();
        self.after(crate::client::LULL, Event::CleanUp);
    }
}
