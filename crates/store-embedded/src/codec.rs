//! The changes of one commit as bytes in the `history` table.
//!
//! For each change: the length of the key, the key, then `0` for a deletion, or one more than the length of the value,
//! and the value. Lengths are 32 bits, little endian.

use bytes::Bytes;
use store::Change;

pub(crate) fn encode(changes: &[Change]) -> Vec<u8> {
    let size = changes.iter().map(|(key, value)| 8 + key.len() + value.as_ref().map_or(0, Bytes::len)).sum();
    let mut out = Vec::with_capacity(size);
    for (key, value) in changes {
        out.extend_from_slice(&length(key).to_le_bytes());
        out.extend_from_slice(key);
        out.extend_from_slice(&value.as_ref().map_or(0, |value| length(value) + 1).to_le_bytes());
        out.extend_from_slice(value.as_deref().unwrap_or_default());
    }
    out
}

fn length(bytes: &Bytes) -> u32 {
    u32::try_from(bytes.len()).expect("keys and values are checked against limits far below this before they get here")
}

/// `None` when the bytes are not what [`encode`] writes.
pub(crate) fn decode(mut bytes: Bytes) -> Option<Vec<Change>> {
    let mut changes = Vec::new();
    while !bytes.is_empty() {
        let key_length = take_length(&mut bytes)?;
        let key = take(&mut bytes, key_length)?;
        let value = match take_length(&mut bytes)? {
            0 => None,
            more => Some(take(&mut bytes, more - 1)?),
        };
        changes.push((key, value));
    }
    Some(changes)
}

fn take(bytes: &mut Bytes, length: usize) -> Option<Bytes> {
    (length <= bytes.len()).then(|| bytes.split_to(length))
}

fn take_length(bytes: &mut Bytes) -> Option<usize> {
    let four: [u8; 4] = take(bytes, 4)?.as_ref().try_into().ok()?;
    usize::try_from(u32::from_le_bytes(four)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes() -> impl Strategy<Value = Bytes> {
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Bytes::from)
    }

    proptest! {
        #[test]
        fn changes_survive_encoding(changes in prop::collection::vec((bytes(), prop::option::of(bytes())), 0..20)) {
            prop_assert_eq!(decode(Bytes::from(encode(&changes))), Some(changes));
        }

        #[test]
        fn no_bytes_panic(bytes in bytes()) {
            let _ = decode(bytes);
        }
    }

    #[test]
    fn the_format_stays() {
        let changes = [(Bytes::from("a"), Some(Bytes::from("xy"))), (Bytes::from("b"), None)];
        assert_eq!(encode(&changes), b"\x01\0\0\0a\x03\0\0\0xy\x01\0\0\0b\0\0\0\0");
        assert_eq!(decode(Bytes::from_static(b"\x05\0\0\0a")), None);
    }
}
