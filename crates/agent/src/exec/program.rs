//! The program of a session: its start, its streams, its end.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::{Instant, sleep_until};

use super::{Ended, PAYLOAD_BYTES_MAX, Stream};
use crate::seams::{Attached, AttachedControl, Execute, Node, Run, Streams};

/// What a program that was hung up has to end by itself.
const KILL_AFTER: Duration = Duration::from_secs(10);
/// What is waited for when a program has ended and somebody else still has its output open.
const DRAIN_FOR: Duration = Duration::from_millis(500);
/// What a terminal takes for the end of input.
const END_OF_TRANSMISSION: u8 = 4;

/// What a program has to say.
pub enum News {
    Output(Stream, Vec<u8>),
    /// So many bytes of its input were taken.
    Consumed(usize),
    /// It has ended, and everything it wrote was told.
    Ended(Ended),
}

type End = Pin<Box<dyn Future<Output = Result<i32, String>> + Send>>;
type Starting = Pin<Box<dyn Future<Output = Result<Attached, String>> + Send>>;

pub struct Program {
    node: Arc<dyn Node>,
    starting: Option<Starting>,
    is_terminal: bool,
    input: Option<Box<dyn AsyncWrite + Send + Unpin>>,
    output: Option<Box<dyn AsyncRead + Send + Unpin>>,
    errors: Option<Box<dyn AsyncRead + Send + Unpin>>,
    control: Option<Box<dyn AttachedControl>>,
    end: Option<End>,
    ended: Option<Ended>,
    typed: VecDeque<u8>,
    /// There is no more to be typed.
    typed_all: bool,
    kill_at: Option<Instant>,
    drain_until: Option<Instant>,
}

impl Program {
    pub fn new(node: Arc<dyn Node>) -> Program {
        Program {
            node,
            starting: None,
            is_terminal: false,
            input: None,
            output: None,
            errors: None,
            control: None,
            end: None,
            ended: None,
            typed: VecDeque::new(),
            typed_all: false,
            kill_at: None,
            drain_until: None,
        }
    }

    pub fn begin(&mut self, run: Run, execute: Execute) {
        let node = self.node.clone();
        self.is_terminal = matches!(execute.streams, Streams::Terminal(_));
        self.starting = Some(Box::pin(async move { node.execute(&run, &execute).await }));
    }

    pub fn input(&mut self, bytes: Vec<u8>) {
        self.typed.extend(bytes);
    }

    pub fn end_input(&mut self) {
        match self.is_terminal {
            true => self.typed.push_back(END_OF_TRANSMISSION),
            false => self.typed_all = true,
        }
    }

    pub fn resize(&self, columns: u16, rows: u16) {
        if let Some(control) = &self.control {
            control.resize(columns, rows);
        }
    }

    pub fn hang_up(&mut self) {
        // One that has not begun does not.
        if self.starting.take().is_some() {
            self.ended = Some(Ended::default());
        }
        if let Some(control) = &self.control {
            control.hang_up();
        }
        self.kill_at.get_or_insert(Instant::now() + KILL_AFTER);
    }

    /// May be dropped and called again: nothing is lost. Output is read only when it is wanted.
    pub async fn news(&mut self, wants_output: bool) -> News {
        loop {
            if self.typed_all && self.typed.is_empty() && self.starting.is_none() {
                self.input = None;
            }
            if let Some(ended) = self.ended.take_if(|_| self.output.is_none() && self.errors.is_none()) {
                return News::Ended(ended);
            }
            let mut out = [0; PAYLOAD_BYTES_MAX];
            let mut err = [0; PAYLOAD_BYTES_MAX];
            let typed = self.typed.as_slices().0;
            tokio::select! {
                biased;
                read = read(&mut self.output, &mut out), if wants_output => match read {
                    Ok(count) if count > 0 => {
                        self.heard();
                        return News::Output(Stream::Out, out[..count].to_vec());
                    }
                    _ => self.output = None,
                },
                read = read(&mut self.errors, &mut err), if wants_output => match read {
                    Ok(count) if count > 0 => {
                        self.heard();
                        return News::Output(Stream::Err, err[..count].to_vec());
                    }
                    _ => self.errors = None,
                },
                written = write(&mut self.input, typed), if !typed.is_empty() && self.starting.is_none() => {
                    // One that does not read any more is typed at in vain.
                    let count = match written {
                        Ok(count) if count > 0 => count,
                        _ => {
                            self.input = None;
                            typed.len()
                        }
                    };
                    self.typed.drain(..count);
                    return News::Consumed(count);
                }
                started = wait(&mut self.starting) => {
                    self.starting = None;
                    self.started(started);
                }
                ended = wait(&mut self.end) => {
                    self.end = None;
                    (self.input, self.control, self.kill_at) = (None, None, None);
                    self.ended = Some(how(ended));
                    self.heard();
                }
                () = at(self.drain_until), if wants_output => {
                    (self.output, self.errors, self.drain_until) = (None, None, None);
                }
                () = at(self.kill_at) => {
                    self.kill_at = None;
                    if let Some(control) = &self.control {
                        control.kill();
                    }
                }
            }
        }
    }

    /// After the end of the program, everybody else who has its output open gets a while.
    fn heard(&mut self) {
        if self.ended.is_some() {
            self.drain_until = Some(Instant::now() + DRAIN_FOR);
        }
    }

    fn started(&mut self, started: Result<Attached, String>) {
        match started {
            Ok(attached) => {
                (self.input, self.output) = (Some(attached.input), Some(attached.output));
                (self.errors, self.control) = (attached.errors, Some(attached.control));
                self.end = Some(attached.ended);
            }
            Err(reason) => self.ended = Some(how(Err(reason))),
        }
    }

    /// Nobody listens any more: hangs up, and waits for the end; what does not end is killed.
    pub async fn leave(&mut self) {
        self.starting = None;
        let (Some(end), Some(control)) = (self.end.take(), self.control.take()) else { return };
        (self.input, self.output, self.errors) = (None, None, None);
        control.hang_up();
        tokio::pin!(end);
        if tokio::time::timeout(KILL_AFTER, &mut end).await.is_err() {
            control.kill();
            let _ = tokio::time::timeout(KILL_AFTER, &mut end).await;
        }
    }
}

fn how(ended: Result<i32, String>) -> Ended {
    match ended {
        Ok(code) => Ended { message: String::new(), exit_code: Some(code) },
        // As a shell has it: the command was not found, or could not be run.
        Err(reason) => {
            let code = if reason.contains("not found") || reason.contains("no such file") { 127 } else { 126 };
            Ended { message: format!("Unable to start command: {reason}"), exit_code: Some(code) }
        }
    }
}

async fn read(from: &mut Option<Box<dyn AsyncRead + Send + Unpin>>, room: &mut [u8]) -> io::Result<usize> {
    match from {
        Some(from) => from.read(room).await,
        None => std::future::pending().await,
    }
}

async fn write(to: &mut Option<Box<dyn AsyncWrite + Send + Unpin>>, bytes: &[u8]) -> io::Result<usize> {
    match to {
        Some(to) => to.write(bytes).await,
        None => Ok(0),
    }
}

async fn wait<T>(what: &mut Option<Pin<Box<dyn Future<Output = T> + Send>>>) -> T {
    match what {
        Some(what) => what.await,
        None => std::future::pending().await,
    }
}

async fn at(when: Option<Instant>) {
    match when {
        Some(when) => sleep_until(when).await,
        None => std::future::pending().await,
    }
}
