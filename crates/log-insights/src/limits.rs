//! How much a query may be, hold and answer.

/// Rows in an answer when nobody says. Source: User Guide, "limit": "the default of 10,000".
pub const ROWS_DEFAULT: usize = 10_000;
/// The most rows in an answer. Source: StartQuery, `limit`.
pub const ROWS_MAX: usize = 100_000;
/// The most bytes of rows in an answer; the last rows are left out when they would be more. AWS cuts long answers too,
/// at a size that it does not name.
pub const ROWS_BYTES_MAX: usize = 32 << 20;
/// What the groups of a `stats` may hold. A query that needs more fails.
pub const GROUPS_BYTES_MAX: usize = 128 << 20;

/// The most commands in a query.
pub const COMMANDS_MAX: usize = 100;
/// Source: User Guide, "stats": "You can use up to two stats commands in a query".
pub const STATS_MAX: usize = 2;
/// How deep expressions may nest.
pub const DEPTH_MAX: usize = 50;
/// The most sums, products and powers in a query.
pub const OPERATORS_MAX: usize = 200;
/// The most memory that one regular expression may take when compiled, in bytes.
pub const REGEX_BYTES_MAX: usize = 1 << 20;
/// The most fields of one `parse`.
pub const PARSED_FIELDS_MAX: usize = 50;
/// How many fields are found in one event. Source: User Guide, "Supported logs and discovered fields": "a maximum of 200
/// log event fields from a JSON log".
pub const FIELDS_MAX: usize = 200;
/// How many values of one group a percentile keeps as they are, before it keeps a histogram.
pub const PERCENTILE_EXACT_MAX: usize = 4096;
/// How many different values of one group are counted exactly, before they are estimated.
pub const DISTINCT_EXACT_MAX: usize = 4096;
/// The most rows that `unnest` makes of one.
pub const UNNEST_MAX: usize = 1000;
