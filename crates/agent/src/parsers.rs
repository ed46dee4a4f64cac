//! The parsers that are private otherwise, for those who feed them nonsense on purpose. Nobody else calls these.

use crate::records::{InstanceRecord, TaskRecord};

/// Whether a task's record on disk can be read, the engine's own part of it included.
pub fn task_record(bytes: &[u8]) -> bool {
    serde_json::from_slice::<TaskRecord>(bytes)
        .is_ok_and(|record| record.version >= 1 && task_engine::Task::from_json(&record.engine).is_ok())
}

pub fn instance_record(bytes: &[u8]) -> bool {
    serde_json::from_slice::<InstanceRecord>(bytes).is_ok()
}
