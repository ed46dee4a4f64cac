//! A machine without containers: processes are entries in a map, and end when a test says so.
//!
//! It outlives the agents that use it, as a real one does.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use agent::plan::TaskPlan;
use agent::seams::{
    CpuStatistics, Exit, ExitWatch, Launched, MemoryStatistics, Node, Pulled, Remains, Run, Statistics, Usage,
};
use agent_api::extras::PrepullImage;
use async_trait::async_trait;
use stdx::Timestamp;
use task_engine::{Binding, Failure, Purpose};
use tokio::sync::{Notify, watch};

use crate::rig::DEADLINE;

#[derive(Default)]
pub struct Machine {
    state: Mutex<State>,
    changed: Notify,
}

#[derive(Default)]
struct State {
    calls: Vec<String>,
    pull_failures: BTreeMap<String, Failure>,
    start_failures: BTreeMap<String, Failure>,
    deaf: BTreeSet<String>,
    sick: bool,
    held: Option<watch::Receiver<bool>>,
    ports: u16,
    processes: BTreeMap<Key, Process>,
}

/// Task id, container, number of the run.
type Key = (String, String, u32);

#[derive(Clone)]
struct Process {
    exit: watch::Sender<Option<Exit>>,
    runtime_id: String,
    bindings: Vec<Binding>,
    at: Timestamp,
}

pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
}

impl Machine {
    pub fn fail_pull(&self, container: &str, failure: Failure) {
        self.lock().pull_failures.insert(container.to_owned(), failure);
    }

    pub fn fail_start(&self, container: &str, failure: Failure) {
        self.lock().start_failures.insert(container.to_owned(), failure);
    }

    /// Containers that start run, and nobody hears of it until what is given back says `true`.
    pub fn hold_starts(&self) -> watch::Sender<bool> {
        let (release, held) = watch::channel(false);
        self.lock().held = Some(held);
        release
    }

    /// Its process ignores the stop signal.
    pub fn deafen(&self, container: &str) {
        self.lock().deaf.insert(container.to_owned());
    }

    pub fn fail_health_checks(&self) {
        self.lock().sick = true;
    }

    /// Ends the newest run of a container.
    pub fn exit(&self, task: &str, container: &str, code: i32) {
        let state = self.lock();
        let mut runs = state.processes.iter().filter(|((id, name, _), _)| id == task && name == container);
        let (_, process) = runs.next_back().expect("the container runs");
        process.end(code, false);
    }

    /// Forgets every process, as a restart of the machine does.
    pub fn reboot(&self) {
        self.lock().processes.clear();
    }

    pub fn calls(&self) -> Vec<String> {
        self.lock().calls.clone()
    }

    pub fn count(&self, call: &str) -> usize {
        self.lock().calls.iter().filter(|known| *known == call).count()
    }

    pub async fn called(&self, call: &str) {
        self.called_times(call, 1).await;
    }

    pub async fn called_times(&self, call: &str, times: usize) {
        let happens = async {
            loop {
                let changed = self.changed.notified();
                if self.count(call) >= times {
                    return;
                }
                changed.await;
            }
        };
        if tokio::time::timeout(DEADLINE, happens).await.is_err() {
            panic!("{call:?} was not called {times} times: {:#?}", self.calls());
        }
    }

    fn note(&self, call: String) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        state.calls.push(call);
        self.changed.notify_waiters();
        state
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl Process {
    fn end(&self, code: i32, oom_killed: bool) {
        self.exit.send_if_modified(|exit| {
            let runs = exit.is_none();
            if runs {
                *exit = Some(Exit { code, oom_killed, at: now() });
            }
            runs
        });
    }

    fn watch(&self) -> ExitWatch {
        let mut exit = self.exit.subscribe();
        Box::pin(async move {
            let ended = exit.wait_for(Option::is_some).await.ok().and_then(|exit| exit.clone());
            match ended {
                Some(exit) => exit,
                // The machine forgot it.
                None => std::future::pending().await,
            }
        })
    }

    fn launched(&self) -> Launched {
        let (runtime_id, bindings) = (self.runtime_id.clone(), self.bindings.clone());
        Launched { runtime_id, bindings, at: self.at, exit: self.watch() }
    }
}

fn name(run: &Run) -> String {
    run.task.containers[run.container].name.clone()
}

fn key(run: &Run) -> Key {
    (run.task.id.clone(), name(run), run.number)
}

#[async_trait]
impl Node for Machine {
    async fn prepare(&self, task: &Arc<TaskPlan>) {
        drop(self.note(format!("prepare {}", task.id)));
    }

    async fn pull(&self, run: &Run) -> Result<Pulled, Failure> {
        let state = self.note(format!("pull {} {}", run.task.id, name(run)));
        match state.pull_failures.get(&name(run)) {
            Some(failure) => Err(failure.clone()),
            None => Ok(Pulled { digest: Some("sha256:5e1f".to_owned()), times: None }),
        }
    }

    async fn prepull(&self, image: &PrepullImage) -> Result<(), Failure> {
        let state = self.note(format!("prepull {} {}", image.image, image.digest.as_deref().unwrap_or("-")));
        state.pull_failures.get(&image.image).cloned().map_or(Ok(()), Err)
    }

    async fn start(&self, run: &Run) -> Result<Launched, Failure> {
        let held = self.note(format!("start {} {} {}", run.task.id, name(run), run.number)).held.clone();
        if let Some(mut held) = held {
            let _ = held.wait_for(|released| *released).await;
        }
        let mut state = self.lock();
        if let Some(failure) = state.start_failures.get(&name(run)) {
            return Err(failure.clone());
        }
        let mut bindings = Vec::new();
        for mapping in &run.task.containers[run.container].payload.port_mappings {
            let host_port = 32768 + state.ports;
            state.ports += 1;
            let container_port = u16::try_from(mapping.container_port.unwrap()).unwrap();
            let (bind_ip, protocol) = ("0.0.0.0".to_owned(), "tcp".to_owned());
            bindings.push(Binding { bind_ip, container_port, host_port, protocol, to: None });
        }
        let runtime_id = format!("{}-{}-{}", run.task.id, name(run), run.number);
        let process = Process { exit: watch::Sender::new(None), runtime_id, bindings, at: now() };
        Ok(state.processes.entry(key(run)).or_insert(process).launched())
    }

    async fn stop(&self, run: &Run) {
        let state = self.note(format!("stop {} {}", run.task.id, name(run)));
        if let Some(process) = state.processes.get(&key(run)).filter(|_| !state.deaf.contains(&name(run))) {
            process.end(143, false);
        }
    }

    async fn kill(&self, run: &Run) {
        let state = self.note(format!("kill {} {}", run.task.id, name(run)));
        if let Some(process) = state.processes.get(&key(run)) {
            process.end(137, false);
        }
    }

    async fn check_health(&self, run: &Run, purpose: Purpose) -> Result<(), String> {
        let sick = self.note(format!("check {} {}", run.task.id, name(run))).sick;
        if sick { Err(format!("{purpose:?} fails")) } else { Ok(()) }
    }

    async fn usages(&self, runs: &[Run]) -> Vec<Option<Usage>> {
        let usage = |run: &Run| {
            let state = self.note(format!("usage {} {}", run.task.id, name(run)));
            state.processes.get(&key(run)).map(|_| Usage { cpu: Duration::from_millis(250), memory_bytes: 64 << 20 })
        };
        runs.iter().map(usage).collect()
    }

    async fn statistics(&self, run: &Run) -> Option<Statistics> {
        let state = self.note(format!("statistics {} {}", run.task.id, name(run)));
        state.processes.get(&key(run)).map(|_| Statistics {
            cpu: CpuStatistics { total: Duration::from_millis(250), ..CpuStatistics::default() },
            memory: MemoryStatistics { usage: 64 << 20, ..MemoryStatistics::default() },
            ..Statistics::default()
        })
    }

    async fn release(&self, task: &Arc<TaskPlan>) {
        drop(self.note(format!("release {}", task.id)));
    }

    async fn remove(&self, task: &Arc<TaskPlan>) {
        drop(self.note(format!("remove {}", task.id)));
    }

    async fn recover(&self, runs: Vec<Run>, ended: Vec<Arc<TaskPlan>>) -> Vec<(Run, Remains)> {
        ended.iter().for_each(|task| drop(self.note(format!("recover {}, which has ended", task.id))));
        let state = self.note("recover".to_owned());
        let found = |run: &Run| match state.processes.get(&key(run)) {
            None => Remains::Nothing,
            Some(process) => match process.exit.borrow().clone() {
                Some(exit) => Remains::Exited(exit),
                None => Remains::Running(process.launched()),
            },
        };
        runs.into_iter().map(|run| (run.clone(), found(&run))).collect()
    }
}
