//! Log drivers on a node: from the shim's files to CloudWatch Logs.
//!
//! A shim writes what a container says into a ring of files. [`Drivers::open`] checks a
//! container's log configuration and makes its log stream; [`Driver::follow`] reads the ring from where an earlier
//! process left off, and delivers until the container has ended and all is delivered. An open that fails does so in the
//! words of Docker, because those are what ECS shows to its users.
//!
//! **At least once.** The position in the ring is saved after a batch was acknowledged. A process that dies in between
//! sends that one batch again; nothing is skipped. While a sink is down nothing is kept in memory: the ring is the
//! buffer.
//!
//! **A full ring.** In `blocking` mode the container waits until its oldest lines are delivered, in `non-blocking` mode they go,
//! and are counted; `max-buffer-size` is the size of the ring then. The shim does both; it looks at the saved position.
//! `awslogs-max-buffered-events` is checked and not needed.
//!
//! **Peers of other protocols** (`syslog`, `journald`, `gelf`, `fluentd`, `splunk`): `post.rs` is what they have in common, each has
//! a folder with `options.rs`, `message.rs` and the sending. A peer that cannot be reached is tried again and again, and the ring
//! keeps what it has not taken.
//!
//! Deciding is apart from doing: `awslogs/assemble.rs` makes events of lines, `awslogs/batch.rs` batches of events,
//! `json_file/entry.rs` Docker's JSON. It knows nothing of tasks, and takes credentials inside a [`LogSink`].
//!
//! Start reading at [`Drivers`], then `follow.rs`, the loop.

#![forbid(unsafe_code)]

mod awslogs;
mod bell;
mod cloudwatch;
mod dial;
mod drivers;
pub mod exam;
pub mod fake;
mod fluentd;
mod follow;
mod gelf;
mod journald;
mod json_file;
pub mod limits;
mod options;
#[doc(hidden)]
pub mod parsers;
mod position;
mod post;
mod recent;
mod sink;
mod splunk;
mod stamp;
mod subject;
mod syslog;
mod tag;
mod tail;
mod tls;
mod underway;

pub use awslogs::PatternError;
pub use cloudwatch::CloudWatchSink;
pub use drivers::{Destination, Driver, DriverError, Drivers, StartError};
pub use fluentd::FluentdError;
pub use follow::Following;
pub use gelf::GelfError;
pub use json_file::{JSON_LOG_NAME, JsonFileError};
pub use options::{NotFlag, OptionError};
pub use position::give_up;
pub use post::SendError;
pub use sink::{CreateError, Event, LogSink, SinkError};
pub use splunk::SplunkError;
pub use subject::{AttributeError, Subject};
pub use syslog::SyslogError;
pub use tag::TagError;
pub use tls::TlsError;
