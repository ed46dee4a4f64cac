//! The registry's maxima.

use std::time::Duration;

/// The largest blob. Source: Amazon ECR quotas, "Maximum layer part size" × "Maximum number of layer parts", 52,000 MiB a layer.
pub const BLOB_BYTES_MAX: u64 = 52_000 * 1024 * 1024;

/// The largest manifest. Source: OCI distribution specification, "registries SHOULD accept at least 4 megabytes".
pub const MANIFEST_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The most tags or repositories in one answer. Source: Amazon ECR's registry, 1,000 a page.
pub const PAGE_ITEMS_MAX: usize = 1000;

/// The most referrers in one answer.
pub const REFERRERS_MAX: usize = 1000;

/// The most uploads that may be under way: each is a file. ECR throttles by account; this only keeps a flood off.
pub const UPLOADS_MAX: usize = 10_000;

/// How long a client may send nothing in the middle of a push. What it sent stays, and can be continued.
pub const CHUNK_WITHIN: Duration = Duration::from_secs(60);

/// The most blobs that are being sent at once. Each has a file open and at most 512 KiB of it in memory, and a client of this registry asks for
/// a handful at a time.
pub const STREAMS_MAX: usize = 1024;

/// How long a request for a blob waits for another to be sent before its client is told to come again.
pub const STREAM_WAIT: Duration = Duration::from_secs(5);

/// How often a registry with blobs of its own makes room, and how often it looks whether it must earlier.
pub const COLLECT_EVERY: Duration = Duration::from_secs(3600);
pub const DISK_EVERY: Duration = Duration::from_secs(60);

/// How full a disk may be before room is made at once. Source: the kubelet's `imageGCHighThresholdPercent`.
pub const FULL_PERCENT: u64 = 85;

/// How long a tag of a pull-through cache means the same without a look upstream. Source: Amazon ECR User Guide, "at least once per 24
/// hours".
pub const TAG_FRESH_FOR: Duration = Duration::from_secs(24 * 3600);

/// How often a blob that broke off on its way from upstream is continued. Source: dockerd, `max-download-attempts`.
pub const FETCH_ATTEMPTS: u32 = 5;

/// The most blobs that come from upstream at once.
pub const FETCHES_MAX: usize = 256;

/// How long a blob waits for a manifest that needs it, and an upload for its next byte. Source: registry:2 purges uploads after a week;
/// ECR says nothing. A day covers a push that is tried again the next morning.
pub const UNUSED_FOR: Duration = Duration::from_secs(24 * 3600);

/// The longest repository name in bytes. Source: Amazon ECR API Reference, `repositoryName`.
pub const NAME_BYTES_MAX: usize = 256;

/// The longest tag in bytes. Source: OCI distribution specification.
pub const TAG_BYTES_MAX: usize = 128;

/// The most descriptors that one manifest may list: far above any image, far below what would slow a push.
pub const DESCRIPTORS_MAX: usize = 10_000;
