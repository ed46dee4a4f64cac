//! HEAD, GET and DELETE of a blob.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::sync::Arc;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use blobs::Digest;
use bytes::Bytes;
use futures::{StreamExt as _, stream};
use http::{Method, StatusCode, header};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{answer, on_disk};
use crate::fetch::Fetch;
use crate::limits::STREAM_WAIT;
use crate::{Registry, RegistryError, RepositoryKey};

/// How much of a blob is read at once.
const CHUNK: usize = 256 * 1024;

pub(super) async fn handle(
    registry: Arc<Registry>,
    key: RepositoryKey,
    digest: Digest,
    request: Request,
) -> Result<Response, RegistryError> {
    match *request.method() {
        Method::GET | Method::HEAD => read(registry, key, digest, request).await,
        Method::DELETE => {
            on_disk(&registry, move |registry| registry.unlink_blob(&key, &digest)).await?;
            Ok(answer::empty(StatusCode::ACCEPTED))
        }
        _ => Err(RegistryError::Unsupported),
    }
}

async fn read(
    registry: Arc<Registry>,
    key: RepositoryKey,
    digest: Digest,
    request: Request,
) -> Result<Response, RegistryError> {
    let (size, content) = find(&registry, key.clone(), digest).await?;

    if answer::is_known(request.headers(), &digest) {
        return Ok(answer::unchanged(&digest));
    }
    // Source: RFC 9110, "Range": it means something for GET alone.
    let range = answer::text(request.headers(), &header::RANGE).filter(|_| *request.method() == Method::GET);
    let range = range.and_then(parse_range);
    let (start, end) = match range {
        None => (0, size),
        Some(range) => range.within(size).ok_or(RegistryError::RangeInvalid { size })?,
    };
    let mut response = answer::empty(if range.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK });
    let headers = response.headers_mut();
    answer::set(headers, header::CONTENT_TYPE, "application/octet-stream");
    answer::set(headers, header::CONTENT_LENGTH, end - start);
    answer::set(headers, header::ACCEPT_RANGES, "bytes");
    answer::set(headers, header::ETAG, format!("\"{digest}\""));
    answer::set_digest(headers, &digest);
    if range.is_some() {
        answer::set(headers, header::CONTENT_RANGE, format!("bytes {start}-{}/{size}", end - 1));
    }
    if *request.method() == Method::GET {
        let turn = turn(&registry).await?;
        *response.body_mut() = match content {
            Content::Coming(fetch) => Body::from_stream(fetch.read(start, end).map(move |chunk| (&turn, chunk).1)),
            Content::Elsewhere => {
                let bytes = registry.read_elsewhere(&key, digest, size, start, end).await?;
                Body::from_stream(bytes.map(move |chunk| (&turn, chunk).1))
            }
            Content::Here(mut file) => {
                let seek = file.seek(SeekFrom::Start(start));
                let path = digest.to_string().into();
                seek.map_err(|source| RegistryError::Io { action: "seek in", path, source })?;
                body(file, end - start, turn)
            }
        };
    }
    Ok(response)
}

/// To send a blob. Whoever has it gives it back with the last byte, or when the client is gone.
async fn turn(registry: &Registry) -> Result<OwnedSemaphorePermit, RegistryError> {
    match timeout(STREAM_WAIT, Arc::clone(&registry.streams).acquire_owned()).await {
        // It is never closed.
        Ok(turn) => turn.map_err(|_| RegistryError::Abandoned),
        Err(_) => Err(RegistryError::TooManyStreams),
    }
}

enum Content {
    Here(File),
    /// From the registry that this repository is a copy of.
    Coming(Fetch),
    /// In the object store alone.
    Elsewhere,
}

/// Finds a blob and its length, here or upstream.
async fn find(registry: &Arc<Registry>, key: RepositoryKey, digest: Digest) -> Result<(u64, Content), RegistryError> {
    let wanted = key.clone();
    let found = on_disk(registry, move |registry| {
        let unknown = match registry.use_blob(&wanted, &digest) {
            Ok(size) => return Ok(Ok((size, registry.blobs.content(&digest)?))),
            Err(error @ (RegistryError::BlobUnknown { .. } | RegistryError::NameUnknown { .. })) => error,
            Err(error) => return Err(error),
        };
        registry.upstream(&wanted)?.map(Err).ok_or(unknown)
    });
    match found.await? {
        Ok((size, ::blobs::Content::File(file))) => Ok((size, Content::Here(file))),
        Ok((size, ::blobs::Content::Elsewhere)) => Ok((size, Content::Elsewhere)),
        Err(upstream) => {
            let fetch = registry.fetch_blob(&key, digest, upstream).await?;
            Ok((fetch.size, Content::Coming(fetch)))
        }
    }
}

/// `length` bytes of a file from where it stands. The next chunk is read while one is sent; no thread waits for a slow client.
fn body(file: File, length: u64, turn: OwnedSemaphorePermit) -> Body {
    let next = (length > 0).then(|| read_chunk(file, length));
    Body::from_stream(stream::unfold((next, turn), |(next, turn)| async move {
        let (read, file, left) = match next?.await {
            Ok((file, Ok(chunk), left)) => (Ok(chunk), file, left),
            // After an error the stream ends.
            Ok((_, Err(error), _)) => return Some((Err(error), (None, turn))),
            Err(panic) => return Some((Err(io::Error::other(panic)), (None, turn))),
        };
        Some((read, ((left > 0).then(|| read_chunk(file, left)), turn)))
    }))
}

/// Reads a chunk of what is left; gives the file, the chunk, and what is left then.
fn read_chunk(file: File, left: u64) -> JoinHandle<(File, io::Result<Bytes>, u64)> {
    tokio::task::spawn_blocking(move || {
        let mut chunk = Vec::with_capacity(usize::try_from(left).unwrap_or(CHUNK).min(CHUNK));
        let read = (&file).take(chunk.capacity() as u64).read_to_end(&mut chunk);
        let count = chunk.len() as u64;
        let read = match read {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => Ok(Bytes::from(chunk)),
            Err(error) => Err(error),
        };
        (file, read, left.saturating_sub(count))
    })
}

/// One range of bytes, as HTTP asks for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Range {
    From { start: u64, last: Option<u64> },
    Suffix { length: u64 },
}

/// Reads a `Range` header. Several ranges, or another unit, mean the whole blob, as RFC 9110 allows.
pub(super) fn parse_range(text: &str) -> Option<Range> {
    let (start, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    if start.is_empty() {
        return last.parse().ok().map(|length| Range::Suffix { length });
    }
    let last = if last.is_empty() { None } else { Some(last.parse().ok()?) };
    start.parse().ok().map(|start| Range::From { start, last })
}

impl Range {
    /// The first byte and the one after the last; `None` when nothing of `size` is in the range.
    pub(super) fn within(self, size: u64) -> Option<(u64, u64)> {
        let (start, end) = match self {
            Range::From { start, last } => (start, last.map_or(size, |last| last.saturating_add(1).min(size))),
            Range::Suffix { length } => (size.saturating_sub(length), size),
        };
        (start < end).then_some((start, end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_to_the_blob() {
        for (text, expected) in [
            ("bytes=0-4", Some((0, 5))),
            ("bytes=3-", Some((3, 10))),
            ("bytes=3-99", Some((3, 10))),
            ("bytes=-4", Some((6, 10))),
            ("bytes=-99", Some((0, 10))),
            ("bytes=10-", None),
            ("bytes=5-4", None),
            ("bytes=-0", None),
            ("bytes=0-18446744073709551615", Some((0, 10))),
        ] {
            assert_eq!(parse_range(text).unwrap().within(10), expected, "{text}");
        }
        for whole in ["bytes=0-1,3-4", "lines=0-1", "bytes=a-b", "bytes"] {
            assert_eq!(parse_range(whole), None, "{whole}");
        }
    }
}
