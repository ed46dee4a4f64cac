//! Names of containers on this machine. They follow from the plan alone, so that a restarted agent finds what it left.

use agent::plan::TaskPlan;
use agent::seams::Run;
use sha2::{Digest as _, Sha256};

/// What Docker calls a container's id: 64 hexadecimal digits. A container that its restart policy starts again keeps it.
///
/// Random through the plan's own random ids, which are kept with the task.
pub fn runtime_id(task: &TaskPlan, container: usize) -> String {
    let plan = &task.containers[container];
    let text = format!("{}\n{}\n{}\n{}", task.payload.arn, plan.name, plan.docker_name, plan.metadata_id);
    hex::encode(Sha256::digest(text.as_bytes()))
}

/// The short form that people know, and a container's host name.
pub fn short(runtime_id: &str) -> &str {
    &runtime_id[..12.min(runtime_id.len())]
}

/// The runtime's name for one run. The first has the container's id, so that its cgroup is named as Docker names it.
pub fn run_id(run: &Run) -> runtime::ContainerId {
    run_of(&runtime_id(&run.task, run.container), run.number)
}

/// What the run before this one was called.
pub fn previous_run_id(run: &Run) -> Option<runtime::ContainerId> {
    Some(run_of(&runtime_id(&run.task, run.container), run.number.checked_sub(1)?))
}

fn run_of(runtime_id: &str, number: u32) -> runtime::ContainerId {
    let name = match number {
        0 => runtime_id.to_owned(),
        number => format!("{runtime_id}.{number}"),
    };
    name.parse().expect("hexadecimal digits are a name")
}

/// The plan's own check of a task's id is stricter than the runtime's.
pub fn task_id(task: &TaskPlan) -> runtime::TaskId {
    task.id.parse().expect("a task's id is a name")
}
