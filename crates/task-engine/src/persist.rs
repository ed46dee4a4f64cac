//! A task on disk: JSON with a version, read by this and every later program.

use serde::{Deserialize, Serialize};

use crate::task::Task;

/// The version written. A change that an older record cannot be read with raises it, and adds a reader for the old one.
pub const VERSION: u32 = 1;

#[derive(Debug, thiserror::Error)]
pub enum PersistError {
    #[error("the record of a task is not valid")]
    Invalid(#[source] serde_json::Error),
    #[error("the record of a task has version {0}, which is newer than this program")]
    Newer(u32),
}

#[derive(Deserialize)]
struct Version {
    version: u32,
}

#[derive(Serialize, Deserialize)]
struct Record<T> {
    version: u32,
    task: T,
}

impl Task {
    pub fn to_json(&self) -> String {
        serde_json::to_string(&Record { version: VERSION, task: self }).expect("a task is always valid JSON")
    }

    pub fn from_json(text: &str) -> Result<Task, PersistError> {
        let version: Version = serde_json::from_str(text).map_err(PersistError::Invalid)?;
        if version.version > VERSION {
            return Err(PersistError::Newer(version.version));
        }
        let record: Record<Task> = serde_json::from_str(text).map_err(PersistError::Invalid)?;
        Ok(record.task)
    }
}
