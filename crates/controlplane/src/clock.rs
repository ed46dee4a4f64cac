//! The one place that reads the clock and draws random numbers. Everything that decides is given both.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use stdx::{Ids, Timestamp};
use tokio::sync::Notify;

pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Fresh ids that no other call gets.
pub fn seed() -> Ids {
    Ids::from_seed(uuid::Uuid::new_v4().as_u128())
}

/// The time that the agents' sessions live in: heartbeats, repeats and silences are measured with it.
#[async_trait]
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;
    /// Returns at once when that moment is over. Cancelling loses nothing.
    async fn until(&self, at: Timestamp);
}

/// The machine's time.
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        now()
    }

    async fn until(&self, at: Timestamp) {
        tokio::time::sleep(at.since(now())).await;
    }
}

/// A time that passes when it is told to: an hour of silence takes a test no time.
pub struct ManualClock {
    now: Mutex<Timestamp>,
    moved: Notify,
}

impl ManualClock {
    pub fn at(now: Timestamp) -> ManualClock {
        ManualClock { now: Mutex::new(now), moved: Notify::new() }
    }

    pub fn advance(&self, by: Duration) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        *now = *now + by;
        self.moved.notify_waiters();
    }
}

#[async_trait]
impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        *self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn until(&self, at: Timestamp) {
        loop {
            let moved = self.moved.notified();
            tokio::pin!(moved);
            // Listening begins before looking, so that no step in between is missed.
            moved.as_mut().enable();
            if self.now() >= at {
                return;
            }
            moved.await;
        }
    }
}
