//! How much of a request is read.

use std::time::Duration;

/// The largest body of any operation, but for those whose model has a larger blob. CloudWatch Logs takes 1 MiB of events and
/// ECS 64 KiB of task definition; AWS front ends cut off somewhat above the largest, and so do we.
pub const BODY_BYTES_MAX: usize = 10 * 1024 * 1024;

/// What the other members of an operation with a large blob may take: ECR's UploadLayerPart, 20 MiB of layer, has names in them.
pub const MEMBERS_BYTES_MAX: usize = 64 * 1024;

/// How deep documents may nest. No model is deeper than a dozen structures; serde_json stops at 128 by itself.
pub const DEPTH_MAX: usize = 64;

/// How far the clock of a client may be from ours.
///
/// Source: AWS IAM User Guide, "Troubleshoot signed requests": five minutes.
pub const CLOCK_SKEW_MAX: Duration = Duration::from_secs(5 * 60);

/// How long a presigned request may live.
///
/// Source: AWS IAM User Guide, "Create a signed AWS API request": seven days.
pub const PRESIGNED_LIFE_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);
