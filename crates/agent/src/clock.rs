//! The one place that reads the clock and draws random numbers.
//!
//! There are two times. The wall clock is what people and AWS are told, and somebody may set it by hours at any moment. What
//! tasks wait for (stop timeouts, health checks, start deadlines) is counted in steady time, which began as the wall clock when the
//! agent began, and which nobody sets. A task engine sees steady time alone; what comes from the machine and what goes to the
//! control plane is changed at its door.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use stdx::Timestamp;

/// What the wall clock and steady time may be apart before somebody must have set one: both are read one after the other.
const READ_TOGETHER_MILLIS: i64 = 250;

static STEADY: LazyLock<Steady> = LazyLock::new(|| Steady::new(now(), Instant::now()));

/// For durations.
pub fn steady() -> Timestamp {
    STEADY.at(Instant::now())
}

/// Until that moment of steady time; for ever where there is none.
pub async fn until(steady: Option<Timestamp>) {
    match steady {
        Some(at) => tokio::time::sleep(at.since(self::steady())).await,
        None => std::future::pending().await,
    }
}

/// When that was, or will be, by the wall clock as it goes now.
pub fn to_wall(steady: Timestamp) -> Timestamp {
    moved(steady, STEADY.lead(now(), Instant::now()))
}

pub fn from_wall(wall: Timestamp) -> Timestamp {
    moved(wall, -STEADY.lead(now(), Instant::now()))
}

fn moved(at: Timestamp, millis: i64) -> Timestamp {
    Timestamp::from_millis(at.as_millis().saturating_add(millis))
}

struct Steady {
    began: Timestamp,
    anchor: Instant,
    /// How far the wall clock was set forward since, in milliseconds. It changes by steps alone, so that what is moved there and
    /// back is what it was.
    lead: AtomicI64,
}

impl Steady {
    fn new(wall: Timestamp, anchor: Instant) -> Steady {
        Steady { began: wall, anchor, lead: AtomicI64::new(0) }
    }

    fn at(&self, instant: Instant) -> Timestamp {
        self.began + instant.saturating_duration_since(self.anchor)
    }

    fn lead(&self, wall: Timestamp, instant: Instant) -> i64 {
        let (measured, known) = (wall.as_millis() - self.at(instant).as_millis(), self.lead.load(Ordering::Relaxed));
        if (measured - known).abs() <= READ_TOGETHER_MILLIS {
            return known;
        }
        tracing::warn!(milliseconds = measured - known, "the clock was set; what tasks wait for is not moved by it");
        self.lead.store(measured, Ordering::Relaxed);
        measured
    }
}

/// The wall clock.
pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

pub fn new_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

/// Evenly spread between nothing and `most`.
pub fn jitter(most: Duration) -> Duration {
    let random = (uuid::Uuid::new_v4().as_u128() & 0xffff_ffff) as f64 / f64::from(u32::MAX);
    most.mul_f64(random)
}

/// A backoff of the official agent: grows by a factor up to a cap, with jitter on top.
#[derive(Clone, Debug)]
pub struct Backoff {
    first: Duration,
    factor: f64,
    most: Duration,
    jitter: f64,
    next: Duration,
}

impl Backoff {
    pub fn new(first: Duration, factor: f64, most: Duration, jitter: f64) -> Backoff {
        Backoff { first, factor, most, jitter, next: first }
    }

    /// 250 ms × 1.5 up to 2 min, 20 % jitter.
    pub fn acs() -> Backoff {
        Backoff::new(Duration::from_millis(250), 1.5, Duration::from_secs(120), 0.2)
    }

    /// 1 s to 1 min.
    pub fn tcs() -> Backoff {
        Backoff::new(Duration::from_secs(1), 2.0, Duration::from_secs(60), 0.2)
    }

    pub fn next(&mut self) -> Duration {
        self.next_with(&mut jitter)
    }

    /// The same, with a jitter of the caller's.
    pub fn next_with(&mut self, jitter: &mut dyn FnMut(Duration) -> Duration) -> Duration {
        let wait = self.next;
        self.next = self.next.mul_f64(self.factor).min(self.most);
        wait + jitter(wait.mul_f64(self.jitter))
    }

    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backoff_grows_to_its_cap_and_starts_again() {
        let mut backoff = Backoff::new(Duration::from_secs(1), 2.0, Duration::from_secs(5), 0.0);
        let seconds: Vec<u64> = (0..5).map(|_| backoff.next().as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 5, 5]);
        backoff.reset();
        assert_eq!(backoff.next().as_secs(), 1);
    }

    #[test]
    fn steady_time_is_moved_by_nobody() {
        let (began, hour) = (Timestamp::from_millis(1_795_384_329_148), Duration::from_secs(3600));
        let anchor = Instant::now();
        let steady = Steady::new(began, anchor);
        let after = |seconds| anchor + Duration::from_secs(seconds);
        // The reading is never exact, and that is no step.
        assert_eq!(steady.lead(began + Duration::from_millis(10_003), after(10)), 0);
        assert_eq!(steady.at(after(10)), began + Duration::from_secs(10));
        // Three hours forward, and back by five.
        assert_eq!(steady.lead(began + 3 * hour + Duration::from_secs(20), after(20)), 3 * 3_600_000);
        assert_eq!(steady.at(after(20)), began + Duration::from_secs(20));
        assert_eq!(steady.lead(began + Duration::from_secs(30) - 2 * hour, after(30)), -2 * 3_600_000);
        assert_eq!(moved(moved(began, -steady.lead(began - 2 * hour, after(0))), -2 * 3_600_000), began);
    }

    #[test]
    fn what_goes_there_and_back_is_what_it_was() {
        let at = now();
        assert_eq!(to_wall(from_wall(at)), at);
        assert!(steady().since(from_wall(at)) < Duration::from_secs(5));
    }

    #[test]
    fn jitter_stays_below_its_bound() {
        for _ in 0..100 {
            assert!(jitter(Duration::from_secs(1)) <= Duration::from_secs(1));
        }
    }
}
