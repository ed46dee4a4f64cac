//! How a file that only grows is cut into pieces that are whole or not there.
//!
//! A file begins with eight bytes that name its kind and version. Each frame is the length of its payload and the CRC-32
//! of its payload, 32 bits little endian each, and the payload, which is never empty. A frame that was not written to its
//! end fails the sum. Pure: bytes in, pieces out.

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
    let length = length(bytes)?;
    let sum = u32::from_le_bytes(bytes.get(4..8)?.try_into().ok()?);
    let payload = bytes.get(HEAD_BYTES..HEAD_BYTES.checked_add(length)?)?;
    (crc32fast::hash(payload) == sum).then_some(payload)
}

/// The payload of bytes that are one frame and nothing else.
pub(crate) fn only(bytes: &[u8]) -> Option<&[u8]> {
    payload(bytes).filter(|payload| payload.len() + HEAD_BYTES == bytes.len())
}

fn length(bytes: &[u8]) -> Option<usize> {
    let length = u32::from_le_bytes(bytes.get(0..4)?.try_into().ok()?) as usize;
    (length > 0).then_some(length)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// A sound frame.
    Frame { offset: usize, payload: &'a [u8] },
    /// Something that was a frame once: sound ones follow it.
    Damaged { offset: usize, bytes: usize },
    /// No sound frame begins here, and none follows: what a crash leaves of the last write, or damage to it.
    Torn { offset: usize, bytes: usize },
}

/// The pieces of a file, which together are all of it.
///
/// Behind a frame that fails its sum we go on only where its own length says that the next begins. Searching for frames
/// instead would let the text of a message pose as one.
pub(crate) struct Pieces<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// `None` when the file does not begin with its magic.
pub(crate) fn pieces<'a>(bytes: &'a [u8], magic: &[u8; MAGIC_BYTES]) -> Option<Pieces<'a>> {
    bytes.starts_with(magic).then_some(Pieces { bytes, at: MAGIC_BYTES })
}

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        let (offset, rest) = (self.at, self.bytes.get(self.at..).filter(|rest| !rest.is_empty())?);
        if let Some(payload) = payload(rest) {
            self.at += HEAD_BYTES + payload.len();
            return Some(Piece::Frame { offset, payload });
        }
        let behind = length(rest).map(|length| length.saturating_add(HEAD_BYTES));
        if let Some(bytes) = behind.filter(|behind| rest.get(*behind..).is_some_and(|next| payload(next).is_some())) {
            self.at += bytes;
            return Some(Piece::Damaged { offset, bytes });
        }
        self.at = self.bytes.len();
        Some(Piece::Torn { offset, bytes: rest.len() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAGIC: &[u8; MAGIC_BYTES] = b"BRTHTST1";

    fn file(payloads: &[&[u8]]) -> Vec<u8> {
        let mut out = MAGIC.to_vec();
        for payload in payloads {
            put_frame(&mut out, |out| out.extend_from_slice(payload));
        }
        out
    }

    fn seen(bytes: &[u8]) -> String {
        let Some(pieces) = pieces(bytes, MAGIC) else { return "no magic".into() };
        let name = |piece| match piece {
            Piece::Frame { payload, .. } => String::from_utf8_lossy(payload).into_owned(),
            Piece::Damaged { bytes, .. } => format!("damaged {bytes}"),
            Piece::Torn { bytes, .. } => format!("torn {bytes}"),
        };
        pieces.map(name).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn files_are_cut_into_pieces() {
        let whole = file(&[b"one", b"two", b"three"]);
        assert_eq!(seen(&whole), "one, two, three");
        assert_eq!(seen(&whole[..whole.len() - 1]), "one, two, torn 12");
        assert_eq!(seen(&whole[..5]), "no magic");
        let mut spoilt = whole.clone();
        spoilt[MAGIC_BYTES + HEAD_BYTES] ^= 1;
        assert_eq!(seen(&spoilt), "damaged 11, two, three");
        let mut length = whole.clone();
        length[MAGIC_BYTES + 1] ^= 1;
        assert_eq!(seen(&length), "torn 35", "a length that leads nowhere is the end");
        assert_eq!(seen(&[&whole[..], &[0; 40]].concat()), "one, two, three, torn 40", "zeros are no frames");
    }
}
