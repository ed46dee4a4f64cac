//! Reading what a container wrote, while it writes and afterwards.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use shim_api::log::{Frame, Stream, segment_name, segment_number};

/// Where a reader is. It stays good while its segment is kept; then reading goes on at the oldest one there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct LogPosition {
    pub segment: u64,
    pub offset: u64,
}

/// One line, or a part of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Nanoseconds since the Unix epoch.
    pub time: u64,
    pub stream: Stream,
    /// The line goes on in the next one of this stream.
    pub partial: bool,
    /// As the container wrote it, without the newline.
    pub text: Vec<u8>,
    /// Where to resume after this line.
    pub next: LogPosition,
}

/// One read takes this much; a frame, at most 16 KiB and a head, always fits.
const READ_BYTES: usize = 64 * 1024;

/// A quiet log is looked at this often: soon after it spoke, and seldom when it has long been silent.
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_millis(320);

pub struct LogReader {
    /// The container's directory.
    dir: PathBuf,
    position: LogPosition,
    file: Option<File>,
    ready: std::collections::VecDeque<LogLine>,
}

impl LogReader {
    /// Reads from a position on; the default is the beginning. The container need not have started.
    pub fn open(container_dir: impl Into<PathBuf>, from: LogPosition) -> LogReader {
        LogReader { dir: container_dir.into(), position: from, file: None, ready: std::collections::VecDeque::new() }
    }

    /// The next line, waiting for it as long as the container may still write; `None` once it has ended and all is
    /// read. A container that never ran never ends: whoever hears of that stops following.
    ///
    /// Cancelling loses nothing.
    pub async fn next(&mut self) -> io::Result<Option<LogLine>> {
        let mut pause = PAUSE_MIN;
        loop {
            // In this order: the record appears after the last line.
            let ended = self.has_ended();
            if let Some(line) = self.try_next()? {
                return Ok(Some(line));
            }
            if ended {
                return Ok(None);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    /// The next line if there is one now.
    pub fn try_next(&mut self) -> io::Result<Option<LogLine>> {
        if self.ready.is_empty() {
            self.fill()?;
        }
        Ok(self.ready.pop_front())
    }

    /// The container has ended, and its log grows no more.
    pub fn has_ended(&self) -> bool {
        self.dir.join(shim_api::EXIT_NAME).exists()
    }

    fn fill(&mut self) -> io::Result<()> {
        loop {
            if self.file.is_none() && !self.open_segment()? {
                return Ok(());
            }
            if self.read_lines()? {
                return Ok(());
            }
            // A segment is finished once there is a newer one. It may have grown between our reading and our looking,
            // so it is read once more before it is left.
            let Some(newer) = self.segments()?.into_iter().filter(|number| *number > self.position.segment).min()
            else {
                return Ok(());
            };
            if self.read_lines()? {
                return Ok(());
            }
            self.position = LogPosition { segment: newer, offset: 0 };
            self.file = None;
        }
    }

    /// Opens the segment of the position, or the oldest one after it.
    fn open_segment(&mut self) -> io::Result<bool> {
        let Some(number) = self.segments()?.into_iter().filter(|number| *number >= self.position.segment).min() else {
            return Ok(false);
        };
        if number != self.position.segment {
            self.position = LogPosition { segment: number, offset: 0 };
        }
        match File::open(self.log_dir().join(segment_name(number))) {
            Ok(file) => self.file = Some(file),
            // Removed since it was listed; the next turn finds a newer one.
            Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(err) => return Err(err),
        }
        Ok(true)
    }

    /// Takes the whole lines behind the position. Was there any?
    fn read_lines(&mut self) -> io::Result<bool> {
        let Some(file) = &self.file else { return Ok(false) };
        let mut buffer = vec![0; READ_BYTES];
        let length = file.read_at(&mut buffer, self.position.offset)?;
        let mut rest = &buffer[..length];
        while let Some(end) = rest.iter().position(|&byte| byte == b'\n') {
            self.position.offset += end as u64 + 1;
            // What is no frame was torn by a full disk; the next line is good again.
            if let Some(frame) = Frame::decode(&rest[..end]) {
                self.ready.push_back(LogLine {
                    time: frame.time,
                    stream: frame.stream,
                    partial: frame.partial,
                    text: frame.text.to_vec(),
                    next: self.position,
                });
            }
            rest = &rest[end + 1..];
        }
        Ok(!self.ready.is_empty())
    }

    fn segments(&self) -> io::Result<Vec<u64>> {
        match std::fs::read_dir(self.log_dir()) {
            Ok(entries) => Ok(entries.filter_map(|entry| segment_number(entry.ok()?.file_name().to_str()?)).collect()),
            Err(err) if err.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(err) => Err(err),
        }
    }

    fn log_dir(&self) -> PathBuf {
        Path::new(&self.dir).join(shim_api::LOG_NAME)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(dir: &Path, segment: u64, text: &str) {
        let log = dir.join(shim_api::LOG_NAME);
        std::fs::create_dir_all(&log).unwrap();
        let path = log.join(segment_name(segment));
        let mut file = File::options().append(true).create(true).open(path).unwrap();
        io::Write::write_all(&mut file, text.as_bytes()).unwrap();
    }

    fn texts(reader: &mut LogReader) -> Vec<String> {
        std::iter::from_fn(|| reader.try_next().unwrap())
            .map(|line| String::from_utf8_lossy(&line.text).into_owned())
            .collect()
    }

    #[test]
    fn a_reader_crosses_segments_and_resumes() {
        let dir = tempfile::tempdir().unwrap();
        let mut reader = LogReader::open(dir.path(), LogPosition::default());
        assert!(texts(&mut reader).is_empty());
        write(dir.path(), 0, "1 o F one\n2 e P tw");
        assert_eq!(texts(&mut reader), ["one"]);
        write(dir.path(), 0, "o\n3 o F three\n");
        write(dir.path(), 1, "4 o F four\n");
        let line = reader.try_next().unwrap().unwrap();
        assert_eq!((line.stream, line.partial, line.time), (Stream::Stderr, true, 2));
        assert_eq!(texts(&mut reader), ["three", "four"]);
        assert_eq!(texts(&mut LogReader::open(dir.path(), line.next)), ["three", "four"]);
    }

    #[test]
    fn a_position_in_a_dropped_segment_goes_on_at_the_oldest() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), 5, "1 o F five\n");
        assert_eq!(texts(&mut LogReader::open(dir.path(), LogPosition { segment: 2, offset: 99 })), ["five"]);
    }

    #[test]
    fn a_torn_line_is_skipped() {
        let dir = tempfile::tempdir().unwrap();
        write(dir.path(), 0, "1 o F one\n17 o\n2 o F two\n");
        assert_eq!(texts(&mut LogReader::open(dir.path(), LogPosition::default())), ["one", "two"]);
    }
}
