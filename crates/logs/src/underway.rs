//! A batch on its way: written down before it goes, so that whoever comes after a crash can ask whether it arrived.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use runtime::LogPosition;

use crate::sink::Event;

/// In the container's directory. Nine numbers of twenty digits each.
const NAME: &str = "log-underway";
const NUMBERS: usize = 9;

/// What a batch is known by where it arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    pub events: u64,
    pub first_ms: i64,
    pub last_ms: i64,
    pub sum: u64,
    /// When it was about to go: what arrived earlier is another one, though it may look the same.
    pub begun_ms: i64,
}

/// The lines between two positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Underway {
    pub from: LogPosition,
    pub until: LogPosition,
    pub mark: Mark,
}

impl Mark {
    /// Of events in the order of their times. None of none.
    pub fn of(events: &[Event], begun_ms: i64) -> Option<Mark> {
        let (first, last) = (events.first()?, events.last()?);
        Some(Mark {
            events: events.len() as u64,
            first_ms: first.timestamp_ms,
            last_ms: last.timestamp_ms,
            sum: sum(events),
            begun_ms,
        })
    }

    /// Whether the batch is among what a stream has in these times. Each event comes with the time at which it arrived, the
    /// same for a whole batch.
    pub fn is_among(&self, stored: &[(i64, Event)]) -> bool {
        let mut times: Vec<i64> = stored.iter().map(|(at, _)| *at).filter(|at| *at >= self.begun_ms).collect();
        times.sort_unstable();
        times.dedup();
        times.into_iter().any(|time| {
            let batch: Vec<Event> =
                stored.iter().filter(|(at, _)| *at == time).map(|(_, event)| event.clone()).collect();
            batch.len() as u64 == self.events && sum(&batch) == self.sum
        })
    }
}

/// FNV-1a: nobody attacks his own log.
fn sum(events: &[Event]) -> u64 {
    let add = |sum: u64, byte: u8| (sum ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    events.iter().fold(0xcbf2_9ce4_8422_2325, |sum, event| {
        let head = [event.timestamp_ms.to_le_bytes(), (event.message.len() as u64).to_le_bytes()];
        head.into_iter().flatten().chain(event.message.bytes()).fold(sum, add)
    })
}

/// The batch as it is on disk. Overwritten in place and not flushed, as the position is; and as long each time.
pub(crate) struct SavedUnderway {
    path: PathBuf,
    file: Option<File>,
}

impl SavedUnderway {
    pub fn new(container_dir: &Path) -> SavedUnderway {
        SavedUnderway { path: container_dir.join(NAME), file: None }
    }

    /// The batch that begins here, if one ever set out.
    pub fn load(&self, from: LogPosition) -> Option<Underway> {
        let text = std::fs::read_to_string(&self.path).ok()?;
        decode(&text).filter(|underway| underway.from == from)
    }

    pub fn save(&mut self, underway: &Underway) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(File::options().write(true).create(true).truncate(false).open(&self.path)?),
        };
        file.write_all_at(encode(underway).as_bytes(), 0)
    }
}

fn encode(underway: &Underway) -> String {
    let Underway { from, until, mark } = underway;
    let unsigned = |ms: i64| u64::try_from(ms).unwrap_or_default();
    let numbers: [u64; NUMBERS] = [
        from.segment,
        from.offset,
        until.segment,
        until.offset,
        mark.events,
        unsigned(mark.first_ms),
        unsigned(mark.last_ms),
        mark.sum,
        unsigned(mark.begun_ms),
    ];
    numbers.map(|number| format!("{number:020}")).join(" ") + "\n"
}

fn decode(text: &str) -> Option<Underway> {
    let number = |digits: &str| (digits.len() == 20).then(|| digits.parse::<u64>().ok())?;
    let numbers: Vec<u64> = text.strip_suffix('\n')?.split(' ').map(number).collect::<Option<_>>()?;
    let numbers: [u64; NUMBERS] = numbers.try_into().ok()?;
    let [from_segment, from_offset, segment, offset, events, first, last, sum, begun] = numbers;
    let ms = |number: u64| i64::try_from(number).ok();
    Some(Underway {
        from: LogPosition { segment: from_segment, offset: from_offset },
        until: LogPosition { segment, offset },
        mark: Mark { events, first_ms: ms(first)?, last_ms: ms(last)?, sum, begun_ms: ms(begun)? },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(time: i64, message: &str) -> Event {
        Event { timestamp_ms: time, message: message.to_owned() }
    }

    #[test]
    fn a_batch_reads_as_before() {
        let dir = tempfile::tempdir().unwrap();
        let mark = Mark { events: 3, first_ms: 5, last_ms: 9, sum: u64::MAX, begun_ms: 11 };
        let (from, until) = (LogPosition { segment: 1, offset: 20 }, LogPosition { segment: 2, offset: 0 });
        let mut saved = SavedUnderway::new(dir.path());
        assert_eq!(saved.load(from), None);
        saved.save(&Underway { from, until, mark }).unwrap();
        let golden = "00000000000000000001 00000000000000000020 00000000000000000002 00000000000000000000 \
                      00000000000000000003 00000000000000000005 00000000000000000009 18446744073709551615 \
                      00000000000000000011\n";
        assert_eq!(std::fs::read_to_string(dir.path().join(NAME)).unwrap(), golden);
        assert_eq!(saved.load(from), Some(Underway { from, until, mark }));
        assert_eq!(saved.load(until), None, "the position has moved on");
        for text in ["", "1 2 3", &golden[1..], &golden[..40], &format!("{golden}{golden}")] {
            std::fs::write(dir.path().join(NAME), text).unwrap();
            assert_eq!(saved.load(from), None, "{text:?}");
        }
    }

    #[test]
    fn a_batch_is_known_by_all_its_events() {
        let batch = [event(5, "one"), event(5, "two"), event(7, "one")];
        let mark = Mark::of(&batch, 100).unwrap();
        let arrived = |at: i64, events: &[Event]| events.iter().map(|event| (at, event.clone())).collect::<Vec<_>>();
        assert!(mark.is_among(&arrived(100, &batch)));
        assert!(mark.is_among(&[arrived(90, &batch[2..]), arrived(130, &batch)].concat()), "beside others");
        assert!(!mark.is_among(&arrived(99, &batch)), "an older one that looks the same");
        assert!(!mark.is_among(&arrived(100, &batch[1..])));
        assert!(!mark.is_among(&arrived(100, &[event(5, "one"), event(5, "two"), event(8, "one")])));
        assert!(!mark.is_among(&[]));
        assert_eq!(Mark::of(&[], 0), None);
    }
}
