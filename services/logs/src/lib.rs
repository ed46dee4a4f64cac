//! Amazon CloudWatch Logs: what `awslogs` writes and what `aws logs` reads.
//!
//! | operations | file |
//! |---|---|
//! | StartQuery, GetQueryResults, StopQuery, DescribeQueries, GetLogRecord, GetLogGroupFields | `queries/`, `ops/start_query.rs`, ... |
//! | StartLiveTail | `live.rs`, `ops/start_live_tail.rs` |
//! | PutMetricFilter, PutSubscriptionFilter, TestMetricFilter, ... | `filters.rs`, `sinks.rs`, `ops/put_metric_filter.rs`, ... |
//! | PutQueryDefinition, DescribeQueryDefinitions, DeleteQueryDefinition | `ops/put_query_definition.rs`, ... |
//! | CreateLogGroup, DeleteLogGroup, DescribeLogGroups | `ops/create_log_group.rs`, ... |
//! | CreateLogStream, DeleteLogStream, DescribeLogStreams | `ops/create_log_stream.rs`, ... |
//! | PutLogEvents, GetLogEvents, FilterLogEvents | `ops/put_log_events.rs`, ... |
//! | PutRetentionPolicy, DeleteRetentionPolicy | `ops/put_retention_policy.rs`, ... |
//! | TagResource, UntagResource, ListTagsForResource | `ops/tag_resource.rs`, ... |
//!
//! Groups, streams and events live in `log-store`, filters and definitions among the records of the control plane; this
//! crate gives them AWS's rules, names and errors. It never touches a file, and the only things that it runs in the
//! background are the queries that were asked for: whoever owns it calls [`LogsService::expire`] now and then.
//! Start reading at [`LogsService`]; [`pattern`] is the filter pattern language, `log-insights` that of queries.

#![forbid(unsafe_code)]

pub mod access;
mod filters;
pub mod limits;
mod live;
mod names;
mod ops;
pub mod pattern;
mod queries;
pub mod quirks;
mod records;
mod refusals;
mod routes;
mod service;
mod sinks;
mod views;

pub use service::LogsService;
pub use sinks::{
    Deliveries, Destination, DestinationKind, MetricSink, MetricValue, NoDestinations, NoMetrics, NotDelivered, Payload,
};
