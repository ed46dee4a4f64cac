//! What survives the agent: two files per task, and one for the instance.
//!
//! A task's record says what was accepted. It is there before a container of the task starts, and on the disk before the
//! task is acknowledged or anything is told about it; it is never written again. Beside it lies the task's state, which is
//! written and renamed at every step and never flushed: a killed agent finds the last one, and after a loss of power it may
//! be gone. Nothing ran on through that, and `boot` tells that it happened, so that no container starts a second time.
//!
//! All writing happens away from the loop: no step waits for a disk.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use agent_api::payload;
use serde::{Deserialize, Serialize};
use stdx::Timestamp;
use tokio::sync::watch;

use crate::plan::Identity;

pub const VERSION: u32 = 1;

/// A task on disk.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskRecord {
    pub version: u32,
    pub accepted_at: Timestamp,
    pub identity: Identity,
    /// Without credentials: those are asked for again after a restart.
    pub task: payload::Task,
    /// The engine's own record.
    pub engine: String,
    /// STOPPED was reported, and the report was answered.
    pub told: bool,
    /// In which life of the machine this was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub boot: Option<String>,
}

/// What changes of a [`TaskRecord`].
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TaskState {
    version: u32,
    engine: String,
    told: bool,
    boot: Option<String>,
}

/// What the agent is to its control plane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InstanceRecord {
    pub version: u32,
    pub cluster: String,
    pub container_instance_arn: String,
}

#[derive(Debug, thiserror::Error)]
#[error("failed to {action} {path}", path = path.display())]
pub struct RecordError {
    action: &'static str,
    path: PathBuf,
    #[source]
    source: io::Error,
}

#[derive(Clone)]
pub struct Records {
    tasks: PathBuf,
    instance: PathBuf,
    boot: Option<String>,
}

impl Records {
    pub fn open(state_dir: &Path) -> Result<Records, RecordError> {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok();
        Records::open_in(state_dir, boot.map(|id| id.trim().to_owned()))
    }

    fn open_in(state_dir: &Path, boot: Option<String>) -> Result<Records, RecordError> {
        let tasks = state_dir.join("tasks");
        fs::create_dir_all(&tasks).map_err(|source| RecordError { action: "create", path: tasks.clone(), source })?;
        Ok(Records { tasks, instance: state_dir.join("instance.json"), boot })
    }

    pub fn instance(&self) -> Option<InstanceRecord> {
        serde_json::from_slice(&fs::read(&self.instance).ok()?).ok()
    }

    pub fn save_instance(&self, record: &InstanceRecord) -> Result<(), RecordError> {
        let bytes = serde_json::to_vec(record).expect("a record has string keys only");
        replace(&self.instance, &bytes, Flush::Yes)
    }

    /// Remembers a task from here on.
    pub fn accept(&self, task_id: &str, mut record: TaskRecord) -> TaskFile {
        record.boot.clone_from(&self.boot);
        let bytes = serde_json::to_vec(&record).expect("a record has string keys only");
        let file = self.file(task_id, Kept::Not);
        file.enqueue(|pending| (pending.record, pending.flush) = (Some(bytes), true));
        file
    }

    /// The file of a task that [`Records::tasks`] found.
    pub fn found(&self, task_id: &str) -> TaskFile {
        self.file(task_id, Kept::Written)
    }

    fn file(&self, task_id: &str, kept: Kept) -> TaskFile {
        let shared = Shared {
            record: self.tasks.join(format!("{task_id}.json")),
            state: self.tasks.join(format!("{task_id}.{STATE}")),
            boot: self.boot.clone(),
            pending: Mutex::default(),
            kept: watch::Sender::new(kept),
            written: watch::Sender::new(0),
        };
        TaskFile { shared: Arc::new(shared) }
    }

    /// The machine was restarted after this was written.
    pub fn is_of_earlier_boot(&self, record: &TaskRecord) -> bool {
        matches!((&self.boot, &record.boot), (Some(now), Some(then)) if now != then)
    }

    /// Every record that can be read, in its last state; the others are set aside with a warning, for a person to look at.
    pub fn tasks(&self) -> Result<Vec<TaskRecord>, RecordError> {
        let list = |source| RecordError { action: "list", path: self.tasks.clone(), source };
        let mut records = Vec::new();
        for entry in fs::read_dir(&self.tasks).map_err(list)? {
            let path = entry.map_err(list)?.path();
            match path.extension().and_then(|extension| extension.to_str()) {
                Some("json") => {}
                // The first half of a write that nobody finished, and what is left of a removal.
                Some(ASIDE) => {
                    let _ = fs::remove_file(&path);
                    continue;
                }
                Some(STATE) if !path.with_extension("json").exists() => {
                    let _ = fs::remove_file(&path);
                    continue;
                }
                _ => continue,
            }
            let bytes = match fs::read(&path) {
                Ok(bytes) => bytes,
                // Removed since it was listed.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(source) => return Err(RecordError { action: "read", path, source }),
            };
            match serde_json::from_slice::<TaskRecord>(&bytes) {
                Ok(record) if record.version == VERSION => records.push(in_last_state(record, &path)),
                Ok(record) => {
                    tracing::warn!(path = %path.display(), version = record.version, "a task's record is of another version")
                }
                Err(error) => {
                    tracing::warn!(path = %path.display(), %error, "a task's record cannot be read and is set aside");
                    let _ = fs::rename(&path, path.with_extension("broken"));
                }
            }
        }
        records.sort_by_key(|record| record.accepted_at);
        Ok(records)
    }
}

/// Extensions of a task's state, and of a file that is not yet in its place.
const STATE: &str = "state";
const ASIDE: &str = "new";

/// A state that cannot be read was cut by a loss of power: then the record alone counts.
fn in_last_state(record: TaskRecord, path: &Path) -> TaskRecord {
    let bytes = fs::read(path.with_extension(STATE)).unwrap_or_default();
    match serde_json::from_slice::<TaskState>(&bytes) {
        Ok(state) if state.version == VERSION => {
            TaskRecord { engine: state.engine, told: state.told, boot: state.boot, ..record }
        }
        _ => record,
    }
}

/// The files of one task. Clones write to the same ones; the last state wins.
#[derive(Clone)]
pub struct TaskFile {
    shared: Arc<Shared>,
}

struct Shared {
    record: PathBuf,
    state: PathBuf,
    boot: Option<String>,
    pending: Mutex<Pending>,
    kept: watch::Sender<Kept>,
    /// How many states are written, or have been overtaken by one that is.
    written: watch::Sender<u64>,
}

/// What has become of the record.
#[derive(Clone, Debug)]
enum Kept {
    Not,
    /// A killed agent's successor finds it.
    Written,
    /// It survives a loss of power.
    Durably,
    Failed(Arc<RecordError>),
}

#[derive(Default)]
struct Pending {
    record: Option<Vec<u8>>,
    flush: bool,
    state: Option<Vec<u8>>,
    /// How many states there were in all.
    states: u64,
    remove: bool,
    writing: bool,
}

impl TaskFile {
    /// Returns at once. States that come faster than the disk are written as one.
    pub fn save(&self, engine: String, told: bool) {
        let state = TaskState { version: VERSION, engine, told, boot: self.shared.boot.clone() };
        let bytes = serde_json::to_vec(&state).expect("a state has string keys only");
        self.enqueue(|pending| {
            pending.state = Some(bytes);
            pending.states += 1;
        });
    }

    /// Resolves when an agent that is started next would find the record, or when it cannot be written.
    pub fn written(&self) -> impl Future<Output = ()> + Send + use<> {
        let mut kept = self.shared.kept.subscribe();
        async move {
            let _ = kept.wait_for(|kept| !matches!(kept, Kept::Not)).await;
        }
    }

    /// Resolves when the record is on the disk.
    pub fn durable(&self) -> impl Future<Output = Result<(), Arc<RecordError>>> + Send + use<> {
        let mut kept = self.shared.kept.subscribe();
        if matches!(*kept.borrow(), Kept::Written | Kept::Failed(_)) {
            self.shared.kept.send_modify(|kept| *kept = Kept::Written);
            self.enqueue(|pending| pending.flush = true);
        }
        async move {
            match kept.wait_for(|kept| matches!(kept, Kept::Durably | Kept::Failed(_))).await.as_deref() {
                Ok(Kept::Failed(error)) => Err(error.clone()),
                // An error is a task that was removed meanwhile.
                _ => Ok(()),
            }
        }
    }

    /// Resolves when the states that were saved so far are written, or cannot be.
    pub fn saved(&self) -> impl Future<Output = ()> + Send + use<> {
        let states = self.shared.lock().states;
        let mut written = self.shared.written.subscribe();
        async move {
            let _ = written.wait_for(|written| *written >= states).await;
        }
    }

    /// Nothing is written afterwards.
    pub fn remove(&self) {
        self.enqueue(|pending| pending.remove = true);
    }

    fn enqueue(&self, change: impl FnOnce(&mut Pending)) {
        let mut pending = self.shared.lock();
        if pending.remove {
            return;
        }
        change(&mut pending);
        if !std::mem::replace(&mut pending.writing, true) {
            let shared = self.shared.clone();
            tokio::task::spawn_blocking(move || shared.write_pending());
        }
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_pending(&self) {
        loop {
            let mut pending = self.lock();
            if pending.remove {
                // `writing` stays set, so nothing is ever written again.
                let states = pending.states;
                drop(pending);
                self.remove();
                self.kept.send_replace(Kept::Durably);
                self.written.send_replace(states);
                return;
            }
            let (record, state, states) = (pending.record.take(), pending.state.take(), pending.states);
            let flush = std::mem::take(&mut pending.flush);
            if record.is_none() && state.is_none() && !flush {
                pending.writing = false;
                return;
            }
            drop(pending);
            if let Some(record) = record {
                let written = replace(&self.record, &record, Flush::No);
                self.kept.send_replace(written.map_or_else(|error| Kept::Failed(Arc::new(error)), |()| Kept::Written));
            }
            // Before the flush, which takes much longer.
            if let Some(state) = state {
                if let Err(error) = replace(&self.state, &state, Flush::No) {
                    tracing::error!(error = &error as &dyn std::error::Error, "a task's state was not written");
                }
                self.written.send_replace(states);
            }
            if flush && !matches!(*self.kept.borrow(), Kept::Failed(_)) {
                let flushed = flush_record(&self.record);
                self.kept.send_replace(flushed.map_or_else(|error| Kept::Failed(Arc::new(error)), |()| Kept::Durably));
            }
        }
    }

    /// The record first: a state without one is nobody's, a record without one would begin again.
    fn remove(&self) {
        for path in [&self.record, &self.state] {
            let _ = fs::remove_file(path);
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Flush {
    Yes,
    No,
}

/// Aside, then renamed: a reader finds the old file or the new one.
fn replace(path: &Path, bytes: &[u8], flush: Flush) -> Result<(), RecordError> {
    let failed = |action| move |source| RecordError { action, path: path.to_owned(), source };
    // Both files of a task may be on their way at once.
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".{ASIDE}"));
    let mut file = File::create(&aside).map_err(failed("create"))?;
    file.write_all(bytes).map_err(failed("write"))?;
    if flush == Flush::Yes {
        file.sync_all().map_err(failed("flush"))?;
    }
    failpoint::place("agent.record");
    fs::rename(&aside, path).map_err(failed("put in place"))?;
    if flush == Flush::Yes { sync_folder(path) } else { Ok(()) }
}

fn flush_record(path: &Path) -> Result<(), RecordError> {
    let synced = File::open(path).and_then(|file| file.sync_all());
    synced.map_err(|source| RecordError { action: "flush", path: path.to_owned(), source })?;
    sync_folder(path)
}

/// A name is durable when its folder is.
fn sync_folder(path: &Path) -> Result<(), RecordError> {
    let Some(folder) = path.parent() else { return Ok(()) };
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|source| RecordError { action: "flush the folder of", path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> TaskRecord {
        let task: payload::Task =
            serde_json::from_str(r#"{"arn":"a/b/t1","desiredStatus":"RUNNING","containers":[]}"#).unwrap();
        let identity = Identity::new(&task, String::new);
        TaskRecord {
            version: VERSION,
            accepted_at: Timestamp::from_millis(5),
            identity,
            task,
            engine: "accepted".into(),
            told: false,
            boot: None,
        }
    }

    fn in_boot(folder: &Path, boot: &str) -> Records {
        Records::open_in(folder, Some(boot.to_owned())).unwrap()
    }

    #[test]
    fn a_record_of_version_1_is_still_a_task() {
        let text = include_str!("../tests/golden/task-v1.json");
        let record: TaskRecord = serde_json::from_str(text).unwrap();
        assert_eq!((record.version, record.told, record.accepted_at.as_millis()), (1, true, 1_795_546_521_017));
        let engine = task_engine::Task::from_json(&record.engine).unwrap();
        assert_eq!(engine.container("web").unwrap().exit_code, Some(5));
        let again = serde_json::to_string(&record).unwrap();
        assert_eq!(again, text.trim_end(), "a change of the format needs another version");
        let (plan, _) = crate::plan::TaskPlan::new(record.task, record.identity, std::time::Duration::ZERO).unwrap();
        assert_eq!(plan.containers[0].docker_name, "ecs-fam-7-web-594e76089e5f468bab59");
    }

    #[tokio::test]
    async fn the_last_state_wins_and_broken_files_are_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let records = in_boot(folder.path(), "one");
        let file = records.accept("t1", record());
        file.durable().await.unwrap();
        assert_eq!(records.tasks().unwrap()[0].engine, "accepted");
        file.save("running".to_owned(), false);
        file.save("stopped".to_owned(), true);
        file.saved().await;
        let state = std::fs::read_to_string(folder.path().join("tasks/t1.state")).unwrap();
        assert_eq!(state, r#"{"version":1,"engine":"stopped","told":true,"boot":"one"}"#);
        for (name, text) in [("t2.json", "{"), ("t3.state", "nobody's"), ("t1.state.new", "half")] {
            std::fs::write(folder.path().join("tasks").join(name), text).unwrap();
        }
        let read = records.tasks().unwrap();
        assert_eq!((read.len(), read[0].engine.as_str(), read[0].told), (1, "stopped", true));
        let mut names: Vec<_> =
            fs::read_dir(folder.path().join("tasks")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["t1.json", "t1.state", "t2.broken"]);
    }

    /// Whatever a loss of power leaves of files that were not flushed, what was accepted is known.
    #[tokio::test]
    async fn a_loss_of_power_takes_the_state_and_not_the_task() {
        let folder = tempfile::tempdir().unwrap();
        let file = in_boot(folder.path(), "one").accept("t1", record());
        file.durable().await.unwrap();
        file.save("running".to_owned(), false);
        file.saved().await;
        let path = folder.path().join("tasks/t1.state");
        let whole = fs::read(&path).unwrap();
        let zeros = vec![0; whole.len()];
        for left in [Some(&whole[..0]), Some(&whole[..20]), Some(&zeros), None, Some(&whole)] {
            match left {
                Some(bytes) => fs::write(&path, bytes).unwrap(),
                None => fs::remove_file(&path).unwrap(),
            }
            let records = in_boot(folder.path(), "two");
            let read = records.tasks().unwrap();
            assert_eq!(read.len(), 1);
            assert_eq!(read[0].engine, if left == Some(&whole) { "running" } else { "accepted" });
            assert!(records.is_of_earlier_boot(&read[0]), "nothing runs on through that");
            assert!(!in_boot(folder.path(), "one").is_of_earlier_boot(&read[0]));
        }
        // A state of this boot counts, however old the record is.
        let records = in_boot(folder.path(), "two");
        let file = records.found("t1");
        file.save("stopped".to_owned(), false);
        file.saved().await;
        assert!(!records.is_of_earlier_boot(&records.tasks().unwrap()[0]));
    }

    #[tokio::test]
    async fn a_removed_task_does_not_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let records = in_boot(folder.path(), "one");
        let file = records.accept("t1", record());
        file.durable().await.unwrap();
        file.remove();
        file.save("stopped".to_owned(), true);
        file.saved().await;
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while fs::read_dir(folder.path().join("tasks")).unwrap().next().is_some() {
            assert!(std::time::Instant::now() < deadline, "a file is still there");
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_full_disk_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let records = in_boot(folder.path(), "one");
        let file = records.accept("no/such/folder", record());
        let error = file.durable().await.unwrap_err();
        assert!(error.to_string().starts_with("failed to create"), "{error}");
        file.written().await;
        assert!(file.durable().await.is_err(), "and told again");
    }

    #[test]
    fn the_instance_is_remembered() {
        let folder = tempfile::tempdir().unwrap();
        let records = Records::open(folder.path()).unwrap();
        assert_eq!(records.instance(), None);
        let record = InstanceRecord { version: 1, cluster: "default".into(), container_instance_arn: "arn".into() };
        records.save_instance(&record).unwrap();
        assert_eq!(records.instance(), Some(record));
        let text = std::fs::read_to_string(folder.path().join("instance.json")).unwrap();
        assert_eq!(text, r#"{"version":1,"cluster":"default","containerInstanceArn":"arn"}"#);
    }
}
