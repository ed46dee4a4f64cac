//! The loop on a container instance: tasks come down from the control plane, containers run, reports go up.
//!
//! [`Agent::start`] takes up what an earlier agent left, registers, and keeps two websockets open. Each task has a loop
//! of its own around the pure `task_engine`; nothing here decides about a task. Whatever touches the machine goes
//! through [`seams::Node`], whatever touches the control plane's API through [`seams::ControlPlane`].
//!
//! It never forks a container and never outlives its use: processes belong to the shims, and survive the agent.
//!
//! Start at [`Agent`], then `session.rs` and `acs.rs` (what comes down), `tasks.rs` (what becomes of it) and `worker.rs` (one task).

#![forbid(unsafe_code)]

mod acs;
mod agent;
mod clock;
mod config;
mod control;
mod endpoints;
mod environment;
mod exec;
mod limits;
mod metadata;
#[doc(hidden)]
pub mod parsers;
pub mod plan;
mod prepull;
mod protection;
mod records;
mod registration;
mod reporter;
mod role_keys;
mod samples;
pub mod seams;
pub mod session;
mod socket;
mod statistics;
mod tasks;
mod tcs;
mod worker;

pub use agent::{Agent, AgentError, AgentHandle};
pub use config::{AgentConfig, Credentials};
pub use control::HttpControlPlane;
pub use metadata::{ContainerInfo, MetadataListener, VolumeInfo};
pub use registration::{AGENT_HASH, AGENT_VERSION, Machine, has_apparmor, has_selinux};

/// What an agent says, apart from how it is sent: functions of values. The agents of the simulator say the same.
pub mod say {
    pub use crate::registration::request as registration;
    pub use crate::reporter::request as report;
    pub use crate::tcs::task_health;
}
