//! The maxima that keep a hostile image from harming a node.

use std::time::Duration;

/// The largest manifest or configuration that is read.
pub(crate) const DOCUMENT_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The most layers of one image. Source: Docker's overlay2 driver, "max depth exceeded" above 128 with the container's own.
pub(crate) const LAYERS_MAX: usize = 127;

/// The largest layer as it travels. Source: Amazon ECR quotas, 52,000 MiB.
pub(crate) const LAYER_BYTES_MAX: u64 = 52_000 * 1024 * 1024;

/// The most bytes that one layer, or one archive, may unpack to unless the node says otherwise: what stops a small file that
/// decompresses without end. Nobody's layers come near.
pub(crate) const UNPACKED_BYTES_MAX: u64 = 256 * 1024 * 1024 * 1024;

/// The most times its own size that something compressed may unpack to, once that is more than [`EXPANSION_FREE`]. Deflate never
/// comes to more than 1,032; zstd could make gigabytes of a few bytes, and a layer that is honestly so empty is small.
pub(crate) const EXPANSION_MAX: u64 = 1_100;
pub(crate) const EXPANSION_FREE: u64 = 16 * 1024 * 1024 * 1024;

/// The most entries of one layer.
pub(crate) const ENTRIES_MAX: u64 = 20_000_000;

/// The most directories of one layer: their times are kept in memory until its end.
pub(crate) const DIRECTORIES_MAX: usize = 1_000_000;

/// The extended headers of one tar entry: names, links and attributes.
pub(crate) const TAR_HEADER_BYTES_MAX: u64 = 1024 * 1024;

/// The records that hold for every entry of a tar. They are copied for each, so they stay few.
pub(crate) const TAR_GLOBAL_BYTES_MAX: usize = 8 * 1024;

/// What is kept in memory of an archive's documents while it is loaded.
pub(crate) const ARCHIVE_DOCUMENTS_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The most files, and the most images, of one archive.
pub(crate) const ARCHIVE_FILES_MAX: usize = 100_000;
pub(crate) const ARCHIVE_IMAGES_MAX: usize = 1_000;

/// What is kept in memory of manifests and configurations that were read before.
pub(crate) const CACHED_BYTES_MAX: usize = 8 * 1024 * 1024;

/// How many layers of one image travel at once. Source: dockerd, `max-concurrent-downloads`.
pub(crate) const DOWNLOADS_AT_ONCE: usize = 3;

/// How often a download that broke off continues. Source: dockerd, `max-download-attempts`.
pub(crate) const DOWNLOAD_ATTEMPTS: u32 = 5;

/// How often a registry that is in trouble is asked for an image. Source: amazon-ecs-agent, `maximumPullRetries`,
/// `minimumPullRetryDelay` and `maximumPullRetryDelay`.
pub(crate) const PULL_ATTEMPTS: u32 = 5;
pub(crate) const PULL_AGAIN_AFTER: Duration = Duration::from_millis(1100);
pub(crate) const PULL_AGAIN_AFTER_MAX: Duration = Duration::from_secs(5);

/// How long a registry may take to accept a connection, and to say the next thing.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// How many redirects a download follows.
pub(crate) const REDIRECTS_MAX: usize = 5;

/// How many indexes may be inside of each other.
pub(crate) const INDEX_DEPTH_MAX: usize = 3;

/// How many symbolic links one path may go through. Source: path_resolution(7), `MAXSYMLINKS`.
pub(crate) const SYMLINKS_MAX: usize = 40;
