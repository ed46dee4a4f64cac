//! What the drivers of other protocols have in common: each line becomes a message, and messages go to a peer.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use runtime::{LogLine, LogPosition, Stream};
use tokio::sync::Semaphore;

use crate::follow::{Carrier, Delivery, Seldom};
use crate::limits::POST_BYTES_MAX;

/// How lines become messages, and how these get to a peer.
#[async_trait]
pub(crate) trait Protocol: Send {
    /// Appends the message of a line. Nothing when the protocol has no use for such a line.
    fn encode(&mut self, line: &LogLine, part: Option<&Part>, out: &mut Vec<u8>);
    /// Connects, unless it is connected.
    async fn connect(&mut self) -> Result<(), SendError>;
    /// Brings the messages to the peer, over a new connection if the old one is lost. May send again what it has sent before.
    async fn send(&mut self, post: &Post) -> Result<(), SendError>;
}

/// Of a line that is longer than a piece.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    /// The same for all pieces of a line.
    pub id: String,
    /// From 1.
    pub ordinal: u32,
    pub is_last: bool,
}

/// Messages, one behind the other.
#[derive(Debug, Default)]
pub(crate) struct Post {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Post {
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn messages(&self) -> impl Iterator<Item = &[u8]> {
        let begins = std::iter::once(0).chain(self.ends.iter().copied());
        begins.zip(&self.ends).map(|(begin, end)| &self.bytes[begin..*end])
    }

    fn end_message(&mut self) {
        if self.bytes.len() > self.ends.last().copied().unwrap_or(0) {
            self.ends.push(self.bytes.len());
        }
    }
}

/// Why messages are not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// Later it may succeed.
    #[error("{0}")]
    Passing(String),
    /// The peer will never take these messages.
    #[error("{0}")]
    Refused(String),
}

/// Carries one container's lines.
pub(crate) struct Postman<P> {
    protocol: P,
    driver: &'static str,
    post: Post,
    /// Lines, with those that became no message.
    taken: usize,
    halves: Halves,
    /// As they were before anything in the post was taken.
    halves_before: Halves,
    refused: u64,
    told_refused: Seldom,
}

/// The lines of which only pieces were read so far: their id, and how many pieces.
type Halves = [Option<(String, u32)>; 2];

impl<P: Protocol> Postman<P> {
    pub fn new(driver: &'static str, protocol: P) -> Postman<P> {
        Postman {
            protocol,
            driver,
            post: Post::default(),
            taken: 0,
            halves: Halves::default(),
            halves_before: Halves::default(),
            refused: 0,
            told_refused: Seldom::default(),
        }
    }

    fn begin_again(&mut self) {
        self.post = Post::default();
        self.taken = 0;
    }
}

/// For a start that waits for its peer.
#[async_trait]
pub(crate) trait Connects: Carrier {
    async fn connect(&mut self) -> Result<(), SendError>;
}

#[async_trait]
impl<P: Protocol> Connects for Postman<P> {
    async fn connect(&mut self) -> Result<(), SendError> {
        self.protocol.connect().await
    }
}

fn part_of(halves: &mut Halves, line: &LogLine, start: LogPosition) -> Option<Part> {
    let half = &mut halves[usize::from(line.stream == Stream::Stderr)];
    let (id, ordinal) = match half.take() {
        Some((id, pieces)) => (id, pieces + 1),
        None if line.partial => (format!("{:016x}{:08x}{:08x}", line.time, start.segment, start.offset), 1),
        None => return None,
    };
    if line.partial {
        *half = Some((id.clone(), ordinal));
    }
    Some(Part { id, ordinal, is_last: !line.partial })
}

#[async_trait]
impl<P: Protocol> Carrier for Postman<P> {
    fn take(&mut self, line: LogLine, start: LogPosition, _: Instant) {
        let part = part_of(&mut self.halves, &line, start);
        self.protocol.encode(&line, part.as_ref(), &mut self.post.bytes);
        self.post.end_message();
        self.taken += 1;
    }

    fn rest(&mut self, _: Instant) {}

    fn finish(&mut self) {}

    fn is_full(&self) -> bool {
        self.post.bytes.len() >= POST_BYTES_MAX
    }

    fn has_cargo(&self) -> bool {
        self.taken > 0
    }

    fn due(&self) -> Option<Instant> {
        None
    }

    fn resume_at(&self, read: LogPosition) -> LogPosition {
        read
    }

    async fn deliver(&mut self, _: bool) -> Delivery {
        let sent = if self.post.len() == 0 { Ok(()) } else { self.protocol.send(&self.post).await };
        match sent {
            Err(SendError::Passing(reason)) => return Delivery::Later { reason, unsure: false },
            Err(SendError::Refused(reason)) => {
                self.refused += self.post.len() as u64;
                if self.told_refused.may() {
                    tracing::warn!(
                        driver = self.driver,
                        dropped = self.refused,
                        reason,
                        "dropped log messages that were refused"
                    );
                }
            }
            Ok(()) => {}
        }
        self.halves_before = self.halves.clone();
        self.begin_again();
        Delivery::Done
    }

    fn forget(&mut self) {
        self.halves = self.halves_before.clone();
        self.begin_again();
    }
}

/// Deliveries to each peer are bounded apart from those to others.
pub(crate) fn deliveries() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(crate::limits::DELIVERIES_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(stream: Stream, partial: bool) -> LogLine {
        LogLine { time: 7, stream, partial, text: b"x".to_vec(), next: LogPosition::default() }
    }

    #[test]
    fn pieces_of_a_line_belong_together() {
        let mut halves = Halves::default();
        let mut part = |stream, partial, offset| {
            let part = part_of(&mut halves, &line(stream, partial), LogPosition { segment: 1, offset });
            part.map(|part| (part.id, part.ordinal, part.is_last))
        };
        let (out, err) = ("00000000000000070000000100000005", "00000000000000070000000100000006");
        assert_eq!(part(Stream::Stdout, false, 0), None);
        assert_eq!(part(Stream::Stdout, true, 5), Some((out.to_owned(), 1, false)));
        assert_eq!(part(Stream::Stderr, true, 6), Some((err.to_owned(), 1, false)));
        assert_eq!(part(Stream::Stdout, true, 7), Some((out.to_owned(), 2, false)));
        assert_eq!(part(Stream::Stdout, false, 8), Some((out.to_owned(), 3, true)));
        assert_eq!(part(Stream::Stderr, false, 9), Some((err.to_owned(), 2, true)));
        assert_eq!(part(Stream::Stdout, false, 10), None);
    }

    #[test]
    fn messages_are_told_apart() {
        let mut post = Post::default();
        for text in ["one", "", "three"] {
            post.bytes.extend_from_slice(text.as_bytes());
            post.end_message();
        }
        assert_eq!(post.messages().collect::<Vec<_>>(), [b"one".as_slice(), b"three"]);
        assert_eq!((post.len(), post.bytes()), (2, b"onethree".as_slice()));
    }
}
