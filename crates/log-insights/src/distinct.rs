//! How many different values there are: exactly while they are few, estimated when they are many.
//!
//! "If the field has very high cardinality, the value returned by count_distinct is just an approximation."

use std::collections::BTreeSet;

use crate::limits::DISTINCT_EXACT_MAX;

const REGISTER_BITS: u32 = 12;
const REGISTERS: usize = 1 << REGISTER_BITS;

#[derive(Debug)]
pub(crate) enum Distinct {
    /// The hashes of the values.
    Exact(BTreeSet<u64>),
    /// HyperLogLog: in each register, how rare the rarest hash was. Off by 1.6 % on average.
    Estimated(Box<[u8]>),
}

impl Distinct {
    pub(crate) fn new() -> Distinct {
        Distinct::Exact(BTreeSet::new())
    }

    pub(crate) fn add(&mut self, value: &str) {
        let hash = hash(value);
        match self {
            Distinct::Estimated(registers) => note(registers, hash),
            Distinct::Exact(hashes) => {
                hashes.insert(hash);
                if hashes.len() > DISTINCT_EXACT_MAX {
                    let mut registers = vec![0; REGISTERS].into_boxed_slice();
                    hashes.iter().for_each(|hash| note(&mut registers, *hash));
                    *self = Distinct::Estimated(registers);
                }
            }
        }
    }

    pub(crate) fn count(&self) -> f64 {
        match self {
            Distinct::Exact(hashes) => hashes.len() as f64,
            Distinct::Estimated(registers) => estimate(registers),
        }
    }

    pub(crate) fn weight(&self) -> usize {
        match self {
            // A tree of small keys takes about twice their size.
            Distinct::Exact(hashes) => hashes.len() * 16,
            Distinct::Estimated(registers) => registers.len(),
        }
    }
}

fn note(registers: &mut [u8], hash: u64) {
    let register = (hash >> (64 - REGISTER_BITS)) as usize;
    let rank = (hash << REGISTER_BITS).leading_zeros().min(64 - REGISTER_BITS) + 1;
    registers[register] = registers[register].max(rank as u8);
}

/// Source: Flajolet, Fusy, Gandouet, Meunier, "HyperLogLog: the analysis of a near-optimal cardinality estimation algorithm".
fn estimate(registers: &[u8]) -> f64 {
    let count = registers.len() as f64;
    let alpha = 0.7213 / (1.0 + 1.079 / count);
    let sum: f64 = registers.iter().map(|rank| 2f64.powi(-i32::from(*rank))).sum();
    let raw = alpha * count * count / sum;
    let empty = registers.iter().filter(|rank| **rank == 0).count();
    let estimate = if raw <= 2.5 * count && empty > 0 { count * (count / empty as f64).ln() } else { raw };
    estimate.round()
}

/// FNV-1a, finished as in SplitMix64 so that every bit counts.
fn hash(value: &str) -> u64 {
    let mut hash = value
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_are_counted_and_many_estimated() {
        for (count, tolerance) in [(0, 0.0), (1, 0.0), (4096, 0.0), (20_000, 0.06), (300_000, 0.06)] {
            let mut distinct = Distinct::new();
            for i in (0..count).chain(0..count) {
                distinct.add(&format!("user-{i}"));
            }
            let off = (distinct.count() - f64::from(count)).abs() / f64::from(count.max(1));
            assert!(off <= tolerance, "{count}: {}", distinct.count());
            assert!(distinct.weight() <= DISTINCT_EXACT_MAX * 16);
        }
    }
}
