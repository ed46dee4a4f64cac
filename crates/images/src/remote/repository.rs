//! A repository of another registry, for those who pass on what it has.

use std::sync::{Arc, OnceLock};

use blobs::Digest;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use http::{Response, StatusCode, header};
use hyper::body::Incoming;

use super::download::{chunks, continues_at};
use super::fetch::Fetched;
use super::{Auth, Http, Session};
use crate::{ImageError, Reference, ReferenceError};

/// Other registries. Clones share their connections.
#[derive(Clone, Debug, Default)]
pub struct RemoteRegistries {
    http: Arc<OnceLock<Http>>,
}

/// One repository, and who asks for it. Calls may repeat and be concurrent.
#[derive(Clone)]
pub struct RemoteRepository {
    session: Arc<Session>,
}

/// A manifest as it was sent; by digest, it is what was asked for.
#[derive(Clone, Debug)]
pub struct RemoteManifest {
    pub media_type: Option<String>,
    pub bytes: Bytes,
}

/// A blob on its way. Nobody has looked whether it is what was asked for.
pub struct RemoteBlob {
    /// Where `body` begins.
    pub start: u64,
    /// Of the whole blob.
    pub size: u64,
    pub body: BoxStream<'static, Result<Bytes, String>>,
}

impl RemoteRegistries {
    /// A repository of the registry at `url`: a host, perhaps with a port, perhaps after `http://` or `https://`. Without a
    /// scheme it is HTTPS, but HTTP on this machine. Blocks when it is called first.
    pub fn repository(&self, url: &str, name: &str, auth: Auth) -> Result<RemoteRepository, ReferenceError> {
        let (scheme, host) = match url.split_once("://") {
            Some((scheme, host)) => (Some(scheme), host),
            None => (None, url),
        };
        let host = host.trim_end_matches('/');
        let reference: Reference = format!("{host}/{name}").parse()?;
        let scheme = scheme.unwrap_or(if reference.is_loopback() { "http" } else { "https" });
        let http = self.http.get_or_init(Http::new).clone();
        let session = Session::new(http, reference, auth, format!("{scheme}://{host}"), None);
        Ok(RemoteRepository { session: Arc::new(session) })
    }
}

impl RemoteRepository {
    /// Whether the registry is there, is one, and takes the login.
    pub async fn ping(&self) -> Result<(), ImageError> {
        let url = self.session.root()?;
        let response = self.session.get(&url, &[]).await?;
        match response.status() {
            StatusCode::OK => Ok(()),
            _ => Err(self.session.refusal(response, &url).await),
        }
    }

    pub async fn manifest(&self, target: &str) -> Result<RemoteManifest, ImageError> {
        let Fetched { media_type, bytes, .. } = self.session.manifest(target).await?;
        Ok(RemoteManifest { media_type, bytes })
    }

    /// The bytes of a blob from `start` on, or all when the registry cannot continue.
    pub async fn blob(&self, digest: &Digest, start: u64) -> Result<RemoteBlob, ImageError> {
        let url = self.session.url(&format!("blobs/{digest}"))?;
        let headers = if start > 0 { vec![(header::RANGE, format!("bytes={start}-"))] } else { Vec::new() };
        let response = self.session.get(&url, &headers).await?;
        let start = match response.status() {
            StatusCode::OK => 0,
            StatusCode::PARTIAL_CONTENT if continues_at(&response, start) => start,
            _ => return Err(self.session.refusal(response, &url).await),
        };
        let Some(length) = length(&response) else {
            let reason = "it does not say how long the blob is".to_owned();
            return Err(ImageError::Connection { method: "Get", url: url.to_string(), reason });
        };
        Ok(RemoteBlob { start, size: start.saturating_add(length), body: chunks(response.into_body()).boxed() })
    }
}

fn length(response: &Response<Incoming>) -> Option<u64> {
    response.headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
