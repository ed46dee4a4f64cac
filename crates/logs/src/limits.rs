//! Every number that bounds something here.

use std::time::Duration;

/// What AWS counts for an event beside its message. Source: CloudWatch Logs API Reference, PutLogEvents.
pub const EVENT_OVERHEAD_BYTES: usize = 26;
/// The largest batch, overhead included. Source: PutLogEvents.
pub const BATCH_BYTES_MAX: usize = 1_048_576;
/// The most events in a batch. Source: PutLogEvents.
pub const BATCH_EVENTS_MAX: usize = 10_000;
/// The longest time between the first and the last event of a batch. Source: PutLogEvents.
pub const BATCH_SPAN_MS_MAX: i64 = 24 * 3600 * 1000;
/// Partial lines are joined up to this, and a longer line becomes several events. AWS takes up to 1 MiB by now;
/// Docker's driver still splits at the 256 KiB of old, and people's parsers know its pieces.
pub const EVENT_TEXT_BYTES_MAX: usize = 262_144 - EVENT_OVERHEAD_BYTES;

/// How long the beginning of a long line waits for its end. Docker waits for ever, and a resume would go back as far.
pub const PARTIAL_WAIT: Duration = Duration::from_secs(5);
/// How long an event of several lines waits for its next line, unless `awslogs-force-flush-interval-seconds` says
/// otherwise. Source: Docker's documentation of the awslogs driver.
pub const MULTILINE_WAIT: Duration = Duration::from_secs(5);
/// The largest compiled pattern for the beginnings of events.
pub const PATTERN_BYTES_MAX: usize = 4 << 20;

/// Changes of all logs together are heard this often.
pub const BELL_PAUSE: Duration = Duration::from_millis(2);
/// A log that is listened to is looked at all the same, once in a while.
pub const LOOK_ANYWAY: Duration = Duration::from_secs(5);
/// One that cannot be listened to is looked at this often: soon after it spoke, and less when it has long been silent.
pub const LOOK_MIN: Duration = Duration::from_millis(5);
pub const LOOK_MAX: Duration = Duration::from_millis(80);
/// After a delivery that took all there was, the next waits this long, so that a busy log travels in batches. A quiet
/// one never waits for it.
pub const DELIVERY_INTERVAL: Duration = Duration::from_millis(100);
/// Batches on their way to one sink at once. Each is up to 1 MiB, and as much again while it is encoded.
pub const DELIVERIES_MAX: usize = 32;
/// Entries of a JSON file that are written at once, in bytes.
pub const FILE_BATCH_BYTES_MAX: usize = 256 << 10;

/// What a container in non-blocking mode keeps until it is delivered, when `max-buffer-size` is not given. Source: Amazon ECS API
/// Reference, LogConfiguration: `10m`.
pub const BUFFER_BYTES: u64 = 10 << 20;
/// Docker's buffer is as large as memory; ours is on the disk, which others need too.
pub const BUFFER_BYTES_MAX: u64 = 1 << 30;

/// How long a sink may take for one call. The client of AWS gives up before.
pub const ANSWER_WAIT: Duration = Duration::from_secs(35);
/// How often an open asks, when the service is throttling or out of reach: as often as the SDK in Docker.
pub const OPEN_ATTEMPTS: u32 = 4;
/// The first pause between those; it doubles.
pub const OPEN_PAUSE: Duration = Duration::from_millis(100);
/// Pauses between attempts to deliver; they double.
pub const RETRY_MIN: Duration = Duration::from_millis(200);
pub const RETRY_MAX: Duration = Duration::from_secs(10);
/// One kind of trouble of one container is told this often.
pub const WARN_EVERY: Duration = Duration::from_secs(60);

/// Log streams that are known to exist.
pub const KNOWN_STREAMS_MAX: usize = 4096;
/// Messages that are gathered for a peer of another protocol before they are sent, in bytes.
pub const POST_BYTES_MAX: usize = 64 << 10;
/// How long a peer may take to accept a connection.
pub const CONNECT_WAIT: Duration = Duration::from_secs(10);
/// Peers whose deliveries are bounded together.
pub const PEERS_MAX: usize = 256;
/// The most events in a request to Splunk. Source: Docker's documentation, "Splunk logging driver": 1000.
pub const SPLUNK_BATCH_EVENTS_MAX: usize = 1000;
/// What is read of a peer's answer.
pub const ANSWER_BYTES_MAX: usize = 4096;

/// Sinks that are kept.
pub const SINKS_MAX: usize = 64;
