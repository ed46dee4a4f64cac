//! Batches as PutLogEvents takes them.

use crate::limits::{BATCH_BYTES_MAX, BATCH_EVENTS_MAX, BATCH_SPAN_MS_MAX, EVENT_OVERHEAD_BYTES};
use crate::sink::Event;

/// Events that may travel together.
#[derive(Default)]
pub(crate) struct Batch {
    events: Vec<Event>,
    bytes: usize,
    earliest_ms: i64,
    latest_ms: i64,
}

impl Batch {
    pub fn fits(&self, event: &Event) -> bool {
        let (earliest, latest) = self.span_with(event);
        self.events.len() < BATCH_EVENTS_MAX
            && self.bytes + event.message.len() + EVENT_OVERHEAD_BYTES <= BATCH_BYTES_MAX
            && latest.saturating_sub(earliest) <= BATCH_SPAN_MS_MAX
    }

    /// Adds an event that fits.
    pub fn push(&mut self, event: Event) {
        (self.earliest_ms, self.latest_ms) = self.span_with(&event);
        self.bytes += event.message.len() + EVENT_OVERHEAD_BYTES;
        self.events.push(event);
    }

    /// In the order of their times, as AWS wants it; events of one millisecond keep theirs. Times may run backwards in
    /// a log: a clock is set, or the line on stderr began before the long one on stdout ended.
    pub fn in_order(&mut self) -> &[Event] {
        self.events.sort_by_key(|event| event.timestamp_ms);
        &self.events
    }

    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Also gives the memory back: most containers are quiet most of the time.
    pub fn clear(&mut self) {
        *self = Batch::default();
    }

    fn span_with(&self, event: &Event) -> (i64, i64) {
        match self.events.is_empty() {
            true => (event.timestamp_ms, event.timestamp_ms),
            false => (self.earliest_ms.min(event.timestamp_ms), self.latest_ms.max(event.timestamp_ms)),
        }
    }
}

#[cfg(test)]
mod tests {
    use log_store::limits::admit;
    use proptest::collection::vec;
    use proptest::prelude::*;
    use stdx::Timestamp;

    use super::*;

    const NOW: i64 = 1_700_000_000_000;
    const HOUR: i64 = 3_600_000;

    fn event(time: i64, bytes: usize) -> Event {
        Event { timestamp_ms: NOW + time, message: "x".repeat(bytes) }
    }

    /// Cuts events into batches, and shows each to the service's own rule.
    fn batches(events: impl IntoIterator<Item = Event>) -> Vec<Vec<Event>> {
        let (mut batch, mut batches) = (Batch::default(), Vec::new());
        let mut seal = |batch: &mut Batch| {
            let sizes: Vec<_> =
                batch.in_order().iter().map(|event| (event.timestamp_ms, event.message.len())).collect();
            admit(&sizes, Timestamp::from_millis(NOW), None).expect("the service takes it");
            batches.push(batch.in_order().to_vec());
            batch.clear();
        };
        for event in events {
            if !batch.fits(&event) {
                seal(&mut batch);
            }
            assert!(batch.fits(&event), "an event fits into an empty batch");
            batch.push(event);
        }
        seal(&mut batch);
        batches
    }

    fn check(events: Vec<Event>, expected: &[usize]) {
        assert_eq!(batches(events).iter().map(Vec::len).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn the_limits_of_aws() {
        check((0..20_001).map(|_| event(0, 1)).collect(), &[10_000, 10_000, 1]);
        // Four of the longest, and their overheads, are one MiB exactly.
        check(vec![event(0, 262_118); 9], &[4, 4, 1]);
        check(vec![event(-24 * HOUR, 1), event(0, 1)], &[2]);
        check(vec![event(-24 * HOUR - 1, 1), event(0, 1)], &[1, 1]);
        check(vec![event(0, 1), event(-23 * HOUR, 1), event(HOUR, 1), event(HOUR + 1, 1)], &[3, 1]);
    }

    #[test]
    fn times_that_run_backwards_are_sorted() {
        let named = |time, name: &str| Event { timestamp_ms: NOW + time, message: name.into() };
        let batches = batches([named(2, "b"), named(1, "a"), named(2, "c"), named(0, "z")]);
        let names: Vec<_> = batches[0].iter().map(|event| event.message.as_str()).collect();
        assert_eq!(names, ["z", "a", "b", "c"]);
    }

    proptest! {
        #[test]
        fn every_event_travels_once(events in vec((-30 * HOUR..HOUR, 1..200_000_usize), 0..60)) {
            let events: Vec<_> = events.into_iter().map(|(time, bytes)| event(time, bytes)).collect();
            let mut sent: Vec<_> = batches(events.clone()).into_iter().flatten().collect();
            let mut events = events;
            let key = |event: &Event| (event.timestamp_ms, event.message.len());
            sent.sort_by_key(key);
            events.sort_by_key(key);
            prop_assert!(sent == events);
        }
    }
}
