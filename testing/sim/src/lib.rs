//! A whole Berth in one thread and in no time: the real operations, reconcilers, scheduler, task engines and agents' sessions, over
//! records in memory, a simulated clock, a simulated network and simulated machines. From one seed follows one history.
//!
//! It never reads a clock and draws nothing from the system. After every step the [`check`]ers look at what changed; what they
//! find is shrunk to the shortest story that shows it, and told as a person would tell it.
//!
//! Start reading at [`run`], then [`scenario`]: what can be wished and what can go wrong. [`world`] is the loop; `control` is a
//! replica of the control plane, `node` a machine and its agent, `client` who calls the API.

#![forbid(unsafe_code)]

mod call;
pub mod check;
mod client;
mod control;
mod dice;
mod engine;
pub mod history;
pub mod kind;
mod node;
pub mod sabotage;
pub mod scenario;
pub mod shrink;
pub mod world;

pub use check::{Checker, Violation};
pub use engine::Doom;
pub use history::History;
pub use sabotage::Sabotage;
pub use scenario::{Scenario, Step};

/// How a story is played.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Write down what happens.
    pub history: bool,
    /// A bug that is put in on purpose.
    pub sabotage: Option<Sabotage>,
}

/// How it ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub violation: Option<Violation>,
    pub history: History,
    pub counts: world::Counts,
}

/// Plays a story to its end, or to the first thing that must not be.
pub fn run(scenario: &Scenario, options: &Options) -> Outcome {
    world::World::new(scenario, options).run()
}
