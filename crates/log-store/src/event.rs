//! The nouns: an event, where it belongs, and its place in the order of all events.

use std::fmt;
use std::str::FromStr;

/// One line as a client sends it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEvent {
    /// Milliseconds since 1970; never negative.
    pub timestamp_ms: i64,
    pub message: String,
}

/// Which log group, in which account and region.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupKey {
    pub account: String,
    pub region: String,
    pub group: String,
}

impl GroupKey {
    pub fn new(account: impl Into<String>, region: impl Into<String>, group: impl Into<String>) -> Self {
        GroupKey { account: account.into(), region: region.into(), group: group.into() }
    }

    pub fn stream(&self, name: impl Into<String>) -> StreamKey {
        StreamKey { group: self.clone(), stream: name.into() }
    }
}

/// Which log stream.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamKey {
    pub group: GroupKey,
    pub stream: String,
}

/// Where an event stands among all events of its group: by timestamp, then by the order of ingestion.
///
/// Shape: the timestamp in milliseconds in the upper 64 bits, the ingestion number in the lower 64. Written as 56
/// decimal digits, which is the form of `eventId` and of the tokens of GetLogEvents on AWS.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(u128);

/// How many decimal digits an event id has on AWS.
const DIGITS: usize = 56;

impl Position {
    pub const FIRST: Position = Position(0);
    pub const LAST: Position = Position(u128::MAX);

    pub fn new(timestamp_ms: i64, number: u64) -> Self {
        Position(((timestamp_ms.max(0) as u128) << 64) | u128::from(number))
    }

    /// The first place of a millisecond.
    pub fn start_of(timestamp_ms: i64) -> Self {
        Position::new(timestamp_ms, 0)
    }

    /// The last place of a millisecond.
    pub fn end_of(timestamp_ms: i64) -> Self {
        Position::new(timestamp_ms, u64::MAX)
    }

    pub fn next(self) -> Self {
        Position(self.0.saturating_add(1))
    }

    pub fn previous(self) -> Self {
        Position(self.0.saturating_sub(1))
    }

    /// The millisecond and the ingestion number.
    pub(crate) fn parts(self) -> (u64, u64) {
        ((self.0 >> 64) as u64, self.0 as u64)
    }

    pub(crate) fn of_parts(millisecond: u64, number: u64) -> Self {
        Position((u128::from(millisecond) << 64) | u128::from(number))
    }

    /// The same order, backwards. Its own inverse.
    pub(crate) fn mirrored(self) -> Self {
        Position(!self.0)
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0width$}", self.0, width = DIGITS)
    }
}

/// Text that is not a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not {DIGITS} decimal digits")]
pub struct NotAPosition;

impl FromStr for Position {
    type Err = NotAPosition;

    fn from_str(text: &str) -> Result<Self, NotAPosition> {
        if text.len() != DIGITS || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(NotAPosition);
        }
        text.parse().map(Position).map_err(|_| NotAPosition)
    }
}

/// One event as it is read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredEvent {
    pub timestamp_ms: i64,
    /// The order of ingestion among all events of the group; never zero.
    pub number: u64,
    pub ingestion_ms: i64,
    pub message: String,
}

impl StoredEvent {
    pub fn position(&self) -> Position {
        Position::new(self.timestamp_ms, self.number)
    }

    /// The `eventId` of the API.
    pub fn event_id(&self) -> String {
        self.position().to_string()
    }
}

/// An event that still lies in the bytes it was read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RawEvent<'a> {
    pub(crate) stream: u64,
    pub(crate) timestamp_ms: i64,
    pub(crate) number: u64,
    pub(crate) ingestion_ms: i64,
    pub(crate) message: &'a str,
}

impl RawEvent<'_> {
    pub(crate) fn position(&self) -> Position {
        Position::new(self.timestamp_ms, self.number)
    }

    pub(crate) fn to_stored(self) -> StoredEvent {
        StoredEvent {
            timestamp_ms: self.timestamp_ms,
            number: self.number,
            ingestion_ms: self.ingestion_ms,
            message: self.message.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_survive_their_text_form() {
        for position in [Position::FIRST, Position::new(1_700_000_000_000, 42), Position::LAST] {
            assert_eq!(position.to_string().len(), 56);
            assert_eq!(position.to_string().parse(), Ok(position));
        }
        let too_big = "9".repeat(56);
        for text in ["", "12", &"x".repeat(56), too_big.as_str(), &"+".repeat(56)] {
            assert_eq!(text.parse::<Position>(), Err(NotAPosition), "{text}");
        }
    }

    #[test]
    fn time_comes_before_ingestion_order() {
        assert!(Position::new(1, 900) < Position::new(2, 1));
        assert!(Position::new(2, 1) < Position::new(2, 2));
        assert!(Position::start_of(2) < Position::new(2, 1) && Position::new(2, 1) < Position::end_of(2));
    }
}
