//! All tasks of this container instance: accepting, stopping, remembering, forgetting.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use agent_api::payload::{self, DesiredStatus};
use agent_api::{ManifestTask, RoleCredentials};
use futures::future::{BoxFuture, join_all};
use task_engine::{Action, Event, Found, Phase, Task, words};
use tokio::sync::Notify;

use crate::clock;
use crate::limits::{REPORTS_BEFORE_ACS, SHUTDOWN_SLACK, STOPPED_TASKS_MAX};
use crate::plan::{Identity, TaskPlan};
use crate::records::{RecordError, Records, TaskRecord};
use crate::reporter::Reporter;
use crate::role_keys::RoleKeys;
use crate::seams::{Exit, ExitWatch, Node, Remains, Run};
use crate::session;
use crate::worker::{self, Beginning, Handle, Surroundings};

pub struct Tasks {
    node: Arc<dyn Node>,
    records: Records,
    reporter: Reporter,
    stop_timeout: Duration,
    cleanup_wait: Duration,
    tasks: Mutex<BTreeMap<String, Arc<Handle>>>,
    keys: RoleKeys,
    pub health: Arc<Notify>,
}

/// What became of a payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// On the disk: acknowledge it.
    Durably,
    /// A task could not be built, or not be kept. The official agent leaves the message unacknowledged then.
    NotAll,
}

impl Tasks {
    pub fn new(
        node: Arc<dyn Node>,
        records: Records,
        reporter: Reporter,
        stop_timeout: Duration,
        cleanup_wait: Duration,
    ) -> Arc<Tasks> {
        Arc::new(Tasks {
            node,
            records,
            reporter,
            stop_timeout,
            cleanup_wait,
            tasks: Mutex::default(),
            keys: RoleKeys::default(),
            health: Arc::default(),
        })
    }

    /// Stops first, then starts. A launch does not wait for the disk; only the acknowledgement does.
    pub fn accept(self: &Arc<Self>, tasks: Vec<payload::Task>) -> impl Future<Output = Accepted> + Send + use<> {
        let (stops, starts): (Vec<_>, Vec<_>) =
            tasks.into_iter().partition(|task| task.desired_status == DesiredStatus::Stopped);
        stops.iter().for_each(|task| self.stop(&task.arn));
        let mut built = true;
        let mut flushes = Vec::new();
        for task in starts {
            match self.start(task) {
                Ok(flush) => flushes.push(flush),
                Err(()) => built = false,
            }
        }
        async move {
            for flushed in join_all(flushes).await {
                if let Err(error) = flushed {
                    tracing::error!(
                        error = &error as &dyn std::error::Error,
                        "a task was not recorded; its payload is not acknowledged"
                    );
                    built = false;
                }
            }
            if built { Accepted::Durably } else { Accepted::NotAll }
        }
    }

    /// What this returns resolves when the task's record is on the disk.
    fn start(self: &Arc<Self>, task: payload::Task) -> Result<BoxFuture<'static, Result<(), Arc<RecordError>>>, ()> {
        let arn = task.arn.clone();
        let keys = [task.role_credentials.clone(), task.execution_role_credentials.clone()];
        if let Some(handle) = self.get(&arn) {
            for keys in keys.into_iter().flatten() {
                self.refresh_keys(&arn, keys);
            }
            self.tell_again(&handle);
            return Ok(Box::pin(handle.durable()));
        }
        let identity = Identity::new(&task, clock::new_id);
        let (payload, known_as) = (task.clone(), identity.clone());
        let built =
            TaskPlan::new(task, identity, self.stop_timeout).and_then(|(plan, spec)| Ok((plan, Task::new(spec)?)));
        let (plan, task) = match built {
            Ok(built) => built,
            Err(error) => {
                self.reporter.stopped(&arn, &error.reason());
                return Err(());
            }
        };
        keys.into_iter().flatten().for_each(|keys| self.keys.put(&arn, keys));
        let accepted_at = clock::now();
        let file = self.records.accept(&plan.id, worker::record(payload, known_as, accepted_at, &task));
        let durable = file.durable();
        let beginning =
            Beginning { plan, task, accepted_at, file, first: Event::Begin, exits: Vec::new(), told: false };
        self.spawn(beginning);
        Ok(Box::pin(durable))
    }

    /// Fine for a task that is on its way down; one that is not known is reported as stopped.
    pub fn stop(&self, arn: &str) {
        match self.get(arn) {
            Some(handle) => {
                handle.send(Event::Stop);
                self.tell_again(&handle);
            }
            None => self.reporter.stopped(arn, words::UNKNOWN_TASK),
        }
    }

    /// Who sends a payload for a task that has ended did not hear of its end, or lost it.
    fn tell_again(&self, handle: &Handle) {
        if !handle.is_finished() {
            return;
        }
        for action in Task::clone(&handle.state()).step(Event::Recover(Vec::new()), clock::steady()) {
            if let Action::Report(report) = action {
                drop(self.reporter.queue(handle.plan.arn()).send(&report, std::future::ready(())));
            }
        }
    }

    fn spawn(self: &Arc<Self>, beginning: Beginning) {
        let arn = beginning.plan.arn().to_owned();
        let surroundings =
            Surroundings { node: self.node.clone(), queue: self.reporter.queue(&arn), health: self.health.clone() };
        let handle = worker::spawn(beginning, surroundings);
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).insert(arn, handle.clone());
        let tasks = Arc::downgrade(self);
        let wait = self.cleanup_wait;
        tokio::spawn(async move {
            handle.finished().await;
            if let Some(tasks) = tasks.upgrade() {
                tasks.keys.forget_task(handle.plan.arn());
                tasks.forget_surplus();
            }
            let stopped_since = handle.state().stopped_at().map_or(Duration::ZERO, |at| clock::steady().since(at));
            tokio::time::sleep(wait.saturating_sub(stopped_since)).await;
            if let Some(tasks) = tasks.upgrade() {
                tasks.forget(handle.plan.arn());
            }
        });
    }

    pub fn get(&self, arn: &str) -> Option<Arc<Handle>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).get(arn).cloned()
    }

    pub fn node(&self) -> Arc<dyn Node> {
        self.node.clone()
    }

    /// The run of a container that runs now.
    pub fn running(&self, arn: &str, container: &str) -> Option<Run> {
        let handle = self.get(arn)?;
        let state = handle.state();
        let known = state.container(container).filter(|known| matches!(known.phase, Phase::Running { .. }))?;
        Some(Run { task: handle.plan.clone(), container: handle.plan.index_of(container)?, number: known.restarts })
    }

    pub fn all(&self) -> Vec<Arc<Handle>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }

    /// Removes a stopped task's directory and record.
    fn forget(&self, arn: &str) {
        let Some(handle) = self.tasks.lock().unwrap_or_else(PoisonError::into_inner).remove(arn) else { return };
        let node = self.node.clone();
        tokio::spawn(async move {
            // The record last: a crash in between leaves something that the next start finds.
            node.remove(&handle.plan).await;
            failpoint::place("agent.removed");
            handle.forget();
        });
    }

    fn forget_surplus(&self) {
        let mut finished: Vec<Arc<Handle>> = self.all().into_iter().filter(|handle| handle.is_finished()).collect();
        if finished.len() <= STOPPED_TASKS_MAX {
            return;
        }
        finished.sort_by_key(|handle| handle.state().stopped_at());
        let surplus = finished.len() - STOPPED_TASKS_MAX;
        finished.iter().take(surplus).for_each(|handle| self.forget(handle.plan.arn()));
    }

    /// The tasks here that a manifest does not want to run.
    pub fn strangers(&self, manifest: &[ManifestTask]) -> Vec<ManifestTask> {
        let all = self.all();
        let here = all
            .iter()
            .map(|handle| (handle.plan.arn(), handle.plan.payload.task_cluster_arn.as_str(), handle.status()));
        session::strangers(here, manifest)
    }

    /// False for a task that is not here, or has ended: keys live as long as their task.
    pub fn refresh_keys(&self, arn: &str, credentials: RoleCredentials) -> bool {
        let lives = self.get(arn).is_some_and(|handle| !handle.is_finished());
        if lives {
            self.keys.put(arn, credentials);
        }
        lives
    }

    pub fn credentials(&self, id: &str) -> Option<RoleCredentials> {
        self.keys.get(id)
    }

    /// Takes up what an earlier agent left. When this returns its reports have arrived, or take long to.
    pub async fn recover(self: &Arc<Self>) -> Result<(), crate::records::RecordError> {
        let mut ready = Vec::new();
        for record in self.records.tasks()? {
            let rebooted = self.records.is_of_earlier_boot(&record);
            match self.rebuild(record) {
                Ok(task) => ready.push((task, rebooted)),
                Err((arn, error)) => {
                    tracing::error!(arn, error, "a recorded task cannot be taken up again");
                    self.reporter.stopped(&arn, &error);
                }
            }
        }
        let (mut alive, mut ended) = (Vec::new(), Vec::new());
        for (beginning, _) in &ready {
            match runs(&beginning.plan, &beginning.task) {
                none if none.is_empty() => ended.push(beginning.plan.clone()),
                runs => alive.extend(runs),
            }
        }
        let mut remains: BTreeMap<String, Vec<(Run, Remains)>> = BTreeMap::new();
        for (run, found) in self.node.recover(alive, ended).await {
            remains.entry(run.task.id.clone()).or_default().push((run, found));
        }
        for (mut beginning, rebooted) in ready {
            let mut found = Vec::new();
            for (run, remains) in remains.remove(&beginning.plan.id).unwrap_or_default() {
                let name = run.task.containers[run.container].name.clone();
                let (what, exit) = what_was_found(remains, rebooted);
                found.push((name, what));
                beginning.exits.extend(exit.map(|exit| (run, exit)));
            }
            // A stopped task that was told tells nothing again; it only waits for its cleanup.
            beginning.first = if beginning.told { Event::Tick } else { Event::Recover(found) };
            self.spawn(beginning);
        }
        let _ = tokio::time::timeout(REPORTS_BEFORE_ACS, self.reporter.settled()).await;
        Ok(())
    }

    fn rebuild(&self, record: TaskRecord) -> Result<Beginning, (String, String)> {
        let arn = record.task.arn.clone();
        let (plan, _) = TaskPlan::new(record.task, record.identity, self.stop_timeout)
            .map_err(|error| (arn.clone(), error.reason()))?;
        let task = Task::from_json(&record.engine).map_err(|error| (arn, error.to_string()))?;
        let file = self.records.found(&plan.id);
        let (accepted_at, told) = (record.accepted_at, record.told);
        Ok(Beginning { plan, task, accepted_at, file, first: Event::Tick, exits: Vec::new(), told })
    }

    /// Stops every task as its stop timeouts have it, and waits until that is reported, or cannot be in time.
    pub async fn stop_all(&self) {
        let handles: Vec<Arc<Handle>> = self.all().into_iter().filter(|handle| !handle.is_finished()).collect();
        let longest = handles.iter().map(|handle| stopping_takes(&handle.state())).max().unwrap_or_default();
        handles.iter().for_each(|handle| handle.send(Event::Stop));
        let finished = join_all(handles.iter().map(|handle| handle.finished()));
        if tokio::time::timeout(longest + SHUTDOWN_SLACK, finished).await.is_err() {
            tracing::warn!("some tasks did not stop in time, or their end could not be reported");
        }
    }

    /// Leaves every process as it is, and tells nothing more.
    pub fn abandon(&self) {
        self.reporter.close();
        self.all().iter().for_each(|handle| handle.abandon());
    }
}

/// Containers stop after those that depend on them, so the timeouts may follow each other.
fn stopping_takes(task: &Task) -> Duration {
    task.containers().iter().map(|container| container.spec.stop_timeout).sum()
}

fn runs(plan: &Arc<TaskPlan>, task: &Task) -> Vec<Run> {
    let alive = task.containers().iter().filter(|container| container.phase != Phase::Stopped);
    let run = |container: &task_engine::Container| {
        Some(Run { task: plan.clone(), container: plan.index_of(&container.spec.name)?, number: container.restarts })
    };
    alive.filter_map(run).collect()
}

fn what_was_found(remains: Remains, rebooted: bool) -> (Found, Option<ExitWatch>) {
    match remains {
        Remains::Running(launched) => {
            let (runtime_id, bindings, at) = (launched.runtime_id, launched.bindings, clock::from_wall(launched.at));
            (Found::Running { runtime_id, bindings, at }, Some(launched.exit))
        }
        Remains::Exited(Exit { code, oom_killed, at }) => {
            (Found::Exited { exit_code: code, oom_killed, at: clock::from_wall(at) }, None)
        }
        // Its state may have been lost as well, so it may have run.
        Remains::Nothing if rebooted => (Found::Lost, None),
        Remains::Nothing => (Found::Nothing, None),
    }
}
