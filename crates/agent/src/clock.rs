//! The one place that reads the clock and draws random numbers.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use stdx::Timestamp;

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
    fn jitter_stays_below_its_bound() {
        for _ in 0..100 {
            assert!(jitter(Duration::from_secs(1)) <= Duration::from_secs(1));
        }
    }
}
