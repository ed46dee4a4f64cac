//! Times. They are shown as dates, and calculated with as milliseconds since 1970.

use super::Function;
use crate::event::TIMESTAMP;
use crate::value::Value;

pub(super) static FUNCTIONS: &[Function] = &[
    Function::new("bin", 1, 1, |all, context| match (context.row.get(TIMESTAMP).number(), &all[0]) {
        (Some(at), Value::Period(period)) => Value::Time(period.floor(at as i64)),
        _ => Value::Missing,
    })
    .of_period(),
    Function::new("datefloor", 2, 2, |all, _| match (all[0].number(), &all[1]) {
        (Some(at), Value::Period(period)) => Value::Time(period.floor(at as i64)),
        _ => Value::Missing,
    })
    .of_period(),
    Function::new("dateceil", 2, 2, |all, _| match (all[0].number(), &all[1]) {
        (Some(at), Value::Period(period)) => Value::Time(period.ceiling(at as i64)),
        _ => Value::Missing,
    })
    .of_period(),
    Function::new("frommillis", 1, 1, |all, _| {
        all[0].number().map_or(Value::Missing, |millis| Value::Time(millis as i64))
    }),
    Function::new("tomillis", 1, 1, |all, _| all[0].number().map_or(Value::Missing, Value::Number)),
    // "Returns the time that the query processing was started, in epoch seconds."
    Function::new("now", 0, 0, |_, context| Value::Number((context.now_ms / 1000) as f64)),
];
