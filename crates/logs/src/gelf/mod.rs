//! The `gelf` driver: packets over UDP, or messages over TCP with a zero byte behind each.
//!
//! `options.rs` understands what a task definition says, `message.rs` makes messages and packets.

mod message;
mod options;

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use async_trait::async_trait;
use runtime::LogLine;
use serde_json::{Map, Value, json};
use tokio::net::UdpSocket;

pub use options::GelfError;
pub(crate) use options::GelfOptions;

use crate::dial::{self, Line};
use crate::limits::ANSWER_WAIT;
use crate::post::{Part, Post, Protocol, SendError};
use crate::stamp;
use crate::subject::{AttributeError, Subject};

pub(crate) struct Gelf {
    options: GelfOptions,
    hostname: String,
    extra: Map<String, Value>,
    udp: Option<UdpSocket>,
    tcp: Option<Line>,
    ids: RandomState,
    sent: u64,
}

impl Gelf {
    pub fn new(
        gelf: GelfOptions,
        options: &BTreeMap<String, String>,
        tag: &str,
        subject: &Subject,
    ) -> Result<Gelf, AttributeError> {
        let underscored = |name: &str| if name.starts_with('_') { name.to_owned() } else { format!("_{name}") };
        let attributes = subject.attributes(options, underscored)?;
        let created = u64::try_from(subject.created_ms).unwrap_or_default() * 1_000_000;
        let own = [
            ("_container_id", subject.id.clone()),
            ("_container_name", subject.name.clone()),
            ("_image_id", subject.image_id.clone()),
            ("_image_name", subject.image_name.clone()),
            ("_command", subject.command.join(" ")),
            ("_tag", tag.to_owned()),
            ("_created", stamp::rfc3339_nano(created)),
        ];
        let own = own.into_iter().map(|(name, value)| (name.to_owned(), json!(value)));
        let extra = own.chain(attributes.into_iter().map(|(name, value)| (name, json!(value)))).collect();
        let hostname = subject.hostname.clone();
        Ok(Gelf { options: gelf, hostname, extra, udp: None, tcp: None, ids: RandomState::new(), sent: 0 })
    }

    fn next_id(&mut self) -> u64 {
        self.sent += 1;
        let mut hasher = self.ids.build_hasher();
        hasher.write_u64(self.sent);
        hasher.finish()
    }
}

#[async_trait]
impl Protocol for Gelf {
    fn encode(&mut self, line: &LogLine, _: Option<&Part>, out: &mut Vec<u8>) {
        if line.text.is_empty() {
            return;
        }
        let message = message::encode(&self.hostname, &self.extra, line);
        match &self.options {
            GelfOptions::Udp { packing, .. } => out.extend(message::pack(&message, *packing)),
            GelfOptions::Tcp { .. } => {
                out.extend(message);
                out.push(0);
            }
        }
    }

    async fn connect(&mut self) -> Result<(), SendError> {
        if self.tcp.as_mut().is_some_and(dial::is_closed) {
            self.tcp = None;
        }
        match &self.options {
            GelfOptions::Udp { address, .. } if self.udp.is_none() => self.udp = Some(dial::udp(address).await?),
            GelfOptions::Tcp { address } if self.tcp.is_none() => {
                let dialed = dial::tcp(address).await;
                let failed =
                    |error| SendError::Passing(format!("gelf: cannot connect to GELF endpoint: {address} {error}"));
                self.tcp = Some(Box::new(dialed.map_err(failed)?));
            }
            _ => {}
        }
        Ok(())
    }

    async fn send(&mut self, post: &Post) -> Result<(), SendError> {
        self.connect().await?;
        if let Some(line) = &mut self.tcp {
            let sent = dial::write(line, post.bytes(), ANSWER_WAIT).await;
            if sent.is_err() {
                self.tcp = None;
            }
            return sent;
        }
        for message in post.messages() {
            let id = self.next_id();
            let Some(packets) = message::packets(message, id) else {
                tracing::warn!(bytes = message.len(), "dropped a line that is too long for GELF over UDP");
                continue;
            };
            let Some(socket) = &self.udp else { return Ok(()) };
            for packet in packets {
                // That nobody listens is told by the answer to an earlier packet, and UDP promises nothing.
                let _ = socket.send(&packet).await;
            }
        }
        Ok(())
    }
}
