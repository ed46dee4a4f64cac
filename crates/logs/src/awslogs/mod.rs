//! The `awslogs` driver.
//!
//! `options.rs` understands what a task definition says, `pattern.rs` the two options about events of several lines.
//! `assemble.rs` makes events of lines and `batch.rs` batches of events, both pure. `stream.rs` is the log stream, and
//! `deliver.rs` brings the batches there.

mod assemble;
mod batch;
mod deliver;
mod options;
mod pattern;
mod stream;

pub(crate) use deliver::Courier;
pub(crate) use options::AwslogsOptions;
pub use pattern::PatternError;
pub(crate) use stream::{KnownStreams, Outlet};
