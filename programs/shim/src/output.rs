//! A container's output: from pipes, in lines, into segments.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, RawFd};
use std::path::{Path, PathBuf};

use shim_api::log::{
    Frame, LINE_TEXT_BYTES_MAX, SEGMENT_BYTES_MAX, SEGMENTS_KEPT, Stream, segment_name, segment_number,
};

use crate::sys;

/// One read takes at most this much; it is also the only buffer that exists however many containers there are.
pub const READ_BYTES_MAX: usize = 16 * 1024;

/// After the container's end this many reads empty a pipe, which holds 64 KiB. A process that escaped the container
/// and still writes must not keep us here.
const LAST_READS_MAX: usize = 64;

/// The two pipes of a container, and the log they end in.
pub struct Output {
    pipes: Vec<Pipe>,
    log: LogWriter,
}

struct Pipe {
    reader: io::PipeReader,
    stream: Stream,
    /// The beginning of a line whose end has not come.
    line: Vec<u8>,
}

impl Output {
    pub fn open(dir: &Path, stdout: io::PipeReader, stderr: io::PipeReader) -> io::Result<Output> {
        let log = LogWriter::open(dir)?;
        let mut pipes = Vec::with_capacity(2);
        for (reader, stream) in [(stdout, Stream::Stdout), (stderr, Stream::Stderr)] {
            sys::set_nonblocking(reader.as_raw_fd())?;
            pipes.push(Pipe { reader, stream, line: Vec::new() });
        }
        Ok(Output { pipes, log })
    }

    /// What to poll for.
    pub fn fds(&self) -> impl Iterator<Item = RawFd> {
        self.pipes.iter().map(|pipe| pipe.reader.as_raw_fd())
    }

    /// Reads once from the pipe with this descriptor.
    pub fn read(&mut self, fd: RawFd, buffer: &mut [u8]) {
        let Some(index) = self.pipes.iter().position(|pipe| pipe.reader.as_raw_fd() == fd) else { return };
        if self.pipes[index].read(&mut self.log, buffer) == Progress::Ended {
            self.pipes.remove(index);
        }
    }

    /// Takes what is left in the pipes and closes them. All output is in the log when this returns.
    pub fn finish(&mut self, buffer: &mut [u8]) {
        for mut pipe in self.pipes.drain(..) {
            let mut progress = Progress::Some;
            for _ in 0..LAST_READS_MAX {
                if progress != Progress::Some {
                    break;
                }
                progress = pipe.read(&mut self.log, buffer);
            }
            if progress != Progress::Ended {
                pipe.end(&mut self.log);
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    Some,
    Nothing,
    Ended,
}

impl Pipe {
    fn read(&mut self, log: &mut LogWriter, buffer: &mut [u8]) -> Progress {
        match self.reader.read(buffer) {
            Ok(0) => {
                self.end(log);
                Progress::Ended
            }
            Ok(count) => {
                self.take(log, &buffer[..count]);
                Progress::Some
            }
            Err(err) if matches!(err.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {
                Progress::Nothing
            }
            Err(_) => {
                self.end(log);
                Progress::Ended
            }
        }
    }

    fn take(&mut self, log: &mut LogWriter, mut bytes: &[u8]) {
        let time = sys::now();
        while let Some(newline) = bytes.iter().position(|&byte| byte == b'\n') {
            self.push(log, time, &bytes[..newline]);
            log.frame(&Frame { time, stream: self.stream, partial: false, text: &self.line });
            self.line.clear();
            bytes = &bytes[newline + 1..];
        }
        self.push(log, time, bytes);
        log.flush();
        // A quiet container must not hold the memory of its longest line.
        if self.line.is_empty() {
            self.line = Vec::new();
        }
    }

    /// Adds to the line, cutting off full pieces on the way.
    fn push(&mut self, log: &mut LogWriter, time: u64, mut bytes: &[u8]) {
        while self.line.len() + bytes.len() > LINE_TEXT_BYTES_MAX {
            let (piece, rest) = bytes.split_at(LINE_TEXT_BYTES_MAX - self.line.len());
            self.line.extend_from_slice(piece);
            log.frame(&Frame { time, stream: self.stream, partial: true, text: &self.line });
            self.line.clear();
            bytes = rest;
        }
        self.line.extend_from_slice(bytes);
    }

    /// A last line without a newline is a line.
    fn end(&mut self, log: &mut LogWriter) {
        if !self.line.is_empty() {
            let line = std::mem::take(&mut self.line);
            log.frame(&Frame { time: sys::now(), stream: self.stream, partial: false, text: &line });
            log.flush();
        }
    }
}

/// Appends frames to the newest segment, and begins the next when it is full.
struct LogWriter {
    dir: PathBuf,
    number: u64,
    length: u64,
    file: File,
    pending: Vec<u8>,
}

impl LogWriter {
    /// A container that runs again goes on in a new segment.
    fn open(dir: &Path) -> io::Result<LogWriter> {
        std::fs::create_dir_all(dir)?;
        let newest =
            std::fs::read_dir(dir)?.filter_map(|entry| segment_number(entry.ok()?.file_name().to_str()?)).max();
        let number = newest.map_or(0, |number| number + 1);
        let file = create_segment(dir, number)?;
        Ok(LogWriter { dir: dir.to_owned(), number, length: 0, file, pending: Vec::new() })
    }

    fn frame(&mut self, frame: &Frame<'_>) {
        let before = self.pending.len();
        frame.encode(&mut self.pending);
        // A frame never spans segments, so a reader may start at the head of any.
        if self.length + self.pending.len() as u64 > SEGMENT_BYTES_MAX && self.length + before as u64 > 0 {
            let frame = self.pending.split_off(before);
            self.flush();
            self.rotate();
            self.pending = frame;
        }
    }

    /// A full disk must not stop the container: what does not fit is lost, whole frames at a time.
    fn flush(&mut self) {
        match self.file.write_all(&self.pending) {
            Ok(()) => self.length += self.pending.len() as u64,
            Err(err) => {
                eprintln!("berth-shim: lost {} bytes of output: {err}", self.pending.len());
                // The file is in append mode, so the next write begins where this cut ends.
                let _ = self.file.set_len(self.length);
            }
        }
        self.pending = Vec::new();
    }

    fn rotate(&mut self) {
        match create_segment(&self.dir, self.number + 1) {
            Ok(file) => {
                self.file = file;
                self.number += 1;
                self.length = 0;
            }
            // Better a long segment than none.
            Err(err) => return eprintln!("berth-shim: cannot begin a log segment: {err}"),
        }
        if let Some(oldest) = self.number.checked_sub(SEGMENTS_KEPT) {
            let _ = std::fs::remove_file(self.dir.join(segment_name(oldest)));
        }
    }
}

fn create_segment(dir: &Path, number: u64) -> io::Result<File> {
    File::options().append(true).create(true).open(dir.join(segment_name(number)))
}
