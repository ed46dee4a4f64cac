//! Where a task may run: filter the instances, rank what remains, choose, and say why the others were not chosen.
//!
//! Pure: a snapshot and a request go in, placements and reasons come out. It never commits; whoever does also moves the
//! [`state::PlacementFence`] of each instance, so that two plans on the same free memory cannot both come true.
//!
//! Start reading at [`Scheduler::place`].

#![forbid(unsafe_code)]

mod candidate;
mod capacity;
mod classes;
mod draw;
mod explain;
mod filter;
mod groups;
mod index;
mod launch;
mod place;
mod pool;
mod provider;
mod query;
mod rank;
mod request;
mod tree;

pub use candidate::Candidate;
pub use capacity::next_provider;
pub use draw::{draws, tie};
pub use explain::{Explanation, Rejection, Shortage};
pub use index::Indexes;
pub use launch::{Launch, place_waiting};
pub use place::{Placement, Scheduler};
pub use provider::{Provider, providers, within_group};
pub use query::{ConstraintError, Expression, Invalid};
pub use request::{Request, Strategy, StrategyError, fixed_host_port};
