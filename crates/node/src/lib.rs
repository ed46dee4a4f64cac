//! A container instance of flesh and blood: [`agent::seams::Node`] on this machine.
//!
//! [`Machine`] puts four crates together that know nothing of each other: `images` has a container's files, `network` its
//! addresses and ports, `runtime` its processes, and `logs` carries away what it says. What a task payload means for
//! them is said once, in `spec`, which is pure and reads like a table.
//!
//! It decides nothing about tasks, that is the task engine's; and it keeps no record of its own beside the container:
//! names follow from the plan, and everything else is in the task's directory or in the kernel. So [`Machine`] may die at
//! any moment, and the next one finds what there is. It touches nothing that it did not make: other agents, Docker
//! engines and Berth nodes may work on the same machine.
//!
//! ```text
//! <node_dir>/tasks/<task>/                 as crate `runtime` has it, with log, exit code and `berth.json` of each container
//! <node_dir>/network/                      one record for each container's addresses and ports
//! <node_dir>/volumes/{shared,tasks/<task>} Docker volumes
//! ```
//!
//! Start reading at [`Machine`], then `launch.rs` for a container's start and `recover.rs` for an agent's. [`control`] is the
//! node's own socket.

#![forbid(unsafe_code)]

mod apparmor;
mod burials;
mod cdi;
mod cleanup;
mod config;
pub mod control;
mod environment_files;
mod failure;
mod firelens;
mod health;
mod keepsake;
mod launch;
mod limits;
mod local;
mod machine;
mod names;
mod pause;
mod prepull;
mod probe;
mod recover;
mod release;
mod room;
mod said;
mod signal;
mod spec;
mod statistics;
mod watch;

pub use cleanup::ImageCleanup;
pub use config::{MachineConfig, OnPull, OpenError};
pub use machine::Machine;
pub use names::runtime_id;
pub use said::{Said, SaidLine};
