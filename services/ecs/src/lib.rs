//! Amazon ECS: what each operation of its API means for the records of the control plane.
//!
//! An operation is a function from a request and a snapshot to changes and an answer; it knows neither the wire nor the
//! store. Nothing here starts a container: an operation writes down what should be, and the agents and reconcilers see it.
//!
//! Start reading at [`ops`], one operation a file; `lookup` finds what a request names; `views` and `convert` translate
//! between what we keep and what AWS shows; `limits` and `quirks` say what AWS forbids and where it surprises.

#![forbid(unsafe_code)]

mod access;
mod account_settings;
mod capacity;
mod convert;
mod ctx;
mod daemon;
mod deploy;
mod error;
mod exec;
mod idempotency;
mod limits;
mod lookup;
mod ops;
mod page;
mod quirks;
mod service;
mod views;

pub use access::{ACCESS, Access};
pub use exec::{ExecLogs, ExecRequest, ExecSessions, TooManySessions};
pub use service::{EcsService, Environment};
