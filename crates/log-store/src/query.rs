//! What a reader asks for, and what comes back.

use std::sync::Arc;

use crate::event::{GroupKey, Position, StoredEvent};
use crate::limits::{EVENT_OVERHEAD_BYTES, PAGE_BYTES_MAX, PAGE_EVENTS_MAX, PAGE_SCAN_BYTES_MAX};

/// Which streams of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Streams {
    All,
    /// Streams that do not exist are an error.
    Named(Vec<String>),
    /// All whose names begin so.
    Prefix(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Oldest first.
    Forward,
    /// Newest first.
    Backward,
}

/// One page. The range is inclusive on both ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query {
    pub group: GroupKey,
    pub streams: Streams,
    pub from: Position,
    pub to: Position,
    pub direction: Direction,
    /// The page ends when it has this many events,
    pub events_max: usize,
    /// or when one more would exceed this many bytes of messages with AWS's overhead (never before the first),
    pub bytes_max: usize,
    /// or when this many bytes of events were looked through.
    pub scan_bytes_max: u64,
    /// What is known of the messages that are wanted, so that others need not be looked at.
    pub needles: Needles,
}

/// Texts that every message has which the caller will accept. They only save work: the caller still looks at each message
/// itself, and one that has none of them may be shown to it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needles {
    /// It contains each of these,
    pub all: Vec<String>,
    /// and at least one of these, unless there are none.
    pub any: Vec<String>,
}

impl Needles {
    pub(crate) fn is_empty(&self) -> bool {
        self.all.is_empty() && self.any.is_empty()
    }

    /// Whether something that contains a text as `has` tells may contain a message that is wanted.
    pub(crate) fn may_be_in(&self, has: impl Fn(&str) -> bool) -> bool {
        self.all.iter().all(|needle| has(needle)) && (self.any.is_empty() || self.any.iter().any(|needle| has(needle)))
    }
}

impl Query {
    /// Everything in a group, oldest first, in the largest pages.
    pub fn new(group: GroupKey) -> Query {
        Query {
            group,
            streams: Streams::All,
            from: Position::FIRST,
            to: Position::LAST,
            direction: Direction::Forward,
            events_max: PAGE_EVENTS_MAX,
            bytes_max: PAGE_BYTES_MAX,
            scan_bytes_max: PAGE_SCAN_BYTES_MAX,
            needles: Needles::default(),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageEvent {
    pub stream: Arc<str>,
    pub event: StoredEvent,
}

impl PageEvent {
    /// What AWS counts for it.
    pub(crate) fn weight(&self) -> usize {
        self.event.message.len() + EVENT_OVERHEAD_BYTES
    }
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// In the order of the query.
    pub events: Vec<PageEvent>,
    /// Where to go on, inclusive, in the direction of the query. `None` when the range holds no more. A page may be
    /// empty and still have more behind it.
    pub next: Option<Position>,
}
