//! Why a task was stopped, as the control plane says it: the `stoppedReason` of DescribeTasks. [`StopCode`](crate::StopCode)
//! goes with each. What an agent says of a container is its own (`task_engine::words`).
//!
//! `docs/stop-words.md` says when each is used, and which test shows it.
//!
//! Source: Amazon ECS Developer Guide, "Amazon ECS stopped tasks error messages", unless another is named.

/// StopTask without a reason. Source: Amazon ECS API Reference, `StopTask`.
pub const BY_USER: &str = "Task stopped by user";

/// Its instance was deregistered by force.
pub const DEREGISTERED: &str = "Host container instance deregistered by user";

pub const ESSENTIAL_EXITED: &str = "Essential container in task exited";

/// It never ran, and nobody said why.
pub const NEVER_RAN: &str = "Task failed to start";

pub const UNHEALTHY: &str = "Task failed container health checks";

/// Ours. How the reason of a task begins that was given up because it has never been ready.
pub const NEVER_READY: &str = "Task was not ready within ";

/// Ours: ECS moves it without a word of its own.
pub const CONSTRAINTS: &str = "Task no longer satisfies the placement constraints of its service";

/// Ours, of a managed daemon's task.
pub const OF_NO_PROVIDER: &str = "The container instance is of no capacity provider of the daemon";

/// No instance of its capacity provider was ever there for it.
pub const NO_INSTANCE: &str = "EMPTY CAPACITY PROVIDER";

/// There were some, but none that takes tasks.
pub const NO_ACTIVE_INSTANCE: &str = "NO ACTIVE INSTANCES";

/// By a deployment, which takes old tasks away, or has too many: `Scaling activity initiated by (deployment ecs-svc/1)`.
pub fn scaling(deployment: &str) -> String {
    format!("Scaling activity initiated by (deployment {deployment})")
}

pub fn scaling_of_task_set(set: &str) -> String {
    format!("Scaling activity initiated by (taskSet {set})")
}

pub fn scaling_of_daemon(deployment: &str) -> String {
    format!("Scaling activity initiated by (daemon-deployment {deployment})")
}

/// The instance by its id in EC2, where it has one.
pub fn host_terminated(instance: &str) -> String {
    format!("Host EC2 (instance {instance}) terminated.")
}

/// Ours: ECS waits until the instance is terminated.
pub fn agent_lost(instance: &str) -> String {
    format!("The agent of the container instance {instance} is not connected any more.")
}

/// It waited for an instance, and waited too long. `why` is a reason that DescribeTasks documents, such as `RESOURCE:MEMORY`.
/// Source: Amazon ECS Developer Guide, "Amazon ECS API failure reasons".
pub fn never_placed(why: &str) -> String {
    format!("TaskFailedToStart: {why}")
}
