//! Log events on disk, for CloudWatch Logs: append, read in order, forget.
//!
//! An event is durable in the **write-ahead log** before [`LogStore::put`] answers; batches that wait at the same time,
//! of whatever groups, share an `fdatasync`. The write-ahead log is bounded in bytes and in age. A full file of it becomes
//! one **segment** for each group in it: compressed, with an index by time and stream and a filter of words, in an object
//! store, which is a directory unless somebody gives another. The **manifest** says which segments there are, and commits
//! each step as a whole. So whatever the crash, an acknowledged event is found again, and found once.
//!
//! Memory holds a few numbers per segment and stream and per batch of the write-ahead log, never the events. Pages are
//! read by merging blocks lazily, so a group of millions of events costs no more memory than a small one. A place in the
//! order of events is the same place before and after sealing and merging.
//!
//! What it never does: it has no clock (the caller passes `now`), it knows neither AWS's error codes nor filter patterns,
//! and it does not hide events by itself that retention has outlived (the caller says from where to read).
//!
//! Start reading at [`LogStore`]; then `writer` (how events become durable), `seal` (how they become segments), `scan`
//! (how a page is read in bounded memory), and `segment` (what a segment is).

#![forbid(unsafe_code)]

mod codec;
mod damage;
mod directory;
mod error;
mod event;
pub mod format;
mod frame;
mod gate;
mod group;
mod legacy;
pub mod limits;
mod manifest;
mod meta;
mod objects;
mod options;
mod query;
mod scan;
mod seal;
mod segment;
mod stats;
mod store;
mod streams;
mod turn;
mod wal;
mod writer;

pub use error::{ChangeError, ReadError, StoreError};
pub use event::{GroupKey, LogEvent, Position, StoredEvent, StreamKey};
pub use limits::{Admission, RejectedEvents, RejectedReason};
pub use meta::{GroupChange, NewGroup};
pub use options::Options;
pub use query::{Direction, Needles, Page, PageEvent, Query, Streams};
pub use store::{GroupInfo, LogStore, StreamInfo};
