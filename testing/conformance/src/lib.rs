//! What a container definition can say, each in a task of its own: registered and run by RunTask as people do it, and then
//! looked at from inside the container and from outside.
//!
//! `tests/suite.rs` starts one `berth up` on a host of its own and runs every [`Case`] against it, several at a time.
//! `CONFORMANCE=name` runs those with this in their names. `docs/conformance.md` is made from the same lists.
//!
//! Start reading at [`Case`] and [`world::Bench`], then any group: `lifecycle`, `process`, `host`, `resources`, `isolation`.

#![forbid(unsafe_code)]

mod docs;
mod elsewhere;
mod host;
mod image;
mod isolation;
mod lifecycle;
mod lifecycle_stop;
mod metadata;
mod probes;
mod process;
mod resources;
mod runner;
pub mod seen;
pub mod world;

/// What the suite's Berth allows each task, as `ECS_TASK_PIDS_LIMIT`.
pub const PIDS_LIMIT: u32 = 200;

pub use docs::render;
pub use elsewhere::{ELSEWHERE, Elsewhere};
pub use image::{IMAGE, program, write as write_image};
pub use runner::run_all;
pub use world::Bench;

/// One feature of the ECS documentation, and the test that shows it.
pub struct Case {
    pub name: &'static str,
    /// What is promised, in a line for people.
    pub feature: &'static str,
    pub page: Page,
    pub check: fn(&Bench<'_>),
}

/// Where ECS documents it, in the words of its own pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// "Amazon ECS task definition parameters for Amazon EC2"
    Parameters(&'static str),
    /// "API Reference": the data type of this name.
    Api(&'static str),
    /// Any other page of the developer guide, by its title.
    Guide(&'static str),
    /// What Docker gives a container that says nothing.
    Docker(&'static str),
    /// Ours alone: a page of `docs/`.
    Berth(&'static str),
}

/// The groups, each with its title.
pub fn groups() -> Vec<(&'static str, Vec<Case>)> {
    vec![
        ("Lifecycle", [lifecycle::cases(), lifecycle_stop::cases()].into_iter().flatten().collect()),
        ("Probes", probes::cases()),
        ("Process", process::cases()),
        ("Host and network", host::cases()),
        ("Task metadata", metadata::cases()),
        ("Resources", resources::cases()),
        ("Isolation", isolation::cases()),
    ]
}
