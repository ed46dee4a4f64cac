//! Every number that bounds something here.

use std::time::Duration;

/// Images that wait to be pulled before a task needs them. What comes beyond is pulled by the task.
pub const PREPULLS_WAITING_MAX: usize = 100;

/// Stopped tasks whose directories and records are kept, however long the cleanup wait is; the oldest go first.
pub const STOPPED_TASKS_MAX: usize = 1000;

/// The shortest `ECS_ENGINE_TASK_CLEANUP_WAIT_DURATION` and `ECS_CONTAINER_STOP_TIMEOUT`. Source: the official agent.
pub const TASK_CLEANUP_WAIT_MIN: Duration = Duration::from_secs(60);
pub const STOP_TIMEOUT_MIN: Duration = Duration::from_secs(1);

/// Tasks whose reports are on their way at one moment. The official agent allows 10.
pub const REPORTS_IN_FLIGHT_MAX: usize = 32;

/// A report's reason, in characters. Source: `SubmitTaskStateChange`.
pub const REASON_CHARS_MAX: usize = 1024;

/// A discovered endpoint is used this long. Source: the official agent's cache.
pub const ENDPOINTS_KEPT: Duration = Duration::from_secs(12 * 3600);

/// Connecting, and the websocket handshake, each.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(30);

/// Between an ordinary end of a connection and the next. Source: seen of the official agent.
pub const RECONNECT_AT_ONCE: Duration = Duration::from_millis(5);

/// One message, to a peer that may have stopped reading.
pub const WRITE_TIMEOUT: Duration = Duration::from_secs(30);

/// The largest message of a control plane, and the largest frame. Ten tasks of the largest definitions are 1 MiB, a manifest of
/// ten thousand tasks 3 MiB.
pub const MESSAGE_BYTES_MAX: usize = 8 * 1024 * 1024;
pub const FRAME_BYTES_MAX: usize = MESSAGE_BYTES_MAX;

/// Without a decodable message for this long, plus up to as much again, a socket is given up.
pub const INACTIVITY: Duration = Duration::from_secs(60);

/// A socket is replaced after this long, plus up to [`CONNECTION_AGE_JITTER`].
pub const CONNECTION_AGE: Duration = Duration::from_secs(30 * 60);
pub const CONNECTION_AGE_JITTER: Duration = Duration::from_secs(5 * 60);

/// How long the reports of a restarted agent may hold back its first ACS connection.
pub const REPORTS_BEFORE_ACS: Duration = Duration::from_secs(2);

/// Metrics and health go up this often.
pub const PUBLISH_EVERY: Duration = Duration::from_secs(20);

/// Samples of a container's usage are taken this often, while there are containers.
pub const SAMPLE_EVERY: Duration = Duration::from_secs(5);

/// At a clean shutdown, what is waited for beyond the tasks' own stop timeouts.
pub const SHUTDOWN_SLACK: Duration = Duration::from_secs(10);

/// A container that asks for the protection of its task is answered within this. Source: the official agent.
pub const PROTECTION_ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// A container that asks about itself before its agent has heard of its start is answered within this.
pub const START_KNOWN_WITHIN: Duration = Duration::from_secs(2);

/// Connections of all containers of a node to their metadata. One container could else use up the agent's descriptors.
pub const METADATA_CONNECTIONS_MAX: usize = 1024;
