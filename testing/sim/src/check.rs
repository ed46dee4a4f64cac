//! What must be true, whatever happens. Most of it is looked at in each commit, for the records that it touched; the rest every few
//! simulated seconds, and at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use model::capacity_provider::GROUP_ATTRIBUTE;
use model::{
    ContainerInstance, ContainerInstanceStatus, DeploymentController, HealthStatus, RolloutState, Service,
    ServiceDeploymentStatus, ServiceStatus, StabilityStatus, Task, TaskSet, TaskSetStatus, TaskStatus,
};
use state::{Record, Revision, Snapshot, Touched};
use stdx::Timestamp;

use crate::engine::{Author, Batch};
use crate::node::{Node, Run, short};
use crate::world::World;

/// The names of what is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Checker {
    /// A service has more tasks than its maximum percent allows.
    AboveMaximum,
    /// The scheduler itself brought a service below its minimum healthy percent.
    BelowMinimum,
    /// Tasks hold more of an instance than it has.
    Overcommitted,
    /// Two tasks hold the same port of an instance.
    PortTwice,
    /// A record and its agent do not know of the same task.
    Lost,
    /// A container runs that should not, or runs twice.
    Doubled,
    /// A status went back, or a record that was final has changed.
    Backwards,
    /// Something was decided, and nobody says why.
    WithoutReason,
    /// Somebody decides again and again, and nothing has changed.
    Spins,
    /// What is wanted is not there in time.
    NotReached,
    /// Everything is as wanted, and still changes.
    Restless,
    /// The scheduler stopped a task that somebody protects.
    Protected,
    /// An instance has two tasks of one daemon.
    Twice,
    /// A task is where its capacity provider is not.
    Elsewhere,
    /// A deployment goes on that has failed, or that was to stop.
    GoesOn,
    /// An agent counts as connected that is not there.
    Absent,
}

/// The first thing that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub at: Duration,
    pub checker: Checker,
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {:.3} s: {}", self.checker, self.at.as_secs_f64(), self.what)
    }
}

/// How long after the last fault everything must be as it is wanted. The longest wait of a service that kept failing is 27 minutes.
const REACHED_WITHIN: Duration = Duration::from_secs(40 * 60);
/// How long everything must stay as it is, once it is as wanted.
const AT_REST: Duration = Duration::from_secs(90);
/// How long a service may lack tasks without a word.
const WORDLESS: Duration = Duration::from_secs(60);
/// How long a task is remembered at least.
const REMEMBERED: Duration = Duration::from_secs(45 * 60);
/// How long a record and a connected agent may disagree. A report that failed often waits for up to ten minutes.
const DISAGREE: Duration = Duration::from_secs(15 * 60);
/// How long a lost agent may count as connected: until its replica misses it, or is missed itself.
const ABSENT: Duration = Duration::from_secs(5 * 60);
/// Turns of one service at one revision within one second, when no time that it named has come.
const TURNS_MAX: u32 = 20;
/// The same, when such a time has come: tasks that started together prove themselves one after the other.
const TIMED_TURNS_MAX: u32 = 200;
/// Commits of a service's own turns within ten seconds, beyond three for each change from outside.
const OWN_COMMITS_MAX: u32 = 40;

#[derive(Default)]
pub struct Checks {
    /// Up to where the commits were looked at.
    examined: u64,
    numbers: u64,
    turns: BTreeMap<(usize, String), Turns>,
    /// For each service: where a window of ten seconds began, own commits and others' since then.
    commits: BTreeMap<String, (Timestamp, u32, u32)>,
    /// Since when a service lacks tasks and says nothing.
    wordless: BTreeMap<String, Timestamp>,
    /// Since when a task's record and its agent disagree.
    disagree: BTreeMap<String, Timestamp>,
    /// Tasks whose start was answered to a client.
    acknowledged: BTreeSet<String>,
    /// The service deployments that have ended, and how.
    ended: BTreeMap<String, ServiceDeploymentStatus>,
    /// Since when an agent is away whose record says that it is connected.
    absent: BTreeMap<String, Timestamp>,
    /// Since when a deployment should go on no more.
    goes_on: BTreeMap<String, Timestamp>,
    started: BTreeSet<Run>,
    reached_at: Option<Timestamp>,
    changed_at: Timestamp,
}

struct Turns {
    revision: Revision,
    since: Timestamp,
    count: u32,
    /// Of those at a time that the turn before had named.
    timed: u32,
    due: Option<Timestamp>,
}

impl Checks {
    pub fn fresh_number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    pub fn acknowledged(&mut self, tasks: &[String]) {
        self.acknowledged.extend(tasks.iter().cloned());
    }

    /// A turn was taken. Many of them at one revision within a second lead nowhere.
    pub fn turned(
        &mut self,
        replica: usize,
        service: &str,
        revision: Revision,
        look_again: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), String> {
        let fresh = Turns { revision, since: now, count: 0, timed: 0, due: None };
        let turns = self.turns.entry((replica, service.to_owned())).or_insert(fresh);
        if turns.revision != revision || now.since(turns.since) > Duration::from_secs(1) {
            *turns = Turns { due: turns.due, ..Turns { revision, since: now, count: 0, timed: 0, due: None } };
        }
        // A time that was named, and not the moment itself, has come.
        let is_due = turns.due.is_some_and(|due| due <= now);
        *(if is_due { &mut turns.timed } else { &mut turns.count }) += 1;
        turns.due = look_again.filter(|at| *at > now);
        match turns.count > TURNS_MAX || turns.timed > TIMED_TURNS_MAX {
            true => Err(format!(
                "{service} has had {} turns within a second and looks again at {look_again:?}",
                turns.count + turns.timed
            )),
            false => Ok(()),
        }
    }

    /// A container is about to run.
    pub fn process_starts(&mut self, snapshot: &Snapshot, node: &Node, run: &Run) -> Result<(), String> {
        let (arn, container, number) = run;
        let place = node.name();
        let known = task_of(snapshot, arn);
        let instance = node.arn().unwrap_or_default();
        match known {
            None => return Err(format!("{place} runs {} which has no record", short(arn))),
            Some(task) if task.container_instance_arn().to_string() != instance => {
                return Err(format!("{place} runs {} which is placed elsewhere", short(arn)));
            }
            Some(_) => {}
        }
        if !self.started.insert(run.clone()) {
            return Err(format!("{place} runs {container} of {} a second time (run {number})", short(arn)));
        }
        let family = |arn: &str| node.tasks.get(arn).map(|task| task.plan.payload.family.as_str());
        let edge = crate::kind::Kind::Edge.family();
        if family(arn) == Some(edge) {
            let mut running = node.processes.iter().filter(|(_, process)| process.ended.is_none());
            // What was given up while its machine was away runs until its agent has heard of it.
            let lives = |other: &str| task_of(snapshot, other).is_some_and(|task| task.is_live());
            let holds = |other: &str| family(other) == Some(edge) && lives(other);
            if let Some(((other, ..), _)) = running.find(|((other, ..), _)| holds(other)) {
                return Err(format!("{place} runs {} while {} still has its port", short(arn), short(other)));
            }
        }
        Ok(())
    }
}

fn task_of<'a>(snapshot: &'a Snapshot, arn: &str) -> Option<&'a Task> {
    let arn: model::TaskArn = arn.parse().ok()?;
    snapshot.tasks.get(&format!("{}/{}/{}", arn.scope, arn.cluster, arn.id)).map(|task| &**task)
}

impl World {
    /// Looks at every commit since the last time.
    pub(crate) fn examine(&mut self) {
        let latest = self.engine.revision().0;
        while self.checks.examined < latest {
            let before = self.engine.at(Revision(self.checks.examined));
            self.checks.examined += 1;
            let after = self.engine.at(Revision(self.checks.examined));
            self.tell(&before.snapshot, &after);
            if let Err((checker, what)) = self.look_at(&before.snapshot, &after) {
                self.violate(checker, what);
            }
        }
        let seen = self.replicas.iter().filter(|replica| replica.is_up).map(|replica| replica.seat.view().revision.0);
        let needed = seen.min().unwrap_or(latest).min(self.checks.examined);
        self.engine.forget_before(Revision(needed.saturating_sub(1)));
    }

    fn look_at(&mut self, before: &Snapshot, batch: &Batch) -> Result<(), (Checker, String)> {
        let after = &*batch.snapshot;
        let (mut services, mut instances) = (BTreeSet::new(), BTreeSet::new());
        for touched in &batch.touched {
            match touched {
                Touched::Task(task) => {
                    let name = task.name();
                    let (was, is) = (before.tasks.get(&name), after.tasks.get(&name));
                    forward(was.map(|task| &**task), is.map(|task| &**task))
                        .map_err(|what| (Checker::Backwards, what))?;
                    if let Some(task) = is {
                        reason(task).map_err(|what| (Checker::WithoutReason, what))?;
                        self.counts.tasks_started += u64::from(was.is_none());
                        if matches!(&batch.author, Author::Service(_)) {
                            spared(before, was.map(|task| &**task), task, self.now)
                                .map_err(|what| (Checker::Protected, what))?;
                            offered(after, was.map(|task| &**task), task).map_err(|what| (Checker::Elsewhere, what))?;
                        }
                    }
                    services.extend(task.service().map(|name| format!("{}/{}/{name}", task.scope, task.cluster)));
                    instances.insert(format!("{}/{}/{}", task.scope, task.cluster, task.container_instance));
                }
                Touched::Service(service) => drop(services.insert(Service::name(service))),
                Touched::ContainerInstance(instance) => {
                    // A machine that was not welcome joins anew, and daemons have something to do again.
                    if before.container_instances.get(&instance.name()).is_none() {
                        self.checks.reached_at = None;
                    }
                    instances.insert(instance.name());
                }
                Touched::Cluster | Touched::TaskDefinition | Touched::Daemon(_) | Touched::Bookkeeping => {}
            }
        }
        for name in &services {
            if let Some(service) = after.services.get(name) {
                maximum(before, after, service).map_err(|what| (Checker::AboveMaximum, what))?;
                one_each(before, after, service).map_err(|what| (Checker::Twice, what))?;
                if matches!(&batch.author, Author::Service(_)) {
                    minimum(before, after, service).map_err(|what| (Checker::BelowMinimum, what))?;
                }
            }
            self.count_commit(name, &batch.author)?;
        }
        for instance in instances.iter().filter_map(|name| after.container_instances.get(name)) {
            resources(after, instance)?;
        }
        let about = |touched: &Touched| matches!(touched, Touched::Task(_) | Touched::Service(_));
        if batch.author != Author::Janitor && batch.touched.iter().any(about) {
            self.checks.changed_at = self.now;
        }
        Ok(())
    }

    fn count_commit(&mut self, service: &str, author: &Author) -> Result<(), (Checker, String)> {
        let now = self.now;
        let window = self.checks.commits.entry(service.to_owned()).or_insert((now, 0, 0));
        if now.since(window.0) > Duration::from_secs(10) {
            *window = (now, 0, 0);
        }
        match author {
            Author::Service(_) => window.1 += 1,
            _ => window.2 += 1,
        }
        let (_, own, others) = *window;
        match own > OWN_COMMITS_MAX + 3 * others {
            true => {
                Err((Checker::Spins, format!("the turns of {service} have written {own} times within ten seconds")))
            }
            false => Ok(()),
        }
    }

    /// Looks at everything, now and then.
    pub(crate) fn sample(&mut self) {
        let snapshot = self.engine.snapshot();
        if let Err((checker, what)) = self.look_around(&snapshot) {
            return self.violate(checker, what);
        }
        let Some(calm_since) = self.calm_since else { return };
        match self.wanted(&snapshot) {
            Err(what) => {
                self.checks.reached_at = None;
                if self.now.since(calm_since) > REACHED_WITHIN {
                    self.violate(crate::Checker::NotReached, what);
                }
            }
            Ok(()) => {
                let reached_at = *self.checks.reached_at.get_or_insert(self.now);
                if self.checks.changed_at > reached_at {
                    let what = "services and tasks are as wanted, and somebody writes them".to_owned();
                    self.violate(crate::Checker::Restless, what);
                } else if self.now.since(reached_at) > AT_REST {
                    self.note("checker", || "everything is as wanted, and at rest".to_owned());
                    self.finish();
                }
            }
        }
    }

    fn look_around(&mut self, snapshot: &Snapshot) -> Result<(), (Checker, String)> {
        for arn in &self.checks.acknowledged {
            if task_of(snapshot, arn).is_none() && self.now.since(crate::world::START) < REMEMBERED {
                return Err((Checker::Lost, format!("{} was answered to a client and has no record", short(arn))));
            }
        }
        self.words(snapshot)?;
        self.deployments(snapshot)?;
        self.presence(snapshot)?;
        self.agreement(snapshot)
    }

    /// While any replica is there, a lost agent is not connected for long.
    fn presence(&mut self, snapshot: &Snapshot) -> Result<(), (Checker, String)> {
        let now = self.now;
        let mut absent = BTreeMap::new();
        let anybody = self.replicas.iter().any(|replica| replica.is_up && replica.slow_until < now);
        for node in self.nodes.iter().filter(|node| anybody && node.wire.is_none()) {
            let Some(arn) = node.arn() else { continue };
            let place = arn.rsplit('/').next().unwrap_or_default();
            let mut instances = snapshot.container_instances.iter();
            if !instances.any(|instance| instance.id == place && instance.agent_connected) {
                continue;
            }
            let since = self.checks.absent.get(&arn).copied().unwrap_or(now);
            if now.since(since) > ABSENT {
                let what = format!("{} is away since {:?}, and counts as connected", node.name(), now.since(since));
                return Err((Checker::Absent, what));
            }
            absent.insert(arn, since);
        }
        self.checks.absent = absent;
        Ok(())
    }

    /// What has ended stays so, what has failed or was stopped goes on no more, and what a deployment needs is there.
    fn deployments(&mut self, snapshot: &Snapshot) -> Result<(), (Checker, String)> {
        for record in snapshot.service_deployments.iter().filter(|record| !record.status.is_ongoing()) {
            let known = *self.checks.ended.entry(record.name()).or_insert(record.status);
            if known != record.status {
                let what = format!("a deployment of {} was {known:?} and is {:?}", record.service, record.status);
                return Err((Checker::Backwards, what));
            }
        }
        let now = self.now;
        let all_there = self.replicas.iter().all(|replica| replica.is_up && replica.slow_until < now);
        for service in snapshot.services.iter().filter(|service| service.status == ServiceStatus::Active) {
            let wanted = service.deployments.iter().map(|one| (&one.family, one.revision));
            let before = service.last_completed.iter().map(|one| (&one.family, one.revision));
            for (family, revision) in wanted.chain(before) {
                if snapshot.task_definitions.get(&format!("{}/{family}/{revision:010}", service.scope)).is_none() {
                    let what = format!("{} needs {family}:{revision}, which is deleted", service.name);
                    return Err((Checker::Lost, what));
                }
            }
            let Some(primary) = service.primary() else { continue };
            let key = format!("{}/{}", service.name(), primary.id);
            if !all_there || !should_have_ended(snapshot, service) {
                self.checks.goes_on.remove(&key);
                continue;
            }
            let since = *self.checks.goes_on.entry(key).or_insert(now);
            if now.since(since) > WORDLESS {
                let what = format!("the newest deployment of {} has failed or was stopped, and goes on", service.name);
                return Err((Checker::GoesOn, what));
            }
        }
        Ok(())
    }

    /// A service that lacks tasks, with nothing on its way, has said why.
    fn words(&mut self, snapshot: &Snapshot) -> Result<(), (Checker, String)> {
        let now = self.now;
        let all_there = self.replicas.iter().all(|replica| replica.is_up && replica.slow_until < now);
        for service in snapshot.services.iter() {
            let name = service.name();
            if !all_there || !lacks(snapshot, service) || says_why(service, now) {
                self.checks.wordless.remove(&name);
                continue;
            }
            let since = *self.checks.wordless.entry(name.clone()).or_insert(now);
            if now.since(since) > WORDLESS {
                let what =
                    format!("{} lacks tasks, nothing is on its way, and its events do not say why", service.name);
                return Err((Checker::WithoutReason, what));
            }
        }
        Ok(())
    }

    /// What the records say of a connected agent's tasks is what the agent says.
    fn agreement(&mut self, snapshot: &Snapshot) -> Result<(), (Checker, String)> {
        let now = self.now;
        let mut disagree = BTreeMap::new();
        for node in &self.nodes {
            let patient = node.connected_since.is_some_and(|since| now.since(since) > Duration::from_secs(60));
            if !patient || node.unplugged_until(now).is_some() {
                continue;
            }
            for arn in disagreements(snapshot, node) {
                let since = self.checks.disagree.get(&arn).copied().unwrap_or(now);
                if now.since(since) > DISAGREE {
                    let what = format!(
                        "{} and the record of {} disagree since {:?}",
                        node.name(),
                        short(&arn),
                        now.since(since)
                    );
                    return Err((Checker::Lost, what));
                }
                disagree.insert(arn, since);
            }
        }
        self.checks.disagree = disagree;
        Ok(())
    }

    /// What is still missing.
    fn wanted(&self, snapshot: &Snapshot) -> Result<(), String> {
        for service in snapshot.services.iter() {
            as_wanted(snapshot, service)?;
        }
        if let Some(task) =
            snapshot.tasks.iter().find(|task| task.is_live() && task.desired_status == TaskStatus::Stopped)
        {
            return Err(format!("{} was asked to stop and has not", short(&task.id)));
        }
        let is_on_its_way = |task: &&std::sync::Arc<Task>| {
            let ends = crate::kind::Kind::of(&task.family).is_some_and(|kind| !kind.works());
            task.is_live() && (ends || task.last_status != TaskStatus::Running)
        };
        if let Some(task) = snapshot.tasks.iter().find(is_on_its_way) {
            return Err(format!("{} is still {}", short(&task.id), task.last_status.as_str()));
        }
        for node in self.nodes.iter().filter(|node| !node.is_burnt) {
            if node.arn().is_none() {
                return Err(format!("{} has not joined yet", node.name()));
            }
            if let Some(arn) = disagreements(snapshot, node).first() {
                return Err(format!("{} and the record of {} disagree", node.name(), short(arn)));
            }
            if node.has_mail() {
                return Err(format!("{} has something to report", node.name()));
            }
        }
        for replica in &self.replicas {
            if let Some(arn) = replica.outstanding().next() {
                return Err(format!("{} still waits for the agent of {}", replica.name(), short(arn)));
            }
            if !replica.is_idle(self.now) {
                return Err(format!("{} has something to decide", replica.name()));
            }
        }
        match self.client.is_idle() {
            true => Ok(()),
            false => Err("a client waits for an answer".to_owned()),
        }
    }

    /// Writes a commit into the history.
    fn tell(&mut self, before: &Snapshot, batch: &Batch) {
        if !self.history.is_kept() {
            return;
        }
        let after = &batch.snapshot;
        let mut lines = Vec::new();
        for touched in &batch.touched {
            match touched {
                Touched::Task(task) => {
                    let name = task.name();
                    lines.extend(self.told_task(
                        before.tasks.get(&name).map(|one| &**one),
                        after.tasks.get(&name).map(|one| &**one),
                    ));
                }
                Touched::Service(service) => {
                    let name = Service::name(service);
                    let old = before.services.get(&name).map_or(0, |old| old.events.len());
                    let Some(service) = after.services.get(&name) else { continue };
                    let known =
                        before.services.get(&name).and_then(|old| old.events.first()).map(|event| event.id.clone());
                    let new = service.events.iter().take_while(|event| Some(&event.id) != known.as_ref());
                    let mut new: Vec<String> = new.map(|event| format!("event: {}", event.message)).collect();
                    new.reverse();
                    lines.extend(new);
                    let _ = old;
                }
                Touched::ContainerInstance(instance) => {
                    let name = instance.name();
                    let (was, is) = (before.container_instances.get(&name), after.container_instances.get(&name));
                    if let (Some(was), Some(is)) = (was, is)
                        && (was.status, was.agent_connected) != (is.status, is.agent_connected)
                    {
                        let connected = if is.agent_connected { "connected" } else { "not connected" };
                        lines.push(format!("instance {} is {}, {connected}", short(&is.id), is.status.as_str()));
                    }
                }
                Touched::Cluster | Touched::TaskDefinition | Touched::Daemon(_) | Touched::Bookkeeping => {}
            }
        }
        let author = batch.author.to_string();
        for line in lines {
            self.note(author.clone(), || line);
        }
    }

    fn told_task(&self, was: Option<&Task>, is: Option<&Task>) -> Option<String> {
        let Some(is) = is else { return was.map(|was| format!("{} is forgotten", short(&was.id))) };
        let id = short(&is.id);
        let Some(was) = was else {
            let place = is.container_instance_arn().to_string();
            let node = self.nodes.iter().find(|node| node.arn().as_deref() == Some(&place));
            let node = node.map_or_else(|| short(&is.container_instance).to_owned(), |node| node.name());
            return Some(format!("{id} of {}, {}:{} is placed on {node}", is.group, is.family, is.revision));
        };
        if was.last_status != is.last_status {
            let why = if is.is_live() { String::new() } else { format!(": {:?}: {}", is.stop_code, is.stopped_reason) };
            return Some(format!("{id} is {}{why}", is.last_status.as_str()));
        }
        if was.desired_status != is.desired_status {
            return Some(format!("{id} is asked to stop: {}", is.stopped_reason));
        }
        (was.health != is.health).then(|| format!("{id} is {}", is.health.as_str()))
    }
}

fn forward(was: Option<&Task>, is: Option<&Task>) -> Result<(), String> {
    match (was, is) {
        (Some(was), None) if was.is_live() => Err(format!("the record of {} is gone while it lives", short(&was.id))),
        (Some(was), Some(is)) => {
            let id = short(&is.id);
            if is.last_status < was.last_status {
                return Err(format!("{id} goes from {} to {}", was.last_status.as_str(), is.last_status.as_str()));
            }
            if is.desired_status < was.desired_status {
                return Err(format!("{id} was asked to stop and shall run again"));
            }
            if !was.is_live() && was != is {
                return Err(format!("{id} has stopped, and its record changes"));
            }
            if is.container_instance != was.container_instance || is.reserved != was.reserved {
                return Err(format!("{id} has moved"));
            }
            let back = was.containers.iter().zip(&is.containers).find(|(was, is)| is.last_status < was.last_status);
            back.map_or(Ok(()), |(container, _)| Err(format!("container {} of {id} goes back", container.name)))
        }
        (None, Some(is)) if !is.is_live() => Err(format!("{} begins as stopped", short(&is.id))),
        _ => Ok(()),
    }
}

fn reason(task: &Task) -> Result<(), String> {
    let says = task.stop_code.is_some() && !task.stopped_reason.is_empty();
    match task.desired_status == TaskStatus::Stopped && !says {
        true => Err(format!("{} is to stop, and nobody says why", short(&task.id))),
        false => Ok(()),
    }
}

/// All that have not stopped and can still be reached.
fn live<'a>(snapshot: &'a Snapshot, service: &Service) -> impl Iterator<Item = &'a Task> {
    let is_there = |task: &&std::sync::Arc<Task>| {
        let name = format!("{}/{}/{}", task.scope, task.cluster, task.container_instance);
        let instance = snapshot.container_instances.get(&name);
        instance.is_some_and(|instance| instance.status != ContainerInstanceStatus::Inactive)
    };
    snapshot.tasks.by("service", &service.name()).filter(is_there).map(|task| &**task)
}

/// True for a deployment that was to stop, or whose tasks cannot even start and are enough for its circuit breaker.
fn should_have_ended(snapshot: &Snapshot, service: &Service) -> bool {
    let Some(primary) = service.primary().filter(|one| one.rollout_state == RolloutState::InProgress) else {
        return false;
    };
    let breaks = service.deployment_configuration.circuit_breaker.is_some_and(|breaker| breaker.enable);
    let is_hopeless = primary.family == crate::kind::Kind::Broken.family() && !primary.is_rollback();
    let enough = || {
        let threshold = model::service::CircuitBreaker::threshold(service.desired_count) as usize;
        reconcilers::service::failed_tasks(snapshot, service, primary) >= threshold
    };
    primary.stop_requested.is_some() || breaks && is_hopeless && enough()
}

/// The scheduler lets alone what is protected and works, unless its service or its task set is deleted.
fn spared(before: &Snapshot, was: Option<&Task>, is: &Task, now: Timestamp) -> Result<(), String> {
    let Some(was) = was.filter(|was| was.desired_status == TaskStatus::Running) else { return Ok(()) };
    let stays = was.last_status == TaskStatus::Running
        && was.health != HealthStatus::Unhealthy
        && was.protection(now).is_some();
    let name = was.service().map(|name| format!("{}/{}/{name}", was.scope, was.cluster)).unwrap_or_default();
    let service = before.services.get(&name).filter(|service| service.status == ServiceStatus::Active);
    let goes = service.is_none_or(|service| {
        service.task_sets.iter().any(|set| set.id == was.started_by && set.status == TaskSetStatus::Draining)
    });
    match stays && !goes && is.desired_status == TaskStatus::Stopped {
        true => Err(format!("{} is protected, and its scheduler stops it: {}", short(&is.id), is.stopped_reason)),
        false => Ok(()),
    }
}

/// A task of a service with capacity providers is on an instance of the one that it names.
fn offered(after: &Snapshot, was: Option<&Task>, task: &Task) -> Result<(), String> {
    if was.is_some() {
        return Ok(());
    }
    let name = task.service().map(|name| format!("{}/{}/{name}", task.scope, task.cluster)).unwrap_or_default();
    let Some(service) = after.services.get(&name) else { return Ok(()) };
    let strategy = &service.capacity_provider_strategy;
    let place = format!("{}/{}/{}", task.scope, task.cluster, task.container_instance);
    let group = after.container_instances.get(&place).and_then(|one| one.attribute(GROUP_ATTRIBUTE));
    let is_named = strategy.iter().any(|item| Some(&item.capacity_provider) == task.capacity_provider.as_ref());
    match strategy.is_empty() || is_named && group == task.capacity_provider.as_deref() {
        true => Ok(()),
        false => Err(format!(
            "{} of {} is of the provider {:?}, on an instance of {group:?}",
            short(&task.id),
            service.name,
            task.capacity_provider
        )),
    }
}

/// Whoever starts a daemon's task starts it where none of the same deployment is, and none at all where the old one goes first.
fn one_each(before: &Snapshot, after: &Snapshot, service: &Service) -> Result<(), String> {
    if !service.is_daemon() {
        return Ok(());
    }
    let beside = service.deployment_configuration.maximum_percent > 100;
    for new in live(after, service).filter(|task| before.tasks.get(&task.name()).is_none()) {
        let mut others =
            live(after, service).filter(|task| task.id != new.id && task.container_instance == new.container_instance);
        let other = others
            .find(|task| !beside || task.started_by == new.started_by && task.desired_status == TaskStatus::Running);
        if let Some(other) = other {
            let (one, two) = (short(&new.id), short(&other.id));
            return Err(format!("{} starts {one} on an instance that has {two}", service.name));
        }
    }
    Ok(())
}

/// Whoever starts a task leaves no more of them than the maximum. What is stopping still counts.
fn maximum(before: &Snapshot, after: &Snapshot, service: &Service) -> Result<(), String> {
    let bounds = &service.deployment_configuration;
    if has_colours(before, service) {
        return Ok(());
    }
    for part in parts(service) {
        let counts = |snapshot| live(snapshot, service).filter(|task| part.has(task)).count();
        let (had, has) = (counts(before), counts(after));
        let maximum = bounds.tasks_max(part.desired).max(if part.is_bound { 0 } else { part.desired }) as usize;
        if has > had && has > maximum {
            return Err(format!("{} has {has} tasks after {had}, and {maximum} is the maximum", service.name));
        }
    }
    Ok(())
}

/// The scheduler's own stops leave as many working tasks as the minimum, unless there were fewer before.
fn minimum(before: &Snapshot, after: &Snapshot, service: &Service) -> Result<(), String> {
    let works = |task: &&Task| {
        task.desired_status == TaskStatus::Running
            && task.last_status == TaskStatus::Running
            && task.health != HealthStatus::Unhealthy
    };
    if has_colours(before, service) {
        return one_colour_is_whole(before, after, service, works);
    }
    for part in parts(service) {
        let working = |snapshot| live(snapshot, service).filter(|task| part.has(task)).filter(works).count();
        let minimum = service.deployment_configuration.tasks_min(part.desired).min(part.desired) as usize;
        let (had, has) = (working(before), working(after));
        if has < had && has < minimum {
            return Err(format!("{} has {has} working tasks after {had}, and {minimum} is the minimum", service.name));
        }
    }
    Ok(())
}

/// Its newest deployment grows up beside the one that serves, or has until now.
fn has_colours(before: &Snapshot, service: &Service) -> bool {
    let was = before.services.get(&service.name());
    let stage = |service: &Service| service.primary().and_then(|primary| primary.stage()).is_some();
    stage(service) || was.is_some_and(|was| stage(was))
}

/// Of two colours one always has its tasks, if one had them before, and the scheduler does not scale in.
fn one_colour_is_whole(
    before: &Snapshot,
    after: &Snapshot,
    service: &Service,
    works: impl Fn(&&Task) -> bool,
) -> Result<(), String> {
    let Some(was) = before.services.get(&service.name()).filter(|_| service.status == ServiceStatus::Active) else {
        return Ok(());
    };
    let deployments = || was.deployments.iter().chain(&service.deployments);
    let most = |snapshot| {
        let count =
            |one: &model::Deployment| live(snapshot, service).filter(|task| one.has(task)).filter(&works).count();
        deployments().map(count).max().unwrap_or(0)
    };
    let (desired, had, has) = (service.desired_count as usize, most(before), most(after));
    match had >= desired && has < desired {
        true => {
            Err(format!("no colour of {} has its {desired} tasks: the fullest had {had} and has {has}", service.name))
        }
        false => Ok(()),
    }
}

/// What the bounds of a service are about: all its tasks, or those of a task set.
struct Part<'a> {
    set: Option<&'a str>,
    desired: u32,
    /// The maximum may be less than what is desired.
    is_bound: bool,
}

impl Part<'_> {
    fn has(&self, task: &Task) -> bool {
        self.set.is_none_or(|set| task.started_by == set)
    }
}

/// A daemon's tasks are counted by their instances.
fn parts(service: &Service) -> Vec<Part<'_>> {
    let is_active = service.status == ServiceStatus::Active;
    if service.is_daemon() {
        return Vec::new();
    }
    if service.deployment_controller == DeploymentController::External {
        let part = |set: &TaskSet| {
            let is_wanted = is_active && set.status != TaskSetStatus::Draining;
            let desired = if is_wanted { set.computed_desired_count(service.desired_count) } else { 0 };
            (set.id.clone(), desired)
        };
        let sets = service.task_sets.iter();
        return sets.map(|set| Part { set: Some(&set.id), desired: part(set).1, is_bound: false }).collect();
    }
    vec![Part { set: None, desired: if is_active { service.desired_count } else { 0 }, is_bound: true }]
}

fn resources(snapshot: &Snapshot, instance: &ContainerInstance) -> Result<(), (Checker, String)> {
    let load = snapshot.load(instance);
    let id = short(&instance.id);
    if load.cpu > instance.registered.cpu {
        let what = format!("tasks hold {} CPU units of instance {id}, which has {}", load.cpu, instance.registered.cpu);
        return Err((Checker::Overcommitted, what));
    }
    if load.memory > instance.registered.memory {
        let what = format!("tasks hold {} MiB of instance {id}, which has {}", load.memory, instance.registered.memory);
        return Err((Checker::Overcommitted, what));
    }
    match load.ports.iter().find(|(_, tasks)| **tasks > 1) {
        Some((port, tasks)) => {
            Err((Checker::PortTwice, format!("{tasks} tasks hold port {} of instance {id}", port.port)))
        }
        None => Ok(()),
    }
}

/// It has fewer tasks of its newest deployment than desired, and none is on its way in or out.
fn lacks(snapshot: &Snapshot, service: &Service) -> bool {
    let Some(primary) = service.primary().filter(|_| service.status == ServiceStatus::Active) else { return false };
    // A daemon lacks what an instance has no room for, and what has failed waits for its owner.
    if service.is_daemon() || primary.rollout_state == RolloutState::Failed {
        return false;
    }
    let mut of_primary = 0;
    for task in live(snapshot, service) {
        let moves = task.desired_status == TaskStatus::Stopped || task.last_status < TaskStatus::Running;
        if moves {
            return false;
        }
        of_primary += usize::from(primary.has(task));
    }
    of_primary < service.desired_count as usize
}

/// It has just said something, or since it was last steady one of its events names a cause.
fn says_why(service: &Service, now: Timestamp) -> bool {
    if service.events.first().is_some_and(|event| now.since(event.created_at) < WORDLESS) {
        return true;
    }
    let steady = "has reached a steady state.";
    let mut since = service.events.iter().take_while(|event| !event.message.ends_with(steady));
    let causes = [
        "was unable to place a task",
        "is unable to consistently start",
        "was unable to stop or start tasks",
        "task scale-in protection is on",
    ];
    since.any(|event| causes.iter().any(|cause| event.message.contains(cause)))
}

/// Tasks that only one of the two knows as live.
fn disagreements(snapshot: &Snapshot, node: &Node) -> Vec<String> {
    let Some(arn) = node.arn() else { return Vec::new() };
    let Ok(arn) = arn.parse::<model::ContainerInstanceArn>() else { return Vec::new() };
    let name = format!("{}/{}/{}", arn.scope, arn.cluster, arn.id);
    let active = |instance: &&std::sync::Arc<ContainerInstance>| instance.status != ContainerInstanceStatus::Inactive;
    if snapshot.container_instances.get(&name).filter(active).is_none() {
        return Vec::new();
    }
    let recorded: BTreeSet<String> = snapshot.tasks.by("live", &name).map(|task| task.arn().to_string()).collect();
    let here = node.tasks.iter().filter(|(_, task)| task.engine.status() != task_engine::TaskStatus::Stopped);
    let here: BTreeSet<String> = here.map(|(arn, _)| arn.clone()).collect();
    recorded.symmetric_difference(&here).cloned().collect()
}

fn as_wanted(snapshot: &Snapshot, service: &Service) -> Result<(), String> {
    let name = &service.name;
    let tasks: Vec<&Task> = live(snapshot, service).collect();
    if service.status != ServiceStatus::Active {
        return match service.status == ServiceStatus::Inactive && tasks.is_empty() {
            true => Ok(()),
            false => Err(format!("{name} is {} with {} tasks", service.status.as_str(), tasks.len())),
        };
    }
    if service.deployment_controller == DeploymentController::External {
        return sets_as_wanted(service, &tasks);
    }
    let Some(primary) = service.primary() else { return Err(format!("{name} has no deployment")) };
    let good = tasks.iter().filter(|task| primary.has(task) && task.last_status == TaskStatus::Running).count();
    let desired = if service.is_daemon() { places(snapshot, service) } else { service.desired_count as usize };
    let last = service.events.first().map(|event| event.message.clone()).unwrap_or_default();
    if (good, tasks.len()) != (desired, desired) {
        let live = tasks.len();
        return Err(format!(
            "{name} has {good} of {desired} tasks of its newest deployment, {live} in all; last event: {last}"
        ));
    }
    // An instance without room for a daemon has none, and its deployment waits for it.
    if service.is_daemon() && (service.desired_count as usize) > desired {
        return Ok(());
    }
    if service.deployments.len() != 1 || primary.rollout_state != RolloutState::Completed {
        return Err(format!("{name} has all its tasks, and its deployment is {}", primary.rollout_state.as_str()));
    }
    let record = snapshot.service_deployments.get(&format!("{}/{}", service.name(), primary.service_deployment));
    let ends = if primary.is_rollback() {
        ServiceDeploymentStatus::RollbackSuccessful
    } else {
        ServiceDeploymentStatus::Successful
    };
    if record.is_none_or(|record| record.status != ends) {
        return Err(format!("{name} is deployed, and the record of it says {:?}", record.map(|record| record.status)));
    }
    evenly_spread(snapshot, service)?;
    match last.ends_with("has reached a steady state.") {
        true => Ok(()),
        false => Err(format!("{name} is steady and does not say so; it says {last}")),
    }
}

/// Each task set has its tasks, and nobody else has any.
fn sets_as_wanted(service: &Service, tasks: &[&Task]) -> Result<(), String> {
    let name = &service.name;
    for set in &service.task_sets {
        let desired = set.computed_desired_count(service.desired_count) as usize;
        let of_it = || tasks.iter().filter(|task| task.started_by == set.id);
        let good = of_it().filter(|task| task.last_status == TaskStatus::Running).count();
        if set.status == TaskSetStatus::Draining || (good, of_it().count()) != (desired, desired) {
            let (status, live) = (set.status.as_str(), of_it().count());
            return Err(format!("{} of {name} is {status} and has {good} of {desired} tasks, {live} in all", set.id));
        }
        if set.stability != StabilityStatus::SteadyState {
            return Err(format!("{} of {name} has all its tasks and is not steady", set.id));
        }
    }
    match tasks.iter().find(|task| service.task_sets.iter().all(|set| set.id != task.started_by)) {
        Some(task) => Err(format!("{} of {name} is of no task set", short(&task.id))),
        None => Ok(()),
    }
}

/// How many instances have a task of the daemon, or room for one.
fn places(snapshot: &Snapshot, service: &Service) -> usize {
    let prefix = format!("{}/{}/", service.scope, service.cluster);
    let instances = snapshot.container_instances.range(&prefix);
    let has_place = |instance: &&std::sync::Arc<ContainerInstance>| {
        let load = snapshot.load(instance);
        let fits = load.memory.0 + crate::kind::MIB as u32 <= instance.registered.memory.0
            && load.cpu.0 + crate::kind::CPU as u32 <= instance.registered.cpu.0;
        let has = live(snapshot, service).any(|task| task.container_instance == instance.id);
        instance.status == ContainerInstanceStatus::Active && (fits || has)
    };
    instances.filter(has_place).count()
}

/// The zones of a service that balances them have as many tasks as each other, or one more.
fn evenly_spread(snapshot: &Snapshot, service: &Service) -> Result<(), String> {
    let zones = reconcilers::service::zones_of_cluster(snapshot, &format!("{}/{}", service.scope, service.cluster));
    match reconcilers::service::is_uneven(snapshot, service, &zones) {
        true => Err(format!("{} balances its zones, and they are uneven", service.name)),
        false => Ok(()),
    }
}
