//! The body of a request to a REST service: what it says of itself, and whether that is true.

use std::pin::Pin;

use axum::body::Body;
use bytes::Bytes;
use futures::{Stream, StreamExt};
use http::{HeaderMap, header};
use sha2::{Digest, Sha256};
use shape::{ByteStream, ErrorFacts, Piece, WireError};

use super::chunked;
use crate::sigv4::ChunkSigner;

/// What `x-amz-content-sha256` says.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Said {
    /// The digest in hex of all that comes.
    Digest(String),
    /// The body is in chunks.
    Chunks { signed: bool },
    /// Nobody signed the body.
    Nothing,
}

impl Said {
    fn of(headers: &HeaderMap) -> Said {
        let said = headers.get("x-amz-content-sha256").and_then(|value| value.to_str().ok()).unwrap_or_default();
        if said.starts_with("STREAMING-") {
            return Said::Chunks { signed: said.starts_with("STREAMING-AWS4-HMAC-SHA256-PAYLOAD") };
        }
        let is_digest = said.len() == 64 && said.bytes().all(|byte| byte.is_ascii_hexdigit());
        if is_digest { Said::Digest(said.to_ascii_lowercase()) } else { Said::Nothing }
    }
}

/// A body as it comes. Whatever is wrong with it is an error in it.
pub(crate) fn stream(body: Body, headers: &HeaderMap, signer: Option<ChunkSigner>) -> ByteStream {
    let raw = body.into_data_stream().map(|data| data.map_err(broken));
    match Said::of(headers) {
        Said::Chunks { signed } => {
            let length = number(headers, "x-amz-decoded-content-length");
            let pieces = chunked::decode(Box::pin(raw), signer.filter(|_| signed));
            ByteStream { length, pieces: Box::pin(counted(pieces, length)) }
        }
        Said::Digest(digest) => {
            let pieces = raw.map(|data| data.map(Piece::Bytes));
            ByteStream {
                length: number(headers, header::CONTENT_LENGTH.as_str()),
                pieces: Box::pin(compared(pieces, digest)),
            }
        }
        Said::Nothing => ByteStream {
            length: number(headers, header::CONTENT_LENGTH.as_str()),
            pieces: Box::pin(raw.map(|data| data.map(Piece::Bytes))),
        },
    }
}

/// The bytes of a body that is all here.
///
/// Errors: a digest or chunks that are not what they should be.
pub(crate) async fn bytes(body: Bytes, headers: &HeaderMap, signer: Option<ChunkSigner>) -> Result<Bytes, WireError> {
    match Said::of(headers) {
        Said::Nothing => Ok(body),
        Said::Digest(digest) if hex::encode(Sha256::digest(&body)) == digest => Ok(body),
        Said::Digest(digest) => Err(mismatch(&digest, &hex::encode(Sha256::digest(&body)))),
        Said::Chunks { .. } => {
            let mut pieces = stream(Body::from(body), headers, signer).pieces;
            let mut whole = Vec::new();
            while let Some(piece) = pieces.next().await {
                if let Piece::Bytes(bytes) = piece? {
                    whole.extend_from_slice(&bytes);
                }
            }
            Ok(whole.into())
        }
    }
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}

type Pieces = Pin<Box<dyn Stream<Item = Result<Piece, WireError>> + Send>>;

/// With an error at the end when the bytes are more or fewer than they should be.
fn counted(pieces: Pieces, length: Option<u64>) -> impl Stream<Item = Result<Piece, WireError>> + Send {
    futures::stream::try_unfold((pieces, 0_u64), move |(mut pieces, mut count)| async move {
        match pieces.next().await {
            Some(piece) => {
                let piece = piece?;
                if let Piece::Bytes(bytes) = &piece {
                    count += bytes.len() as u64;
                }
                Ok(Some((piece, (pieces, count))))
            }
            None if length.is_none_or(|length| length == count) => Ok(None),
            None => Err(incomplete()),
        }
    })
}

/// With an error at the end when the bytes are others than they should be.
fn compared(
    pieces: impl Stream<Item = Result<Piece, WireError>> + Send + 'static,
    digest: String,
) -> impl Stream<Item = Result<Piece, WireError>> + Send {
    let state = (Box::pin(pieces), Sha256::new(), digest);
    futures::stream::try_unfold(state, |(mut pieces, mut hasher, digest)| async move {
        match pieces.next().await {
            Some(piece) => {
                let piece = piece?;
                if let Piece::Bytes(bytes) = &piece {
                    hasher.update(bytes);
                }
                Ok(Some((piece, (pieces, hasher, digest))))
            }
            None => {
                let found = hex::encode(hasher.finalize());
                if found == digest { Ok(None) } else { Err(mismatch(&digest, &found)) }
            }
        }
    })
}

const MISMATCH: ErrorFacts = ErrorFacts::client("XAmzContentSHA256Mismatch", 400);
const INCOMPLETE: ErrorFacts = ErrorFacts::client("IncompleteBody", 400);

fn mismatch(said: &str, found: &str) -> WireError {
    let mut error =
        WireError::new(MISMATCH, "The provided 'x-amz-content-sha256' header does not match what was computed.");
    error.members = vec![("ClientComputedContentSHA256", said.into()), ("S3ComputedContentSHA256", found.into())];
    error
}

pub(crate) fn incomplete() -> WireError {
    WireError::new(INCOMPLETE, "You did not provide the number of bytes specified by the Content-Length HTTP header")
}

fn broken(error: axum::Error) -> WireError {
    incomplete().with_source(error)
}
