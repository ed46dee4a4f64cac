//! What everybody reads: the control plane's records as one immutable value, with the indexes that the API needs.
//!
//! A [`Snapshot`] is cheap to clone and never changes; it knows the [`Revision`] it stands for. Whoever wants something else
//! writes [`Changes`], which carry the revisions they relied on, and gives them to a [`Ledger`]. If the world moved
//! meanwhile, the answer is a conflict, and the decision is simply made again on the next snapshot.
//!
//! Nothing here waits, reads a clock or touches a disk. Start reading at [`Snapshot`], then [`Changes`].

#![forbid(unsafe_code)]

mod changes;
mod ledger;
mod load;
mod occupancy;
mod record;
mod records;
mod snapshot;
mod table;

pub use changes::{Changes, Guard, Op};
pub use ledger::{CommitError, Decision, Ledger, MemoryLedger, Refused, together, transact};
pub use load::{Load, Ports};
pub use occupancy::Occupancy;
pub use record::{DecodeError, Record, Revision, decode, encode};
pub use records::PlacementFence;
pub use snapshot::{AnyRecord, Snapshot, Touched};
pub use table::{Key, Row, Table};
