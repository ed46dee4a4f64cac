//! Where a task may run: filter the instances, rank what remains, choose, and say why the others were not chosen.
//!
//! Pure: a snapshot and a request go in, placements and reasons come out. It never commits; whoever does also moves the
//! [`state::PlacementFence`] of each instance, so that two plans on the same free memory cannot both come true.
//!
//! Start reading at [`Scheduler::place`].

#![forbid(unsafe_code)]

mod candidate;
mod constraint;
mod explain;
mod filter;
mod launch;
mod place;
mod rank;
mod request;

pub use candidate::Candidate;
pub use constraint::{ConstraintError, Expression};
pub use explain::{Rejection, Shortage};
pub use launch::Launch;
pub use place::{Placement, Scheduler};
pub use request::{Request, Strategy, StrategyError};
