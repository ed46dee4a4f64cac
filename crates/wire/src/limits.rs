//! How much of a request is read, and how patiently.

use std::time::Duration;

/// The largest body of any operation, but for those whose model has a larger blob. CloudWatch Logs takes 1 MiB of events and
/// ECS 64 KiB of task definition; AWS front ends cut off somewhat above the largest, and so do we.
pub const BODY_BYTES_MAX: usize = 10 * 1024 * 1024;

/// What the other members of an operation with a large blob may take: ECR's UploadLayerPart, 20 MiB of layer, has names in them.
pub const MEMBERS_BYTES_MAX: usize = 64 * 1024;

/// How deep documents may nest. No model is deeper than a dozen structures; serde_json stops at 128 by itself.
pub const DEPTH_MAX: usize = 64;

/// How many elements an XML body may have: DeleteObjects names 1,000 objects and CompleteMultipartUpload 10,000 parts, with some
/// members each.
pub const XML_ELEMENTS_MAX: usize = 120_000;

/// The longest line before a chunk of a body in chunks; a signature is in it.
pub const CHUNK_LINE_BYTES_MAX: usize = 1024;

/// All that comes after the last chunk.
pub const TRAILER_BYTES_MAX: usize = 8 * 1024;

/// How far the clock of a client may be from ours.
///
/// Source: AWS IAM User Guide, "Troubleshoot signed requests": five minutes.
pub const CLOCK_SKEW_MAX: Duration = Duration::from_secs(5 * 60);

/// How long a presigned request may live.
///
/// Source: AWS IAM User Guide, "Create a signed AWS API request": seven days.
pub const PRESIGNED_LIFE_MAX: Duration = Duration::from_secs(7 * 24 * 60 * 60);

// The server under all services.

/// The most connections at once. Ten thousand clients that do nothing are none too many; each costs some 10 KiB.
pub const CONNECTIONS_MAX: usize = 16_384;

/// How many connections beyond those are told why they are closed, at once.
pub const REFUSALS_AT_ONCE: usize = 64;

/// How long telling them may take.
pub const REFUSE_WITHIN: Duration = Duration::from_secs(2);

/// For the head of a request, from the end of the last one on: a client that is idle or slow this long is closed.
///
/// Source: Elastic Load Balancing User Guide, "Connection idle timeout": 60 seconds.
pub const HEAD_WITHIN: Duration = Duration::from_secs(60);

/// For the next bytes of a request's body, as of its head.
pub const BODY_PAUSE_MAX: Duration = Duration::from_secs(60);

/// For a client to take the next bytes of an answer.
pub const TAKE_WITHIN: Duration = Duration::from_secs(60);

/// The largest head of a request. That it has no more than a hundred headers is hyper's own limit, which costs least where it is.
pub const HEAD_BYTES_MAX: usize = 64 * 1024;

/// What a connection may have in memory of what was not read yet: a head, a part of a body, and what a client sends ahead of its
/// turn. Requests on one connection are answered one after another.
pub const BUFFER_BYTES_MAX: usize = 128 * 1024;

/// When the kernel begins to ask a silent peer whether it is still there, how often, and how many times.
pub const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);
pub const KEEPALIVE_EVERY: Duration = Duration::from_secs(15);
pub const KEEPALIVE_TRIES: u32 = 4;

// What requests and answers hold in memory.

/// All bodies that are being read, together, beyond the first [`BODY_BYTES_FREE`] of each. A client that finds it used up is
/// told to come again.
pub const BODIES_BYTES_MAX: usize = 256 * 1024 * 1024;
pub const BODY_BYTES_FREE: usize = 16 * 1024;

/// For a whole body larger than that.
pub const BODY_WITHIN: Duration = Duration::from_secs(120);

/// All answers that wait to be taken, together, but for those up to [`ANSWER_BYTES_FREE`].
pub const ANSWERS_BYTES_MAX: usize = 256 * 1024 * 1024;
pub const ANSWER_BYTES_FREE: usize = 64 * 1024;

/// How long an answer waits for others to be taken before its client is told to come again.
pub const ANSWER_WAIT: Duration = Duration::from_secs(5);
