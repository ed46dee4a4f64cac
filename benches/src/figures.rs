//! Times, and what to say of many of them.

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

fn milliseconds(time: Duration) -> String {
    let milliseconds = time.as_secs_f64() * 1000.0;
    if milliseconds < 100.0 { format!("{milliseconds:.1}") } else { format!("{milliseconds:.0}") }
}
