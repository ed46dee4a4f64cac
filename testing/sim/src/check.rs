//! What must be true, whatever happens. Most of it is looked at in each commit, for the records that it touched; the rest every few
//! simulated seconds, and at the end.

mod daemons;
mod plans;
mod rules;
mod tell;
mod wanted;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use model::{
    ContainerInstance, ContainerInstanceStatus, Service, ServiceDeploymentStatus, ServiceStatus, Task, TaskStatus,
};
use state::{Record, Revision, Snapshot, Touched};
use stdx::Timestamp;

use self::daemons::{daemon_as_wanted, only_one};
use self::rules::{forward, lacks, maximum, minimum, offered, one_each, reason, resources, should_have_ended, spared};
use self::wanted::as_wanted;
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
    /// A daemon deployment takes its task from more instances at a time than its drain percent allows.
    TooManyAtOnce,
    /// Tasks are shared out among capacity providers by other numbers than their bases and weights.
    Shares,
    /// A task runs, is never ready, and nobody gives it up.
    NeverReady,
    /// A deployment has succeeded, and not so many of its tasks work as its owner wants.
    TooEarly,
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
/// How long a task may run before it is ready for the first time, if its service says nothing.
const READY_WITHIN: Duration = Duration::from_secs(5 * 60);
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
    /// Since when a task has run for too long without being ready.
    late: BTreeMap<String, Timestamp>,
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
        let (mut services, mut instances, mut daemons) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
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
                    daemons.extend(daemons::of_task(task));
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
                Touched::Daemon(daemon) => drop(daemons.insert(daemon.name())),
                Touched::Cluster | Touched::TaskDefinition | Touched::Bookkeeping => {}
            }
        }
        for name in &daemons {
            if let (Author::Service(author), Some(daemon)) = (&batch.author, after.daemons.get(name))
                && author == name
            {
                only_one(before, after, daemon).map_err(|what| (Checker::Twice, what))?;
            }
            self.count_commit(name, &batch.author)?;
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
        let about = |touched: &Touched| matches!(touched, Touched::Task(_) | Touched::Service(_) | Touched::Daemon(_));
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
        self.readiness(snapshot)?;
        self.presence(snapshot)?;
        self.agreement(snapshot)
    }

    /// What its service wants runs, and is given up if it is never ready.
    fn readiness(&mut self, snapshot: &Snapshot) -> Result<(), (Checker, String)> {
        let now = self.now;
        let all_there = self.replicas.iter().all(|replica| replica.is_up && replica.slow_until < now);
        let mut late = BTreeMap::new();
        let running = snapshot
            .tasks
            .iter()
            .filter(|task| task.last_status == TaskStatus::Running && task.desired_status == TaskStatus::Running);
        for task in running.filter(|task| all_there && task.awaits_readiness()) {
            let name = task.service().map(|name| format!("{}/{}/{name}", task.scope, task.cluster)).unwrap_or_default();
            let service = snapshot.services.get(&name).filter(|one| one.status == ServiceStatus::Active);
            let goes_on = service.and_then(|one| one.primary()).is_some_and(|primary| {
                primary.has(task) && primary.rollout_state != model::RolloutState::Failed && primary.stage().is_none()
            });
            let is_late = task.started_at.is_some_and(|at| now.since(at) > READY_WITHIN);
            let set = service.is_some_and(|one| one.task_sets.iter().any(|set| set.id == task.started_by));
            if !is_late || !goes_on && !set {
                continue;
            }
            let since = self.checks.late.get(&task.id).copied().unwrap_or(now);
            if now.since(since) > WORDLESS {
                let what = format!("{} runs, is never ready, and nobody gives it up", short(&task.id));
                return Err((Checker::NeverReady, what));
            }
            late.insert(task.id.clone(), since);
        }
        self.checks.late = late;
        Ok(())
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
        for daemon in snapshot.daemons.iter() {
            daemon_as_wanted(snapshot, daemon)?;
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
}

/// All that have not stopped and can still be reached.
fn live<'a>(snapshot: &'a Snapshot, service: &Service) -> impl Iterator<Item = &'a Task> {
    let is_there = |task: &&std::sync::Arc<Task>| {
        let name = format!("{}/{}/{}", task.scope, task.cluster, task.container_instance);
        let instance = snapshot.container_instances.get(&name);
        task.is_waiting() || instance.is_some_and(|instance| instance.status != ContainerInstanceStatus::Inactive)
    };
    snapshot.tasks.by("service", &service.name()).filter(is_there).map(|task| &**task)
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
