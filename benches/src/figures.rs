//! Times, and what to say of many of them.

use std::sync::Mutex;
use std::time::Duration;

pub struct Times(Vec<Duration>);

/// Many launches, and how long all of them took together.
pub struct Launches {
    pub times: Times,
    /// From the call to the first line that the program wrote.
    pub first_lines: Times,
    pub per_second: f64,
}

impl Times {
    /// # Panics
    ///
    /// Without any time there is nothing to say.
    pub fn new(mut times: Vec<Duration>) -> Times {
        assert!(!times.is_empty(), "nothing was measured");
        times.sort();
        Times(times)
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn median(&self) -> String {
        self.percentile(50)
    }

    pub fn percentile(&self, percent: usize) -> String {
        milliseconds(self.at(percent))
    }

    pub fn median_seconds(&self) -> f64 {
        self.at(50).as_secs_f64()
    }

    pub fn worst(&self) -> String {
        milliseconds(self.at(100))
    }

    fn at(&self, percent: usize) -> Duration {
        self.0[(self.0.len() * percent / 100).min(self.0.len() - 1)]
    }
}

/// What `count` calls gave, of which so many are always in flight together.
pub fn in_flight<T: Send>(count: usize, together: usize, call: impl Fn() -> T + Sync) -> Vec<T> {
    let (given, left) = (Mutex::new(Vec::new()), Mutex::new(count));
    let next = || {
        let mut left = left.lock().expect("no call panics");
        let some = *left > 0;
        *left = left.saturating_sub(1);
        some
    };
    std::thread::scope(|scope| {
        for _ in 0..together {
            scope.spawn(|| {
                while next() {
                    let one = call();
                    given.lock().expect("no call panics").push(one);
                }
            });
        }
    });
    given.into_inner().expect("no call panics")
}

fn milliseconds(time: Duration) -> String {
    let milliseconds = time.as_secs_f64() * 1000.0;
    if milliseconds < 100.0 { format!("{milliseconds:.1}") } else { format!("{milliseconds:.0}") }
}
