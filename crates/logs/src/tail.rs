//! The end of a container's log: is there news, what is it, and did the ring go too fast for us.

use std::io;
use std::path::{Path, PathBuf};

use runtime::{LogLine, LogPosition, LogReader};
use shim_api::log::{LOST_NAME, decode_pair, segment_name, segment_number};

pub(crate) struct Tail {
    dir: PathBuf,
    reader: LogReader,
    at: LogPosition,
    /// Nothing has been read since the reader was placed here, so the segment here may be one that is gone.
    fresh: bool,
    /// The directory has been there. One that was never there may still come.
    seen: bool,
    lost: Lost,
}

/// What the ring dropped before it was read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lost {
    pub segments: u64,
}

impl Tail {
    pub fn open(dir: &Path, from: LogPosition) -> Tail {
        let reader = LogReader::open(dir, from);
        Tail { dir: dir.to_owned(), reader, at: from, fresh: true, seen: dir.exists(), lost: Lost::default() }
    }

    /// Reads again from an earlier position.
    pub fn rewind(&mut self, to: LogPosition) {
        self.reader = LogReader::open(&self.dir, to);
        self.at = to;
        self.fresh = true;
    }

    /// Behind the last line that was read.
    pub fn at(&self) -> LogPosition {
        self.at
    }

    /// The container has ended, and its log grows no more.
    pub fn has_ended(&self) -> bool {
        self.reader.has_ended()
    }

    /// The container was removed.
    pub fn is_gone(&mut self) -> bool {
        let exists = self.dir.exists();
        self.seen |= exists;
        self.seen && !exists
    }

    /// There may be something to read. Cheaper than reading, and true once too often rather than once too seldom.
    pub fn has_news(&self) -> bool {
        match std::fs::metadata(self.segment(self.at.segment)) {
            Ok(metadata) if metadata.len() == self.at.offset => self.segment(self.at.segment + 1).exists(),
            Ok(_) => true,
            Err(_) => self.log_dir().exists(),
        }
    }

    /// The next line if there is one now, and the position where it began.
    pub fn next(&mut self) -> io::Result<Option<(LogLine, LogPosition)>> {
        let Some(line) = self.reader.try_next()? else { return Ok(None) };
        if line.next.segment > self.at.segment || self.fresh {
            self.count_lost(line.next.segment);
        }
        let start = std::mem::replace(&mut self.at, line.next);
        self.fresh = false;
        self.seen = true;
        Ok(Some((line, start)))
    }

    pub fn has_lost(&self) -> bool {
        self.lost != Lost::default()
    }

    /// Lines and bytes that the shim has dropped before they were delivered, in all. `None` of a shim that did not count.
    pub fn dropped(&self) -> Option<(u64, u64)> {
        decode_pair(&std::fs::read_to_string(self.dir.join(LOST_NAME)).ok()?)
    }

    /// What was lost since this was last asked.
    pub fn take_lost(&mut self) -> Lost {
        std::mem::take(&mut self.lost)
    }

    /// Segments that were skipped and are not there. An empty one that is there was skipped with good reason.
    fn count_lost(&mut self, found: u64) {
        let first = if self.fresh { self.at.segment } else { self.at.segment + 1 };
        if first >= found {
            return;
        }
        let kept = std::fs::read_dir(self.log_dir()).into_iter().flatten().filter_map(|entry| {
            let number = segment_number(entry.ok()?.file_name().to_str()?)?;
            (first..found).contains(&number).then_some(())
        });
        self.lost.segments += (found - first).saturating_sub(kept.count() as u64);
    }

    fn segment(&self, number: u64) -> PathBuf {
        self.log_dir().join(segment_name(number))
    }

    fn log_dir(&self) -> PathBuf {
        self.dir.join(shim_api::LOG_NAME)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(dir: &Path, segment: u64, text: &str) {
        let log = dir.join(shim_api::LOG_NAME);
        std::fs::create_dir_all(&log).unwrap();
        let mut file =
            std::fs::File::options().append(true).create(true).open(log.join(segment_name(segment))).unwrap();
        io::Write::write_all(&mut file, text.as_bytes()).unwrap();
    }

    fn drop_segment(dir: &Path, segment: u64) {
        std::fs::remove_file(dir.join(shim_api::LOG_NAME).join(segment_name(segment))).unwrap();
    }

    fn read(tail: &mut Tail) -> Vec<String> {
        std::iter::from_fn(|| tail.next().unwrap()).map(|(line, _)| String::from_utf8(line.text).unwrap()).collect()
    }

    #[test]
    fn news_is_told_until_it_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let mut tail = Tail::open(dir.path(), LogPosition::default());
        assert!(!tail.has_news());
        write(dir.path(), 0, "");
        assert!(!tail.has_news());
        write(dir.path(), 0, "1 o F one\n");
        assert!(tail.has_news());
        assert_eq!(read(&mut tail), ["one"]);
        assert!(!tail.has_news());
        write(dir.path(), 1, "");
        assert!(tail.has_news());
        write(dir.path(), 1, "2 o F two\n");
        assert_eq!(read(&mut tail), ["two"]);
        assert!(!tail.has_news());
    }

    #[test]
    fn lines_know_where_they_began() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), 0, "1 o F one\n2 o F two\n");
        let mut tail = Tail::open(dir.path(), LogPosition::default());
        tail.next().unwrap();
        let (line, start) = tail.next().unwrap().unwrap();
        assert_eq!(line.text, b"two");
        tail.rewind(start);
        assert_eq!(read(&mut tail), ["two"]);
    }

    #[test]
    fn an_overtaken_reader_counts_segments() {
        let dir = tempfile::tempdir().unwrap();
        for segment in 0..10 {
            write(dir.path(), segment, &format!("1 o F {segment}\n"));
        }
        let mut tail = Tail::open(dir.path(), LogPosition::default());
        tail.next().unwrap();
        for segment in 0..4 {
            drop_segment(dir.path(), segment);
        }
        // Segment 0 was read to its end; 1, 2 and 3 were not.
        assert_eq!(read(&mut tail), ["4", "5", "6", "7", "8", "9"]);
        assert_eq!(tail.take_lost(), Lost { segments: 3 });
        assert_eq!(tail.take_lost(), Lost::default());
        // Whoever resumes in a segment that is gone has lost the rest of that one too.
        tail.rewind(LogPosition { segment: 1, offset: 3 });
        assert_eq!(read(&mut tail).len(), 6);
        assert_eq!(tail.take_lost(), Lost { segments: 3 });
        tail.rewind(LogPosition { segment: 4, offset: 0 });
        assert_eq!(read(&mut tail).len(), 6);
        assert_eq!(tail.take_lost(), Lost::default());
    }

    #[test]
    fn empty_segments_are_no_loss() {
        let dir = tempfile::tempdir().unwrap();
        // Runs that said nothing.
        for (segment, text) in [(0, "1 o F one\n"), (1, ""), (2, ""), (3, "2 o F two\n")] {
            write(dir.path(), segment, text);
        }
        let mut tail = Tail::open(dir.path(), LogPosition::default());
        assert_eq!(read(&mut tail), ["one", "two"]);
        assert_eq!(tail.take_lost(), Lost::default());
    }

    #[test]
    fn gone_is_not_the_same_as_not_there_yet() {
        let dir = tempfile::tempdir().unwrap();
        let container = dir.path().join("web");
        let mut tail = Tail::open(&container, LogPosition::default());
        assert!(!tail.is_gone());
        std::fs::create_dir(&container).unwrap();
        assert!(!tail.is_gone());
        std::fs::remove_dir(&container).unwrap();
        assert!(tail.is_gone());
    }

    #[test]
    fn what_was_read_or_there_at_first_is_gone_when_it_is_not_there() {
        let dir = tempfile::tempdir().unwrap();
        let container = dir.path().join("web");
        let mut early = Tail::open(&container, LogPosition::default());
        write(&container, 0, "1 o F one\n");
        let mut late = Tail::open(&container, LogPosition::default());
        assert_eq!(read(&mut early), ["one"]);
        std::fs::remove_dir_all(&container).unwrap();
        assert!(early.is_gone() && late.is_gone());
    }
}
