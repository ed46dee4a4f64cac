//! A Berth to test against: `berth up` in a network namespace of its own, and the real clients that speak to it.
//!
//! A [`Machine`] is a host with its own loopback, ports and bridges, so tests run beside each other and beside a Berth that a
//! person has running. Dropping it ends what it started and looks whether anything is left on the real machine.
//!
//! It runs the program that people get, `target/release/berth`, which `make build` makes; `BERTH_BIN` names another one.

#![forbid(unsafe_code)]

mod clients;
mod docker;
pub mod image;
mod leaks;
mod machine;
mod wait;

pub use clients::BOTO;
pub use docker::Docker;
pub use leaks::processes;
pub use machine::{Machine, berth, workspace};
pub use wait::{patience, until};
