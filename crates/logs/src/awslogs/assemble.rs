//! Events out of lines: partial lines are joined, several lines may be one event, long ones are split.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use regex::bytes::Regex;
use runtime::{LogLine, LogPosition};

use crate::limits::{EVENT_TEXT_BYTES_MAX, PARTIAL_WAIT};
use crate::sink::Event;

/// Takes lines as they stand in the log, and gives events. It holds at most one unfinished line of each stream and one
/// unfinished event, each up to [`EVENT_TEXT_BYTES_MAX`], and what the last line gave.
pub(crate) struct Assembler {
    stdout: Half,
    stderr: Half,
    multiline: Option<Multiline>,
    ready: VecDeque<(Event, LogPosition)>,
}

/// The line of one stream whose end has not come.
#[derive(Default)]
struct Half {
    text: Option<Text>,
    /// A part of the line is an event already, because the line is long or its end was late.
    torn: bool,
}

struct Text {
    /// Nanoseconds since the Unix epoch, when its beginning was written.
    time: u64,
    bytes: Vec<u8>,
    /// Where in the log its beginning stands, and the beginning of the line that came last.
    start: LogPosition,
    last: LogPosition,
    /// When we saw its beginning.
    since: Instant,
}

/// A line or a part of one, on its way to be an event.
struct Piece {
    text: Text,
    begins_line: bool,
    ends_line: bool,
}

impl Assembler {
    pub fn new(multiline: Option<Multiline>) -> Assembler {
        Assembler { stdout: Half::default(), stderr: Half::default(), multiline, ready: VecDeque::new() }
    }

    /// Takes the next line, which begins at `start`.
    pub fn take(&mut self, line: LogLine, start: LogPosition, now: Instant) {
        let half = self.half(line.stream);
        let (mut text, before) = match half.text.take() {
            Some(mut text) => {
                let before = text.bytes.len();
                text.bytes.extend_from_slice(&line.text);
                (text, before)
            }
            None => (Text { time: line.time, bytes: line.text, start, last: start, since: now }, 0),
        };
        while text.bytes.len() > EVENT_TEXT_BYTES_MAX {
            let cut = character_start(&text.bytes, EVENT_TEXT_BYTES_MAX);
            // The rest stands in the line just read, unless that line continues a character.
            let start = if cut < before { text.last } else { start };
            // All parts have the time of the line.
            let rest = Text { time: text.time, bytes: text.bytes.split_off(cut), start, last: start, since: now };
            let piece = Piece { text, begins_line: !self.half(line.stream).torn, ends_line: false };
            self.pass(piece);
            self.half(line.stream).torn = true;
            text = rest;
        }
        let half = self.half(line.stream);
        if line.partial {
            text.last = start;
            half.text = Some(text);
        } else {
            let begins_line = !std::mem::take(&mut half.torn);
            self.pass(Piece { text, begins_line, ends_line: true });
        }
    }

    /// There are no more lines for now: what has waited long enough for its rest waits no more.
    pub fn rest(&mut self, now: Instant) {
        for half in [&mut self.stdout, &mut self.stderr] {
            let Some(text) = half.text.take_if(|text| text.since + PARTIAL_WAIT <= now) else { continue };
            let piece = Piece { text, begins_line: !half.torn, ends_line: false };
            half.torn = true;
            pass(&mut self.multiline, &mut self.ready, piece);
        }
        if let Some(text) = self.multiline.as_mut().and_then(|multiline| multiline.expired(now)) {
            emit(&mut self.ready, text);
        }
    }

    /// There are no more lines.
    pub fn finish(&mut self) {
        for half in [&mut self.stdout, &mut self.stderr] {
            let begins_line = !std::mem::take(&mut half.torn);
            let Some(text) = half.text.take() else { continue };
            pass(&mut self.multiline, &mut self.ready, Piece { text, begins_line, ends_line: true });
        }
        if let Some(text) = self.multiline.as_mut().and_then(|multiline| multiline.pending.take()) {
            emit(&mut self.ready, text);
        }
    }

    /// When [`Assembler::rest`] will have something to do, if no line comes.
    pub fn due(&self) -> Option<Instant> {
        let halves = self.halves().map(|text| text.since + PARTIAL_WAIT);
        let event = self.pending_event().map(|(text, wait)| text.since + wait);
        halves.chain(event).min()
    }

    pub fn first_ready(&self) -> Option<&Event> {
        self.ready.front().map(|(event, _)| event)
    }

    pub fn take_ready(&mut self) -> Option<Event> {
        self.ready.pop_front().map(|(event, _)| event)
    }

    /// Where a reader must resume who has all events given so far; `read` is behind the last line.
    pub fn resume_at(&self, read: LogPosition) -> LogPosition {
        let ready = self.ready.iter().map(|(_, start)| *start);
        let halves = self.halves().map(|text| text.start);
        let event = self.pending_event().map(|(text, _)| text.start);
        ready.chain(halves).chain(event).fold(read, LogPosition::min)
    }

    pub fn forget(&mut self) {
        self.stdout = Half::default();
        self.stderr = Half::default();
        self.ready = VecDeque::new();
        if let Some(multiline) = &mut self.multiline {
            multiline.pending = None;
        }
    }

    fn pass(&mut self, piece: Piece) {
        pass(&mut self.multiline, &mut self.ready, piece);
    }

    fn half(&mut self, stream: runtime::Stream) -> &mut Half {
        match stream {
            runtime::Stream::Stdout => &mut self.stdout,
            runtime::Stream::Stderr => &mut self.stderr,
        }
    }

    fn halves(&self) -> impl Iterator<Item = &Text> {
        [&self.stdout, &self.stderr].into_iter().filter_map(|half| half.text.as_ref())
    }

    fn pending_event(&self) -> Option<(&Text, Duration)> {
        let multiline = self.multiline.as_ref()?;
        Some((multiline.pending.as_ref()?, multiline.wait))
    }
}

fn pass(multiline: &mut Option<Multiline>, ready: &mut VecDeque<(Event, LogPosition)>, piece: Piece) {
    match multiline {
        None => emit(ready, piece.text),
        Some(multiline) => {
            if let Some(text) = multiline.add(piece) {
                emit(ready, text);
            }
        }
    }
}

/// An empty text is no event, as in Docker. Bytes that are not UTF-8 become U+FFFD, which is longer than they are.
fn emit(ready: &mut VecDeque<(Event, LogPosition)>, text: Text) {
    let timestamp_ms = i64::try_from(text.time / 1_000_000).unwrap_or(i64::MAX);
    let mut message =
        String::from_utf8(text.bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    while !message.is_empty() {
        let rest = match message.len() > EVENT_TEXT_BYTES_MAX {
            true => message.split_off(character_start(message.as_bytes(), EVENT_TEXT_BYTES_MAX)),
            false => String::new(),
        };
        ready.push_back((Event { timestamp_ms, message }, text.start));
        message = rest;
    }
}

/// The place at or before `at` where a character begins; `at` itself when those bytes are no UTF-8 anyway.
fn character_start(bytes: &[u8], at: usize) -> usize {
    let continues = |index: &usize| bytes[*index] & 0b1100_0000 == 0b1000_0000;
    (at.saturating_sub(3).max(1)..=at).rev().find(|index| !continues(index)).unwrap_or(at)
}

/// Several lines are one event, until a line matches the pattern. Stdout and stderr count together, as in Docker.
pub(crate) struct Multiline {
    pattern: Regex,
    /// How long an event waits for its next line.
    wait: Duration,
    pending: Option<Text>,
}

impl Multiline {
    pub fn new(pattern: Regex, wait: Duration) -> Multiline {
        Multiline { pattern, wait, pending: None }
    }

    /// The lines of an event keep their newlines, the last one too. Gives the event that this piece is not part of.
    fn add(&mut self, piece: Piece) -> Option<Text> {
        let Piece { mut text, begins_line, ends_line } = piece;
        if text.bytes.is_empty() && !begins_line {
            return None;
        }
        let begins_event = begins_line && self.pattern.is_match(&text.bytes);
        if ends_line && text.bytes.len() < EVENT_TEXT_BYTES_MAX {
            text.bytes.push(b'\n');
        }
        let Some(pending) = &mut self.pending else {
            self.pending = Some(text);
            return None;
        };
        let fits = pending.bytes.len() + text.bytes.len() <= EVENT_TEXT_BYTES_MAX;
        if fits && !begins_event {
            pending.bytes.extend_from_slice(&text.bytes);
            // A line of the other stream may have begun before the event did, and ended within it.
            pending.start = pending.start.min(text.start);
            return None;
        }
        if !begins_event {
            // The next part of one event, which has one time.
            text.time = pending.time;
        }
        self.pending.replace(text)
    }

    fn expired(&mut self, now: Instant) -> Option<Text> {
        self.pending.take_if(|text| text.since + self.wait <= now)
    }
}

#[cfg(test)]
#[path = "assemble_tests.rs"]
mod tests;
