//! Percentiles: exact while the values are few, within half a percent of the value when they are many.

use std::collections::BTreeMap;

use crate::limits::PERCENTILE_EXACT_MAX;

/// How much wider each bucket of the histogram is than the one before.
const GROWTH: f64 = 1.01;
/// Values nearer to zero are zero.
const SMALLEST: f64 = 1e-9;

#[derive(Debug)]
pub(crate) enum Percentile {
    Exact(Vec<f64>),
    /// How many values are in each bucket. A bucket is the rounded logarithm of the value, with its sign; so there are at
    /// most some hundred thousand of them, and in practice some hundred.
    Histogram {
        buckets: BTreeMap<i64, u64>,
        count: u64,
    },
}

impl Percentile {
    pub(crate) fn new() -> Percentile {
        Percentile::Exact(Vec::new())
    }

    pub(crate) fn add(&mut self, value: f64) {
        match self {
            Percentile::Histogram { buckets, count } => {
                *buckets.entry(bucket(value)).or_default() += 1;
                *count += 1;
            }
            Percentile::Exact(values) => {
                values.push(value);
                if values.len() > PERCENTILE_EXACT_MAX {
                    let count = values.len() as u64;
                    let mut buckets = BTreeMap::new();
                    values.iter().for_each(|value| *buckets.entry(bucket(*value)).or_default() += 1);
                    *self = Percentile::Histogram { buckets, count };
                }
            }
        }
    }

    /// The value below which that many percent lie, between neighbours in proportion.
    pub(crate) fn value(&self, percent: f64) -> Option<f64> {
        match self {
            Percentile::Exact(values) => {
                let mut sorted = values.clone();
                sorted.sort_by(f64::total_cmp);
                let place = percent / 100.0 * (sorted.len().checked_sub(1)? as f64);
                let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
                Some(below + (above - below) * place.fract())
            }
            Percentile::Histogram { buckets, count } => {
                let place = (percent / 100.0 * (count.checked_sub(1)? as f64)).round() as u64;
                let mut seen = 0;
                let found = buckets.iter().find(|(_, count)| {
                    seen += **count;
                    seen > place
                });
                found.map(|(bucket, _)| middle(*bucket))
            }
        }
    }

    pub(crate) fn weight(&self) -> usize {
        match self {
            Percentile::Exact(values) => values.capacity() * 8,
            Percentile::Histogram { buckets, .. } => buckets.len() * 32,
        }
    }
}

fn bucket(value: f64) -> i64 {
    if value.abs() < SMALLEST {
        return 0;
    }
    let distance = ((value.abs() / SMALLEST).ln() / GROWTH.ln()).round() as i64 + 1;
    if value < 0.0 { -distance } else { distance }
}

fn middle(bucket: i64) -> f64 {
    if bucket == 0 {
        return 0.0;
    }
    let size = SMALLEST * GROWTH.powf((bucket.abs() - 1) as f64);
    if bucket < 0 { -size } else { size }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_values_are_exact() {
        let mut percentile = Percentile::new();
        assert_eq!(percentile.value(50.0), None);
        [4.0, 1.0, 3.0, 2.0].into_iter().for_each(|value| percentile.add(value));
        let at = |percent| percentile.value(percent).unwrap();
        assert_eq!((at(0.0), at(50.0), at(100.0)), (1.0, 2.5, 4.0));
    }

    #[test]
    fn many_values_are_near() {
        let mut percentile = Percentile::new();
        for i in 0..100_000 {
            percentile.add(f64::from((i * 7919) % 100_000) - 50_000.0);
        }
        for (percent, expected) in [(1.0, -49_000.0), (25.0, -25_000.0), (75.0, 25_000.0), (99.9, 49_900.0)] {
            let found = percentile.value(percent).unwrap();
            assert!((found - expected).abs() <= f64::abs(expected) * 0.01, "p{percent}: {found}");
        }
        assert!(percentile.weight() < 1 << 20);
    }
}
