//! Quotas and defaults, each with the AWS page it comes from. Those of batches of events are in `log_store::limits`.

/// How many groups or streams a page has when nobody says. Source: DescribeLogGroups and DescribeLogStreams, `limit`.
pub const DESCRIBE_PAGE: usize = 50;
/// Source: GetLogEvents and FilterLogEvents, `limit`.
pub const EVENTS_PAGE: usize = 10_000;
/// Source: CloudWatch Logs API Reference, TagResource: "up to 50 tags".
pub const TAGS_MAX: usize = 50;
/// In the order in which AWS lists them. Source: PutRetentionPolicy, `retentionInDays`.
pub const RETENTION_DAYS: [u32; 22] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];
