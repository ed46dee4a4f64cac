//! How much memory requests and answers may hold, all together: a thousand clients that send large bodies slowly, or ask for
//! large answers and do not take them, would else fill it.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::limits::{
    ANSWER_BYTES_FREE, ANSWER_WAIT, ANSWERS_BYTES_MAX, BODIES_BYTES_MAX, BODY_BYTES_FREE, BODY_WITHIN,
};

/// A permit is a byte.
pub(crate) struct Budget {
    bodies: Arc<Semaphore>,
    answers: Arc<Semaphore>,
    answer_wait: Duration,
}

/// A body that is all here, and its share of the budget.
pub(crate) struct Whole {
    pub bytes: Bytes,
    _share: Option<OwnedSemaphorePermit>,
}

/// Why a body is not here.
#[derive(Debug)]
pub(crate) enum Unread {
    TooLarge,
    /// Others have all the memory there is for bodies.
    Full,
    Broken(String),
}

impl Default for Budget {
    fn default() -> Budget {
        Budget {
            bodies: Arc::new(Semaphore::new(BODIES_BYTES_MAX)),
            answers: Arc::new(Semaphore::new(ANSWERS_BYTES_MAX)),
            answer_wait: ANSWER_WAIT,
        }
    }
}

impl Budget {
    /// Reads a body. A small one, which nearly all are, takes no part in the budget.
    pub(crate) async fn read(&self, body: Body, bytes_max: usize) -> Result<Whole, Unread> {
        if HttpBody::size_hint(&body).upper().is_some_and(|most| most <= BODY_BYTES_FREE as u64) {
            return match body.collect().await {
                Ok(body) => Ok(Whole { bytes: body.to_bytes(), _share: None }),
                Err(error) => Err(Unread::Broken(error.to_string())),
            };
        }
        let slow = |_| Err(Unread::Broken(format!("the body did not come within {} s", BODY_WITHIN.as_secs())));
        tokio::time::timeout(BODY_WITHIN, self.read_large(body, bytes_max)).await.unwrap_or_else(slow)
    }

    /// Takes its share as the bytes come, so that a mere announcement takes nothing from others.
    async fn read_large(&self, body: Body, bytes_max: usize) -> Result<Whole, Unread> {
        let mut body = Limited::new(body, bytes_max);
        let mut bytes = BytesMut::new();
        let mut share: Option<OwnedSemaphorePermit> = None;
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| match error.is::<LengthLimitError>() {
                true => Unread::TooLarge,
                false => Unread::Broken(error.to_string()),
            })?;
            let Ok(data) = frame.into_data() else { continue };
            let length = bytes.len() + data.len();
            if length > BODY_BYTES_FREE {
                // The buffer grows by doubling, so that is what it takes.
                let wanted = length.next_power_of_two();
                let held = share.as_ref().map_or(0, OwnedSemaphorePermit::num_permits);
                if wanted > held {
                    let more = self.bodies.clone().try_acquire_many_owned(permits(wanted - held));
                    let more = more.map_err(|_| Unread::Full)?;
                    match &mut share {
                        Some(share) => share.merge(more),
                        None => share = Some(more),
                    }
                }
            }
            bytes.extend_from_slice(&data);
        }
        Ok(Whole { bytes: bytes.freeze(), _share: share })
    }

    /// An answer that gives its share back when it is sent, or given up; None when others have all of it for too long.
    pub(crate) async fn answer(&self, bytes: Vec<u8>) -> Option<Body> {
        if bytes.len() <= ANSWER_BYTES_FREE {
            return Some(Body::from(bytes));
        }
        // One that is larger than all there is has to have all of it.
        let wanted = permits(bytes.len().min(ANSWERS_BYTES_MAX));
        let share = tokio::time::timeout(self.answer_wait, self.answers.clone().acquire_many_owned(wanted)).await;
        let share = share.ok()?.ok()?;
        let length = bytes.len() as u64;
        Some(Body::new(Held { bytes: Some(bytes.into()), length, _share: share }))
    }
}

fn permits(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// Bytes on their way out.
struct Held {
    bytes: Option<Bytes>,
    /// What is left of them.
    length: u64,
    _share: OwnedSemaphorePermit,
}

/// How much is given to the connection at once: what it has taken over it holds until it is sent.
const PIECE: usize = 64 * 1024;

impl HttpBody for Held {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(bytes) = &mut self.bytes else { return Poll::Ready(None) };
        let piece = bytes.split_to(bytes.len().min(PIECE));
        if bytes.is_empty() {
            self.bytes = None;
        }
        self.length -= piece.len() as u64;
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.length)
    }
}

#[cfg(test)]
mod tests {
    use futures::stream;

    use super::*;
    use crate::limits::BODY_BYTES_MAX;

    fn slow_body(pieces: usize, piece: usize) -> Body {
        Body::from_stream(stream::iter((0..pieces).map(move |_| Ok::<_, Infallible>(Bytes::from(vec![b'x'; piece])))))
    }

    #[tokio::test]
    async fn large_bodies_share_what_there_is() {
        let budget = Budget::default();
        let mut held = Vec::new();
        let refused = loop {
            match budget.read(slow_body(9, 1 << 20), BODY_BYTES_MAX).await {
                Ok(whole) => held.push(whole),
                Err(refused) => break refused,
            }
            assert!(held.len() * (9 << 20) <= BODIES_BYTES_MAX, "there is no end");
        };
        assert!(matches!(refused, Unread::Full), "{refused:?}");
        // Small ones are read all the same, and a large one again once another is done with.
        assert_eq!(budget.read(Body::from("small"), BODY_BYTES_MAX).await.unwrap().bytes, "small");
        drop(held.pop());
        assert_eq!(budget.read(slow_body(9, 1 << 20), BODY_BYTES_MAX).await.unwrap().bytes.len(), 9 << 20);
        drop(held);
        assert_eq!(budget.bodies.available_permits(), BODIES_BYTES_MAX);
    }

    #[tokio::test]
    async fn a_body_beyond_the_limit_is_told_from_one_that_broke_off() {
        let budget = Budget::default();
        assert!(matches!(budget.read(slow_body(11, 1 << 20), BODY_BYTES_MAX).await, Err(Unread::TooLarge)));
        let broken = stream::iter([Ok(Bytes::from_static(b"x")), Err(std::io::Error::other("gone"))]);
        assert!(matches!(budget.read(Body::from_stream(broken), BODY_BYTES_MAX).await, Err(Unread::Broken(_))));
        assert_eq!(budget.bodies.available_permits(), BODIES_BYTES_MAX);
    }

    #[tokio::test]
    async fn an_answer_that_nobody_takes_holds_its_share_until_it_is_given_up() {
        let budget = Budget { answer_wait: Duration::from_millis(20), ..Budget::default() };
        let large = || vec![b'y'; ANSWERS_BYTES_MAX / 4];
        let mut held: Vec<Body> = Vec::new();
        for _ in 0..4 {
            held.push(budget.answer(large()).await.unwrap());
        }
        assert!(budget.answer(large()).await.is_none(), "there is no memory for a fifth");
        assert!(budget.answer(b"small".to_vec()).await.is_some());
        let first = held.remove(0);
        assert_eq!(HttpBody::size_hint(&first).exact(), Some(large().len() as u64));
        assert_eq!(first.collect().await.unwrap().to_bytes(), large());
        assert!(budget.answer(large()).await.is_some(), "what is sent makes room");
    }
}
