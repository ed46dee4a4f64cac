//! From an asynchronous stream to the disk.

use std::io::{self, Write};

use bytes::Bytes;
use futures::{Stream, StreamExt};

/// Why a stream did not reach the disk.
#[derive(Debug, thiserror::Error)]
pub enum PumpError<E> {
    /// The stream broke off: the sender's fault.
    #[error("the stream broke off")]
    Stream(#[source] E),
    /// The disk refused: ours.
    #[error("failed to write a chunk")]
    Write(#[source] io::Error),
    #[error("the stream has more than the {limit} bytes allowed")]
    TooLong { limit: u64 },
}

/// How many chunks may wait between the network and the disk: enough to keep both busy, too few to matter in memory.
const CHUNKS_IN_FLIGHT: usize = 8;

/// Writes a stream to `sink` on a thread that may block, and gives `sink` back with the number of bytes written.
///
/// Hashing and writing stay off the async threads, and at most a few chunks are in memory. `sink` comes back after a
/// failure too, with everything that arrived written, so that an upload can be resumed. When the returned future is dropped, the
/// thread finishes the chunks it has and drops `sink`.
pub async fn pump<W, S, E>(mut sink: W, stream: S, limit: u64) -> (Option<W>, Result<u64, PumpError<E>>)
where
    W: Write + Send + 'static,
    S: Stream<Item = Result<Bytes, E>>,
{
    let (sender, mut receiver) = tokio::sync::mpsc::channel::<Bytes>(CHUNKS_IN_FLIGHT);
    let writer = tokio::task::spawn_blocking(move || {
        let mut written = 0;
        while let Some(chunk) = receiver.blocking_recv() {
            if let Err(error) = sink.write_all(&chunk) {
                return (sink, Err(error));
            }
            written += chunk.len() as u64;
        }
        (sink, Ok(written))
    });

    let mut stream = std::pin::pin!(stream);
    let mut total = 0_u64;
    let mut failure = None;
    while let Some(chunk) = stream.next().await {
        match chunk {
            Ok(chunk) => {
                total += chunk.len() as u64;
                if total > limit {
                    failure = Some(PumpError::TooLong { limit });
                    break;
                }
                // The receiver is gone only when the disk refused, which the writer tells below.
                if sender.send(chunk).await.is_err() {
                    break;
                }
            }
            Err(error) => {
                failure = Some(PumpError::Stream(error));
                break;
            }
        }
    }
    drop(sender);
    match writer.await {
        Ok((sink, Err(error))) => (Some(sink), Err(PumpError::Write(error))),
        Ok((sink, Ok(written))) => (Some(sink), failure.map_or(Ok(written), Err)),
        Err(panic) => (None, Err(PumpError::Write(io::Error::other(panic)))),
    }
}
