//! Fresh ids from a seed, so that pure code can be given ids as it is given the time.

/// An endless supply of ids. The same seed gives the same ids; a seed from the system's randomness gives unique ones.
///
/// Source: Sebastiano Vigna, splitmix64, over both halves of the seed.
#[derive(Clone, Debug)]
pub struct Ids {
    high: u64,
    low: u64,
}

impl Ids {
    pub fn from_seed(seed: u128) -> Self {
        Ids { high: (seed >> 64) as u64, low: seed as u64 }
    }

    /// 64 bits.
    pub fn number(&mut self) -> u64 {
        self.low = self.low.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.low ^ mix(self.high))
    }

    fn wide(&mut self) -> u128 {
        u128::from(self.number()) << 64 | u128::from(self.number())
    }

    /// 32 hexadecimal digits, as the id of a task has.
    pub fn hex(&mut self) -> String {
        format!("{:032x}", self.wide())
    }

    /// `6f1c2d3e-4a5b-4c6d-8e7f-0123456789ab`: version 4, variant 1.
    pub fn uuid(&mut self) -> String {
        let bits = self.wide();
        let bits = bits & !(0xf << 76) | 0x4 << 76;
        let bits = bits & !(0x3 << 62) | 0x2 << 62;
        let hex = format!("{bits:032x}");
        format!("{}-{}-{}-{}-{}", &hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..])
    }

    /// 19 decimal digits, as the id of a deployment has.
    pub fn digits(&mut self) -> String {
        format!("{:019}", self.number() % 10_000_000_000_000_000_000)
    }
}

fn mix(value: u64) -> u64 {
    let z = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_their_forms_and_differ() {
        let mut ids = Ids::from_seed(7);
        let uuid = ids.uuid();
        assert_eq!(uuid.len(), 36);
        assert_eq!(&uuid[14..15], "4");
        assert!("89ab".contains(&uuid[19..20]));
        assert_eq!(ids.digits().len(), 19);
        let many: std::collections::BTreeSet<_> = (0..10_000).map(|_| ids.hex()).collect();
        assert_eq!(many.len(), 10_000);
        assert!(many.iter().all(|id| id.len() == 32));
        assert_eq!(Ids::from_seed(9).hex(), Ids::from_seed(9).hex());
    }
}
