//! Commands, one after the other, over rows.
//!
//! What a row alone decides (`fields`, `filter`, `parse`) happens as it comes in. `stats`, `limit` and `dedup` need to see
//! many rows: each ends a segment, and the next segment begins with its rows. `sort` belongs to the end of its segment.

use std::cmp::Reverse;

use crate::aggregate::Groups;
use crate::ast::{Column, Command, Direction, Expression, Name};
use crate::collect::{Collector, Identity, Rank};
use crate::error::MalformedQuery;
use crate::evaluate::Context;
use crate::event::{self, Event};
use crate::limits::{ROWS_DEFAULT, ROWS_MAX, UNNEST_MAX};
use crate::needles::{self, Needles};
use crate::parse::parse;
use crate::row::Row;
use crate::value::Value;

/// A query that has been understood.
#[derive(Debug)]
pub struct Query {
    commands: Vec<Command>,
    /// What an answer shows, in order.
    shown: Vec<Name>,
}

/// One value of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    pub name: String,
    pub value: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Results {
    /// What is missing in a row is left out of it.
    pub rows: Vec<Vec<Field>>,
}

/// A `stats` with more groups than there is room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the query has too many groups")]
pub struct TooLarge;

impl Query {
    pub fn parse(text: &str) -> Result<Query, MalformedQuery> {
        let commands = parse(text)?;
        let shown = shown(&commands);
        Ok(Query { commands, shown })
    }

    /// What a message must contain to count.
    pub fn needles(&self) -> Needles {
        needles::of(self.segment(0).steps)
    }

    /// The segment that begins with a command.
    fn segment(&self, from: usize) -> Segment<'_> {
        let mut segment = Segment { steps: &[], sort: &[], end: End::Last, next: self.commands.len() };
        for (at, command) in self.commands.iter().enumerate().skip(from) {
            segment.end = match command {
                Command::Sort(keys) => {
                    segment.sort = keys;
                    continue;
                }
                Command::Stats { .. } => End::Stats(command),
                Command::Limit(rows) => End::Limit(*rows),
                Command::Dedup(keys) => End::Dedup(keys),
                _ => continue,
            };
            segment.next = at + 1;
            break;
        }
        segment.steps = &self.commands[from..segment.next];
        segment
    }
}

/// The names of what is shown: those of the last `display`, or of all `fields` and `parse` since the last `stats`.
fn shown(commands: &[Command]) -> Vec<Name> {
    let mut shown: Vec<Name> = Vec::new();
    let (mut is_chosen, mut is_display) = (false, false);
    let add = |shown: &mut Vec<Name>, name: &Name| {
        if !shown.contains(name) {
            shown.push(name.clone());
        }
    };
    for command in commands {
        match command {
            Command::Display(columns) => {
                (is_chosen, is_display) = (true, true);
                shown.clear();
                columns.iter().for_each(|column| add(&mut shown, &column.name));
            }
            Command::Stats { columns, by, .. } => {
                (is_chosen, is_display) = (true, false);
                shown.clear();
                by.iter().chain(columns).for_each(|column| add(&mut shown, &column.name));
            }
            Command::Fields(columns) if !is_display => {
                is_chosen = true;
                columns.iter().for_each(|column| add(&mut shown, &column.name));
            }
            Command::Parse { names, .. } if !is_display => names.iter().for_each(|name| add(&mut shown, name)),
            Command::Unnest { name, .. } if !is_display => add(&mut shown, name),
            _ => {}
        }
    }
    if !is_chosen {
        let parsed = std::mem::replace(&mut shown, vec![event::TIMESTAMP.into(), event::MESSAGE.into()]);
        parsed.iter().for_each(|name| add(&mut shown, name));
    }
    shown
}

#[derive(Clone, Copy)]
struct Segment<'q> {
    steps: &'q [Command],
    sort: &'q [(Expression, Direction)],
    end: End<'q>,
    /// The first command behind it.
    next: usize,
}

#[derive(Clone, Copy)]
enum End<'q> {
    Stats(&'q Command),
    Limit(usize),
    Dedup(&'q [Expression]),
    Last,
}

enum Gathered {
    Groups(Groups),
    Rows(Collector),
}

/// A query under way.
pub struct Run<'q> {
    query: &'q Query,
    now_ms: i64,
    limit: usize,
    segment: Segment<'q>,
    gathered: Gathered,
    /// Rows of a segment before this one have an order already.
    is_first: bool,
    matched: u64,
}

impl<'q> Run<'q> {
    /// `limit` is what the caller asked for beside the text of the query.
    pub fn new(query: &'q Query, limit: Option<usize>, now_ms: i64) -> Run<'q> {
        let limit = limit.unwrap_or(ROWS_DEFAULT).min(ROWS_MAX);
        Run::of_segment(query, limit, now_ms, 0)
    }

    fn of_segment(query: &'q Query, limit: usize, now_ms: i64, from: usize) -> Run<'q> {
        let segment = query.segment(from);
        let gathered = match segment.end {
            End::Stats(_) => Gathered::Groups(Groups::default()),
            // An answer may have as many rows as the query says, even when that is more than the default.
            End::Limit(rows) => Gathered::Rows(Collector::new(rows)),
            // What a dedup drops has to be made up for by rows behind the limit.
            End::Dedup(_) => Gathered::Rows(Collector::new(ROWS_MAX.min(limit.max(ROWS_DEFAULT)))),
            End::Last => Gathered::Rows(Collector::new(limit)),
        };
        Run { query, now_ms, limit, segment, gathered, is_first: from == 0, matched: 0 }
    }

    /// How many rows have come past the filters so far.
    pub fn matched(&self) -> u64 {
        self.matched
    }

    pub fn push(&mut self, event: Event) -> Result<(), TooLarge> {
        self.push_row(Row::of_event(event))
    }

    fn push_row(&mut self, row: Row) -> Result<(), TooLarge> {
        let mut rows = vec![row];
        for step in self.segment.steps {
            match step {
                Command::Unnest { from, name } => {
                    rows = rows.into_iter().flat_map(|row| unnest(row, self.now_ms, from, name)).collect()
                }
                step => rows.retain_mut(|row| take_step(step, row, self.now_ms)),
            }
            if rows.is_empty() {
                return Ok(());
            }
        }
        rows.into_iter().try_for_each(|row| self.gather(row))
    }

    fn gather(&mut self, mut row: Row) -> Result<(), TooLarge> {
        self.matched += 1;
        let context = Context { row: &row, now_ms: self.now_ms, aggregates: &[] };
        let collector = match (&mut self.gathered, self.segment.end) {
            (Gathered::Groups(groups), End::Stats(Command::Stats { aggregates, by, .. })) => {
                return groups.add(&context, aggregates, by);
            }
            (Gathered::Groups(_), _) => return Ok(()),
            (Gathered::Rows(collector), _) => collector,
        };
        let keys = self.segment.sort.iter().map(|(key, direction)| (context.value(key), *direction)).collect();
        let at = row.event().filter(|_| self.is_first).map_or((0, 0), |event| (event.timestamp_ms, event.number));
        let rank = Rank { keys, place: (Reverse(at), self.matched) };
        let identity = match self.segment.end {
            End::Dedup(keys) => identity(&context, keys),
            _ => None,
        };
        // Nothing comes behind the last segment, so only what is shown is kept of a row.
        let is_last = self.segment.next >= self.query.commands.len();
        collector.add(rank, identity, || match is_last {
            true => finished(&row, &self.query.shown),
            false => {
                row.rest();
                row
            }
        });
        Ok(())
    }

    /// The answer.
    pub fn finish(mut self) -> Result<Results, TooLarge> {
        loop {
            let last = self.segment.next >= self.query.commands.len();
            let rows = match (self.gathered, self.segment.end) {
                (Gathered::Groups(groups), End::Stats(Command::Stats { columns, aggregates, by })) => {
                    let rows = groups.rows(self.now_ms, columns, aggregates, by);
                    if last {
                        let rows = rows.iter().take(self.limit).map(|row| finished(row, &self.query.shown));
                        return Ok(results(rows));
                    }
                    rows
                }
                (Gathered::Groups(_), _) => Vec::new(),
                (Gathered::Rows(collector), _) => collector.rows(),
            };
            if last {
                return Ok(results(rows.into_iter()));
            }
            self = Run::of_segment(self.query, self.limit, self.now_ms, self.segment.next);
            rows.into_iter().try_for_each(|row| self.push_row(row))?;
        }
    }
}

/// False when the row goes no further.
fn take_step(step: &Command, row: &mut Row, now_ms: i64) -> bool {
    let compute = |row: &Row, expression: &Expression| Context { row, now_ms, aggregates: &[] }.value(expression);
    match step {
        Command::Filter(condition) => compute(row, condition).is_true(),
        Command::Fields(columns) | Command::Display(columns) => {
            for Column { name, expression } in columns {
                // A field under its own name is there already.
                if !matches!(expression, Expression::Field(field) if field == name) {
                    let value = compute(row, expression);
                    row.set(name, value);
                }
            }
            true
        }
        Command::Parse { from, pattern, names } => {
            let text = compute(row, from);
            let Some(text) = text.as_text() else { return true };
            let Some(found) = pattern.captures(&text) else { return true };
            for (at, name) in names.iter().enumerate() {
                // Groups of a regular expression are found by name, wildcards by their place.
                let group = found.name(name).or_else(|| found.get(at + 1).filter(|_| !is_named(pattern)));
                row.set(name, group.map_or(Value::Missing, |group| Value::text(group.as_str())));
            }
            true
        }
        // These are not for one row alone.
        Command::Unnest { .. } | Command::Stats { .. } | Command::Sort(_) | Command::Limit(_) | Command::Dedup(_) => {
            true
        }
    }
}

fn is_named(pattern: &regex::Regex) -> bool {
    pattern.capture_names().flatten().next().is_some()
}

/// A row for each element of a list.
fn unnest(row: Row, now_ms: i64, from: &Expression, name: &Name) -> Vec<Row> {
    let list = Context { row: &row, now_ms, aggregates: &[] }.value(from);
    let elements = match &list {
        Value::Json(json) => json.as_array(),
        _ => None,
    };
    let Some(elements) = elements else { return vec![row] };
    let with = |element| {
        let mut row = row.copy();
        row.set(name, Value::of_json(element));
        row
    };
    elements.iter().take(UNNEST_MAX).map(with).collect()
}

/// "Null values aren't considered duplicates."
fn identity(context: &Context<'_>, keys: &[Expression]) -> Identity {
    keys.iter().map(|key| context.value(key).as_text().map(Box::from)).collect()
}

/// A row with what is shown of it, and nothing else.
fn finished(row: &Row, shown: &[Name]) -> Row {
    let mut columns: Vec<(Name, Value)> = shown.iter().map(|name| (name.clone(), row.get(name))).collect();
    if let Some(event) = row.event().filter(|_| !shown.iter().any(|name| &**name == event::POINTER)) {
        columns.push((event::POINTER.into(), Value::text(event.pointer())));
    }
    Row::of_columns(columns)
}

fn results(rows: impl Iterator<Item = Row>) -> Results {
    let field = |(name, value): (Name, Value)| {
        let value = value.shown()?.into_owned();
        Some(Field { name: name.to_string(), value })
    };
    Results { rows: rows.map(|row| row.into_columns().into_iter().filter_map(field).collect()).collect() }
}
