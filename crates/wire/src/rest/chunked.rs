//! `aws-chunked`: a body in chunks, each with its length and perhaps a signature before it, and trailers at the end.
//!
//! Source: Amazon S3 API Reference, "Signature calculations for the authorization header: transferring payload in multiple
//! chunks" and "… including trailing headers".

use std::collections::VecDeque;
use std::pin::Pin;

use bytes::{Buf, Bytes, BytesMut};
use futures::{Stream, StreamExt};
use shape::{ErrorFacts, Piece, WireError};

use super::body::incomplete;
use crate::limits::{CHUNK_LINE_BYTES_MAX, TRAILER_BYTES_MAX};
use crate::sigv4::ChunkSigner;

type Raw = Pin<Box<dyn Stream<Item = Result<Bytes, WireError>> + Send>>;

/// The pieces of a body. With a signer, each chunk's signature has to be right; the error comes after the chunk's bytes, and
/// before anybody can take them for all.
pub(crate) fn decode(
    raw: Raw,
    signer: Option<ChunkSigner>,
) -> Pin<Box<dyn Stream<Item = Result<Piece, WireError>> + Send>> {
    let decoder = Decoder { buffer: BytesMut::new(), expects: Expects::Line, ready: VecDeque::new(), signer };
    let pieces = futures::stream::try_unfold((raw, decoder), |(mut raw, mut decoder)| async move {
        loop {
            if let Some(piece) = decoder.ready.pop_front() {
                return Ok(Some((piece, (raw, decoder))));
            }
            if decoder.step()? {
                continue;
            }
            match raw.next().await {
                Some(bytes) => decoder.buffer.extend_from_slice(&bytes?),
                None if decoder.ends()? => return Ok(decoder.ready.pop_front().map(|piece| (piece, (raw, decoder)))),
                None => return Err(incomplete()),
            }
        }
    });
    Box::pin(pieces)
}

struct Decoder {
    buffer: BytesMut,
    expects: Expects,
    ready: VecDeque<Piece>,
    signer: Option<ChunkSigner>,
}

enum Expects {
    /// `400;chunk-signature=…`
    Line,
    /// So many bytes, then the end of a line.
    Bytes(u64),
    LineEnd,
    /// `x-amz-checksum-crc32:…`, until an empty line or the end.
    Trailers,
    Nothing,
}

impl Decoder {
    /// Takes what it can of the buffer. False when it needs more.
    fn step(&mut self) -> Result<bool, WireError> {
        match self.expects {
            Expects::Line => {
                let Some(line) = self.line(CHUNK_LINE_BYTES_MAX)? else { return Ok(false) };
                let (length, extension) = line.split_once(';').unwrap_or((&line, ""));
                let length = u64::from_str_radix(length.trim(), 16).map_err(|_| malformed())?;
                if let Some(signer) = &mut self.signer {
                    let signature = extension.trim().strip_prefix("chunk-signature=").ok_or_else(malformed)?;
                    signer.begin(signature);
                }
                self.expects = if length == 0 { Expects::Trailers } else { Expects::Bytes(length) };
                if length == 0 {
                    self.check()?;
                }
                Ok(true)
            }
            Expects::Bytes(left) => {
                if self.buffer.is_empty() {
                    return Ok(false);
                }
                let count = self.buffer.len().min(usize::try_from(left).unwrap_or(usize::MAX));
                let bytes = self.buffer.split_to(count).freeze();
                if let Some(signer) = &mut self.signer {
                    signer.update(&bytes);
                }
                self.ready.push_back(Piece::Bytes(bytes));
                let left = left - count as u64;
                self.expects = if left == 0 { Expects::LineEnd } else { Expects::Bytes(left) };
                Ok(true)
            }
            Expects::LineEnd => {
                if self.buffer.len() < 2 {
                    return Ok(false);
                }
                if &self.buffer[..2] != b"\r\n" {
                    return Err(malformed());
                }
                self.buffer.advance(2);
                self.check()?;
                self.expects = Expects::Line;
                Ok(true)
            }
            Expects::Trailers => {
                let Some(line) = self.line(TRAILER_BYTES_MAX)? else { return Ok(false) };
                self.trailer(&line)?;
                Ok(true)
            }
            // A client has nothing more to say, and if it has, nobody listens.
            Expects::Nothing => {
                self.buffer.clear();
                Ok(false)
            }
        }
    }

    /// The raw bytes are all here. True when they are whole.
    fn ends(&mut self) -> Result<bool, WireError> {
        match self.expects {
            Expects::Nothing => Ok(true),
            // Some clients leave out the last line end.
            Expects::Trailers => {
                let rest = self.buffer.split();
                let rest = std::str::from_utf8(&rest).map_err(|_| malformed())?.trim_end().to_owned();
                for line in rest.split('\n').filter(|line| !line.trim().is_empty()) {
                    self.trailer(line.trim_end_matches('\r'))?;
                }
                self.trailer("")?;
                Ok(true)
            }
            Expects::Line | Expects::Bytes(_) | Expects::LineEnd => Ok(false),
        }
    }

    fn trailer(&mut self, line: &str) -> Result<(), WireError> {
        if line.is_empty() {
            self.expects = Expects::Nothing;
            return match self.signer.as_ref().is_none_or(ChunkSigner::has_all_trailers_signed) {
                true => Ok(()),
                false => Err(signature()),
            };
        }
        let (name, value) = line.split_once(':').ok_or_else(malformed)?;
        let (name, value) = (name.trim().to_ascii_lowercase(), value.trim());
        if name == "x-amz-trailer-signature" {
            return match self.signer.as_mut().is_none_or(|signer| signer.end_trailers(value)) {
                true => Ok(()),
                false => Err(signature()),
            };
        }
        if let Some(signer) = &mut self.signer {
            signer.trailer(&name, value);
        }
        self.ready.push_back(Piece::Trailer(name, value.to_owned()));
        Ok(())
    }

    fn check(&mut self) -> Result<(), WireError> {
        match self.signer.as_mut().is_none_or(ChunkSigner::end) {
            true => Ok(()),
            false => Err(signature()),
        }
    }

    /// A line without its end; None when it is not all here.
    fn line(&mut self, bytes_max: usize) -> Result<Option<String>, WireError> {
        let Some(at) = self.buffer.iter().take(bytes_max).position(|byte| *byte == b'\n') else {
            return if self.buffer.len() < bytes_max { Ok(None) } else { Err(malformed()) };
        };
        let line = self.buffer.split_to(at + 1);
        let line = std::str::from_utf8(&line).map_err(|_| malformed())?;
        Ok(Some(line.trim_end_matches(['\r', '\n']).to_owned()))
    }
}

const MALFORMED: ErrorFacts = ErrorFacts::client("InvalidRequest", 400);
const SIGNATURE: ErrorFacts = ErrorFacts::client("SignatureDoesNotMatch", 403);

fn malformed() -> WireError {
    WireError::new(MALFORMED, "The body is not in chunks as x-amz-content-sha256 says.")
}

fn signature() -> WireError {
    WireError::new(
        SIGNATURE,
        "The request signature we calculated does not match the signature you provided. Check your key and signing method.",
    )
}

#[cfg(test)]
mod tests {
    use futures::TryStreamExt;

    use super::*;

    async fn decoded(body: &[u8], piece: usize, signer: Option<ChunkSigner>) -> Result<(String, Vec<String>), String> {
        let raw: Vec<_> = body.chunks(piece).map(|bytes| Ok(Bytes::copy_from_slice(bytes))).collect();
        let pieces: Result<Vec<Piece>, _> = decode(Box::pin(futures::stream::iter(raw)), signer).try_collect().await;
        let (mut text, mut trailers) = (String::new(), Vec::new());
        for piece in pieces.map_err(|error| error.to_string())? {
            match piece {
                Piece::Bytes(bytes) => text.push_str(std::str::from_utf8(&bytes).unwrap()),
                Piece::Trailer(name, value) => trailers.push(format!("{name}={value}")),
            }
        }
        Ok((text, trailers))
    }

    #[tokio::test]
    async fn chunks_and_trailers_in_any_pieces() {
        let plain = b"5\r\nhello\r\n6\r\n world\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n";
        let signed = b"5;chunk-signature=ab\r\nhello\r\n0;chunk-signature=cd\r\n\r\n";
        for piece in [1, 2, 3, 7, 1000] {
            let crc = vec!["x-amz-checksum-crc32=DUoRhQ==".to_owned()];
            assert_eq!(decoded(plain, piece, None).await, Ok(("hello world".to_owned(), crc)), "{piece}");
            assert_eq!(decoded(signed, piece, None).await, Ok(("hello".to_owned(), vec![])), "{piece}");
            let (text, trailers) = decoded(&plain[..plain.len() - 4], piece, None).await.unwrap();
            assert_eq!((text.as_str(), trailers.len()), ("hello world", 1), "without the last line ends");
        }
    }

    #[tokio::test]
    async fn what_is_not_whole_or_not_in_chunks() {
        for body in [&b""[..], b"5", b"5\r\nhel", b"5\r\nhello", b"5\r\nhello\r\n"] {
            assert!(decoded(body, 3, None).await.unwrap_err().starts_with("IncompleteBody"), "{body:?}");
        }
        for body in [&b"hello world\r\n"[..], b"5\r\nhello world\r\n", b"0\r\nno trailer\r\n\r\n", &[b'1'; 2000]] {
            assert!(decoded(body, 3, None).await.unwrap_err().starts_with("InvalidRequest"), "{body:?}");
        }
    }
}
