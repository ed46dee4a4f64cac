//! From the front door to the blob store.

use std::sync::{Arc, Mutex, PoisonError};

use api_s3::{Error, ErrorCode};
use blobs::{PumpError, pump};
use futures::StreamExt;
use model::{Checksum, Content};
use shape::{ByteStream, Piece};

use crate::checksums::{Said, Summing};
use crate::limits::PUT_BYTES_MAX;
use crate::refusals::{self, broken};
use crate::service::S3Service;

/// Bytes that are in the blob store, and what they are.
pub(crate) struct Stored {
    pub content: Content,
    pub md5: [u8; 16],
    pub checksum: Checksum,
}

impl S3Service {
    /// Writes bytes, and compares them with what the client says of them. Nothing names them yet.
    pub(crate) async fn store(&self, bytes: ByteStream, mut said: Said) -> Result<Stored, Error> {
        let announced = bytes.length;
        if announced.is_some_and(|length| length > PUT_BYTES_MAX) {
            return Err(too_large());
        }
        let blobs = self.blobs.clone();
        let writer = blocking(move || blobs.local().writer().map_err(refusals::blob)).await?;
        let trailers: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
        let heard = Arc::clone(&trailers);
        let data = bytes.pieces.filter_map(move |piece| {
            let data = match piece {
                Ok(Piece::Bytes(bytes)) => Some(Ok(bytes)),
                Ok(Piece::Trailer(name, value)) => {
                    heard.lock().unwrap_or_else(PoisonError::into_inner).push((name, value));
                    None
                }
                Err(error) => Some(Err(error)),
            };
            async { data }
        });
        let (sink, pumped) = pump(Summing::new(writer), data, PUT_BYTES_MAX).await;
        let size = pumped.map_err(|error| match error {
            PumpError::Stream(error) => refusals::bytes(error),
            PumpError::Write(error) => refusals::disk(error),
            PumpError::TooLong { .. } => too_large(),
        })?;
        let sink = sink.ok_or_else(|| broken("the thread that wrote the bytes panicked"))?;
        if announced.is_some_and(|length| length != size) {
            let message = "You did not provide the number of bytes specified by the Content-Length HTTP header";
            return Err(Error::new(ErrorCode::IncompleteBody, message));
        }
        for (name, value) in trailers.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            said.hear(&name, &value);
        }
        let blobs = self.blobs.clone();
        blocking(move || {
            let (writer, sums) = sink.finish();
            let digest = writer.digest();
            let sums = sums(&digest);
            // Only what is what it should be becomes a blob.
            let checksum = sums.check(&said)?;
            blobs.commit(writer, digest).map_err(refusals::blob)?;
            Ok(Stored { content: Content { digest: digest.to_string(), size }, md5: sums.md5, checksum })
        })
        .await
    }
}

/// Runs what blocks on the disk where blocking is allowed.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(broken)?
}

fn too_large() -> Error {
    Error::new(ErrorCode::EntityTooLarge, "Your proposed upload exceeds the maximum allowed size")
}
