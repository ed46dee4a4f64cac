//! What survives the agent: one JSON file per task, and one for the instance.
//!
//! A task's first record is flushed to the disk before the task is acknowledged. Later ones are only written and
//! renamed: they describe processes, which do not survive a power loss either. All writing happens away from the
//! loop, so that no launch waits for a disk.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use agent_api::payload;
use serde::{Deserialize, Serialize};
use stdx::Timestamp;
use tokio::sync::oneshot;

use crate::plan::Identity;

pub const VERSION: u32 = 1;

/// A task on disk.
#[derive(Debug, Serialize, Deserialize)]
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

/// Resolves with what became of a flush; to nothing when the record was removed meanwhile.
pub type Flushed = oneshot::Receiver<Result<(), RecordError>>;

#[derive(Clone)]
pub struct Records {
    tasks: PathBuf,
    instance: PathBuf,
}

impl Records {
    pub fn open(state_dir: &Path) -> Result<Records, RecordError> {
        let tasks = state_dir.join("tasks");
        fs::create_dir_all(&tasks).map_err(|source| RecordError { action: "create", path: tasks.clone(), source })?;
        Ok(Records { tasks, instance: state_dir.join("instance.json") })
    }

    pub fn instance(&self) -> Option<InstanceRecord> {
        serde_json::from_slice(&fs::read(&self.instance).ok()?).ok()
    }

    pub fn save_instance(&self, record: &InstanceRecord) -> Result<(), RecordError> {
        let bytes = serde_json::to_vec(record).expect("a record has string keys only");
        write(&self.instance, &bytes, Flush::Yes)
    }

    pub fn task_file(&self, task_id: &str) -> TaskFile {
        let path = self.tasks.join(format!("{task_id}.json"));
        TaskFile { shared: Arc::new(Shared { path, pending: Mutex::new(Pending::default()) }) }
    }

    /// Every record that can be read; the others are set aside with a warning, for a person to look at.
    pub fn tasks(&self) -> Result<Vec<TaskRecord>, RecordError> {
        let list = |source| RecordError { action: "list", path: self.tasks.clone(), source };
        let mut records = Vec::new();
        for entry in fs::read_dir(&self.tasks).map_err(list)? {
            let path = entry.map_err(list)?.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let bytes = match fs::read(&path) {
                Ok(bytes) => bytes,
                // Removed since it was listed.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(source) => return Err(RecordError { action: "read", path, source }),
            };
            match serde_json::from_slice::<TaskRecord>(&bytes) {
                Ok(record) if record.version == VERSION => records.push(record),
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

/// The file of one task. Clones write to the same file; the last state wins.
#[derive(Clone)]
pub struct TaskFile {
    shared: Arc<Shared>,
}

struct Shared {
    path: PathBuf,
    pending: Mutex<Pending>,
}

#[derive(Default)]
struct Pending {
    next: Option<Vec<u8>>,
    flush: Vec<oneshot::Sender<Result<(), RecordError>>>,
    remove: bool,
    writing: bool,
}

impl TaskFile {
    /// Returns at once. States that come faster than the disk are written as one.
    pub fn save(&self, record: &TaskRecord) {
        let bytes = serde_json::to_vec(record).expect("a record has string keys only");
        self.enqueue(|pending| pending.next = Some(bytes));
    }

    /// Resolves when the record is on the disk.
    pub fn save_durably(&self, record: &TaskRecord) -> Flushed {
        let bytes = serde_json::to_vec(record).expect("a record has string keys only");
        let (done, flushed) = oneshot::channel();
        self.enqueue(|pending| {
            pending.next = Some(bytes);
            pending.flush.push(done);
        });
        flushed
    }

    /// Resolves when what was saved last is on the disk.
    pub fn flush(&self) -> Flushed {
        let (done, flushed) = oneshot::channel();
        self.enqueue(|pending| pending.flush.push(done));
        flushed
    }

    /// Nothing is written afterwards.
    pub fn remove(&self) {
        self.enqueue(|pending| pending.remove = true);
    }

    fn enqueue(&self, change: impl FnOnce(&mut Pending)) {
        let mut pending = self.shared.pending.lock().unwrap_or_else(PoisonError::into_inner);
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
    fn write_pending(&self) {
        loop {
            let (next, flush, remove) = {
                let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
                if pending.next.is_none() && pending.flush.is_empty() && !pending.remove {
                    pending.writing = false;
                    return;
                }
                if pending.remove {
                    // `writing` stays set, so nothing is ever written again.
                    (None, std::mem::take(&mut pending.flush), true)
                } else {
                    (pending.next.take(), std::mem::take(&mut pending.flush), false)
                }
            };
            if remove {
                let _ = fs::remove_file(&self.path);
                return;
            }
            let durable = if flush.is_empty() { Flush::No } else { Flush::Yes };
            let written = match next {
                Some(bytes) => write(&self.path, &bytes, durable),
                None => flush_again(&self.path),
            };
            match (written, flush) {
                (Err(error), flush) if flush.is_empty() => tracing::error!(%error, "a task's record was not written"),
                (written, flush) => {
                    let mut written = Some(written);
                    for done in flush {
                        let _ = done.send(written.take().unwrap_or(Ok(())));
                    }
                }
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Flush {
    Yes,
    No,
}

/// Aside, then renamed: a reader finds the old record or the new one.
fn write(path: &Path, bytes: &[u8], flush: Flush) -> Result<(), RecordError> {
    let failed = |action| move |source| RecordError { action, path: path.to_owned(), source };
    let aside = path.with_extension("new");
    let mut file = File::create(&aside).map_err(failed("create"))?;
    file.write_all(bytes).map_err(failed("write"))?;
    if flush == Flush::Yes {
        file.sync_all().map_err(failed("flush"))?;
    }
    fs::rename(&aside, path).map_err(failed("put in place"))?;
    match path.parent().filter(|_| flush == Flush::Yes) {
        Some(parent) => File::open(parent).and_then(|folder| folder.sync_all()).map_err(failed("flush the folder of")),
        None => Ok(()),
    }
}

/// What an earlier `write` left. Fails when that one failed.
fn flush_again(path: &Path) -> Result<(), RecordError> {
    let synced = File::open(path).and_then(|file| file.sync_all());
    synced.map_err(|source| RecordError { action: "flush", path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(told: bool) -> TaskRecord {
        let task: payload::Task =
            serde_json::from_str(r#"{"arn":"a/b/t1","desiredStatus":"RUNNING","containers":[]}"#).unwrap();
        let identity = Identity::new(&task, String::new);
        TaskRecord {
            version: VERSION,
            accepted_at: Timestamp::from_millis(5),
            identity,
            task,
            engine: "{}".into(),
            told,
        }
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
        let records = Records::open(folder.path()).unwrap();
        let file = records.task_file("t1");
        file.save_durably(&record(false)).await.unwrap().unwrap();
        assert!(!records.tasks().unwrap()[0].told);
        file.save(&record(false));
        file.flush().await.unwrap().unwrap();
        file.save_durably(&record(true)).await.unwrap().unwrap();
        std::fs::write(folder.path().join("tasks/t2.json"), "{").unwrap();
        let read = records.tasks().unwrap();
        assert_eq!(read.len(), 1);
        assert!(read[0].told);
        assert!(folder.path().join("tasks/t2.broken").exists());
    }

    #[tokio::test]
    async fn a_removed_task_does_not_come_back() {
        let folder = tempfile::tempdir().unwrap();
        let records = Records::open(folder.path()).unwrap();
        let file = records.task_file("t1");
        file.save_durably(&record(false)).await.unwrap().unwrap();
        file.remove();
        assert!(file.save_durably(&record(true)).await.is_err());
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
        while !records.tasks().unwrap().is_empty() {
            assert!(std::time::Instant::now() < deadline, "the record is still there");
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn a_full_disk_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let records = Records::open(folder.path()).unwrap();
        let file = records.task_file("no/such/folder");
        let error = file.save_durably(&record(false)).await.unwrap().unwrap_err();
        assert!(error.to_string().starts_with("failed to create"), "{error}");
        assert!(file.flush().await.unwrap().is_err(), "and told again");
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
