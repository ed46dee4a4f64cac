//! Makes new inputs of old ones, the same for the same seed.

/// Words that parsers give a meaning to, beside what the seeds already say.
const WORDS: &[&[u8]] = &[
    b"0",
    b"-1",
    b"18446744073709551615",
    b"9223372036854775807",
    b"-9223372036854775808",
    b"4294967295",
    b"1e400",
    b"NaN",
    b"null",
    b"true",
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b"\\",
    b"\\u0000",
    b"%00",
    b"%",
    b"../",
    b"/",
    b"//",
    b".",
    b"..",
    b"\0",
    b"\n",
    b"\r\n",
    b" ",
    b"=",
    b"&",
    b";",
    b",",
    b":",
    b"*",
    b"(",
    b")",
    b"\xff",
    b"\xc3\xa9",
    b"\xf0\x9f\x9a\xa2",
];

/// An endless source of inputs.
pub struct Mutator {
    state: u64,
    seeds: Vec<Vec<u8>>,
    bytes_max: usize,
}

impl Mutator {
    pub fn new(seed: u64, seeds: Vec<Vec<u8>>, bytes_max: usize) -> Mutator {
        let seeds = if seeds.is_empty() { vec![Vec::new()] } else { seeds };
        Mutator { state: seed | 1, seeds, bytes_max }
    }

    /// Source: Marsaglia, "Xorshift RNGs". Nothing here needs better randomness.
    fn random(&mut self) -> u64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        self.state
    }

    fn below(&mut self, end: usize) -> usize {
        (self.random() % end.max(1) as u64) as usize
    }

    fn seed(&mut self) -> Vec<u8> {
        let at = self.below(self.seeds.len());
        self.seeds[at].clone()
    }

    /// The next input: one seed with a few changes.
    pub fn next_input(&mut self) -> Vec<u8> {
        let mut bytes = self.seed();
        for _ in 0..=self.below(6) {
            self.change(&mut bytes);
        }
        bytes.truncate(self.bytes_max);
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>) {
        let at = self.below(bytes.len() + 1);
        let end = at + self.below((bytes.len() - at).min(16) + 1);
        match self.below(8) {
            0 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
            1 if at < bytes.len() => bytes[at] = self.random() as u8,
            2 => drop(bytes.drain(at..end)),
            3 => {
                let word = WORDS[self.below(WORDS.len())];
                drop(bytes.splice(at..end, word.iter().copied()));
            }
            4 => {
                let word = WORDS[self.below(WORDS.len())];
                drop(bytes.splice(at..at, word.iter().copied()));
            }
            // The same again, and again.
            5 => {
                let part = bytes[at..end].repeat(1 + self.below(8));
                drop(bytes.splice(at..at, part));
            }
            6 => {
                let other = self.seed();
                let from = self.below(other.len() + 1);
                let to = from + self.below(other.len() - from + 1);
                drop(bytes.splice(at..end, other[from..to].iter().copied()));
            }
            _ => bytes.truncate(at),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_inputs_and_keeps_the_limit() {
        let inputs = |seed| -> Vec<Vec<u8>> {
            let mut mutator = Mutator::new(seed, vec![b"one seed".to_vec(), b"another".to_vec()], 20);
            (0..500).map(|_| mutator.next_input()).collect()
        };
        assert_eq!(inputs(7), inputs(7));
        assert_ne!(inputs(7), inputs(9));
        assert!(inputs(7).iter().all(|input| input.len() <= 20));
    }
}
