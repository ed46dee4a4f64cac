//! Layers travel plain, gzipped or zstd-compressed. Their first bytes tell which, whatever the media type says.

use std::io::{self, BufRead, BufReader, Read};

/// How much is read ahead of a decompressor.
const BUFFER: usize = 128 * 1024;

/// The plain bytes of something, up to a limit.
///
/// An error without a number of the kernel's means that the bytes themselves are wrong, and has the kind `InvalidData`.
pub(crate) struct Plain<'a> {
    source: Box<dyn Read + Send + 'a>,
    left: u64,
}

/// Reads the plain bytes of `source`, at most `limit`.
pub(crate) fn reader<'a, R: Read + Send + 'a>(source: R, limit: u64) -> io::Result<Plain<'a>> {
    let mut source = BufReader::with_capacity(BUFFER, source);
    let start = source.fill_buf()?;
    let source: Box<dyn Read + Send + 'a> = if start.starts_with(&[0x1f, 0x8b]) {
        Box::new(flate2::bufread::MultiGzDecoder::new(source))
    } else if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        Box::new(zstd::stream::read::Decoder::with_buffer(source)?)
    } else {
        Box::new(source)
    };
    Ok(Plain { source, left: limit })
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
        Ok(count)
    }
}
