//! The first rows in an order, in bounded memory.

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;

use crate::ast::Direction;
use crate::limits::ROWS_BYTES_MAX;
use crate::order::order;
use crate::row::Row;
use crate::value::Value;

/// Where a row stands among the others.
#[derive(Clone, Debug)]
pub(crate) struct Rank {
    pub(crate) keys: Vec<(Value, Direction)>,
    pub(crate) place: Place,
}

/// Newest first, or in the order in which rows came.
pub(crate) type Place = (Reverse<(i64, u64)>, u64);

impl PartialEq for Rank {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Rank {}

impl PartialOrd for Rank {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Rank {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_keys = self.keys.iter().zip(&other.keys).map(|((left, direction), (right, _))| match direction {
            Direction::Ascending => order(left, right),
            Direction::Descending => order(right, left),
        });
        by_keys.fold(Ordering::Equal, Ordering::then).then_with(|| self.place.cmp(&other.place))
    }
}

/// What makes a row a duplicate of another; `None` when it cannot be one.
pub(crate) type Identity = Option<Vec<Box<str>>>;

pub(crate) struct Collector {
    rows_max: usize,
    rows: BTreeMap<Rank, (Row, Identity)>,
    /// The best row of each identity that is in `rows`.
    first: BTreeMap<Vec<Box<str>>, Rank>,
    weight: usize,
}

impl Collector {
    pub(crate) fn new(rows_max: usize) -> Collector {
        Collector { rows_max, rows: BTreeMap::new(), first: BTreeMap::new(), weight: 0 }
    }

    /// Keeps a row if it is among the first, and the first of its identity. `finished` makes of it what is to be kept.
    pub(crate) fn add(&mut self, rank: Rank, identity: Identity, finished: impl FnOnce() -> Row) {
        let is_full = self.rows.len() >= self.rows_max || self.weight >= ROWS_BYTES_MAX;
        if is_full && self.rows.last_key_value().is_some_and(|(last, _)| *last < rank) {
            return;
        }
        if let Some(identity) = &identity {
            match self.first.get(identity) {
                Some(first) if *first < rank => return,
                Some(first) => {
                    let later = first.clone();
                    self.remove(&later);
                }
                None => {}
            }
            self.first.insert(identity.clone(), rank.clone());
        }
        let row = finished();
        self.weight += weight(&rank, &row);
        self.rows.insert(rank, (row, identity));
        while self.rows.len() > self.rows_max || (self.weight > ROWS_BYTES_MAX && self.rows.len() > 1) {
            let Some(last) = self.rows.last_key_value().map(|(last, _)| last.clone()) else { return };
            self.remove(&last);
        }
    }

    fn remove(&mut self, rank: &Rank) {
        let Some((row, identity)) = self.rows.remove(rank) else { return };
        self.weight -= weight(rank, &row);
        if let Some(identity) = identity {
            self.first.remove(&identity);
        }
    }

    /// In order.
    pub(crate) fn rows(self) -> Vec<Row> {
        self.rows.into_values().map(|(row, _)| row).collect()
    }
}

fn weight(rank: &Rank, row: &Row) -> usize {
    row.weight() + size_of::<Rank>() + rank.keys.iter().map(|(value, _)| value.weight()).sum::<usize>()
}
