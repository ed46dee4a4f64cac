//! One blob on its way from a registry, over as many connections as it takes.

use std::time::Duration;

use blobs::{BlobError, BlobWriter, Blobs, Digest, PumpError};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use http::{Response, StatusCode, Uri, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;

use super::Session;
use crate::ImageError;
use crate::limits::{ANSWER_TIMEOUT, DOWNLOAD_ATTEMPTS, LAYER_BYTES_MAX};

/// Why an attempt stopped, and whether going on makes sense.
enum Broken {
    Off(ImageError),
    For(ImageError),
}

struct Download<'a> {
    session: &'a Session,
    blobs: &'a Blobs,
    digest: Digest,
    url: Uri,
    size: u64,
    on_bytes: &'a (dyn Fn(u64) + Send + Sync),
}

impl Session {
    /// Brings a blob of a known size into the store and checks its digest; what breaks off is continued.
    ///
    /// `on_bytes` is told how many bytes are here, which may become fewer when the registry cannot continue.
    pub(crate) async fn blob(
        &self,
        blobs: &Blobs,
        digest: Digest,
        size: u64,
        on_bytes: &(dyn Fn(u64) + Send + Sync),
    ) -> Result<(), ImageError> {
        if size > LAYER_BYTES_MAX {
            let reason = format!("{digest} is larger than {LAYER_BYTES_MAX} bytes");
            return Err(ImageError::Invalid { what: "manifest", reason });
        }
        let url = self.url(&format!("blobs/{digest}"))?;
        Download { session: self, blobs, digest, url, size, on_bytes }.run().await
    }
}

impl Download<'_> {
    fn writer(&self) -> Result<BlobWriter, BlobError> {
        self.blobs.writer_by(self.digest.algorithm())
    }

    async fn run(&self) -> Result<(), ImageError> {
        let mut writer = self.writer()?;
        for attempt in 1.. {
            let broken = match self.attempt(writer).await {
                Ok(complete) => {
                    let expected = self.digest;
                    let commit = tokio::task::spawn_blocking(move || complete.commit(Some(expected)));
                    commit.await.map_err(|_| ImageError::Abandoned)??;
                    return Ok(());
                }
                Err((_, Broken::For(error))) => return Err(error),
                Err((_, Broken::Off(error))) if attempt >= DOWNLOAD_ATTEMPTS => return Err(error),
                Err((rest, Broken::Off(error))) => {
                    tracing::debug!(url = %self.url, %error, attempt, "a download broke off and is continued");
                    rest
                }
            };
            writer = match broken {
                Some(writer) => writer,
                None => self.writer()?,
            };
            tokio::time::sleep(Duration::from_millis(100 << attempt)).await;
        }
        Err(ImageError::Abandoned)
    }

    /// One attempt, from where the last one ended. A broken one gives back what it has.
    async fn attempt(&self, writer: BlobWriter) -> Result<BlobWriter, (Option<BlobWriter>, Broken)> {
        let start = writer.written();
        let headers = if start > 0 { vec![(header::RANGE, format!("bytes={start}-"))] } else { Vec::new() };
        let response = match self.session.get(&self.url, &headers).await {
            Ok(response) => response,
            Err(error @ ImageError::Connection { .. }) => return Err((Some(writer), Broken::Off(error))),
            Err(error) => return Err((None, Broken::For(error))),
        };
        let writer = match response.status() {
            StatusCode::OK if start == 0 => writer,
            // It cannot continue, so it begins again.
            StatusCode::OK => self.writer().map_err(|error| (None, Broken::For(error.into())))?,
            StatusCode::PARTIAL_CONTENT if continues_at(&response, start) => writer,
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
                return Err((None, Broken::Off(self.cut("the registry sent another range"))));
            }
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                return Err((Some(writer), Broken::Off(ImageError::Status { status: status.to_string() })));
            }
            _ => return Err((None, Broken::For(self.session.refusal(response, &self.url).await))),
        };
        let start = writer.written();
        let mut here = start;
        let body = chunks(response.into_body()).inspect(|chunk| {
            here += chunk.as_ref().map_or(0, Bytes::len) as u64;
            (self.on_bytes)(here);
        });
        let (writer, result) = blobs::pump(writer, body, self.size.saturating_sub(start)).await;
        match (writer, result) {
            (Some(writer), Ok(_)) if writer.written() == self.size => Ok(writer),
            (writer, Ok(_)) => Err((writer, Broken::Off(self.cut("unexpected EOF")))),
            (writer, Err(PumpError::Stream(reason))) => Err((writer, Broken::Off(self.cut(&reason)))),
            (_, Err(PumpError::TooLong { .. })) => {
                let reason = format!("{} is longer than the {} bytes that its manifest says", self.digest, self.size);
                Err((None, Broken::For(ImageError::LayerInvalid { reason })))
            }
            (_, Err(PumpError::Write(source))) => {
                let path = self.blobs.path(&self.digest);
                Err((None, Broken::For(ImageError::Disk { action: "write", path, source })))
            }
        }
    }

    fn cut(&self, reason: &str) -> ImageError {
        ImageError::Connection { method: "Get", url: self.url.to_string(), reason: reason.to_owned() }
    }
}

/// Whether a partial answer begins at `start`.
pub(super) fn continues_at(response: &Response<Incoming>, start: u64) -> bool {
    let range = response.headers().get(header::CONTENT_RANGE).and_then(|range| range.to_str().ok());
    let first = range.and_then(|range| range.strip_prefix("bytes ")?.split('-').next()?.parse().ok());
    first == Some(start)
}

/// The data of an answer; a sender that says nothing for too long has broken off.
pub(super) fn chunks(body: Incoming) -> impl Stream<Item = Result<Bytes, String>> {
    stream::unfold(body, |mut body| async move {
        loop {
            match tokio::time::timeout(ANSWER_TIMEOUT, body.frame()).await {
                Err(_) => return Some((Err("i/o timeout".to_owned()), body)),
                Ok(None) => return None,
                Ok(Some(Err(_))) => return Some((Err("unexpected EOF".to_owned()), body)),
                Ok(Some(Ok(frame))) => {
                    if let Ok(data) = frame.into_data() {
                        return Some((Ok(data), body));
                    }
                }
            }
        }
    })
}
