//! The `store` engine of one machine: SQLite, one file, one writer thread, group commit.
//!
//! Every commit keeps its own revision and its own check of its guards; those that wait at the same time share one
//! SQLite transaction, and so one `fsync`. Nothing is answered before it is durable. Reads go beside the writer on
//! connections of their own, which SQLite's write-ahead log allows.
//!
//! What it never does: it does not know what a key means, it never serves two processes at once, and it never repairs a
//! damaged file by guessing.
//!
//! Start reading at [`EmbeddedEngine`]; then `writer` (how commits become durable), `follow` (how watchers catch up) and
//! `schema` (what is in the file).

#![forbid(unsafe_code)]

mod checkpoint;
mod codec;
mod engine;
mod error;
mod fault;
mod follow;
#[doc(hidden)]
pub mod parsers;
mod readers;
mod recent;
mod schema;
mod turn;
mod writer;

pub use engine::{EmbeddedEngine, Options};
pub use error::OpenError;
