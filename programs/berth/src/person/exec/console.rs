//! The terminal or the pipes of this process. A terminal is raw while a session has it, and as it was afterwards.

use std::io::{self, IsTerminal as _, Read as _, Write as _};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use ssm_session::Size;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::mpsc;

/// What the person did.
pub enum Heard {
    Bytes(Vec<u8>),
    /// There is no more input.
    End,
    /// The window has another size.
    Resized,
}

/// As much as a person pastes at once.
const TYPED_BYTES: usize = 4096;

pub struct Console {
    is_terminal: bool,
    /// What the terminal was before.
    before: Option<Termios>,
    typed: Option<mpsc::Receiver<Vec<u8>>>,
    resized: Option<Signal>,
}

impl Console {
    /// A terminal only when both ends are one.
    pub fn new(no_terminal: bool) -> Console {
        let is_terminal = !no_terminal && io::stdin().is_terminal() && io::stdout().is_terminal();
        Console { is_terminal, before: None, typed: None, resized: None }
    }

    pub fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    pub fn open(mut self) -> io::Result<Console> {
        if self.is_terminal {
            let before = tcgetattr(io::stdin())?;
            let mut raw = before.clone();
            raw.make_raw();
            tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
            self.before = Some(before);
            self.resized = Some(signal(SignalKind::window_change())?);
        }
        let (sender, typed) = mpsc::channel(1);
        // A read of standard input cannot be called off: the thread ends with the process.
        std::thread::spawn(move || {
            let mut bytes = [0; TYPED_BYTES];
            while let Ok(count) = io::stdin().read(&mut bytes) {
                if count == 0 || sender.blocking_send(bytes[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        self.typed = Some(typed);
        Ok(self)
    }

    /// The end comes once. May be dropped and called again: nothing is lost.
    pub async fn next(&mut self) -> Heard {
        let Console { typed, resized, .. } = self;
        tokio::select! {
            bytes = receive(typed) => match bytes {
                Some(bytes) => return Heard::Bytes(bytes),
                None => self.typed = None,
            },
            () = changed(resized) => return Heard::Resized,
        }
        Heard::End
    }

    pub fn size(&self) -> Option<Size> {
        let size = tcgetwinsize(io::stdout()).ok().filter(|_| self.is_terminal)?;
        Some(Size { columns: size.ws_col, rows: size.ws_row })
    }

    /// Waits while nobody reads: then nothing more is asked for either.
    pub fn show(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut output = io::stdout().lock();
        output.write_all(bytes)?;
        output.flush()
    }

    pub fn warn(&mut self, bytes: &[u8]) -> io::Result<()> {
        io::stderr().lock().write_all(bytes)
    }
}

async fn receive(typed: &mut Option<mpsc::Receiver<Vec<u8>>>) -> Option<Vec<u8>> {
    match typed {
        Some(typed) => typed.recv().await,
        None => std::future::pending().await,
    }
}

async fn changed(resized: &mut Option<Signal>) {
    match resized {
        Some(resized) => drop(resized.recv().await),
        None => std::future::pending().await,
    }
}

impl Drop for Console {
    fn drop(&mut self) {
        if let Some(before) = self.before.take() {
            // There is nobody left to tell when it fails.
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, &before);
        }
    }
}
