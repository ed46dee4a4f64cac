//! What the control plane and an agent say to each other: the ACS and TCS messages of the official Amazon ECS agent.
//!
//! Everything here is a value. This crate never opens a socket, never reads a clock and never signs anything; it
//! turns messages into text and back, and knows what a control plane owes an agent ([`session`]).
//!
//! Start at [`ToAgent`] and [`FromAgent`], the two directions of ACS; [`payload`] is the largest message and says what
//! a task is. [`tcs`] is the telemetry socket. Names and casing are those of the public agent's interface model
//! (`ecs-agent/acs/model/api/api-2.json` and `ecs-agent/tcs/model/api/api-2.json` of `aws/amazon-ecs-agent`). What Berth
//! adds is in [`extras`]; the official agent skips fields it does not know.

#![forbid(unsafe_code)]

mod acs;
pub mod attachment;
pub mod close;
pub mod docker;
mod envelope;
pub mod extras;
pub mod payload;
pub mod query;
mod serde_rules;
pub mod session;
pub mod tcs;

pub use acs::{
    Ack, CloseMessage, ErrorMessage, FromAgent, Heartbeat, HeartbeatAck, IamRoleCredentialsAck,
    IamRoleCredentialsMessage, ManifestTask, Nack, RoleCredentials, RoleType, TaskManifest, TaskStopVerification,
    TaskStopVerificationAck, ToAgent, UpdateInfo, UpdateMessage,
};
pub use envelope::{DecodeError, Decoded};
