//! The [`Engine`] contract, an engine in memory, and the [`exam`] that every engine passes.
//!
//! An engine keeps bytes under keys, in the shape of etcd: range over a prefix, one atomic commit guarded by the
//! revisions it relied on, watch from a revision, leases. This crate never touches a disk or a network; engines that
//! do are crates of their own (`store-embedded`). It also never knows what a key means.
//!
//! Start reading at [`engine`].

#![forbid(unsafe_code)]

pub mod engine;
pub mod exam;
pub mod memory;

pub use engine::{
    Batch, Change, Clock, CommitError, Engine, EngineError, Entry, Expect, Guard, LeaseError, LeaseId, Op, RawChanges,
    Revision, SystemClock, Watch, WatchError, WatchSource,
};
pub use memory::{ManualClock, MemoryEngine};
