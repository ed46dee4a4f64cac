//! Quotas and defaults, each with the AWS page it comes from. Those of batches of events are in `log_store::limits`.

use std::time::Duration;

/// How many groups or streams a page has when nobody says. Source: DescribeLogGroups and DescribeLogStreams, `limit`.
pub const DESCRIBE_PAGE: usize = 50;
/// Source: GetLogEvents and FilterLogEvents, `limit`.
pub const EVENTS_PAGE: usize = 10_000;
/// Source: CloudWatch Logs API Reference, TagResource: "up to 50 tags".
pub const TAGS_MAX: usize = 50;
/// In the order in which AWS lists them. Source: PutRetentionPolicy, `retentionInDays`.
pub const RETENTION_DAYS: [u32; 22] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

/// How many queries of one account may be under way. Source: User Guide, quotas, "Query concurrency": 100.
pub const QUERIES_ACTIVE_MAX: usize = 100;
/// How many queries read at the same time; the others are `Scheduled`.
pub const QUERIES_AT_ONCE: usize = 2;
/// How many queries are remembered, how long, and how much their answers may take together. Source of the time: User
/// Guide, quotas, "Query results": "Results are retained for 7 days".
pub const QUERIES_KEPT_MAX: usize = 1000;
pub const QUERY_KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
pub const QUERIES_BYTES_MAX: usize = 128 << 20;
/// How long a query may run. Source: StartQuery: "Queries time out after 60 minutes of runtime".
pub const QUERY_TIMEOUT: Duration = Duration::from_secs(3600);
/// How many groups a query reads. Source: StartQuery: "up to 50 log groups".
pub const QUERY_GROUPS_MAX: usize = 50;
/// How many events, and how many bytes of messages, a query takes from the store at once. Streams that were written at the
/// same time are read together, so large pages open fewer records twice.
pub const QUERY_PAGE_EVENTS: usize = 50_000;
pub const QUERY_PAGE_BYTES: usize = 16 << 20;
/// How many queries or definitions a page has when nobody says. Source: DescribeQueries and DescribeQueryDefinitions.
pub const QUERIES_PAGE: usize = 1000;
/// How many rows a page of an answer has when nobody says. Source: GetQueryResults, `maxItems`.
pub const RESULTS_PAGE: usize = 10_000;
/// How many events GetLogGroupFields looks at, and how far around the time that it is given. Source of the time:
/// GetLogGroupFields: "the 8 minutes before and 8 minutes after this time"; without one, "the past 15 minutes".
pub const FIELDS_SAMPLE: usize = 1000;
pub const FIELDS_AROUND: Duration = Duration::from_secs(8 * 60);
pub const FIELDS_BEFORE_NOW: Duration = Duration::from_secs(15 * 60);
/// Source: User Guide, quotas, "Metric filters": 100 per log group.
pub const METRIC_FILTERS_MAX: usize = 100;
/// Source: User Guide, "Publishing dimensions with metrics": up to three.
pub const METRIC_DIMENSIONS_MAX: usize = 3;
/// Source: User Guide, quotas, "Subscription filters": 2 per log group.
pub const SUBSCRIPTION_FILTERS_MAX: usize = 2;
/// Source: User Guide, quotas, "Saved queries": 1,000 per account and region.
pub const QUERY_DEFINITIONS_MAX: usize = 1000;
/// How many understood patterns are kept at hand.
pub const PATTERNS_MAX: usize = 1000;

/// How many Live Tail sessions an account may have. Source: User Guide, quotas, "Live Tail": 15 concurrent sessions.
pub const LIVE_TAILS_MAX: usize = 15;
/// How long a session lasts. Source: StartLiveTail, SessionTimeoutException: "3 hours".
pub const LIVE_TAIL_LIFE: Duration = Duration::from_secs(3 * 3600);
/// How often a session sends. Source: StartLiveTail: "one sessionUpdate every second".
pub const LIVE_TAIL_EVERY: Duration = Duration::from_secs(1);
/// How many events an update has at most; of more, a sample. Source: StartLiveTail: "up to 500 log events per second".
pub const LIVE_TAIL_EVENTS_MAX: usize = 500;
/// How many bytes of messages wait for an update.
pub const LIVE_TAIL_BYTES_MAX: usize = 4 << 20;
