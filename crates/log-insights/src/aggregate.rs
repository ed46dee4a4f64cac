//! `stats`: rows into groups, and what is kept of each group.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use crate::ast::{Aggregate, AggregateKind, Column};
use crate::distinct::Distinct;
use crate::evaluate::Context;
use crate::limits::GROUPS_BYTES_MAX;
use crate::order::order;
use crate::percentile::Percentile;
use crate::row::Row;
use crate::run::TooLarge;
use crate::value::Value;

/// About what a group takes beside its values.
const GROUP_BYTES: usize = 128;

#[derive(Debug)]
enum State {
    Count(u64),
    Distinct(Distinct),
    Sum {
        sum: f64,
        count: u64,
    },
    Extreme {
        best: Option<Value>,
        wanted: Ordering,
    },
    Percentile(Percentile, f64),
    /// Welford's running variance.
    Deviation {
        count: u64,
        mean: f64,
        squares: f64,
    },
    /// The value at the earliest or latest place.
    Edge {
        at: Option<(i64, u64)>,
        value: Value,
        wanted: Ordering,
    },
    Sorted {
        best: Option<Value>,
        wanted: Ordering,
    },
}

impl State {
    fn new(kind: AggregateKind) -> State {
        match kind {
            AggregateKind::Count => State::Count(0),
            AggregateKind::CountDistinct => State::Distinct(Distinct::new()),
            AggregateKind::Sum | AggregateKind::Average => State::Sum { sum: 0.0, count: 0 },
            AggregateKind::Min => State::Extreme { best: None, wanted: Ordering::Less },
            AggregateKind::Max => State::Extreme { best: None, wanted: Ordering::Greater },
            AggregateKind::Percentile(percent) => State::Percentile(Percentile::new(), percent),
            AggregateKind::StandardDeviation => State::Deviation { count: 0, mean: 0.0, squares: 0.0 },
            AggregateKind::Earliest => State::Edge { at: None, value: Value::Missing, wanted: Ordering::Less },
            AggregateKind::Latest => State::Edge { at: None, value: Value::Missing, wanted: Ordering::Greater },
            AggregateKind::SortsFirst => State::Sorted { best: None, wanted: Ordering::Less },
            AggregateKind::SortsLast => State::Sorted { best: None, wanted: Ordering::Greater },
        }
    }

    /// `place` is where the row stands in time.
    fn add(&mut self, value: &Value, place: (i64, u64)) {
        match self {
            State::Count(count) => *count += 1,
            State::Distinct(distinct) => {
                if let Some(text) = value.as_text() {
                    distinct.add(&text);
                }
            }
            State::Sum { sum, count } => {
                if let Some(number) = value.number() {
                    *sum += number;
                    *count += 1;
                }
            }
            State::Extreme { best, wanted } => {
                if let Some(number) = value.number() {
                    let best_number = best.as_ref().and_then(Value::number);
                    if best_number.is_none_or(|best| number.total_cmp(&best) == *wanted) {
                        // Text that is a number is shown as one; a time stays a time.
                        let is_time = matches!(value, Value::Time(_));
                        *best = Some(if is_time { value.clone() } else { Value::Number(number) });
                    }
                }
            }
            State::Percentile(percentile, _) => {
                if let Some(number) = value.number() {
                    percentile.add(number);
                }
            }
            State::Deviation { count, mean, squares } => {
                if let Some(number) = value.number() {
                    *count += 1;
                    let before = number - *mean;
                    *mean += before / *count as f64;
                    *squares += before * (number - *mean);
                }
            }
            State::Edge { at, value: kept, wanted } => {
                if at.is_none_or(|at| place.cmp(&at) == *wanted) {
                    *at = Some(place);
                    *kept = value.clone();
                }
            }
            State::Sorted { best, wanted } => {
                if best.as_ref().is_none_or(|best| order(value, best) == *wanted) {
                    *best = Some(value.clone());
                }
            }
        }
    }

    fn value(&self, kind: AggregateKind) -> Value {
        let number = |number: Option<f64>| number.map_or(Value::Missing, Value::Number);
        match self {
            State::Count(count) => Value::Number(*count as f64),
            State::Distinct(distinct) => Value::Number(distinct.count()),
            State::Sum { count: 0, .. } => Value::Missing,
            State::Sum { sum, count } if kind == AggregateKind::Average => Value::Number(sum / *count as f64),
            State::Sum { sum, .. } => Value::Number(*sum),
            State::Percentile(percentile, percent) => number(percentile.value(*percent)),
            State::Deviation { count: 0, .. } => Value::Missing,
            State::Deviation { count, squares, .. } => Value::Number((squares / *count as f64).max(0.0).sqrt()),
            State::Edge { value, .. } => value.clone(),
            State::Extreme { best, .. } | State::Sorted { best, .. } => best.clone().unwrap_or(Value::Missing),
        }
    }

    fn weight(&self) -> usize {
        size_of::<State>()
            + match self {
                State::Distinct(distinct) => distinct.weight(),
                State::Percentile(percentile, _) => percentile.weight(),
                State::Edge { value, .. } => value.weight(),
                State::Sorted { best: Some(value), .. } => value.weight(),
                _ => 0,
            }
    }
}

struct Group {
    by: Vec<Value>,
    states: Vec<State>,
    weight: usize,
}

/// The groups of one `stats` while rows come in.
#[derive(Default)]
pub(crate) struct Groups {
    /// By what the values of `by` are as text, so that the order is always the same.
    groups: BTreeMap<Vec<Option<Box<str>>>, Group>,
    weight: usize,
    rows: u64,
}

impl Groups {
    pub(crate) fn add(
        &mut self,
        context: &Context<'_>,
        aggregates: &[Aggregate],
        by: &[Column],
    ) -> Result<(), TooLarge> {
        self.rows += 1;
        // Rows of a stats before this one have no time; they came in some order.
        let place = context.row.event().map_or((0, self.rows), |event| (event.timestamp_ms, event.number));
        let by: Vec<Value> = by.iter().map(|column| context.value(&column.expression)).collect();
        let key: Vec<Option<Box<str>>> = by.iter().map(|value| value.as_text().map(Box::from)).collect();
        let group = match self.groups.entry(key) {
            std::collections::btree_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::btree_map::Entry::Vacant(new) => {
                let states = aggregates.iter().map(|aggregate| State::new(aggregate.kind)).collect();
                let weight = GROUP_BYTES + by.iter().map(|value| 2 * value.weight()).sum::<usize>();
                self.weight += weight;
                new.insert(Group { by, states, weight })
            }
        };
        for (state, aggregate) in group.states.iter_mut().zip(aggregates) {
            let value = aggregate.of.as_ref().map(|of| context.value(of));
            match value {
                None => state.add(&Value::Bool(true), place),
                Some(Value::Missing) => {}
                Some(value) => state.add(&value, place),
            }
        }
        let weight = GROUP_BYTES
            + group.by.iter().map(|value| 2 * value.weight()).sum::<usize>()
            + group.states.iter().map(State::weight).sum::<usize>();
        self.weight = self.weight + weight - group.weight;
        group.weight = weight;
        if self.weight > GROUPS_BYTES_MAX { Err(TooLarge) } else { Ok(()) }
    }

    /// A row for each group, in the order of what they are grouped by.
    pub(crate) fn rows(self, now_ms: i64, columns: &[Column], aggregates: &[Aggregate], by: &[Column]) -> Vec<Row> {
        let row = |group: Group| {
            let zipped = group.states.iter().zip(aggregates);
            let values: Vec<Value> = zipped.map(|(state, aggregate)| state.value(aggregate.kind)).collect();
            let mut row = Row::of_columns(Vec::new());
            by.iter().zip(group.by).for_each(|(column, value)| row.set(&column.name, value));
            let grouped = row.copy();
            let context = Context { row: &grouped, now_ms, aggregates: &values };
            columns.iter().for_each(|column| row.set(&column.name, context.value(&column.expression)));
            row
        };
        self.groups.into_values().map(row).collect()
    }
}
