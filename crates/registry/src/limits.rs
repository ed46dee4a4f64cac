//! The registry's maxima.

/// The largest blob. Source: Amazon ECR quotas, "Maximum layer part size" × "Maximum number of layer parts", 52,000 MiB a layer.
pub const BLOB_BYTES_MAX: u64 = 52_000 * 1024 * 1024;

/// The largest manifest. Source: OCI distribution specification, "registries SHOULD accept at least 4 megabytes".
pub const MANIFEST_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The most tags or repositories in one answer. Source: Amazon ECR's registry, 1,000 a page.
pub const PAGE_ITEMS_MAX: usize = 1000;

/// The longest repository name in bytes. Source: Amazon ECR API Reference, `repositoryName`.
pub const NAME_BYTES_MAX: usize = 256;

/// The longest tag in bytes. Source: OCI distribution specification.
pub const TAG_BYTES_MAX: usize = 128;

/// The most descriptors that one manifest may list: far above any image, far below what would slow a push.
pub const DESCRIPTORS_MAX: usize = 10_000;
