//! Tables and properties of [`Assembler`].

use proptest::collection::vec;
use proptest::prelude::*;
use runtime::Stream;
use shim_api::log::LINE_TEXT_BYTES_MAX;

use super::*;
use crate::awslogs::pattern;

const MAX: usize = EVENT_TEXT_BYTES_MAX;
const MS: u64 = 1_000_000;

fn multiline(text: &str) -> Assembler {
    Assembler::new(Some(Multiline::new(pattern::compile(text).unwrap(), Duration::from_secs(2))))
}

/// A log of one segment: the position of a line is its number.
fn position(number: usize) -> LogPosition {
    LogPosition { segment: 0, offset: number as u64 }
}

/// `o F text` or `e P text`, written in the millisecond of its number.
fn line(number: usize, frame: &str) -> LogLine {
    let (head, text) = frame.split_at(4);
    LogLine {
        time: number as u64 * MS + 999,
        stream: if head.starts_with('o') { Stream::Stdout } else { Stream::Stderr },
        partial: head.contains('P'),
        text: text.as_bytes().to_vec(),
        next: position(number + 1),
    }
}

fn drain(assembler: &mut Assembler) -> Vec<(i64, String)> {
    std::iter::from_fn(|| assembler.take_ready()).map(|event| (event.timestamp_ms, event.message)).collect()
}

fn check(assembler: &mut Assembler, frames: &[&str], expected: &[(i64, &str)], resume: usize) {
    let now = Instant::now();
    for (number, frame) in frames.iter().enumerate() {
        assembler.take(line(number, frame), position(number), now);
    }
    let events = drain(assembler);
    let events: Vec<_> = events.iter().map(|(time, message)| (*time, message.as_str())).collect();
    assert_eq!(events, expected, "{frames:?}");
    assert_eq!(assembler.resume_at(position(frames.len())), position(resume), "{frames:?}");
}

#[test]
fn lines_are_events() {
    let plain = &mut Assembler::new(None);
    check(plain, &["o F one", "e F two", "o F  three "], &[(0, "one"), (1, "two"), (2, " three ")], 3);
    check(plain, &["o F ", "o F x", "e F "], &[(1, "x")], 3);
    assert_eq!(plain.due(), None);
}

#[test]
fn partial_lines_are_joined_by_stream() {
    check(&mut Assembler::new(None), &["o P he", "o P ll", "o F o"], &[(0, "hello")], 3);
    let plain = &mut Assembler::new(None);
    // A reader who comes back must read the half line again.
    check(plain, &["e F err", "o P ou", "e F err"], &[(0, "err"), (2, "err")], 1);
    check(plain, &["o F t"], &[(1, "out")], 1);
}

#[test]
fn a_character_across_frames_stays_whole() {
    let mut plain = Assembler::new(None);
    let now = Instant::now();
    let frame = |text: &[u8], partial| LogLine { partial, text: text.to_vec(), ..line(0, "o F ") };
    plain.take(frame(b"caf\xc3", true), position(0), now);
    plain.take(frame(b"\xa9", false), position(1), now);
    plain.take(frame(b"a\xffb\xc3", false), position(2), now);
    assert_eq!(drain(&mut plain), [(0, "café".to_owned()), (0, "a\u{fffd}b\u{fffd}".to_owned())]);
}

/// Frames of one line, as the shim cuts them.
fn frames(stream: Stream, text: &[u8], time: u64) -> Vec<LogLine> {
    let mut pieces: Vec<&[u8]> = text.chunks(LINE_TEXT_BYTES_MAX).collect();
    if pieces.is_empty() {
        pieces.push(b"");
    }
    let last = pieces.len() - 1;
    let frame = |(index, piece): (usize, &&[u8])| LogLine {
        time: time * MS + index as u64,
        stream,
        partial: index < last,
        text: piece.to_vec(),
        next: LogPosition::default(),
    };
    pieces.iter().enumerate().map(frame).collect()
}

fn lengths(assembler: &mut Assembler, text: &[u8]) -> Vec<usize> {
    let now = Instant::now();
    for frame in frames(Stream::Stdout, text, 5) {
        assembler.take(frame, position(0), now);
    }
    drain(assembler).iter().map(|(_, message)| message.len()).collect()
}

#[test]
fn long_lines_are_split_where_docker_splits() {
    let mut plain = Assembler::new(None);
    assert_eq!(lengths(&mut plain, &vec![b'x'; MAX]), [MAX]);
    assert_eq!(lengths(&mut plain, &vec![b'x'; MAX + 1]), [MAX, 1]);
    assert_eq!(lengths(&mut plain, &vec![b'x'; 3 * MAX + 7]), [MAX, MAX, MAX, 7]);
    // Two bytes each: the split falls on a character, or before the one it would cut.
    let accents = "é".repeat(MAX);
    assert_eq!(lengths(&mut plain, accents.as_bytes()), [MAX, MAX]);
    assert_eq!(lengths(&mut plain, format!("x{accents}").as_bytes()), [MAX - 1, MAX, 2]);
    // What is no UTF-8 grows to three bytes a byte.
    let total: usize =
        lengths(&mut plain, &vec![0xff; MAX]).into_iter().inspect(|length| assert!(*length <= MAX)).sum();
    assert_eq!(total, 3 * MAX);
    // The shim ends a line of just so many bytes with a frame of its own.
    let torn = ["o P x", "o F "];
    check(&mut plain, &torn, &[(0, "x")], 2);
}

#[test]
fn a_late_end_is_not_waited_for() {
    let mut plain = Assembler::new(None);
    let begin = Instant::now();
    plain.take(line(0, "o P password: "), position(0), begin);
    assert_eq!(plain.due(), Some(begin + PARTIAL_WAIT));
    plain.rest(begin + PARTIAL_WAIT / 2);
    assert_eq!(drain(&mut plain), []);
    plain.rest(begin + PARTIAL_WAIT);
    assert_eq!(drain(&mut plain), [(0, "password: ".to_owned())]);
    assert_eq!((plain.due(), plain.resume_at(position(1))), (None, position(1)));
    plain.take(line(9, "o F hunter2"), position(1), begin);
    assert_eq!(drain(&mut plain), [(9, "hunter2".to_owned())]);
}

#[test]
fn lines_up_to_the_next_match_are_one_event() {
    let lines = ["o F INFO one", "o F   more", "e F   and more", "o F INFO two"];
    check(&mut multiline("^INFO"), &lines, &[(0, "INFO one\n  more\n  and more\n")], 3);
    // What comes before the first match is an event too, and an empty line is a line.
    check(&mut multiline("^INFO"), &["o F x", "o F ", "o F INFO"], &[(0, "x\n\n")], 2);
    // The end of a long line is not the beginning of an event.
    check(&mut multiline("^INFO"), &["o P INFO a", "o F INFO b", "o F INFO"], &[(0, "INFO aINFO b\n")], 2);
}

#[test]
fn an_event_begins_where_its_earliest_line_does() {
    check(&mut multiline("^INFO"), &["e P be", "o F INFO", "e F fore"], &[], 0);
}

#[test]
fn the_last_event_waits_for_its_next_line() {
    let mut assembler = multiline("^INFO");
    let begin = Instant::now();
    assembler.take(line(0, "o F INFO"), position(0), begin);
    assembler.take(line(1, "o F at x"), position(1), begin + Duration::from_secs(1));
    assert_eq!(assembler.due(), Some(begin + Duration::from_secs(2)));
    assert_eq!(assembler.resume_at(position(2)), position(0));
    assembler.rest(begin + Duration::from_secs(2));
    assert_eq!(drain(&mut assembler), [(0, "INFO\nat x\n".to_owned())]);
    assembler.take(line(2, "o F INFO"), position(2), begin);
    assembler.take(line(3, "e P half"), position(3), begin);
    assembler.finish();
    assert_eq!(drain(&mut assembler), [(2, "INFO\nhalf\n".to_owned())]);
    assert_eq!(assembler.resume_at(position(4)), position(4));
}

#[test]
fn a_long_event_is_split_between_its_lines() {
    let mut assembler = multiline("^INFO");
    let now = Instant::now();
    let text = "y".repeat(100_000);
    assembler.take(line(0, "o F INFO"), position(0), now);
    for number in 1..4 {
        for frame in frames(Stream::Stdout, text.as_bytes(), 7) {
            assembler.take(frame, position(number), now);
        }
    }
    assembler.finish();
    let events = drain(&mut assembler);
    let expected = [(0, format!("INFO\n{text}\n{text}\n")), (0, format!("{text}\n"))];
    assert!(events == expected, "{:?}", events.iter().map(|(time, text)| (time, text.len())).collect::<Vec<_>>());
    // A line of the longest length gets no newline, which would be an event of its own.
    assert!(lengths(&mut assembler, &vec![b'z'; MAX]).is_empty());
    assembler.finish();
    assert_eq!(drain(&mut assembler).len(), 1);
}

#[test]
fn what_is_forgotten_is_gone() {
    let mut assembler = multiline("^INFO");
    let now = Instant::now();
    for (number, frame) in ["o F INFO", "o F INFO", "e P x"].into_iter().enumerate() {
        assembler.take(line(number, frame), position(number), now);
    }
    assembler.forget();
    assembler.finish();
    assert_eq!(drain(&mut assembler), []);
    assert_eq!(assembler.resume_at(position(3)), position(3));
}

/// Lines of both streams, short and long, with and without an end.
fn some_lines() -> impl Strategy<Value = Vec<LogLine>> {
    let text = prop_oneof![
        8 => vec(prop_oneof![Just(b'I'), Just(b' '), Just(b'x'), any::<u8>()], 0..12),
        1 => (1_usize..LINE_TEXT_BYTES_MAX, any::<u8>()).prop_map(|(length, byte)| vec![byte; length]),
    ];
    let frame = (any::<bool>(), any::<bool>(), text).prop_map(|(stdout, partial, mut text)| {
        text.retain(|byte| *byte != b'\n');
        let stream = if stdout { Stream::Stdout } else { Stream::Stderr };
        LogLine { time: 0, stream, partial, text, next: LogPosition::default() }
    });
    vec(frame, 0..120).prop_map(|mut lines| {
        for (number, line) in lines.iter_mut().enumerate() {
            line.time = number as u64 * MS;
            line.next = position(number + 1);
        }
        lines
    })
}

/// Everything an assembler makes of lines from one on, finished.
fn all(assembler: &mut Assembler, lines: &[LogLine], from: usize) -> Vec<Event> {
    let now = Instant::now();
    for (number, line) in lines.iter().enumerate().skip(from) {
        assembler.take(line.clone(), position(number), now);
    }
    assembler.finish();
    std::iter::from_fn(|| assembler.take_ready()).collect()
}

proptest! {
    /// Without a pattern, each stream's text is what was written, and no event is empty or too long.
    #[test]
    fn nothing_is_added_or_missing(lines in some_lines()) {
        for stream in [Stream::Stdout, Stream::Stderr] {
            let lines: Vec<_> = lines.iter().filter(|line| line.stream == stream).cloned().collect();
            let mut written = vec![Vec::new()];
            for line in &lines {
                written.last_mut().unwrap().extend_from_slice(&line.text);
                if !line.partial {
                    written.push(Vec::new());
                }
            }
            let events = all(&mut Assembler::new(None), &lines, 0);
            prop_assert!(events.iter().all(|event| !event.message.is_empty() && event.message.len() <= MAX));
            // Where a long line is split in the midst of what is no UTF-8, its halves may be replaced otherwise.
            if written.iter().all(|line| line.len() <= MAX || std::str::from_utf8(line).is_ok()) {
                let told: String = events.into_iter().map(|event| event.message).collect();
                let written: String = written.iter().map(|line| String::from_utf8_lossy(line)).collect();
                prop_assert!(told == written);
            }
        }
    }

    /// Who stops anywhere and resumes where told has every event that one who never stopped has.
    #[test]
    fn a_resume_loses_nothing(lines in some_lines(), stop in any::<prop::sample::Index>(), patterned in any::<bool>()) {
        let fresh = || if patterned { multiline("^I") } else { Assembler::new(None) };
        let whole = all(&mut fresh(), &lines, 0);
        let stop = if lines.is_empty() { 0 } else { stop.index(lines.len()) };
        let mut first = fresh();
        let now = Instant::now();
        for (number, line) in lines[..stop].iter().enumerate() {
            first.take(line.clone(), position(number), now);
        }
        let mut told: Vec<Event> = std::iter::from_fn(|| first.take_ready()).collect();
        let resume = first.resume_at(position(stop));
        prop_assert!(resume <= position(stop));
        told.extend(all(&mut fresh(), &lines, resume.offset as usize));
        // A long line that is resumed within is split elsewhere; its text is there all the same.
        let is_short = lines.iter().map(|line| line.text.len() + 1).sum::<usize>() <= MAX;
        let text: String = told.iter().map(|event| event.message.as_str()).collect();
        for event in whole {
            let there = told.contains(&event) || (!is_short && text.contains(&event.message));
            prop_assert!(there, "{:?} at {}", event.message.get(..40), event.timestamp_ms);
        }
    }
}
