//! Standard output, and what it can show.

use std::io::{self, IsTerminal, Stdout, Write};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use thiserror::Error;

use super::paint::Paint;

#[derive(Debug, Error)]
pub enum OutputError {
    /// The other end of the pipe has gone. No failure: see [`super::run`].
    #[error("nobody reads standard output any more")]
    Closed,
    #[error("failed to write to standard output")]
    Failed(#[source] io::Error),
}

/// Writes to standard output. What is written is seen at once.
pub struct Output {
    stdout: Stdout,
    pub is_terminal: bool,
    pub paint: Paint,
}

/// What a terminal shows at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    pub columns: usize,
    pub rows: usize,
}

impl Output {
    pub fn new() -> Output {
        let stdout = io::stdout();
        let variable = |name| std::env::var(name).ok();
        let is_terminal = stdout.is_terminal();
        let paint = Paint::choose(is_terminal, variable("NO_COLOR").as_deref(), variable("TERM").as_deref());
        Output { stdout, is_terminal, paint }
    }

    /// `text` brings its own ends of lines.
    pub fn write(&mut self, text: &str) -> Result<(), OutputError> {
        let mut stdout = self.stdout.lock();
        stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => OutputError::Closed,
            _ => OutputError::Failed(error),
        })
    }

    /// False once the other end of a pipe has gone. `berth logs --follow web | head` then ends although nobody writes.
    pub fn is_read(&self) -> bool {
        let mut polled = [PollFd::new(&self.stdout, PollFlags::empty())];
        let asked = poll(&mut polled, Some(&Timespec::default()));
        asked.is_err() || !polled[0].revents().intersects(PollFlags::ERR)
    }

    /// Asked each time: windows change. A terminal that does not know has no end.
    pub fn size(&self) -> Size {
        let size = rustix::termios::tcgetwinsize(&self.stdout).ok();
        let known = |cells: Option<u16>| cells.filter(|cells| *cells > 0).map_or(usize::MAX, usize::from);
        Size { columns: known(size.map(|size| size.ws_col)), rows: known(size.map(|size| size.ws_row)) }
    }
}
