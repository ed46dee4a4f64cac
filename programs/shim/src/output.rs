//! A container's output: from pipes, in lines, into segments.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::{AsRawFd as _, OwnedFd, RawFd};
use std::path::Path;

use shim_api::log::{Frame, LINE_TEXT_BYTES_MAX, Ring, Stream};

use crate::ring::LogWriter;
use crate::sys;

/// One read takes at most this much; it is also the only buffer that exists however many containers there are.
pub const READ_BYTES_MAX: usize = 16 * 1024;

/// After the container's end this many reads empty a pipe, which holds 64 KiB. A process that escaped the container
/// and still writes must not keep us here.
const LAST_READS_MAX: usize = 64;

/// The two pipes of a container or its terminal, and the log they end in.
pub struct Output {
    pipes: Vec<Pipe>,
    log: LogWriter,
}

struct Pipe {
    reader: File,
    stream: Stream,
    /// The beginning of a line whose end has not come.
    line: Vec<u8>,
}

impl Output {
    pub fn open(dir: &Path, ring: Ring) -> io::Result<Output> {
        Ok(Output { pipes: Vec::with_capacity(2), log: LogWriter::open(dir, ring)? })
    }

    /// One more source of output.
    pub fn add(&mut self, reader: impl Into<OwnedFd>, stream: Stream) -> io::Result<()> {
        let reader = File::from(reader.into());
        sys::set_nonblocking(reader.as_raw_fd())?;
        self.pipes.push(Pipe { reader, stream, line: Vec::new() });
        Ok(())
    }

    /// The container waits: its log is full of lines that are not delivered yet. Asked before each poll.
    ///
    /// `attended`: there is somebody who could deliver them.
    pub fn is_held(&mut self, attended: bool) -> bool {
        self.log.is_full(attended)
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

    /// Takes what is left in the pipes and closes them. All output is in the log when this returns, however full that is: it is
    /// no more than the pipes hold.
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
