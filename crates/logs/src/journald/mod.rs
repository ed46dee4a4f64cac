//! The `journald` driver: entries in the journal's own protocol, which is a datagram of fields.
//!
//! Source: systemd's documentation, "Native Journal Protocol".

mod message;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd as _;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use runtime::LogLine;
use rustix::fs::{MemfdFlags, SealFlags};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags};
use tokio::net::UnixDatagram;

use crate::dial;
use crate::limits::ANSWER_WAIT;
use crate::options::{OptionError, refuse_unknown};
use crate::post::{Part, Post, Protocol, SendError};
use crate::subject::{ATTRIBUTE_OPTIONS, AttributeError, Subject};

/// Where the journal listens.
pub(crate) const SOCKET: &str = "/run/systemd/journal/socket";

pub(crate) struct Journald {
    path: PathBuf,
    socket: Option<UnixDatagram>,
    fields: Vec<u8>,
}

/// What Docker checks when it creates a container.
pub(crate) fn check(options: &BTreeMap<String, String>) -> Result<(), OptionError> {
    refuse_unknown("journald", &ATTRIBUTE_OPTIONS, options)
}

impl Journald {
    pub fn new(
        socket: &Path,
        options: &BTreeMap<String, String>,
        tag: &str,
        subject: &Subject,
    ) -> Result<Journald, AttributeError> {
        let attributes = subject.attributes(options, message::field_name)?;
        let fields = message::common(subject, tag, &attributes);
        Ok(Journald { path: socket.to_owned(), socket: None, fields })
    }

    async fn say(&self, entry: &[u8]) -> io::Result<()> {
        let socket = self.socket.as_ref().ok_or(io::ErrorKind::NotConnected)?;
        match socket.send(entry).await {
            Ok(_) => Ok(()),
            // Longer than a datagram may be: the journal reads it from a sealed file in memory.
            Err(error) if error.raw_os_error() == Some(rustix::io::Errno::MSGSIZE.raw_os_error()) => {
                let file = sealed(entry)?;
                socket.async_io(tokio::io::Interest::WRITABLE, || hand_over(socket, &file)).await
            }
            Err(error) => Err(error),
        }
    }
}

fn sealed(entry: &[u8]) -> io::Result<std::fs::File> {
    let file = rustix::fs::memfd_create("journal", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    let mut file = std::fs::File::from(file);
    io::Write::write_all(&mut file, entry)?;
    rustix::fs::fcntl_add_seals(&file, SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE | SealFlags::SEAL)?;
    Ok(file)
}

fn hand_over(socket: &UnixDatagram, file: &std::fs::File) -> io::Result<()> {
    let files = [file.as_fd()];
    let mut space = [std::mem::MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    ancillary.push(SendAncillaryMessage::ScmRights(&files));
    rustix::net::sendmsg(socket, &[], &mut ancillary, SendFlags::NOSIGNAL)?;
    Ok(())
}

#[async_trait]
impl Protocol for Journald {
    fn encode(&mut self, line: &LogLine, part: Option<&Part>, out: &mut Vec<u8>) {
        message::encode(&self.fields, line, part, out);
    }

    async fn connect(&mut self) -> Result<(), SendError> {
        if self.socket.is_some() {
            return Ok(());
        }
        let connect = || {
            let socket = UnixDatagram::unbound()?;
            socket.connect(&self.path)?;
            Ok(socket)
        };
        match connect() {
            Ok(socket) => {
                self.socket = Some(socket);
                Ok(())
            }
            Err(error) => {
                let error: io::Error = error;
                tracing::debug!(path = %self.path.display(), %error, "the journal cannot be reached");
                Err(SendError::Passing("journald is not enabled on this host".to_owned()))
            }
        }
    }

    async fn send(&mut self, post: &Post) -> Result<(), SendError> {
        self.connect().await?;
        let saying = async {
            for entry in post.messages() {
                self.say(entry).await?;
            }
            Ok(())
        };
        let sent = match tokio::time::timeout(ANSWER_WAIT, saying).await {
            Ok(sent) => sent.map_err(|error: io::Error| format!("write {}: {}", SOCKET, dial::words(&error))),
            Err(_) => Err(format!("write {SOCKET}: i/o timeout")),
        };
        if sent.is_err() {
            self.socket = None;
        }
        sent.map_err(SendError::Passing)
    }
}
