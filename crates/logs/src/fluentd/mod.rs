//! The `fluentd` driver: the forward protocol over TCP, TLS or a unix socket.
//!
//! `options.rs` understands what a task definition says, `message.rs` makes entries. With `fluentd-request-ack` a batch counts
//! as delivered when the peer says so; without, when the kernel has taken it.

mod message;
mod options;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use runtime::LogLine;
use tokio::io::AsyncReadExt as _;

pub use options::FluentdError;
pub(crate) use options::{Address, FluentdOptions};

use crate::dial::{self, Line};
use crate::limits::ANSWER_WAIT;
use crate::post::{Part, Post, Protocol, SendError};
use crate::subject::{AttributeError, Subject};
use crate::tls::{self, TlsError, TlsOptions};
use message::Common;

pub(crate) struct Fluentd {
    options: FluentdOptions,
    tls: Option<Arc<rustls::ClientConfig>>,
    tag: String,
    common: Common,
    line: Option<Line>,
    /// Of the batches of this process.
    chunks: u64,
}

/// Why there is no driver.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unfit {
    #[error(transparent)]
    Tls(#[from] TlsError),
    #[error(transparent)]
    Attributes(#[from] AttributeError),
}

impl Fluentd {
    pub fn new(
        fluentd: FluentdOptions,
        options: &BTreeMap<String, String>,
        tag: String,
        subject: &Subject,
    ) -> Result<Fluentd, Unfit> {
        let tls = match &fluentd.address {
            Address::Tls(_) => Some(tls::config(&TlsOptions::default())?),
            _ => None,
        };
        let common = Common {
            container_id: subject.id.clone(),
            container_name: format!("/{}", subject.name),
            attributes: subject.attributes(options, str::to_owned)?,
            sub_second: fluentd.sub_second,
        };
        Ok(Fluentd { options: fluentd, tls, tag, common, line: None, chunks: 0 })
    }

    async fn dial(&self) -> Result<Line, SendError> {
        match (&self.options.address, &self.tls) {
            (Address::Unix(path), _) => Ok(Box::new(dial::unix(path).await?)),
            (Address::Tls(address), Some(config)) => dial::tls(address, config.clone()).await,
            (Address::Tcp(address) | Address::Tls(address), _) => Ok(Box::new(dial::tcp(address).await?)),
        }
    }

    async fn exchange(&mut self, post: &Post) -> Result<(), SendError> {
        self.chunks += 1;
        let chunk = self.options.request_ack.then(|| format!("{}-{}", self.common.container_id, self.chunks));
        let message = message::forward(&self.tag, post.bytes(), post.len(), chunk.as_deref());
        let Some(line) = &mut self.line else { return Ok(()) };
        dial::write(line, &message, self.options.write_timeout.unwrap_or(ANSWER_WAIT)).await?;
        match chunk {
            Some(chunk) => acknowledged(line, &chunk, self.options.read_timeout.unwrap_or(ANSWER_WAIT)).await,
            None => Ok(()),
        }
    }
}

/// The answer holds nothing but the name of the batch, so its bytes are known before it comes.
async fn acknowledged(line: &mut Line, chunk: &str, within: Duration) -> Result<(), SendError> {
    let expected = message::answer(chunk);
    let mut answer = vec![0; expected.len()];
    match tokio::time::timeout(within, line.read_exact(&mut answer)).await {
        Ok(Ok(_)) if answer == expected => Ok(()),
        Ok(Ok(_)) => Err(SendError::Passing("fluentd acknowledged another batch".to_owned())),
        Ok(Err(error)) => Err(SendError::Passing(format!("read: {}", dial::words(&error)))),
        Err(_) => Err(SendError::Passing("read: i/o timeout".to_owned())),
    }
}

#[async_trait]
impl Protocol for Fluentd {
    fn encode(&mut self, line: &LogLine, part: Option<&Part>, out: &mut Vec<u8>) {
        message::entry(&self.common, line, part, out);
    }

    async fn connect(&mut self) -> Result<(), SendError> {
        if self.line.as_mut().is_some_and(dial::is_closed) {
            self.line = None;
        }
        if self.line.is_none() {
            self.line = Some(self.dial().await?);
        }
        Ok(())
    }

    async fn send(&mut self, post: &Post) -> Result<(), SendError> {
        self.connect().await?;
        let sent = self.exchange(post).await;
        if sent.is_err() {
            self.line = None;
        }
        sent
    }
}
