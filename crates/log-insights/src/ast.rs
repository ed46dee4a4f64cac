//! A query as it is meant.

use std::sync::Arc;

use regex::Regex;

use crate::functions::Function;
use crate::value::Value;

pub(crate) type Name = Arc<str>;

#[derive(Debug)]
pub(crate) enum Command {
    /// Computes columns; in the order of all `fields` they are also what is shown.
    Fields(Vec<Column>),
    /// What is shown, and nothing else.
    Display(Vec<Column>),
    Filter(Expression),
    Parse {
        from: Expression,
        pattern: Regex,
        names: Vec<Name>,
    },
    Unnest {
        from: Expression,
        name: Name,
    },
    Stats {
        columns: Vec<Column>,
        aggregates: Vec<Aggregate>,
        by: Vec<Column>,
    },
    Sort(Vec<(Expression, Direction)>),
    Limit(usize),
    Dedup(Vec<Expression>),
}

/// An expression and the name of its value.
#[derive(Debug)]
pub(crate) struct Column {
    pub(crate) name: Name,
    pub(crate) expression: Expression,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Ascending,
    Descending,
}

#[derive(Debug)]
pub(crate) enum Expression {
    Literal(Value),
    Field(Name),
    Not(Box<Expression>),
    All(Vec<Expression>),
    Any(Vec<Expression>),
    Compare(Comparison, Box<Expression>, Box<Expression>),
    Arithmetic(Arithmetic, Box<Expression>, Box<Expression>),
    In(Box<Expression>, Vec<Expression>),
    /// Contains the text of the other side.
    Like(Box<Expression>, Box<Expression>),
    Matches(Box<Expression>, Regex),
    Call(&'static Function, Vec<Expression>),
    /// The value of that aggregate of the command.
    Aggregate(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Power,
}

#[derive(Debug)]
pub(crate) struct Aggregate {
    pub(crate) kind: AggregateKind,
    /// `None` only in `count(*)`, which counts rows.
    pub(crate) of: Option<Expression>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum AggregateKind {
    Count,
    CountDistinct,
    Sum,
    Average,
    Min,
    Max,
    /// Of a number between 0 and 100.
    Percentile(f64),
    StandardDeviation,
    Earliest,
    Latest,
    SortsFirst,
    SortsLast,
}
