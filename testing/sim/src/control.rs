//! One replica of the control plane: what it has seen, its loops, and its ends of the agents' connections. What it decides is decided
//! by the same functions as in the real one; here is what stands around them, with waits that the dice throw.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use agent_api::close::{UpgradeRefusal, code};
use agent_api::{FromAgent, ToAgent};
use controlplane::decide::{self, Agenda, Arrival, Attendant, Effect, InstanceWake, Look, ServiceWake, Subject};
use futures::FutureExt;
use reconcilers::janitor::Retention;
use reconcilers::{Indexes, Plan};
use service_ecs::EcsService;
use state::{Changes, CommitError, Revision, Snapshot, transact};
use stdx::{Ids, Timestamp};

use crate::Sabotage;
use crate::call::Answer;
use crate::check::Checker;
use crate::dice::Dice;
use crate::engine::{Author, Doom, Engine, Seat};
use crate::node::CALL_TIMEOUT;
use crate::world::{Channel, Clock, Event, From, World};

/// Short, so that much is forgotten within a story.
const RETENTION: Retention = Retention {
    stopped_tasks_kept: Duration::from_secs(45 * 60),
    stopped_tasks_max: 5000,
    instance_lost_after: Some(Duration::from_secs(3 * 60)),
};

pub struct Replica {
    pub number: usize,
    pub is_up: bool,
    pub life: u32,
    /// Of its lease: another one in each of its lives.
    pub id: String,
    pub seat: Arc<Seat>,
    pub ecs: EcsService,
    pub slow_until: Timestamp,
    dice: Dice,
    ids: Ids,
    /// Up to where it has spread the word.
    absorbed: Revision,
    /// Up to where it is on its way to hear.
    announced: Revision,
    woken: BTreeSet<ServiceWake>,
    agenda: Agenda,
    indexes: Indexes,
    /// Whose turn it still is.
    turn: VecDeque<Subject>,
    pending: Option<(Subject, Plan)>,
    turn_at: Option<Timestamp>,
    /// How long it will be down after its doom.
    down_after: Duration,
    attended: BTreeMap<String, Attended>,
    /// The connections of agents that publish, by instance: the newest.
    telemetry: BTreeMap<String, u64>,
}

struct Attended {
    attendant: Attendant,
    wire: Option<u64>,
    tick_at: Option<Timestamp>,
}

impl Replica {
    pub fn new(number: usize, engine: &Arc<Engine>, clock: &Arc<Clock>, seed: u64) -> Replica {
        let seat = Seat::new(engine.clone());
        let ecs = EcsService::new(seat.clone(), clock.clone());
        let mut dice = Dice::new(seed, &format!("replica {number}"));
        let ids = Ids::from_seed(u128::from(dice.number()) << 64 | u128::from(dice.number()));
        Replica {
            number,
            is_up: false,
            life: 0,
            id: String::new(),
            seat,
            ecs,
            slow_until: Timestamp::EPOCH,
            dice,
            ids,
            absorbed: Revision(0),
            announced: Revision(0),
            woken: BTreeSet::new(),
            agenda: Agenda::default(),
            indexes: Indexes::default(),
            turn: VecDeque::new(),
            pending: None,
            turn_at: None,
            down_after: Duration::ZERO,
            attended: BTreeMap::new(),
            telemetry: BTreeMap::new(),
        }
    }

    pub fn name(&self) -> String {
        format!("replica-{}", self.number)
    }

    /// Nothing is on its way to a decision.
    pub fn is_idle(&self, now: Timestamp) -> bool {
        self.woken.is_empty()
            && self.turn.is_empty()
            && self.pending.is_none()
            && self.agenda.next().is_none_or(|at| at > now)
    }

    /// Tasks that its agents have not acknowledged, or not followed.
    pub fn outstanding(&self) -> impl Iterator<Item = &str> {
        self.attended.values().filter(|one| one.wire.is_some()).flat_map(|one| one.attendant.outstanding())
    }

    fn is_slow(&self, now: Timestamp) -> bool {
        now < self.slow_until
    }

    /// Between a decision and its commit.
    fn thinks(&mut self, now: Timestamp) -> Duration {
        if self.is_slow(now) { self.dice.millis(50, 3_000) } else { self.dice.millis(0, 5) }
    }

    /// Until it hears of what another one has committed.
    fn lags(&mut self, now: Timestamp) -> Duration {
        if self.is_slow(now) { self.dice.millis(100, 5_000) } else { self.dice.millis(0, 20) }
    }
}

impl World {
    pub(crate) fn start_replica(&mut self, number: usize) {
        let replica = &mut self.replicas[number];
        if replica.is_up {
            return;
        }
        replica.is_up = true;
        replica.life += 1;
        replica.id = replica.ids.hex();
        replica.seat.revive();
        replica.absorbed = replica.seat.view().revision;
        replica.announced = replica.absorbed;
        replica.woken = BTreeSet::from([ServiceWake::Everything]);
        let (life, name) = (replica.life, replica.name());
        self.note(name, || "starts".to_owned());
        self.transact(number, Author::Connection, decide::forgotten);
        self.push(self.now, Event::Janitor { replica: number, life });
        self.after(model::Replica::RENEWED_EVERY, Event::Renew { replica: number, life });
        self.schedule_turn(number, self.now);
    }

    pub(crate) fn replica_dies(&mut self, number: usize, down: Duration, doom: Option<Doom>) {
        let Some(replica) = self.replicas.get_mut(number).filter(|replica| replica.is_up) else { return };
        replica.down_after = down;
        match doom {
            None => self.crash(number),
            Some(doom) => replica.seat.doom(doom),
        }
    }

    fn crash(&mut self, number: usize) {
        let replica = &mut self.replicas[number];
        if !replica.is_up {
            return;
        }
        let name = replica.name();
        replica.is_up = false;
        replica.woken.clear();
        replica.agenda = Agenda::default();
        replica.indexes = Indexes::default();
        replica.turn.clear();
        replica.pending = None;
        replica.turn_at = None;
        replica.attended.clear();
        replica.telemetry.clear();
        let down = replica.down_after;
        self.note(name, || "dies".to_owned());
        let broken: Vec<u64> =
            self.wires.iter().filter(|(_, wire)| wire.replica == number).map(|(id, _)| *id).collect();
        for wire in broken {
            self.close_above(wire, code::ABNORMAL);
        }
        self.after(down, Event::ReplicaStarts { replica: number });
    }

    pub(crate) fn all_replicas_recover(&mut self) {
        for number in 0..self.replicas.len() {
            self.replicas[number].slow_until = self.now;
            self.replicas[number].seat.spare();
            self.replicas[number].down_after = Duration::from_millis(100);
            self.start_replica(number);
        }
    }

    /// Lets everybody hear what there is to hear, until nobody has anything to say.
    pub(crate) fn settle(&mut self) {
        loop {
            let mut moved = false;
            for number in 0..self.replicas.len() {
                if self.replicas[number].is_up && self.replicas[number].seat.is_dead() {
                    self.crash(number);
                    moved = true;
                }
                moved |= self.absorb(number);
            }
            if !moved {
                break;
            }
        }
        let latest = self.engine.revision();
        for number in 0..self.replicas.len() {
            let replica = &mut self.replicas[number];
            if replica.is_up && replica.seat.view().revision < latest && replica.announced < latest {
                replica.announced = latest;
                let wait = replica.lags(self.now);
                let life = replica.life;
                self.after(wait, Event::Follow { replica: number, life, revision: latest });
            }
        }
    }

    pub(crate) fn follow(&mut self, number: usize, life: u32, revision: Revision) {
        let replica = &self.replicas[number];
        if replica.is_up && replica.life == life {
            replica.seat.follow(revision);
        }
    }

    /// Wakes whom the changes concern that this replica has come to see. True when there were any.
    fn absorb(&mut self, number: usize) -> bool {
        let replica = &mut self.replicas[number];
        let seen = replica.seat.view().revision;
        if !replica.is_up || replica.absorbed >= seen {
            return false;
        }
        let mut looks: BTreeMap<String, BTreeSet<Look>> = BTreeMap::new();
        while replica.absorbed < seen {
            replica.absorbed = Revision(replica.absorbed.0 + 1);
            let (services, instances) = decide::concerned(&self.engine.at(replica.absorbed).touched);
            if self.sabotage != Some(Sabotage::Deaf) {
                replica.woken.extend(services);
            }
            for wake in instances {
                let (instance, look) = match wake {
                    InstanceWake::Task { instance, task } => (instance, Look::Task(task)),
                    InstanceWake::Instance(instance) => (instance, Look::Instance),
                    InstanceWake::Everything => continue,
                };
                looks.entry(instance).or_default().insert(look);
            }
        }
        for (instance, looks) in looks {
            self.attend(number, &instance, |attendant, view, now| attendant.looks(looks, view, now));
        }
        self.schedule_turn(number, self.now);
        true
    }

    fn schedule_turn(&mut self, number: usize, at: Timestamp) {
        let replica = &mut self.replicas[number];
        if replica.turn_at.is_some_and(|planned| planned <= at) {
            return;
        }
        replica.turn_at = Some(at);
        let life = replica.life;
        self.push(at, Event::Turn { replica: number, life });
    }

    /// One turn for one service, or the next wait.
    pub(crate) fn turn(&mut self, number: usize, life: u32) {
        let now = self.now;
        let replica = &mut self.replicas[number];
        if !replica.is_up || replica.life != life || replica.turn_at != Some(now) {
            return;
        }
        replica.turn_at = None;
        // The loop waits for its commit.
        if replica.pending.is_some() {
            return;
        }
        let view = replica.seat.view();
        if replica.turn.is_empty() {
            replica.turn = replica.agenda.turn(&view, std::mem::take(&mut replica.woken), now).into_iter().collect();
        }
        let Some(subject) = replica.turn.pop_front() else {
            if let Some(at) = replica.agenda.next() {
                self.schedule_turn(number, at.max(now));
            }
            return;
        };
        self.counts.turns += 1;
        let seen = crate::sabotage::view(self.sabotage, &view);
        let plan = decide::plan(&seen, &replica.indexes, &subject, now, &mut replica.ids);
        let name = subject.name();
        let plan = plan.map(|plan| crate::sabotage::plan(self.sabotage, plan, &view, name, now, &mut replica.ids));
        let due = plan.as_ref().and_then(|plan| plan.look_again);
        if let (Some(plan), Some(service)) = (&plan, view.services.get(name)) {
            self.examine_plan(&view, plan, service);
        }
        if let (Some(plan), Some(daemon)) = (&plan, view.daemons.get(name)) {
            self.examine_daemon_plan(&view, plan, daemon);
        }
        if let Err(what) = self.checks.turned(number, name, view.revision, due, now) {
            self.violate(Checker::Spins, what);
        }
        match plan {
            Some(plan) if !plan.changes.is_empty() => {
                if self.sabotage == Some(Sabotage::ToldTooEarly) {
                    self.tell_too_early(number, &plan.changes);
                }
                let replica = &mut self.replicas[number];
                replica.pending = Some((subject, plan));
                let wait = replica.thinks(now);
                self.after(wait, Event::Commit { replica: number, life });
            }
            plan => {
                self.replicas[number].agenda.put(&subject, plan.and_then(|plan| plan.look_again));
                self.schedule_turn(number, now);
            }
        }
    }

    pub(crate) fn commit(&mut self, number: usize, life: u32) {
        let replica = &mut self.replicas[number];
        if !replica.is_up || replica.life != life {
            return;
        }
        let Some((subject, plan)) = replica.pending.take() else { return };
        replica.seat.sign(Author::Service(subject.name().to_owned()));
        match replica.seat.commit_now(&plan.changes) {
            Ok(_) => replica.agenda.put(&subject, plan.look_again),
            Err(CommitError::Conflict) => {
                self.counts.conflicts += 1;
                replica.agenda.put(&subject, None);
                replica.woken.insert(subject.wake());
            }
            // It has died: nothing is left to be done.
            Err(CommitError::Unavailable(_)) => return,
        }
        self.schedule_turn(number, self.now);
    }

    pub(crate) fn renew(&mut self, number: usize, life: u32) {
        let (now, replica) = (self.now, &self.replicas[number]);
        if !replica.is_up || replica.life != life {
            return;
        }
        let id = replica.id.clone();
        self.transact(number, Author::Connection, |snapshot| decide::renewed(snapshot, &id, now));
        self.after(model::Replica::RENEWED_EVERY, Event::Renew { replica: number, life });
    }

    pub(crate) fn janitor(&mut self, number: usize, life: u32) {
        let replica = &mut self.replicas[number];
        if !replica.is_up || replica.life != life {
            return;
        }
        let mut plan = reconcilers::janitor::reconcile(&replica.seat.view(), &RETENTION, self.now);
        crate::sabotage::janitor(self.sabotage, &mut plan, &replica.seat.view());
        let next = plan.look_again.unwrap_or(self.now + reconcilers::janitor::EVERY);
        if !plan.changes.is_empty() {
            replica.seat.sign(Author::Janitor);
            // Another one was faster; the next turn sees what is left.
            let _ = replica.seat.commit_now(&plan.changes);
        }
        self.push(next.max(self.now + Duration::from_millis(1)), Event::Janitor { replica: number, life });
    }

    /// Decides and commits, again after a conflict, as the real ones do.
    fn transact(&mut self, number: usize, author: Author, decide: impl Fn(&Snapshot) -> Changes) {
        let seat = self.replicas[number].seat.clone();
        seat.sign(author);
        let decide = |snapshot: &Snapshot| -> Result<(Changes, ()), CommitError> { Ok((decide(snapshot), ())) };
        // An error is a replica that has died of it.
        let _ = transact(&*seat, decide).now_or_never().expect("a ledger in memory never waits");
    }

    /// An API request arrives.
    pub(crate) fn called(&mut self, number: usize, from: From, call: crate::call::Call) {
        if let Some(until) = self.unplugged_until(&from) {
            return self
                .push(until.max(self.now + CALL_TIMEOUT), Event::Answered { from, answer: Answer::Unavailable });
        }
        let replica = &self.replicas[number];
        if !replica.is_up {
            return self.after(Duration::from_millis(5), Event::Answered { from, answer: Answer::Unavailable });
        }
        replica.seat.sign(Author::Call(call.operation()));
        crate::sabotage::called(self.sabotage, &self.engine, &call);
        let answer = call.run(&replica.ecs, &self.caller);
        if from == From::Echo {
            return;
        }
        let (lost, wait) = (self.is_lossy() && self.dice.chance(20), self.dice.millis(0, 10));
        match lost || replica_died(&self.replicas[number]) {
            true => self.after(CALL_TIMEOUT, Event::Answered { from, answer: Answer::Unavailable }),
            false => self.after(wait, Event::Answered { from, answer }),
        }
    }

    /// An agent's websocket upgrade arrives.
    pub(crate) fn upgrade(&mut self, id: u64) {
        let Some(wire) = self.wires.get(&id) else { return };
        let (number, node) = (wire.replica, wire.node);
        if self.is_unplugged(node) {
            return self.close_above(id, code::POLICY);
        }
        let replica = &self.replicas[number];
        if !replica.is_up {
            return self.close_above(id, code::POLICY);
        }
        let life = replica.life;
        let arn = self.nodes[node].arn().unwrap_or_default();
        let view = replica.seat.view();
        let admitted = decide::admit(&view, ("123456789012", "us-east-1"), "default", &arn);
        let name = match admitted {
            Ok(name) => name,
            Err(UpgradeRefusal::InactiveInstance(_)) => return self.refused_as_inactive(id),
            Err(_) => return self.close_above(id, code::POLICY),
        };
        let arrival = Arrival {
            connection: format!("connection-{id}"),
            send_credentials: false,
            version: model::container_instance::VersionInfo::default(),
            endpoint: "http://127.0.0.1:4566".to_owned(),
        };
        let wire = self.wires.get_mut(&id).expect("it was there just now");
        (wire.replica_life, wire.open_above) = (life, true);
        wire.instance.clone_from(&name);
        if wire.channel == Channel::Tcs {
            if let Some(old) = self.replicas[number].telemetry.insert(name, id) {
                self.close_above(old, code::POLICY);
            }
            return self.welcome(id);
        }
        let fresh = || Attended { attendant: Attendant::new(name.clone()), wire: None, tick_at: None };
        let attended = self.replicas[number].attended.entry(name.clone()).or_insert_with(fresh);
        let old = attended.wire.replace(id);
        if let Some(old) = old {
            self.close_above(old, code::POLICY);
        }
        self.welcome(id);
        self.attend(number, &name, |attendant, view, now| attendant.connected(arrival, view, now).unwrap_or_default());
    }

    pub(crate) fn message_up(&mut self, id: u64, message: FromAgent) {
        let Some(wire) = self.wires.get(&id).filter(|wire| wire.open_above) else { return };
        let (number, node, instance) = (wire.replica, wire.node, wire.instance.clone());
        if let Some(until) = self.nodes[node].unplugged_until(self.now) {
            return self.push(until, Event::Up { wire: id, message });
        }
        self.attend(number, &instance, |attendant, view, now| attendant.received(message, view, now));
    }

    pub(crate) fn health(&mut self, id: u64, message: Option<&agent_api::tcs::FromAgent>) {
        let Some(wire) = self.wires.get(&id).filter(|wire| wire.open_above) else { return };
        let (number, node, instance) = (wire.replica, wire.node, wire.instance.clone());
        // Health comes again in a while.
        if self.is_unplugged(node) {
            return;
        }
        let takes = self.nodes[node].crosses(self.now, &mut self.dice);
        self.after(takes, Event::Acknowledged { wire: id });
        let Some(message) = message else { return };
        match message {
            agent_api::tcs::FromAgent::PublishHealth(health) => {
                self.transact(number, Author::Connection, |snapshot| decide::health(snapshot, &instance, health));
            }
            agent_api::tcs::FromAgent::PublishInstanceStatus(status) => {
                self.transact(number, Author::Connection, |snapshot| decide::status(snapshot, &instance, status));
            }
            agent_api::tcs::FromAgent::PublishMetrics(_) => {}
        }
    }

    /// The replica learns that a connection is gone.
    pub(crate) fn gone_below(&mut self, id: u64) {
        let Some(wire) = self.wires.get_mut(&id).filter(|wire| wire.open_above) else { return };
        wire.open_above = false;
        let (number, instance) = (wire.replica, wire.instance.clone());
        if wire.channel == Channel::Tcs {
            self.replicas[number].telemetry.retain(|_, known| *known != id);
            return;
        }
        if let Some(attended) = self.replicas[number].attended.get_mut(&instance)
            && attended.wire == Some(id)
        {
            attended.wire = None;
            self.attend(number, &instance, |attendant, view, now| attendant.gone(view, now));
        }
    }

    pub(crate) fn tick(&mut self, number: usize, life: u32, instance: &str) {
        let replica = &mut self.replicas[number];
        if !replica.is_up || replica.life != life {
            return;
        }
        let Some(attended) = replica.attended.get_mut(instance) else { return };
        if attended.tick_at == Some(self.now) {
            attended.tick_at = None;
            self.attend(number, instance, |attendant, view, now| attendant.tick(view, now));
        }
    }

    /// Lets an attendant act, and does what it says.
    fn attend(
        &mut self,
        number: usize,
        instance: &str,
        act: impl FnOnce(&mut Attendant, &Snapshot, Timestamp) -> Vec<Effect>,
    ) {
        let now = self.now;
        let replica = &mut self.replicas[number];
        let life = replica.life;
        let Some(attended) = replica.attended.get_mut(instance) else { return };
        let effects = act(&mut attended.attendant, &replica.seat.view(), now);
        let wire = attended.wire;
        let tick_at = attended.attendant.next().map(|at| at.max(now));
        if let Some(at) = tick_at.filter(|at| attended.tick_at != Some(*at)) {
            attended.tick_at = Some(at);
            self.push(at, Event::Tick { replica: number, life, instance: instance.to_owned() });
        }
        for effect in effects {
            match effect {
                Effect::Send(message) => {
                    if let Some(wire) = wire {
                        self.send_down(wire, message);
                    }
                }
                Effect::Close { code, .. } => {
                    if let Some(attended) = self.replicas[number].attended.get_mut(instance)
                        && let Some(wire) = attended.wire.take()
                    {
                        self.close_above(wire, code);
                    }
                }
                Effect::RecordConnected(version) => {
                    let (id, now) = (self.replicas[number].id.clone(), self.now);
                    self.transact(number, Author::Connection, |snapshot| {
                        decide::connected(snapshot, instance, &version, &id, now)
                    });
                }
                // Nobody here pulls in advance.
                Effect::RecordPrepullFailure(_) => {}
                Effect::RecordDisconnected => {
                    let id = self.replicas[number].id.clone();
                    self.transact(number, Author::Connection, |snapshot| decide::disconnected(snapshot, instance, &id));
                }
            }
        }
        let attended = &mut self.replicas[number].attended;
        if attended.get(instance).is_some_and(|one| one.attendant.is_deregistered()) {
            attended.remove(instance);
        }
    }

    fn send_down(&mut self, id: u64, message: Box<ToAgent>) {
        let Some(wire) = self.wires.get_mut(&id) else { return };
        let takes = self.nodes[wire.node].crosses(self.now, &mut self.dice);
        wire.arrives_below = wire.arrives_below.max(self.now + takes);
        let at = wire.arrives_below;
        self.push(at, Event::Down { wire: id, message });
    }

    /// The replica's end closes; the agent hears it when it can.
    pub(crate) fn close_above(&mut self, id: u64, code: u16) {
        let Some(wire) = self.wires.get_mut(&id) else { return };
        wire.open_above = false;
        wire.arrives_below = wire.arrives_below.max(self.now + self.dice.millis(0, 5));
        let at = wire.arrives_below;
        self.push(at, Event::GoneAbove { wire: id, code });
    }

    /// A bug: agents hear of placements that are no more than a plan.
    fn tell_too_early(&mut self, number: usize, changes: &Changes) {
        let view = self.replicas[number].seat.view();
        let Ok(early) = view.with(changes, view.revision) else { return };
        for op in changes.ops() {
            let Some(name) = op.key().strip_prefix("task/") else { continue };
            let Some(task) = early.tasks.get(name) else { continue };
            let instance = format!("{}/{}/{}", task.scope, task.cluster, task.container_instance);
            self.attend(number, &instance, |attendant, _, now| {
                attendant.look(Look::Task(name.to_owned()), &early, now)
            });
        }
    }
}

fn replica_died(replica: &Replica) -> bool {
    replica.seat.is_dead()
}
