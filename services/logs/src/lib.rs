//! Amazon CloudWatch Logs: what `awslogs` writes and what `aws logs` reads.
//!
//! | operations | file |
//! |---|---|
//! | CreateLogGroup, DeleteLogGroup, DescribeLogGroups | `ops/create_log_group.rs`, ... |
//! | CreateLogStream, DeleteLogStream, DescribeLogStreams | `ops/create_log_stream.rs`, ... |
//! | PutLogEvents, GetLogEvents, FilterLogEvents | `ops/put_log_events.rs`, ... |
//! | PutRetentionPolicy, DeleteRetentionPolicy | `ops/put_retention_policy.rs`, ... |
//! | TagResource, UntagResource, ListTagsForResource | `ops/tag_resource.rs`, ... |
//!
//! Groups, streams and events live in `log-store`; this crate gives them AWS's rules, names and errors. It never touches
//! a file, and it never runs in the background by itself: whoever owns it calls [`LogsService::expire`] now and then.
//! Start reading at [`LogsService`]; [`pattern`] is the filter pattern language.

#![forbid(unsafe_code)]

pub mod limits;
mod names;
mod ops;
pub mod pattern;
pub mod quirks;
mod refusals;
mod service;
mod views;

pub use service::LogsService;
