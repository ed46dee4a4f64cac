//! Each event once.

use std::collections::BTreeSet;

use api_logs::FilteredLogEvent;

/// How far behind the newest event the next question begins. An event that arrives later than others that are newer
/// (another container's, another node's with a slower clock) is still seen when it is not later than this.
pub const OVERLAP_MS: i64 = 5_000;

/// What has been printed, as far back as it may be answered again.
pub struct Window {
    from: i64,
    newest: i64,
    printed: BTreeSet<(i64, String)>,
}

impl Window {
    /// Nothing older than `from` is wanted.
    pub fn new(from: i64) -> Window {
        Window { from, newest: from, printed: BTreeSet::new() }
    }

    /// Where the next question begins.
    pub fn start(&self) -> i64 {
        self.from.max(self.newest.saturating_sub(OVERLAP_MS))
    }

    /// True for an event that has not been here before.
    pub fn admit(&mut self, event: &FilteredLogEvent, now: i64) -> bool {
        let at = event.timestamp.unwrap_or_default();
        // A writer with a fast clock must not hide the others.
        self.newest = self.newest.max(at.min(now));
        self.printed.insert((at, event.event_id.clone().unwrap_or_default()))
    }

    /// Forgets what cannot come again.
    pub fn forget(&mut self) {
        self.printed = self.printed.split_off(&(self.start(), String::new()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(at: i64, id: &str) -> FilteredLogEvent {
        FilteredLogEvent { timestamp: Some(at), event_id: Some(id.to_owned()), ..FilteredLogEvent::default() }
    }

    const NOW: i64 = 1_000_000;

    #[test]
    fn each_event_is_admitted_once() {
        let mut window = Window::new(0);
        assert!(window.admit(&event(10, "a"), NOW));
        assert!(!window.admit(&event(10, "a"), NOW));
        assert!(window.admit(&event(10, "b"), NOW), "two at one time");
        assert!(window.admit(&event(9, "c"), NOW), "one that came late");
    }

    #[test]
    fn it_begins_a_little_before_the_newest() {
        let mut window = Window::new(100_000);
        assert_eq!(window.start(), 100_000);
        window.admit(&event(101_000, "a"), NOW);
        assert_eq!(window.start(), 100_000, "never before what is wanted");
        window.admit(&event(200_000, "b"), NOW);
        assert_eq!(window.start(), 200_000 - OVERLAP_MS);
    }

    #[test]
    fn a_fast_clock_hides_nobody() {
        let mut window = Window::new(0);
        window.admit(&event(NOW + 3_600_000, "future"), NOW);
        assert_eq!(window.start(), NOW - OVERLAP_MS);
        window.forget();
        assert!(!window.admit(&event(NOW + 3_600_000, "future"), NOW), "it is answered again and again");
    }

    #[test]
    fn what_cannot_come_again_is_forgotten() {
        let mut window = Window::new(0);
        for at in 0..100 {
            window.admit(&event(at * 1000, "x"), NOW);
        }
        window.forget();
        assert_eq!(window.printed.len(), 6);
    }
}
