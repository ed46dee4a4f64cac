//! Live Tail: events as they come in, to whoever listens.
//!
//! A session is a filter and a buffer with a bound. Whoever puts events fills the buffers of the sessions that want them,
//! and never waits; the session's stream empties its buffer once a second. Of more events than an update may have, it
//! keeps a sample, and says so.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use api_logs::{
    LiveTailSessionLogEvent, LiveTailSessionMetadata, LiveTailSessionStart, LiveTailSessionUpdate,
    SessionTimeoutException, StartLiveTailResponseStream,
};
use futures::stream::{Stream, StreamExt, unfold};
use log_store::{GroupKey, LogEvent, StreamKey};
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

use crate::limits::{LIVE_TAIL_BYTES_MAX, LIVE_TAIL_EVENTS_MAX, LIVE_TAIL_EVERY, LIVE_TAIL_LIFE, LIVE_TAILS_MAX};
use crate::pattern::FilterPattern;

/// What a session wants to see.
pub(crate) struct Wanted {
    pub(crate) account: String,
    /// With the identifiers by which the session calls them.
    pub(crate) groups: BTreeMap<GroupKey, String>,
    pub(crate) streams: WantedStreams,
    pub(crate) pattern: FilterPattern,
}

pub(crate) enum WantedStreams {
    All,
    Named(Vec<String>),
    Prefixes(Vec<String>),
}

impl WantedStreams {
    fn has(&self, stream: &str) -> bool {
        match self {
            WantedStreams::All => true,
            WantedStreams::Named(names) => names.iter().any(|name| name == stream),
            WantedStreams::Prefixes(prefixes) => prefixes.iter().any(|prefix| stream.starts_with(prefix)),
        }
    }
}

struct Session {
    wanted: Wanted,
    buffer: Mutex<Buffer>,
}

#[derive(Default)]
struct Buffer {
    events: Vec<LiveTailSessionLogEvent>,
    bytes: usize,
    /// How many have matched since the last update.
    matched: u64,
}

impl Buffer {
    /// Every event has the same chance to be in the sample (reservoir sampling). The choice is a hash of how many have
    /// matched: it needs no randomness that anybody would have to hand in.
    fn add(&mut self, event: LiveTailSessionLogEvent) {
        self.matched += 1;
        let size = event.message.as_ref().map_or(0, String::len);
        if self.events.len() < LIVE_TAIL_EVENTS_MAX && self.bytes + size <= LIVE_TAIL_BYTES_MAX {
            self.bytes += size;
            self.events.push(event);
            return;
        }
        let at = (self.matched.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 11) % self.matched;
        if let Some(place) = usize::try_from(at).ok().and_then(|at| self.events.get_mut(at)) {
            let old = place.message.as_ref().map_or(0, String::len);
            if self.bytes - old + size <= LIVE_TAIL_BYTES_MAX {
                self.bytes = self.bytes - old + size;
                *place = event;
            }
        }
    }

    fn take(&mut self) -> LiveTailSessionUpdate {
        let taken = std::mem::take(self);
        let sampled = taken.matched > taken.events.len() as u64;
        let mut events = taken.events;
        events.sort_by_key(|event| (event.ingestion_time, event.timestamp));
        LiveTailSessionUpdate {
            session_metadata: Some(LiveTailSessionMetadata { sampled: Some(sampled) }),
            session_results: Some(events),
        }
    }
}

/// All sessions of a server.
#[derive(Default)]
pub(crate) struct LiveTails {
    sessions: RwLock<BTreeMap<u64, Arc<Session>>>,
    next: Mutex<u64>,
}

/// An account has as many sessions as it may.
pub(crate) struct TooMany;

impl LiveTails {
    /// Whether any session could want events of a stream.
    pub(crate) fn wants(&self, stream: &StreamKey) -> bool {
        let sessions = self.sessions.read().unwrap_or_else(PoisonError::into_inner);
        let wants = |wanted: &Wanted| wanted.groups.contains_key(&stream.group) && wanted.streams.has(&stream.stream);
        sessions.values().any(|session| wants(&session.wanted))
    }

    /// Shows events to the sessions that want them.
    pub(crate) fn show(&self, stream: &StreamKey, events: &[LogEvent], ingestion_ms: i64) {
        let sessions = self.sessions.read().unwrap_or_else(PoisonError::into_inner);
        for session in sessions.values() {
            let Some(identifier) = session.wanted.groups.get(&stream.group) else { continue };
            if !session.wanted.streams.has(&stream.stream) {
                continue;
            }
            let mut buffer = session.buffer.lock().unwrap_or_else(PoisonError::into_inner);
            for event in events.iter().filter(|event| session.wanted.pattern.matches(&event.message)) {
                buffer.add(LiveTailSessionLogEvent {
                    log_stream_name: Some(stream.stream.clone()),
                    log_group_identifier: Some(identifier.clone()),
                    message: Some(event.message.clone()),
                    timestamp: Some(event.timestamp_ms),
                    ingestion_time: Some(ingestion_ms),
                });
            }
        }
    }

    /// A session from now on. It ends when the stream is dropped, or when its time is up.
    pub(crate) fn start(
        self: &Arc<Self>,
        wanted: Wanted,
        start: LiveTailSessionStart,
    ) -> Result<impl Stream<Item = StartLiveTailResponseStream> + Send + use<>, TooMany> {
        let place = self.enter(wanted)?;
        let began = StartLiveTailResponseStream { session_start: Some(start), ..Default::default() };
        let first = futures::stream::once(std::future::ready(began));
        let mut every = interval_at(Instant::now() + LIVE_TAIL_EVERY, LIVE_TAIL_EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let ends = Instant::now() + LIVE_TAIL_LIFE;
        Ok(first.chain(unfold(Some((place, every)), move |state| next(state, ends))))
    }

    fn enter(self: &Arc<Self>, wanted: Wanted) -> Result<Place, TooMany> {
        let mut sessions = self.sessions.write().unwrap_or_else(PoisonError::into_inner);
        if sessions.values().filter(|session| session.wanted.account == wanted.account).count() >= LIVE_TAILS_MAX {
            return Err(TooMany);
        }
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        *next += 1;
        let session = Arc::new(Session { wanted, buffer: Mutex::default() });
        sessions.insert(*next, session.clone());
        Ok(Place { tails: self.clone(), number: *next, session })
    }
}

/// A session's place among all; leaving it is dropping it.
struct Place {
    tails: Arc<LiveTails>,
    number: u64,
    session: Arc<Session>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.tails.sessions.write().unwrap_or_else(PoisonError::into_inner).remove(&self.number);
    }
}

type State = Option<(Place, Interval)>;

/// One update, also when it is empty: "every second", and so a client that went away is noticed.
async fn next(state: State, ends: Instant) -> Option<(StartLiveTailResponseStream, State)> {
    let (place, mut every) = state?;
    every.tick().await;
    if Instant::now() >= ends {
        let timeout = SessionTimeoutException { message: Some("The session has reached its time limit.".to_owned()) };
        let last = StartLiveTailResponseStream { session_timeout_exception: Some(timeout), ..Default::default() };
        return Some((last, None));
    }
    let update = place.session.buffer.lock().unwrap_or_else(PoisonError::into_inner).take();
    let event = StartLiveTailResponseStream { session_update: Some(update), ..Default::default() };
    Some((event, Some((place, every))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(at: usize, message: &str) -> LiveTailSessionLogEvent {
        LiveTailSessionLogEvent {
            message: Some(message.to_owned()),
            timestamp: i64::try_from(at).ok(),
            ..Default::default()
        }
    }

    #[test]
    fn many_events_are_sampled_and_few_are_not() {
        let mut buffer = Buffer::default();
        (0..LIVE_TAIL_EVENTS_MAX).for_each(|at| buffer.add(event(at, "x")));
        let update = buffer.take();
        assert_eq!(update.session_metadata.unwrap().sampled, Some(false));
        assert_eq!(update.session_results.unwrap().len(), LIVE_TAIL_EVENTS_MAX);

        (0..50_000).for_each(|at| buffer.add(event(at, "x")));
        let update = buffer.take();
        assert_eq!(update.session_metadata.unwrap().sampled, Some(true));
        let seen = update.session_results.unwrap();
        assert_eq!(seen.len(), LIVE_TAIL_EVENTS_MAX);
        let late = seen.iter().filter(|event| event.timestamp > Some(25_000)).count();
        assert!((150..350).contains(&late), "a sample of the whole second, not of its beginning: {late}");
    }

    #[tokio::test]
    async fn a_session_ends_when_its_time_is_up() {
        let tails = Arc::new(LiveTails::default());
        let wanted = Wanted {
            account: "1".to_owned(),
            groups: BTreeMap::new(),
            streams: WantedStreams::All,
            pattern: FilterPattern::parse("").unwrap(),
        };
        let place = tails.enter(wanted).ok().unwrap();
        assert_eq!(tails.sessions.read().unwrap().len(), 1);
        let every = tokio::time::interval(LIVE_TAIL_EVERY);
        let (last, state) = next(Some((place, every)), Instant::now()).await.unwrap();
        assert!(last.session_timeout_exception.is_some() && last.session_update.is_none());
        assert!(next(state, Instant::now()).await.is_none());
        assert_eq!(tails.sessions.read().unwrap().len(), 0, "its place is free");
    }

    #[test]
    fn large_events_are_bounded_too() {
        let mut buffer = Buffer::default();
        let large = "x".repeat(1 << 20);
        (0..100).for_each(|at| buffer.add(event(at, &large)));
        assert!(buffer.bytes <= LIVE_TAIL_BYTES_MAX);
        assert_eq!(buffer.take().session_metadata.unwrap().sampled, Some(true));
        assert_eq!(buffer.bytes, 0);
    }
}
