//! One task on one container instance, as a state machine: the order of its containers, their health, their end.
//!
//! [`Task::step`] takes what happened and answers what to do. It never waits, reads no clock and touches nothing, so
//! every rule here can be tried in a table. Whoever drives it must report back what became of each [`Action`].
//!
//! Start at [`Task`], then [`Event`] and [`Action`]: the two closed lists of what can happen and what can be asked.
//! The rules follow the official agent (`aws/amazon-ecs-agent`, `agent/engine`); where ours differ a comment says so.

#![forbid(unsafe_code)]

mod container;
mod dependency;
mod health;
mod persist;
mod report;
mod spec;
mod task;
pub mod words;

pub use container::{Container, Phase};
pub use health::{Health, HealthStatus, Purpose};
pub use persist::{PersistError, VERSION};
pub use report::{Binding, ContainerReport, ContainerStatus, Report, TaskStatus};
pub use spec::{
    Condition, ContainerSpec, Dependency, HealthCheck, InvalidTask, RestartPolicy, STOP_TIMEOUT_DEFAULT, TaskSpec,
};
pub use task::{Action, Event, Found, StopCause, Task};
pub use words::{Failure, FailureKind};
