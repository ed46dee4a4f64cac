//! Numbers, acknowledgements and the waiting for them.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use stdx::Timestamp;

use crate::frame::Frame;
use crate::limits::*;

/// What was sent and is not yet acknowledged.
#[derive(Debug)]
pub(crate) struct Outgoing {
    next: i64,
    waiting: VecDeque<Sent>,
    round_trip: f64,
    variation: f64,
    resend_after: Duration,
    /// When something was acknowledged last, or began to wait.
    progress: Timestamp,
}

#[derive(Debug)]
struct Sent {
    sequence: i64,
    bytes: Vec<u8>,
    at: Timestamp,
    again: u32,
}

impl Outgoing {
    pub fn new(now: Timestamp) -> Outgoing {
        let round_trip = 100.0;
        Outgoing {
            next: 0,
            waiting: VecDeque::new(),
            round_trip,
            variation: 0.0,
            resend_after: RESEND_AFTER,
            progress: now,
        }
    }

    /// Whether more may be sent now.
    pub fn is_open(&self) -> bool {
        self.waiting.len() < WINDOW_FRAMES
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Numbers a frame, and keeps it until it is acknowledged.
    pub fn send(&mut self, mut frame: Frame, now: Timestamp) -> Vec<u8> {
        frame.sequence = self.next;
        if self.next == 0 {
            frame.flags |= crate::frame::FLAG_FIRST;
        }
        self.next += 1;
        if self.waiting.is_empty() {
            self.progress = now;
        }
        let bytes = frame.encode();
        self.waiting.push_back(Sent { sequence: frame.sequence, bytes: bytes.clone(), at: now, again: 0 });
        bytes
    }

    pub fn acknowledged(&mut self, sequence: i64, now: Timestamp) {
        let Some(at) = self.waiting.iter().position(|sent| sent.sequence == sequence) else { return };
        let Some(sent) = self.waiting.remove(at) else { return };
        self.progress = now;
        // Of one that was sent twice nobody knows which was acknowledged.
        if sent.again == 0 {
            self.measure(now.since(sent.at));
        }
    }

    fn measure(&mut self, took: Duration) {
        let took = took.as_secs_f64() * 1000.0;
        self.variation += VARIATION_WEIGHT * ((self.round_trip - took).abs() - self.variation);
        self.round_trip += ROUND_TRIP_WEIGHT * (took - self.round_trip);
        let slack = (4.0 * self.variation).max(CLOCK_GRANULARITY.as_secs_f64() * 1000.0);
        let after = Duration::from_secs_f64((self.round_trip + slack).max(0.0) / 1000.0);
        self.resend_after = after.min(RESEND_AFTER_MAX);
    }

    fn due(&self) -> Option<Timestamp> {
        let first = self.waiting.front()?;
        Some(first.at + self.resend_after * 2u32.pow(first.again.min(RESEND_DOUBLINGS_MAX)))
    }

    /// When to look again.
    pub fn look_at(&self) -> Option<Timestamp> {
        self.due().map(|due| due.min(self.progress + GIVE_UP_AFTER))
    }

    /// Nobody listens any more.
    pub fn is_lost(&self, now: Timestamp) -> bool {
        !self.waiting.is_empty() && now.since(self.progress) >= GIVE_UP_AFTER
    }

    /// The first that waits, if it has waited too long. Only the first: the others may well have arrived.
    pub fn resend(&mut self, now: Timestamp) -> Option<Vec<u8>> {
        if self.due()? > now {
            return None;
        }
        let first = self.waiting.front_mut()?;
        (first.at, first.again) = (now, first.again + 1);
        Some(first.bytes.clone())
    }
}

/// Puts what arrives in order.
#[derive(Debug, Default)]
pub(crate) struct Incoming {
    expected: i64,
    early: BTreeMap<i64, Frame>,
}

impl Incoming {
    /// What can be taken in now, in order; `None` when it is not kept, and so must not be acknowledged.
    pub fn take(&mut self, frame: Frame) -> Option<Vec<Frame>> {
        if frame.sequence < self.expected {
            // It came again: its acknowledgement was lost, or late.
            return Some(Vec::new());
        }
        if frame.sequence > self.expected {
            if self.early.len() >= EARLY_FRAMES_MAX && !self.early.contains_key(&frame.sequence) {
                return None;
            }
            self.early.insert(frame.sequence, frame);
            return Some(Vec::new());
        }
        let mut ready = vec![frame];
        self.expected += 1;
        while let Some(frame) = self.early.remove(&self.expected) {
            ready.push(frame);
            self.expected += 1;
        }
        Some(ready)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::frame::MessageType;

    fn at(millis: u64) -> Timestamp {
        Timestamp::from_millis(1_000_000) + Duration::from_millis(millis)
    }

    fn frame(sequence: i64) -> Frame {
        let new = Frame::new(MessageType::InputStreamData, at(0), [1; 16], sequence.to_string().into_bytes());
        Frame { sequence, ..new }
    }

    #[test]
    fn only_the_first_comes_again_and_ever_later() {
        let mut out = Outgoing::new(at(0));
        let first = out.send(frame(0), at(0));
        out.send(frame(0), at(0));
        assert_eq!(out.resend(at(199)), None);
        assert_eq!(out.look_at(), Some(at(200)));
        assert_eq!(out.resend(at(200)), Some(first.clone()));
        assert_eq!(out.look_at(), Some(at(600)));
        assert_eq!(out.resend(at(599)), None);
        assert_eq!(out.resend(at(600)), Some(first));
        out.acknowledged(0, at(700));
        out.acknowledged(0, at(700));
        assert_eq!(out.look_at(), Some(at(200)), "the second was sent long ago");
        out.acknowledged(1, at(701));
        assert!(out.is_empty());
        assert_eq!(out.look_at(), None);
    }

    #[test]
    fn a_quick_reader_is_asked_sooner() {
        let mut out = Outgoing::new(at(0));
        for number in 0..100 {
            out.send(frame(0), at(number * 10));
            out.acknowledged(number as i64, at(number * 10 + 2));
        }
        out.send(frame(0), at(2000));
        let look = out.look_at().unwrap();
        assert!(look < at(2030), "{look:?}");
    }

    #[test]
    fn the_window_closes_and_a_silent_reader_is_given_up() {
        let mut out = Outgoing::new(at(0));
        while out.is_open() {
            out.send(frame(0), at(5));
        }
        assert_eq!(out.next, WINDOW_FRAMES as i64);
        assert!(!out.is_lost(at(5) + GIVE_UP_AFTER - Duration::from_millis(1)));
        assert!(out.is_lost(at(5) + GIVE_UP_AFTER));
        out.acknowledged(3, at(100));
        assert!(out.is_open());
        assert!(!out.is_lost(at(5) + GIVE_UP_AFTER));
    }

    #[test]
    fn too_early_is_not_kept() {
        let mut incoming = Incoming::default();
        for sequence in 1..=EARLY_FRAMES_MAX as i64 {
            assert_eq!(incoming.take(frame(sequence)), Some(Vec::new()));
        }
        assert_eq!(incoming.take(frame(EARLY_FRAMES_MAX as i64 + 1)), None);
        assert_eq!(incoming.take(frame(5)), Some(Vec::new()), "it is kept already");
        assert_eq!(incoming.take(frame(0)).unwrap().len(), EARLY_FRAMES_MAX + 1);
        assert_eq!(incoming.take(frame(0)), Some(Vec::new()), "it was had already");
    }

    proptest! {
        #[test]
        fn any_order_comes_out_in_order(order in Just((0..40).collect::<Vec<i64>>()).prop_shuffle()) {
            let mut incoming = Incoming::default();
            let got: Vec<i64> =
                order.iter().chain(&order).flat_map(|one| incoming.take(frame(*one)).unwrap()).map(|one| one.sequence).collect();
            prop_assert_eq!(got, (0..40).collect::<Vec<i64>>());
        }
    }
}
