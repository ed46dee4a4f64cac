//! How a file that only grows is cut into pieces that are whole or not there.
//!
//! A file begins with eight bytes that name its kind and version. Each frame is the length of its payload and the CRC-32
//! of its payload, 32 bits little endian each, and the payload. A frame that was not written to its end fails the sum.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::error::StoreError;
use crate::limits::RECORD_BYTES_MAX;

pub(crate) const MAGIC_BYTES: usize = 8;
pub(crate) const HEAD_BYTES: usize = 8;

/// Appends one frame whose payload `fill` writes. Returns how long the frame is.
pub(crate) fn put_frame(out: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>)) -> usize {
    let start = out.len();
    out.extend_from_slice(&[0; HEAD_BYTES]);
    fill(out);
    let payload = &out[start + HEAD_BYTES..];
    let (length, sum) = (payload.len() as u32, crc32fast::hash(payload));
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
    out[start + 4..start + 8].copy_from_slice(&sum.to_le_bytes());
    out.len() - start
}

/// The payload at the front of `bytes`, if a whole and sound frame is there.
pub(crate) fn payload(bytes: &[u8]) -> Option<&[u8]> {
    let length = u32::from_le_bytes(bytes.get(0..4)?.try_into().ok()?) as usize;
    let sum = u32::from_le_bytes(bytes.get(4..8)?.try_into().ok()?);
    let payload = bytes.get(HEAD_BYTES..HEAD_BYTES.checked_add(length)?)?;
    (crc32fast::hash(payload) == sum).then_some(payload)
}

/// Gives each frame of a file to `each`, with its offset and its whole length, and returns where the last sound one ends.
/// What lies behind is a torn tail. A file without its magic is torn from the start: `0`.
pub(crate) fn scan(
    path: &Path,
    magic: &[u8; MAGIC_BYTES],
    mut each: impl FnMut(u64, usize, &[u8]) -> Option<()>,
) -> Result<u64, StoreError> {
    let mut file = File::open(path).map_err(StoreError::io("open", path))?;
    let mut bytes = Vec::new();
    // A segment is bounded, so reading it whole is too.
    file.read_to_end(&mut bytes).map_err(StoreError::io("read", path))?;
    if bytes.get(..MAGIC_BYTES) != Some(magic) {
        return Ok(0);
    }
    let mut at = MAGIC_BYTES;
    while let Some(payload) = payload(&bytes[at..]) {
        let length = HEAD_BYTES + payload.len();
        if length > RECORD_BYTES_MAX || each(at as u64, length, payload).is_none() {
            break;
        }
        at += length;
    }
    if at < bytes.len() {
        let lost = bytes.len() - at;
        tracing::warn!(file = %path.display(), offset = at, bytes = lost, "a torn tail follows the last whole record");
    }
    Ok(at as u64)
}

/// Reads one frame back from where it was written.
pub(crate) fn read_at(file: &File, path: &Path, offset: u64, length: u32) -> Result<Vec<u8>, StoreError> {
    let mut bytes = vec![0; length as usize];
    file.read_exact_at(&mut bytes, offset).map_err(StoreError::io("read", path))?;
    if payload(&bytes).is_none_or(|payload| payload.len() + HEAD_BYTES != bytes.len()) {
        return Err(StoreError::damaged(path, offset, "a record fails its checksum"));
    }
    Ok(bytes)
}
