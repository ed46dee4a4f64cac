//! The one place that reads the clock and draws random numbers. Everything that decides is given both.

use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use stdx::{Ids, Timestamp};
use tokio::sync::Notify;

/// The time of the records. It is the wall clock's, except that it never goes back: what waits for a time that was written
/// down must not wait for hours because somebody has set the clock back.
pub fn now() -> Timestamp {
    static ONWARD: LazyLock<(Instant, Mutex<Onward>)> = LazyLock::new(|| (Instant::now(), Mutex::default()));
    let (began, onward) = &*ONWARD;
    let mut onward = onward.lock().unwrap_or_else(PoisonError::into_inner);
    // Read under the lock: a reading that is late would look like a clock that was set back.
    onward.now(wall(), began.elapsed())
}

/// What time it is elsewhere, too.
pub fn wall() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// A time that never goes back. It follows the wall clock; while that is behind, it goes on by itself, a little slower, until it has
/// been caught up with.
#[derive(Default)]
struct Onward {
    /// When it was last the wall clock's: by how much that was ahead of the time that has passed, and the latter.
    last: Option<(i64, Duration)>,
    told: bool,
}

/// While it waits for the wall clock it loses one part in so many. Durations stay nearly what they are, and an hour is made up for
/// in sixteen.
const SLOWER_BY: u32 = 16;
/// A clock that was set back by less is no news.
const NEWS: Duration = Duration::from_secs(1);

impl Onward {
    fn now(&mut self, wall: Timestamp, passed: Duration) -> Timestamp {
        let millis = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
        let lead = wall.as_millis() - millis(passed);
        let held = self.last.map(|(lead, since)| lead - millis(passed.saturating_sub(since) / SLOWER_BY));
        match held.filter(|held| *held > lead) {
            Some(held) => {
                let behind = Duration::from_millis(held.abs_diff(lead));
                if behind >= NEWS && !self.told {
                    self.told = true;
                    tracing::warn!(
                        seconds = behind.as_secs(),
                        "the clock was set back; the time of the records waits for it"
                    );
                }
                Timestamp::from_millis(held + millis(passed))
            }
            None => {
                (self.last, self.told) = (Some((lead, passed)), false);
                wall
            }
        }
    }
}

/// Fresh ids that no other call gets.
pub fn seed() -> Ids {
    Ids::from_seed(uuid::Uuid::new_v4().as_u128())
}

/// The time that the agents' sessions live in: heartbeats, repeats and silences are measured with it.
#[async_trait]
pub trait Clock: Send + Sync {
    fn now(&self) -> Timestamp;
    /// What time it is elsewhere, too: signatures are compared with it.
    fn wall(&self) -> Timestamp {
        self.now()
    }
    /// Returns at once when that moment is over. Cancelling loses nothing.
    async fn until(&self, at: Timestamp);
}

/// The machine's time, counted from the wall clock's at the start and then set by nobody: a session is not silent because somebody
/// has set the clock.
pub struct SystemClock;

/// When this process first asked, by both clocks.
static BEGAN: LazyLock<(Timestamp, Instant)> = LazyLock::new(|| (wall(), Instant::now()));

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let (wall, began) = &*BEGAN;
        *wall + began.elapsed()
    }

    fn wall(&self) -> Timestamp {
        wall()
    }

    async fn until(&self, at: Timestamp) {
        tokio::time::sleep(at.since(self.now())).await;
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

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_795_384_329_148;

    #[test]
    fn the_time_of_the_records_never_goes_back_and_never_stands() {
        let mut onward = Onward::default();
        let mut check = |passed: u64, wall: i64, expected: i64| {
            let wall = Timestamp::from_millis(START + wall * 1000);
            let now = onward.now(wall, Duration::from_secs(passed)).as_millis();
            assert_eq!(now, START + expected * 1000, "{passed} s, wall clock {wall}");
        };
        check(0, 0, 0);
        check(10, 10, 10);
        // An hour forward is followed at once.
        check(20, 3620, 3620);
        // An hour and more back is not: it goes on, slower by a sixteenth.
        check(36, 36, 3635);
        check(180, 180, 3770);
        // Half way forward again it is still ahead; then the wall clock has come by.
        check(180, 2000, 3770);
        check(180, 3771, 3771);
        check(190, 3781, 3781);
    }

    #[test]
    fn it_waits_for_the_wall_clock() {
        let mut onward = Onward::default();
        let mut ahead = |passed: u64, back: i64| {
            let wall = START + i64::try_from(passed).unwrap() * 1000 - back;
            onward.now(Timestamp::from_millis(wall), Duration::from_secs(passed)).as_millis() - wall
        };
        assert_eq!(ahead(0, 0), 0);
        assert_eq!(ahead(1600, 3_600_000), 3_500_000);
        assert_eq!(ahead(16 * 3600, 3_600_000), 0);
        assert_eq!(ahead(17 * 3600, 3_600_000), 0);
    }
}
