//! Waiting for something, and no longer than it may take.

use std::time::{Duration, Instant};

/// How long anything may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long anything may take here: on an emulated machine as long as `PATIENCE_SECONDS` says.
pub fn patience() -> Duration {
    let given = std::env::var("PATIENCE_SECONDS").ok().and_then(|seconds| seconds.parse().ok());
    given.map_or(PATIENCE, Duration::from_secs)
}

/// Asks again until there is an answer.
///
/// # Panics
///
/// When there is none within [`patience`].
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + patience();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "it did not happen within {} s: {what}", patience().as_secs());
        std::thread::sleep(Duration::from_millis(10));
    }
}
