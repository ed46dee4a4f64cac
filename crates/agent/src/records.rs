//! What survives the agent: two files per task, and one for the instance.
//!
//! A task's record says what was accepted. It is there before a container of the task starts, and on the disk before the
//! task is acknowledged or anything is told about it; it is never written again. Beside it lies the task's state, which is
//! written and renamed at every step and never flushed: a killed agent finds the last one, and after a loss of power it may
//! be gone. Nothing ran on through that, and `boot` tells that it happened, so that no container starts a second time.
//!
//! All writing happens away from the loop: no step waits for a disk.

mod disk;
mod file;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use agent_api::payload;
use serde::{Deserialize, Serialize};
use stdx::Timestamp;

use crate::plan::Identity;
pub use disk::RecordError;
use disk::{ASIDE, Flush, replace};
pub use file::TaskFile;

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
        TaskFile::new(self.record_of(task_id), self.boot.clone(), bytes)
    }

    /// The file of a task that [`Records::tasks`] found.
    pub fn found(&self, task_id: &str) -> TaskFile {
        TaskFile::found(self.record_of(task_id), self.boot.clone())
    }

    fn record_of(&self, task_id: &str) -> PathBuf {
        self.tasks.join(format!("{task_id}.json"))
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

/// Extension of a task's state.
const STATE: &str = "state";

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
