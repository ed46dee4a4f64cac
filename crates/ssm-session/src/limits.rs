//! How much, and how long.

use std::time::Duration;

/// The most bytes of output in one frame. The plugin takes any; the official agent sends 1024.
pub const PAYLOAD_BYTES_MAX: usize = 4096;
/// The largest frame that is read: a header and a payload with room to spare.
pub const FRAME_BYTES_MAX: usize = 64 * 1024;
/// The most frames that wait for their acknowledgement. Who reads slowly so costs a quarter of a megabyte, and no more.
pub const WINDOW_FRAMES: usize = 64;
/// The most frames that are kept because an earlier one is missing.
pub const EARLY_FRAMES_MAX: usize = 64;
/// When so many bytes wait for a program to read its input, further ones are acknowledged only when it has: a client that keeps to
/// its window is so held up, and nothing is sent twice.
pub const INPUT_BYTES: usize = 64 * 1024;
/// The most that wait. Further ones are not taken in, and so come again.
pub const INPUT_BYTES_MAX: usize = 1024 * 1024;

/// Source: `src/config/config.go` of the plugin, which are the agent's as well: `DefaultTransmissionTimeout`,
/// `MaxTransmissionTimeout`, `ClockGranularity`, `RTTConstant`, `RTTVConstant`.
pub const RESEND_AFTER: Duration = Duration::from_millis(200);
pub const RESEND_AFTER_MAX: Duration = Duration::from_secs(1);
pub const CLOCK_GRANULARITY: Duration = Duration::from_millis(10);
pub const ROUND_TRIP_WEIGHT: f64 = 0.125;
pub const VARIATION_WEIGHT: f64 = 0.25;
/// A frame that is sent again and again waits twice as long each time, this often: a slow reader is not buried.
pub const RESEND_DOUBLINGS_MAX: u32 = 4;
/// Nobody has acknowledged anything for so long: the other side is gone. The plugin's 3000 attempts take as long.
pub const GIVE_UP_AFTER: Duration = Duration::from_secs(300);

/// How long a client may take to answer the handshake.
pub const HANDSHAKE_WITHIN: Duration = Duration::from_secs(15);
/// How long a client may take to say how large its terminal is. The plugin says it at once.
pub const SIZE_WITHIN: Duration = Duration::from_millis(250);
/// Source: Amazon ECS Developer Guide, "Monitor Amazon ECS containers with ECS Exec": "an idle timeout value of 20 minutes".
pub const IDLE_MAX: Duration = Duration::from_secs(20 * 60);
