//! The agent between a scripted control plane and a fake machine, all in one process.
//!
//! Start at `rig.rs`. Nothing sleeps: every wait is for something to happen, with a deadline.

mod control_plane;
mod http;
mod latency;
mod machine;
mod metadata;
mod payloads;
mod registration;
mod reports;
mod restart;
mod rig;
mod sockets;
mod tasks;
mod telemetry;
mod websockets;
