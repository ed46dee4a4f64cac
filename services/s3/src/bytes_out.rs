//! From the blob store to the front door.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::pin::Pin;

use api_s3::{Error, ErrorCode};
use blobs::{BlobStore, Digest};
use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use model::Content;
use shape::{ByteStream, ErrorCode as _, Piece, WireError};

use crate::bytes_in::blocking;
use crate::refusals::{self, broken};
use crate::service::S3Service;

/// How much is read at once.
const CHUNK: u64 = 256 * 1024;

type Pieces = Pin<Box<dyn Stream<Item = Result<Piece, WireError>> + Send>>;

impl S3Service {
    /// The bytes of an object within a range. The first of them are there before this returns: whatever is lost is an error that
    /// a client can still be told.
    pub(crate) async fn read(&self, content: &[Content], range: Range<u64>) -> Result<ByteStream, Error> {
        let mut wanted = parts(content, &range)?.into_iter();
        let Some((digest, within)) = wanted.next() else { return Ok(ByteStream::empty()) };
        let first = open(self.blobs.clone(), digest, within).await?;
        let blobs = self.blobs.clone();
        let rest = stream::iter(wanted).then(move |(digest, within)| {
            let blobs = blobs.clone();
            async move { open(blobs, digest, within).await.map_err(WireError::from) }
        });
        let pieces = first.chain(rest.try_flatten());
        Ok(ByteStream { length: Some(range.end - range.start), pieces: Box::pin(pieces) })
    }
}

/// What of each blob is in the range.
fn parts(content: &[Content], range: &Range<u64>) -> Result<Vec<(Digest, Range<u64>)>, Error> {
    let mut parts = Vec::new();
    let mut at = 0;
    for part in content {
        let (from, to) = (range.start.max(at), range.end.min(at + part.size));
        if from < to {
            parts.push((part.digest.parse().map_err(broken)?, from - at..to - at));
        }
        at += part.size;
    }
    Ok(parts)
}

async fn open(blobs: BlobStore, digest: Digest, within: Range<u64>) -> Result<Pieces, Error> {
    let here = {
        let blobs = blobs.clone();
        let start = within.start;
        blocking(move || match blobs.content(&digest).map_err(refusals::blob)? {
            blobs::Content::File(mut file) => {
                file.seek(SeekFrom::Start(start)).map_err(refusals::disk)?;
                Ok(Some(file))
            }
            blobs::Content::Elsewhere => Ok(None),
        })
        .await?
    };
    Ok(match here {
        Some(file) => Box::pin(of_file(file, within.end - within.start)),
        None => {
            let (_, bytes) = blobs.stream(digest, within).await.map_err(refusals::blob)?;
            Box::pin(bytes.map_ok(Piece::Bytes).map_err(lost))
        }
    })
}

/// `length` bytes of a file from where it stands. The next chunk is read while one is sent; no thread waits for a slow client.
fn of_file(file: File, length: u64) -> impl Stream<Item = Result<Piece, WireError>> + Send {
    stream::try_unfold((length > 0).then(|| read_chunk(file, length)), |next| async {
        let Some(next) = next else { return Ok(None) };
        let (file, chunk, left) = next.await.map_err(lost)?.map_err(lost)?;
        Ok(Some((Piece::Bytes(chunk), (left > 0).then(|| read_chunk(file, left)))))
    })
}

fn read_chunk(mut file: File, left: u64) -> tokio::task::JoinHandle<io::Result<(File, Bytes, u64)>> {
    tokio::task::spawn_blocking(move || {
        let count = left.min(CHUNK);
        let mut bytes = Vec::with_capacity(usize::try_from(count).unwrap_or_default());
        (&mut file).take(count).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != count {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a blob is shorter than its record says"));
        }
        Ok((file, Bytes::from(bytes), left - count))
    })
}

/// A client that has read a part of an object sees the connection break.
fn lost(source: impl Into<shape::Source>) -> WireError {
    WireError::silent(*ErrorCode::InternalError.facts()).with_source(source)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_over_parts() {
        let digest = Digest::with(blobs::Algorithm::Sha256, b"x");
        let content: Vec<Content> =
            [5, 0, 3, 4].into_iter().map(|size| Content { digest: digest.to_string(), size }).collect();
        let ranges = |range: Range<u64>| {
            let parts = parts(&content, &range).unwrap();
            parts.into_iter().map(|(_, within)| within).collect::<Vec<_>>()
        };
        assert_eq!(ranges(0..12), [0..5, 0..3, 0..4]);
        assert_eq!(ranges(4..6), [4..5, 0..1]);
        assert_eq!(ranges(5..9), [0..3, 0..1]);
        assert_eq!(ranges(7..12), [2..3, 0..4]);
        assert!(ranges(3..3).is_empty());
    }
}
