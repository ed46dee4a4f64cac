//! The state machine itself.

use serde::{Deserialize, Serialize};
use stdx::Timestamp;

use crate::container::{Container, Phase};
use crate::dependency::{self, Readiness};
use crate::health::{Health, Purpose};
use crate::report::{Binding, TaskStatus};
use crate::spec::{InvalidTask, TaskSpec};
use crate::words::{self, Failure, FailureKind};

/// Everything that can happen to a task. Events for containers in a phase where they mean nothing are ignored: the
/// driver may be late, or repeat itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Work may begin.
    Begin,
    Pulled {
        container: String,
        image_digest: Option<String>,
        pulled: Option<(Timestamp, Timestamp)>,
    },
    PullFailed {
        container: String,
        failure: Failure,
    },
    /// Its process runs.
    Started {
        container: String,
        runtime_id: String,
        bindings: Vec<Binding>,
        at: Timestamp,
    },
    StartFailed {
        container: String,
        failure: Failure,
    },
    Exited {
        container: String,
        exit_code: i32,
        oom_killed: bool,
        at: Timestamp,
    },
    HealthChecked {
        container: String,
        purpose: Purpose,
        check: u64,
        /// How it failed.
        result: Result<(), String>,
    },
    /// The control plane wants the task stopped.
    Stop,
    /// The agent was restarted and looked around: what it found of each container that has not stopped.
    /// Everything is reported afresh, because nobody knows which reports arrived.
    Recover(Vec<(String, Found)>),
    /// A moment named by [`Action::LookAgain`] has come. An early or a late one does no harm.
    Tick,
}

/// What a restarted agent finds of a container that it had started, or had been about to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    Running {
        runtime_id: String,
        bindings: Vec<Binding>,
        at: Timestamp,
    },
    Exited {
        exit_code: i32,
        oom_killed: bool,
        at: Timestamp,
    },
    Nothing,
    /// Nothing, and the machine was restarted: whether it ever ran is not known.
    Lost,
}

/// Everything a task can ask of its driver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Make the image ready. Answer with `Pulled` or `PullFailed`.
    Pull {
        container: String,
    },
    /// Start the process. Answer with `Started` or `StartFailed`, later with `Exited`.
    Start {
        container: String,
    },
    /// Ask the process to end: its image's stop signal, or SIGTERM.
    Stop {
        container: String,
    },
    /// SIGKILL, to every process of the container.
    Kill {
        container: String,
    },
    /// Run the health check, or the readiness's. Answer with `HealthChecked`; what takes longer than its timeout has failed.
    CheckHealth {
        container: String,
        purpose: Purpose,
        check: u64,
    },
    Report(crate::Report),
    /// All containers have stopped: what belongs to the task may be given back.
    Release,
    /// Send a `Tick` then. Each step's wish replaces the one before; a step without one wants none.
    LookAgain {
        at: Timestamp,
    },
}

/// Why a task is on its way down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StopCause {
    Requested,
    EssentialExited {
        container: String,
    },
    /// An essential container never ran.
    FailedToStart {
        container: String,
    },
    /// There was nothing left that runs.
    AllExited,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    pub(crate) containers: Vec<Container>,
    pub(crate) begun: bool,
    pub(crate) status: TaskStatus,
    pub(crate) cause: Option<StopCause>,
    pub(crate) released: bool,
    /// The last status that went into a report.
    pub(crate) reported: TaskStatus,
    /// When container changes that no task transition took along are told.
    pub(crate) flush_at: Option<Timestamp>,
    pub(crate) pull_started_at: Option<Timestamp>,
    pub(crate) pull_stopped_at: Option<Timestamp>,
    pub(crate) execution_stopped_at: Option<Timestamp>,
}

impl Task {
    /// A task at rest; [`Event::Begin`] sets it going.
    pub fn new(spec: TaskSpec) -> Result<Task, InvalidTask> {
        spec.check()?;
        Ok(Task {
            containers: spec.containers.into_iter().map(Container::new).collect(),
            begun: false,
            status: TaskStatus::Pending,
            cause: None,
            released: false,
            reported: TaskStatus::Pending,
            flush_at: None,
            pull_started_at: None,
            pull_stopped_at: None,
            execution_stopped_at: None,
        })
    }

    pub fn status(&self) -> TaskStatus {
        self.status
    }

    pub fn containers(&self) -> &[Container] {
        &self.containers
    }

    pub fn container(&self, name: &str) -> Option<&Container> {
        self.containers.iter().find(|container| container.spec.name == name)
    }

    /// `None` while it should run.
    pub fn stop_cause(&self) -> Option<&StopCause> {
        self.cause.as_ref()
    }

    pub fn stopped_at(&self) -> Option<Timestamp> {
        self.execution_stopped_at
    }

    pub fn pull_times(&self) -> (Option<Timestamp>, Option<Timestamp>) {
        (self.pull_started_at, self.pull_stopped_at)
    }

    /// What to do about an event, in order.
    pub fn step(&mut self, event: Event, now: Timestamp) -> Vec<Action> {
        let mut actions = Vec::new();
        self.apply(event, now);
        while self.settle(now, &mut actions) {}
        self.check_health(now, &mut actions);
        self.conclude(now, &mut actions);
        self.report(now, &mut actions);
        if let Some(at) = self.next_look(now) {
            actions.push(Action::LookAgain { at });
        }
        actions
    }

    fn apply(&mut self, event: Event, now: Timestamp) {
        match event {
            Event::Begin => self.begun = true,
            Event::Pulled { container, image_digest, pulled } => self.pulled(&container, image_digest, pulled),
            Event::PullFailed { container, failure } => {
                if let Some(container) = self.in_phase(&container, |phase| *phase == Phase::Pulling) {
                    container.stop(None, Some(failure.reason()), now);
                }
            }
            Event::Started { container, runtime_id, bindings, at } => {
                if let Some(container) = self.in_phase(&container, |phase| *phase == Phase::Starting) {
                    container.started(runtime_id, bindings, at);
                }
            }
            Event::StartFailed { container, failure } => {
                if let Some(container) = self.in_phase(&container, |phase| *phase == Phase::Starting) {
                    container.stop(container.exit_code, Some(failure.reason()), now);
                }
            }
            Event::Exited { container, exit_code, oom_killed, at } => {
                self.exited(&container, exit_code, oom_killed, at)
            }
            Event::HealthChecked { container, purpose, check, result } => {
                if let Some(container) = self.in_phase(&container, |phase| matches!(phase, Phase::Running { .. }))
                    && let Some((health, spec)) = container.checked(purpose)
                {
                    health.result(spec, check, result, now);
                }
            }
            Event::Stop => drop(self.cause.get_or_insert(StopCause::Requested)),
            Event::Recover(found) => self.recover(found, now),
            Event::Tick => {}
        }
    }

    fn in_phase(&mut self, name: &str, phase: impl Fn(&Phase) -> bool) -> Option<&mut Container> {
        self.containers.iter_mut().find(|container| container.spec.name == name && phase(&container.phase))
    }

    fn pulled(&mut self, name: &str, image_digest: Option<String>, pulled: Option<(Timestamp, Timestamp)>) {
        let Some(container) = self.in_phase(name, |phase| *phase == Phase::Pulling) else { return };
        container.phase = Phase::Pulled;
        container.image_digest = image_digest;
        if let Some((started, stopped)) = pulled {
            self.pull_started_at = Some(self.pull_started_at.map_or(started, |at| at.min(started)));
            self.pull_stopped_at = Some(self.pull_stopped_at.map_or(stopped, |at| at.max(stopped)));
        }
    }

    fn exited(&mut self, name: &str, exit_code: i32, oom_killed: bool, at: Timestamp) {
        let stopping = self.cause.is_some();
        let Some(container) = self.in_phase(name, |_| true).filter(|container| container.alive()) else { return };
        // A very short life: the exit can be the first thing heard of it.
        container.started_at.get_or_insert(at);
        if !stopping && container.restarts_after(exit_code, at) {
            container.phase = Phase::Pulled;
            container.exit_code = Some(exit_code);
            (container.health, container.readiness) = (None, None);
            container.restarts += 1;
        } else {
            container.stop(Some(exit_code), oom_killed.then(|| words::OUT_OF_MEMORY.to_owned()), at);
        }
    }

    fn recover(&mut self, found: Vec<(String, Found)>, now: Timestamp) {
        // The first record is written before the task sets out.
        self.begun = true;
        // Whether everything was given back before the crash is not known, and twice does no harm.
        self.released = false;
        self.reported = TaskStatus::Pending;
        self.flush_at = None;
        for container in &mut self.containers {
            container.reported = Default::default();
            let early = matches!(container.phase, Phase::New | Phase::Pulling | Phase::Pulled);
            let there = |(name, found): &(String, Found)| *name == container.spec.name && *found != Found::Nothing;
            // It was started in the moment between the record and the crash.
            if early && found.iter().any(there) {
                container.phase = Phase::Starting;
            }
            // Whether an image is still there is asked again.
            if matches!(container.phase, Phase::Pulling | Phase::Pulled) {
                container.phase = Phase::New;
            }
        }
        for (name, found) in found {
            let Some(container) = self.in_phase(&name, |_| true).filter(|container| container.alive()) else {
                continue;
            };
            match found {
                Found::Running { runtime_id, bindings, at } if container.phase == Phase::Starting => {
                    container.started(runtime_id, bindings, at);
                }
                Found::Running { .. } => container.found_running(now),
                Found::Exited { exit_code, oom_killed, at } => self.exited(&name, exit_code, oom_killed, at),
                // The start was never heard of by anybody: it is done again.
                Found::Lost => {
                    container.stop(None, Some(words::GONE_WITH_THE_MACHINE.to_owned()), now);
                }
                Found::Nothing if container.phase == Phase::Starting => container.phase = Phase::New,
                Found::Nothing => {
                    container.stop(None, Some(words::GONE.to_owned()), now);
                }
            }
        }
    }

    /// One pass over everything that is due. True when something changed, and another pass may find more.
    fn settle(&mut self, now: Timestamp, actions: &mut Vec<Action>) -> bool {
        let before = actions.len();
        let cause = self.cause.is_some();
        self.find_cause();
        let stopped = match (self.begun, &self.cause) {
            (_, Some(_)) => self.stop_containers(now, actions),
            (true, None) => self.start_containers(now, actions),
            (false, None) => false,
        };
        stopped || actions.len() > before || cause != self.cause.is_some()
    }

    fn find_cause(&mut self) {
        if self.cause.is_some() {
            return;
        }
        let essential = self.containers.iter().find(|container| container.stopped() && container.spec.essential);
        self.cause = match essential {
            Some(container) if container.started_at.is_some() => {
                Some(StopCause::EssentialExited { container: container.spec.name.clone() })
            }
            Some(container) => Some(StopCause::FailedToStart { container: container.spec.name.clone() }),
            None if self.containers.iter().all(Container::stopped) => Some(StopCause::AllExited),
            None => None,
        };
    }

    fn start_containers(&mut self, now: Timestamp, actions: &mut Vec<Action>) -> bool {
        let mut gave_up = false;
        for at in 0..self.containers.len() {
            let container = &self.containers[at];
            let name = || container.spec.name.clone();
            match container.phase {
                // All images at once, whatever waits for what: the pull is what takes long.
                Phase::New => {
                    actions.push(Action::Pull { container: name() });
                    self.containers[at].phase = Phase::Pulling;
                }
                Phase::Pulling | Phase::Pulled => match dependency::readiness(&self.containers, container, now) {
                    Readiness::Ready if container.phase == Phase::Pulled => {
                        actions.push(Action::Start { container: name() });
                        self.containers[at].phase = Phase::Starting;
                    }
                    Readiness::Ready | Readiness::Waiting => {}
                    Readiness::Never(why) => {
                        let failure = Failure::new(FailureKind::Dependency, why);
                        self.containers[at].stop(None, Some(failure.reason()), now);
                        gave_up = true;
                    }
                },
                _ => {}
            }
        }
        gave_up
    }

    fn stop_containers(&mut self, now: Timestamp, actions: &mut Vec<Action>) -> bool {
        let mut stopped = false;
        for at in 0..self.containers.len() {
            let container = &self.containers[at];
            let name = || container.spec.name.clone();
            match container.phase {
                Phase::New | Phase::Pulling | Phase::Pulled => {
                    let exit_code = container.exit_code;
                    self.containers[at].stop(exit_code, None, now);
                    stopped = true;
                }
                Phase::Running { .. } if dependency::may_stop(&self.containers, container) => {
                    actions.push(Action::Stop { container: name() });
                    let kill_at = now + container.spec.stop_timeout;
                    self.containers[at].phase = Phase::Stopping { kill_at, killed: false };
                }
                Phase::Stopping { kill_at, killed: false } if now >= kill_at => {
                    actions.push(Action::Kill { container: name() });
                    self.containers[at].phase = Phase::Stopping { kill_at, killed: true };
                }
                _ => {}
            }
        }
        stopped
    }

    fn check_health(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        if self.cause.is_some() {
            return;
        }
        let mut unhealthy = false;
        for container in self.containers.iter_mut().filter(|container| matches!(container.phase, Phase::Running { .. }))
        {
            for purpose in [Purpose::Health, Purpose::Readiness] {
                let Some((health, spec)) = container.checked(purpose) else { continue };
                let before = health.status;
                let due = health.due(spec, now);
                unhealthy |= before != health.status;
                if let Some(check) = due {
                    actions.push(Action::CheckHealth { container: container.spec.name.clone(), purpose, check });
                }
            }
        }
        // A check that was given up can be what a dependent waited to know.
        while unhealthy && self.settle(now, actions) {}
    }

    fn conclude(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        let all_stopped = self.containers.iter().all(Container::stopped);
        let ran = |container: &Container| container.started_at.is_some() || container.stopped();
        let next = match (all_stopped, &self.cause) {
            (true, _) => TaskStatus::Stopped,
            // On its way down it does not become RUNNING any more.
            (false, None) if self.containers.iter().all(ran) => TaskStatus::Running,
            _ => self.status,
        };
        if self.status.may_move_to(next) {
            self.status = next;
        }
        if all_stopped && !self.released {
            self.released = true;
            self.execution_stopped_at.get_or_insert(now);
            actions.push(Action::Release);
        }
    }

    fn next_look(&self, now: Timestamp) -> Option<Timestamp> {
        let mut at = self.flush_at;
        let mut sooner = |time: Timestamp| at = Some(at.map_or(time, |at: Timestamp| at.min(time)));
        for container in &self.containers {
            match &container.phase {
                Phase::Stopping { kill_at, killed: false } => sooner(*kill_at),
                Phase::Running { .. } if self.cause.is_none() => {
                    let checks = container.health.iter().chain(&container.readiness);
                    checks.for_each(|health| sooner(health.next_look()));
                }
                _ => {}
            }
            if self.cause.is_none() && dependency::waits(container) {
                let on = |name: &str| self.container(name).and_then(dependency::start_deadline);
                let deadlines = container.spec.depends_on.iter().filter_map(|dependency| on(&dependency.container));
                // A deadline that has passed without harm was met in time: looking at it again would never end.
                deadlines.filter(|deadline| *deadline > now).for_each(&mut sooner);
            }
        }
        at
    }
}

impl Container {
    fn started(&mut self, runtime_id: String, bindings: Vec<Binding>, at: Timestamp) {
        self.phase = Phase::Running { since: at };
        self.started_at.get_or_insert(at);
        self.runtime_id = Some(runtime_id);
        self.bindings = bindings;
        self.health = self.spec.health.as_ref().map(|check| Health::new(check, at));
        self.readiness = self.spec.readiness.as_ref().map(|check| Health::new(check, at));
    }

    fn found_running(&mut self, now: Timestamp) {
        for purpose in [Purpose::Health, Purpose::Readiness] {
            if let Some((health, check)) = self.checked(purpose) {
                health.taken_up(check, now);
            }
        }
        // Whether the kill arrived is not known, and a second one does no harm. A second stop signal may: programs take
        // it for impatience, so that one is not repeated.
        match &mut self.phase {
            Phase::Stopping { killed, kill_at } => {
                // The clock may have been set back since it was written down.
                (*killed, *kill_at) = (false, (*kill_at).min(now + self.spec.stop_timeout));
            }
            Phase::Running { since } => *since = (*since).min(now),
            _ => {}
        }
    }

    fn restarts_after(&self, exit_code: i32, at: Timestamp) -> bool {
        let (Some(policy), Phase::Running { since }) = (&self.spec.restart, &self.phase) else { return false };
        !policy.ignored_exit_codes.contains(&exit_code) && at.since(*since) >= policy.attempt_period
    }
}
