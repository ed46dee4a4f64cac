//! One task's loop: an event, a step of the engine, its actions. Nothing here decides.

use std::sync::{Arc, OnceLock};

use agent_api::payload;
use stdx::Timestamp;
use task_engine::{Action, Event, HealthStatus, Phase, Report, Task, TaskStatus};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::{AbortHandle, JoinSet};

use crate::clock;
use crate::limits::START_KNOWN_WITHIN;
use crate::plan::{Identity, TaskPlan};
use crate::records::{RecordError, TaskFile, TaskRecord, VERSION};
use crate::reporter::Queue;
use crate::seams::{Exit, ExitWatch, Node, Run};

/// What others see of a task, and how they reach it.
pub struct Handle {
    pub plan: Arc<TaskPlan>,
    pub accepted_at: Timestamp,
    /// Boxed: a channel takes room for 32 of its messages at once.
    inbox: mpsc::UnboundedSender<Box<Event>>,
    state: watch::Sender<Arc<Task>>,
    /// Becomes true when STOPPED was reported and answered, or never needs to be.
    finished: watch::Sender<bool>,
    file: TaskFile,
    worker: OnceLock<AbortHandle>,
}

impl Handle {
    /// Ends the loop and leaves the task's processes as they are.
    pub fn abandon(&self) {
        if let Some(worker) = self.worker.get() {
            worker.abort();
        }
    }

    pub fn send(&self, event: Event) {
        // A task that has ended listens no more, and needs no more events.
        let _ = self.inbox.send(Box::new(event));
    }

    /// The engine, as of the last step.
    pub fn state(&self) -> Arc<Task> {
        self.state.borrow().clone()
    }

    /// A container's program runs a moment before its agent knows that, and may ask at once. Resolves when it is known.
    pub async fn knows_start(&self, container: usize) {
        let name = &self.plan.containers[container].name;
        let starting = |task: &Task| task.container(name).is_some_and(|container| container.phase == Phase::Starting);
        let mut state = self.state.subscribe();
        let _ = tokio::time::timeout(START_KNOWN_WITHIN, state.wait_for(|task| !starting(task))).await;
    }

    pub fn status(&self) -> TaskStatus {
        self.state().status()
    }

    pub async fn finished(&self) {
        let mut finished = self.finished.subscribe();
        let _ = finished.wait_for(|finished| *finished).await;
    }

    pub fn is_finished(&self) -> bool {
        *self.finished.borrow()
    }

    /// Resolves when its record is on the disk.
    pub fn durable(&self) -> impl Future<Output = Result<(), Arc<RecordError>>> + Send + use<> {
        self.file.durable()
    }

    pub fn forget(&self) {
        self.file.remove();
    }
}

/// Everything a worker needs besides its task.
pub struct Surroundings {
    pub node: Arc<dyn Node>,
    pub queue: Queue,
    /// Told when a container's health may have changed.
    pub health: Arc<tokio::sync::Notify>,
}

/// How a worker begins.
pub struct Beginning {
    pub plan: Arc<TaskPlan>,
    pub task: Task,
    pub accepted_at: Timestamp,
    pub file: TaskFile,
    pub first: Event,
    /// Containers that ran before this agent did.
    pub exits: Vec<(Run, ExitWatch)>,
    /// The end of the task was already answered.
    pub told: bool,
}

struct Worker {
    handle: Arc<Handle>,
    surroundings: Surroundings,
    events: mpsc::UnboundedSender<Box<Event>>,
    task: Arc<Task>,
    told: bool,
    look: Option<Timestamp>,
    last_report: Option<oneshot::Receiver<()>>,
    /// What is being done about the task. It ends with an agent that goes away, and outlives a task that ends.
    work: JoinSet<()>,
    released: Option<oneshot::Receiver<()>>,
}

/// Takes the first step at once, so that its report is queued when this returns, then starts the loop. It ends with
/// the task.
pub fn spawn(beginning: Beginning, surroundings: Surroundings) -> Arc<Handle> {
    let (inbox, receiver) = mpsc::unbounded_channel();
    let task = Arc::new(beginning.task);
    let handle = Arc::new(Handle {
        plan: beginning.plan,
        accepted_at: beginning.accepted_at,
        inbox: inbox.clone(),
        state: watch::Sender::new(task.clone()),
        finished: watch::Sender::new(false),
        file: beginning.file,
        worker: OnceLock::new(),
    });
    let mut worker = Worker {
        handle: handle.clone(),
        surroundings,
        events: inbox,
        task,
        told: beginning.told,
        look: None,
        last_report: None,
        work: JoinSet::new(),
        released: None,
    };
    for (run, exit) in beginning.exits {
        worker.watch_exit(run, exit);
    }
    if beginning.first == Event::Begin {
        let (node, plan) = (worker.surroundings.node.clone(), handle.plan.clone());
        worker.work.spawn(async move { node.prepare(&plan).await });
    }
    worker.step(beginning.first);
    let worker = tokio::spawn(worker.run(receiver));
    let _ = handle.worker.set(worker.abort_handle());
    handle
}

/// The record of a task that is accepted.
pub fn record(payload: payload::Task, identity: Identity, accepted_at: Timestamp, task: &Task) -> TaskRecord {
    TaskRecord {
        version: VERSION,
        accepted_at,
        identity,
        task: payload::Task { role_credentials: None, execution_role_credentials: None, ..payload },
        engine: task.to_json(),
        told: false,
        boot: None,
    }
}

impl Worker {
    async fn run(mut self, mut inbox: mpsc::UnboundedReceiver<Box<Event>>) {
        while self.task.status() != TaskStatus::Stopped {
            let event = match self.look {
                None => inbox.recv().await,
                Some(at) => match tokio::time::timeout(at.since(clock::steady()), inbox.recv()).await {
                    Ok(event) => event,
                    Err(_) => Some(Box::new(Event::Tick)),
                },
            };
            let Some(event) = event else { return };
            self.step(*event);
        }
        if let Some(released) = self.released.take() {
            // An error is a node that panicked; the next start gives back what is left.
            let _ = released.await;
        }
        self.work.detach_all();
        if let Some(answered) = self.last_report.take() {
            if answered.await.is_err() {
                return;
            }
            self.told = true;
            self.save();
        }
        self.handle.finished.send_replace(true);
    }

    fn step(&mut self, event: Event) {
        let before = self.task.clone();
        let mut task = Task::clone(&before);
        let actions = task.step(event, clock::steady());
        failpoint::place("agent.step");
        self.task = Arc::new(task);
        self.handle.state.send_replace(self.task.clone());
        self.look = None;
        while self.work.try_join_next().is_some() {}
        if self.task != before {
            self.save();
        }
        actions.into_iter().for_each(|action| self.act(action));
        if health(&self.task) != health(&before) {
            self.surroundings.health.notify_one();
        }
    }

    fn act(&mut self, action: Action) {
        let node = self.surroundings.node.clone();
        match action {
            Action::Pull { container } => self.perform(&container.clone(), |run| async move {
                Some(match node.pull(&run).await {
                    Ok(pulled) => {
                        let times =
                            pulled.times.map(|(began, ended)| (clock::from_wall(began), clock::from_wall(ended)));
                        Event::Pulled { container, image_digest: pulled.digest, pulled: times }
                    }
                    Err(failure) => Event::PullFailed { container, failure },
                })
            }),
            Action::Start { container } => self.start(container),
            Action::Stop { container } => self.perform(&container, |run| async move {
                node.stop(&run).await;
                None
            }),
            Action::Kill { container } => self.perform(&container, |run| async move {
                node.kill(&run).await;
                None
            }),
            Action::CheckHealth { container, purpose, check } => self.perform(&container.clone(), |run| async move {
                let result = node.check_health(&run, purpose).await;
                Some(Event::HealthChecked { container, purpose, check, result })
            }),
            Action::Report(report) => self.report(&report),
            Action::Release => {
                let plan = self.handle.plan.clone();
                let (done, released) = oneshot::channel();
                // It goes on at once; that the worker also waits for it only delays the worker's own end.
                self.work.spawn(async move {
                    node.release(&plan).await;
                    let _ = done.send(());
                });
                self.released = Some(released);
            }
            Action::LookAgain { at } => self.look = Some(at),
        }
    }

    /// Nothing is told of a task that a loss of power could take from us; and once its end is told, it never begins again.
    fn report(&mut self, report: &Report) {
        let durable = self.handle.file.durable();
        let saved = (report.status == TaskStatus::Stopped).then(|| self.handle.file.saved());
        let after = async move {
            if let Err(error) = durable.await {
                tracing::error!(error = &error as &dyn std::error::Error, "a task that is not recorded is reported");
            }
            if let Some(saved) = saved {
                saved.await;
            }
        };
        self.last_report = Some(self.surroundings.queue.send(report, after));
    }

    fn start(&mut self, container: String) {
        let (node, events) = (self.surroundings.node.clone(), self.events.downgrade());
        let Some(run) = self.run_of(&container) else { return };
        let written = self.handle.file.written();
        self.work.spawn(async move {
            // A container that nobody remembers would be started again.
            written.await;
            let launched = match node.start(&run).await {
                Ok(launched) => launched,
                Err(failure) => return tell(&events, Event::StartFailed { container, failure }),
            };
            let (runtime_id, bindings, at) = (launched.runtime_id, launched.bindings, clock::from_wall(launched.at));
            tell(&events, Event::Started { container: container.clone(), runtime_id, bindings, at });
            tell(&events, exited(container, launched.exit.await));
        });
    }

    fn watch_exit(&mut self, run: Run, exit: ExitWatch) {
        let events = self.events.downgrade();
        let container = run.task.containers[run.container].name.clone();
        self.work.spawn(async move {
            tell(&events, exited(container, exit.await));
        });
    }

    fn perform<F>(&mut self, container: &str, work: impl FnOnce(Run) -> F)
    where
        F: Future<Output = Option<Event>> + Send + 'static,
    {
        let Some(run) = self.run_of(container) else { return };
        let (work, events) = (work(run), self.events.downgrade());
        self.work.spawn(async move {
            if let Some(event) = work.await {
                tell(&events, event);
            }
        });
    }

    fn run_of(&self, container: &str) -> Option<Run> {
        let number = self.task.container(container)?.restarts;
        Some(Run { task: self.handle.plan.clone(), container: self.handle.plan.index_of(container)?, number })
    }

    fn save(&self) {
        self.handle.file.save(self.task.to_json(), self.told);
    }
}

fn exited(container: String, exit: Exit) -> Event {
    let Exit { code, oom_killed, at } = exit;
    Event::Exited { container, exit_code: code, oom_killed, at: clock::from_wall(at) }
}

/// Weak: a process that lives on keeps no inbox alive.
fn tell(events: &mpsc::WeakUnboundedSender<Box<Event>>, event: Event) {
    if let Some(events) = events.upgrade() {
        let _ = events.send(Box::new(event));
    }
}

/// What is worth a message when it changes.
fn health(task: &Task) -> Vec<(Option<HealthStatus>, Option<bool>, [&str; 2])> {
    let containers = task.containers().iter();
    containers.map(|one| (one.health_status(), one.is_ready(), crate::tcs::said(one))).collect()
}
