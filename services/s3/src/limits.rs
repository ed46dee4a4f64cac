//! Quotas, each with the page it comes from.

use std::time::Duration;

/// Source: Amazon S3 User Guide, "Amazon S3 objects overview": the largest object of a single PUT is 5 GB.
pub const PUT_BYTES_MAX: u64 = 5 * 1024 * 1024 * 1024;

/// Source: Amazon S3 User Guide, "Creating object key names": UTF-8, at most 1,024 bytes.
pub const KEY_BYTES_MAX: usize = 1024;

/// Source: Amazon S3 User Guide, "Working with object metadata": user-defined metadata is limited to 2 KB.
pub const METADATA_BYTES_MAX: usize = 2 * 1024;

/// Source: Amazon S3 User Guide, "Multipart upload limits": 10,000 parts, each but the last 5 MiB at least.
pub const PARTS_MAX: i32 = 10_000;
pub const PART_BYTES_MIN: u64 = 5 * 1024 * 1024;

/// The most that a list shows at once, and by default.
///
/// Source: Amazon S3 API Reference, ListObjectsV2, ListParts, DeleteObjects.
pub const LIST_MAX: i32 = 1000;
pub const DELETE_MAX: usize = 1000;

/// Source: Amazon S3 API Reference, ListBuckets.
pub const BUCKETS_LISTED_MAX: i32 = 10_000;

/// How long bytes lie about that no record names: whoever has written them is about to write the record.
pub const UNNAMED_FOR: Duration = Duration::from_secs(3600);
