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

/// The longest repository name in bytes. Source: Amazon ECR API Reference, `repositoryName`.
pub const NAME_BYTES_MAX: usize = 256;

/// The longest tag in bytes. Source: OCI distribution specification.
pub const TAG_BYTES_MAX: usize = 128;

/// The most descriptors that one manifest may list: far above any image, far below what would slow a push.
pub const DESCRIPTORS_MAX: usize = 10_000;
