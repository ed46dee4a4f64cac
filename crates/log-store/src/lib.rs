//! Log events on disk, for CloudWatch Logs: append, read in order, forget.
//!
//! Each log group is a directory. Events are appended to its newest segment, one record per batch, and are durable
//! before [`LogStore::put`] answers; batches that wait at the same time share an `fdatasync`. A full segment gets an
//! index beside it, and memory then holds a few numbers per segment and stream, never the events. Pages are read by
//! merging records lazily, so a group of millions of events costs no more memory than a small one. Whatever the crash,
//! an acknowledged event is found again and a torn tail is cut off.
//!
//! What it never does: it has no clock (the caller passes `now`), it knows neither AWS's error codes nor filter patterns,
//! and it does not hide events by itself that retention has outlived (the caller says from where to read).
//!
//! Start reading at [`LogStore`]; then `writer` (how events become durable), `group` (what is in a directory) and
//! `scan` (how a page is read in bounded memory).

#![forbid(unsafe_code)]

mod codec;
mod directory;
mod error;
mod event;
mod frame;
mod group;
mod index;
pub mod limits;
mod meta;
mod pending;
mod query;
mod scan;
mod store;
mod writer;

pub use error::{ChangeError, ReadError, StoreError};
pub use event::{GroupKey, LogEvent, Position, StoredEvent, StreamKey};
pub use limits::{Admission, RejectedEvents, RejectedReason};
pub use meta::{GroupChange, NewGroup};
pub use query::{Direction, Page, PageEvent, Query, Streams};
pub use store::{GroupInfo, LogStore, StreamInfo};
