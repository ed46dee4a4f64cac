//! Standard output, and what it can show.

use std::io::{self, IsTerminal, Stdout, Write};

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
    pub paint: Paint,
}

impl Output {
    pub fn new() -> Output {
        let stdout = io::stdout();
        let variable = |name| std::env::var(name).ok();
        let paint = Paint::choose(stdout.is_terminal(), variable("NO_COLOR").as_deref(), variable("TERM").as_deref());
        Output { stdout, paint }
    }

    /// `text` brings its own ends of lines.
    pub fn write(&mut self, text: &str) -> Result<(), OutputError> {
        let mut stdout = self.stdout.lock();
        stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()).map_err(|error| match error.kind() {
            io::ErrorKind::BrokenPipe => OutputError::Closed,
            _ => OutputError::Failed(error),
        })
    }
}
