//! Layers travel plain, gzipped or zstd-compressed. Their first bytes tell which, whatever the media type says.

use std::io::{self, BufRead, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::limits::{EXPANSION_FREE, EXPANSION_MAX};

/// How much is read ahead of a decompressor.
const BUFFER: usize = 128 * 1024;

/// The plain bytes of something, up to a limit.
///
/// An error without a number of the kernel's means that the bytes themselves are wrong, and has the kind `InvalidData`.
pub(crate) struct Plain<'a> {
    source: Box<dyn Read + Send + 'a>,
    left: u64,
    /// How many bytes came in, and how many went out.
    taken: Arc<AtomicU64>,
    given: u64,
    /// How many may go out before their ratio matters.
    free: u64,
}

/// Counts what is read of the compressed bytes.
struct Counted<R> {
    source: R,
    taken: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.taken.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// Reads the plain bytes of `source`, at most `limit`.
pub(crate) fn reader<'a, R: Read + Send + 'a>(source: R, limit: u64) -> io::Result<Plain<'a>> {
    bounded(source, limit, EXPANSION_FREE)
}

fn bounded<'a, R: Read + Send + 'a>(source: R, limit: u64, free: u64) -> io::Result<Plain<'a>> {
    let taken = Arc::new(AtomicU64::new(0));
    let mut source = BufReader::with_capacity(BUFFER, Counted { source, taken: taken.clone() });
    let start = source.fill_buf()?;
    let source: Box<dyn Read + Send + 'a> = if start.starts_with(&[0x1f, 0x8b]) {
        Box::new(flate2::bufread::MultiGzDecoder::new(source))
    } else if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        Box::new(zstd::stream::read::Decoder::with_buffer(source)?)
    } else {
        Box::new(source)
    };
    Ok(Plain { source, left: limit, taken, given: 0, free })
}

impl Read for Plain<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wrong = |reason: String| io::Error::new(io::ErrorKind::InvalidData, reason);
        let count = self.source.read(buffer).map_err(|error| match error.kind() {
            // A decompressor says many things of broken data; all mean that the data is broken.
            io::ErrorKind::Interrupted => error,
            io::ErrorKind::UnexpectedEof => wrong("unexpected EOF".to_owned()),
            _ if error.raw_os_error().is_some() => error,
            _ => wrong(error.to_string()),
        })?;
        self.left = self.left.checked_sub(count as u64).ok_or_else(|| wrong("it unpacks to too much".to_owned()))?;
        self.given += count as u64;
        if self.given > self.free && self.given / EXPANSION_MAX > self.taken.load(Ordering::Relaxed) {
            return Err(wrong(format!("it unpacks to more than {EXPANSION_MAX} times its size")));
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Zeros, compressed as well as the format can.
    fn zeros(length: usize) -> Vec<u8> {
        zstd::encode_all(&vec![0; length][..], 19).unwrap()
    }

    #[test]
    fn a_small_file_does_not_unpack_without_end() {
        let bomb = zeros(64 << 20);
        assert!(bomb.len() as u64 * EXPANSION_MAX < 64 << 20, "it is no bomb");
        let read = |free| io::copy(&mut bounded(&bomb[..], u64::MAX, free).unwrap(), &mut io::sink());
        assert_eq!(read(64 << 20).unwrap(), 64 << 20);
        let error = read(1 << 20).unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string().as_str()),
            (io::ErrorKind::InvalidData, "it unpacks to more than 1100 times its size")
        );
        let limited = io::copy(&mut reader(&bomb[..], 1 << 20).unwrap(), &mut io::sink()).unwrap_err();
        assert_eq!(limited.to_string(), "it unpacks to too much");
        let text = b"ordinary text compresses a few times".repeat(100_000);
        let text = zstd::encode_all(&text[..], 3).unwrap();
        assert!(
            io::copy(&mut bounded(&text[..], u64::MAX, 0).unwrap(), &mut io::sink()).is_err(),
            "repetition is a bomb as well"
        );
        let noise: Vec<u8> = (0..1u32 << 20).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let noise = zstd::encode_all(&noise[..], 3).unwrap();
        assert_eq!(io::copy(&mut bounded(&noise[..], u64::MAX, 0).unwrap(), &mut io::sink()).unwrap(), 1 << 20);
    }
}
