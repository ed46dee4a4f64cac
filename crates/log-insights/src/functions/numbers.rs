//! Numbers.

use super::{Function, MANY};
use crate::value::Value;

pub(super) static FUNCTIONS: &[Function] = &[
    Function::new("abs", 1, 1, |all, _| of(&all[0], f64::abs)),
    Function::new("ceil", 1, 1, |all, _| of(&all[0], f64::ceil)),
    Function::new("floor", 1, 1, |all, _| of(&all[0], f64::floor)),
    Function::new("greatest", 1, MANY, |all, _| extreme(all, f64::max)),
    Function::new("least", 1, MANY, |all, _| extreme(all, f64::min)),
    Function::new("log", 1, 1, |all, _| of(&all[0], f64::ln)),
    Function::new("sqrt", 1, 1, |all, _| of(&all[0], f64::sqrt)),
];

fn of(value: &Value, calculate: fn(f64) -> f64) -> Value {
    value.number().map(calculate).filter(|result| result.is_finite()).map_or(Value::Missing, Value::Number)
}

fn extreme(all: &[Value], better: fn(f64, f64) -> f64) -> Value {
    all.iter().filter_map(Value::number).reduce(better).map_or(Value::Missing, Value::Number)
}
