//! One connection of an agent.

use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsRawFd as _, RawFd};
use std::os::unix::net::UnixStream;

use shim_api::{LINE_BYTES_MAX, Message};

/// A client that does not read its answers is dropped beyond this; it can connect again and ask for the status.
const UNREAD_BYTES_MAX: usize = 1024 * 1024;

pub struct Client {
    /// Tells an answer whose it is, after the client may have gone.
    pub id: u64,
    pub subscribed: bool,
    stream: UnixStream,
    input: Vec<u8>,
    output: Vec<u8>,
    open: bool,
}

impl Client {
    pub fn new(id: u64, stream: UnixStream) -> io::Result<Client> {
        stream.set_nonblocking(true)?;
        Ok(Client { id, subscribed: false, stream, input: Vec::new(), output: Vec::new(), open: true })
    }

    pub fn fd(&self) -> RawFd {
        self.stream.as_raw_fd()
    }

    pub fn is_open(&self) -> bool {
        self.open
    }

    pub fn has_unsent(&self) -> bool {
        !self.output.is_empty()
    }

    /// Reads what is there and returns the whole lines of it.
    pub fn read(&mut self, buffer: &mut [u8]) -> Vec<String> {
        match self.stream.read(buffer) {
            Ok(0) => self.open = false,
            Ok(count) => self.input.extend_from_slice(&buffer[..count]),
            Err(err) if matches!(err.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted) => {}
            Err(_) => self.open = false,
        }
        let mut lines = Vec::new();
        while let Some(end) = self.input.iter().position(|&byte| byte == b'\n') {
            let rest = self.input.split_off(end + 1);
            let line = std::mem::replace(&mut self.input, rest);
            lines.push(String::from_utf8_lossy(&line).into_owned());
        }
        if self.input.len() > LINE_BYTES_MAX {
            self.open = false;
        }
        if self.input.is_empty() {
            self.input = Vec::new();
        }
        lines
    }

    pub fn send(&mut self, message: &Message) {
        self.output.extend_from_slice(message.encode().as_bytes());
        self.flush();
        if self.output.len() > UNREAD_BYTES_MAX {
            self.open = false;
        }
    }

    pub fn flush(&mut self) {
        while !self.output.is_empty() && self.open {
            match self.stream.write(&self.output) {
                Ok(count) => drop(self.output.drain(..count)),
                Err(err) if err.kind() == io::ErrorKind::WouldBlock => return,
                Err(err) if err.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => self.open = false,
            }
        }
        self.output = Vec::new();
    }
}
