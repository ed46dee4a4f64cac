//! Which texts a stripe of events cannot contain: a Bloom filter over its trigrams and its whole words.
//!
//! A needle is looked for anywhere in a message, so all of its trigrams must be there; and a word in the middle of it,
//! which has its ends there as well, must be a word of the message. Trigrams find the words that are rare, such as
//! ERROR; whole words find identifiers, whose trigrams are everywhere.

use std::collections::HashSet;
use std::hash::{BuildHasherDefault, Hasher};

use crate::codec::{Malformed, Reader, put_u64};

/// Few, because every needle asks for several: five percent of wrong answers each make almost none together.
const BITS_PER_ENTRY: usize = 6;
const HASHES: u64 = 4;
const WORD_BYTES_MIN: usize = 4;

/// The words and trigrams of a stripe, while it is built.
pub(crate) struct FilterBuilder {
    /// A bit for each of the three-byte texts there are.
    trigrams: Vec<u64>,
    trigram_count: usize,
    words: HashSet<u64, BuildHasherDefault<AsItIs>>,
}

/// For what is a hash already.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

impl FilterBuilder {
    pub(crate) fn new() -> FilterBuilder {
        FilterBuilder { trigrams: vec![0; 1 << 18], trigram_count: 0, words: HashSet::default() }
    }

    pub(crate) fn add(&mut self, message: &[u8]) {
        for three in message.windows(3) {
            let at = usize::from(three[0]) << 16 | usize::from(three[1]) << 8 | usize::from(three[2]);
            let (word, bit) = (&mut self.trigrams[at >> 6], 1u64 << (at & 63));
            self.trigram_count += usize::from(*word & bit == 0);
            *word |= bit;
        }
        for word in message.split(|byte| !is_word(*byte)).filter(|word| word.len() >= WORD_BYTES_MIN) {
            self.words.insert(hash(word));
        }
    }

    /// The filter, and an empty builder again.
    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        let entries = self.trigram_count + self.words.len();
        let mut bits = vec![0u64; (entries * BITS_PER_ENTRY).div_ceil(64).max(1)];
        for (at, word) in self.trigrams.iter_mut().enumerate() {
            while *word != 0 {
                let trigram = (at << 6) as u32 | word.trailing_zeros();
                let [_, three @ ..] = trigram.to_be_bytes();
                set(&mut bits, hash(&three));
                *word &= *word - 1;
            }
        }
        self.words.drain().for_each(|word| set(&mut bits, word));
        self.trigram_count = 0;
        put_u64(out, bits.len() as u64);
        bits.iter().for_each(|word| out.extend_from_slice(&word.to_le_bytes()));
    }
}

/// A filter that still lies in the bytes it was read from.
pub(crate) struct Filter<'a> {
    bits: &'a [u8],
}

impl<'a> Filter<'a> {
    pub(crate) fn decode(bytes: &'a [u8]) -> Result<Filter<'a>, Malformed> {
        let mut reader = Reader::new(bytes);
        let words = usize::try_from(reader.u64()?).map_err(|_| Malformed)?;
        let bits = reader.rest();
        (words > 0 && words.checked_mul(8) == Some(bits.len())).then_some(Filter { bits }).ok_or(Malformed)
    }

    /// `false` only when no message of the stripe contains the needle.
    pub(crate) fn may_contain(&self, needle: &str) -> bool {
        let needle = needle.as_bytes();
        needle.windows(3).all(|three| self.has(hash(three))) && inner_words(needle).all(|word| self.has(hash(word)))
    }

    fn has(&self, hash: u64) -> bool {
        let bits = self.bits.len() as u64 * 8;
        places(hash, bits).all(|at| self.bits[(at / 8) as usize] & (1 << (at % 8)) != 0)
    }
}

/// The words of a needle that have both their ends in it.
fn inner_words(needle: &[u8]) -> impl Iterator<Item = &[u8]> {
    let words = needle.split(|byte| !is_word(*byte)).count();
    let inner = needle.split(|byte| !is_word(*byte)).enumerate().filter(move |(at, _)| *at > 0 && *at + 1 < words);
    inner.map(|(_, word)| word).filter(|word| word.len() >= WORD_BYTES_MIN)
}

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}

fn set(bits: &mut [u64], hash: u64) {
    let count = bits.len() as u64 * 64;
    // Written in little endian, so that bit `n` of a word is bit `n % 8` of its byte `n / 8`.
    places(hash, count).for_each(|at| bits[(at / 64) as usize] |= 1 << (at % 64));
}

fn places(hash: u64, bits: u64) -> impl Iterator<Item = u64> {
    let step = hash.rotate_left(32) | 1;
    (0..HASHES).map(move |turn| hash.wrapping_add(step.wrapping_mul(turn)) % bits)
}

/// FNV-1a, stirred. It is part of the format.
fn hash(bytes: &[u8]) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    for byte in bytes {
        hash = (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn filter(messages: &[String]) -> Vec<u8> {
        let mut builder = FilterBuilder::new();
        messages.iter().for_each(|message| builder.add(message.as_bytes()));
        let mut out = Vec::new();
        builder.finish(&mut out);
        out
    }

    #[test]
    fn most_of_what_is_not_there_is_known_not_to_be() {
        let id = |n: u64| format!("{:016x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let messages: Vec<_> = (0..5000).map(|n| format!("INFO request id={} took {n} ms", id(n))).collect();
        let bytes = filter(&messages);
        let filter = Filter::decode(&bytes).unwrap();
        assert!(
            filter.may_contain(&format!("id={} took", id(17))) && filter.may_contain("INFO") && filter.may_contain("x")
        );
        assert!(!filter.may_contain("ERROR"), "its trigrams are not there");
        let wrong = (5000..6000).filter(|n| filter.may_contain(&format!("id={} took", id(*n)))).count();
        assert!(wrong < 150, "{wrong} of 1000 identifiers that are not there might be");
        assert!(bytes.len() < 5000 * 8, "{} bytes", bytes.len());
    }

    proptest! {
        #[test]
        fn whatever_is_there_is_found(messages in prop::collection::vec("[a-c é_ .]{0,30}", 1..20), pick: prop::sample::Index, cut in (0usize..40, 0usize..40)) {
            let bytes = filter(&messages);
            let filter = Filter::decode(&bytes).unwrap();
            let message: Vec<char> = pick.get(&messages).chars().collect();
            let (from, to) = (cut.0.min(message.len()), cut.1.min(message.len()));
            let needle: String = message[from.min(to)..from.max(to)].iter().collect();
            prop_assert!(filter.may_contain(&needle), "{:?}", needle);
        }

        #[test]
        fn any_bytes_are_a_filter_or_malformed(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
            if let Ok(filter) = Filter::decode(&bytes) {
                filter.may_contain("whatever it is");
            }
        }
    }
}
