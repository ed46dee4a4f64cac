//! What the agent and a shim say to each other: tiny, and slow to change.
//!
//! One message is one line of text over a unix socket: a verb, then `key=value` fields in a fixed order.
//! Values are percent-escaped, so a line never holds a stray space or newline, and a person can read a
//! capture with `socat`. A reader ignores fields it does not know, so either side may be the newer one.
//!
//! This crate never does IO and depends on nothing: the shim links it, and the shim must stay small.
//!
//! Start at [`Request`] (agent to shim) and [`Message`] (shim to agent). [`log`] holds the format of the log
//! files a shim writes, [`ExitRecord`] what remains of a container when everybody else is gone.

#![forbid(unsafe_code)]

mod exit;
mod line;
pub mod log;
mod message;
mod request;

pub use exit::ExitRecord;
pub use line::ParseError;
pub use message::{ContainerState, ContainerStatus, Message, Refusal};
pub use request::{Overlay, Request, RequestBody, RunRequest, Stdin};

/// The version of this protocol. A change that an older peer would misread raises it; a new optional field does not.
pub const VERSION: u32 = 1;

/// The shim's socket, in the task's directory.
pub const SOCKET_NAME: &str = "shim.sock";

/// The shim's process id in decimal, in the task's directory.
pub const PID_NAME: &str = "shim.pid";

/// The longest line either side accepts, in bytes. An overlay of 120 layers with long paths is about 20 KiB.
pub const LINE_BYTES_MAX: usize = 256 * 1024;

/// The exit record, in the container's directory. Once it is there, the container's log is complete.
pub const EXIT_NAME: &str = "exit.json";

/// The directory of the containers, in the task's directory.
pub const CONTAINERS_NAME: &str = "containers";

/// The file in the bundle that the container's network namespace is bound to while its mount namespace is made.
pub const NETNS_NAME: &str = "netns";

/// Set in the environment of an OCI runtime that a shim calls: its mount namespace is for the container alone.
pub const OWN_MOUNTS: &str = "BERTH_OWN_MOUNTS";

/// The directory of a container's log segments, in the container's directory.
pub const LOG_NAME: &str = "log";
