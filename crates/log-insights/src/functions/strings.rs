//! Text. Lengths and places count characters.

use std::borrow::Cow;

use super::{Function, MANY};
use crate::value::Value;

/// The longest text that a function makes, in bytes.
const TEXT_BYTES_MAX: usize = 1 << 20;

pub(super) static FUNCTIONS: &[Function] = &[
    Function::new("isempty", 1, 1, |all, _| number(all[0].as_text().is_none_or(|text| text.is_empty()))),
    Function::new("isblank", 1, 1, |all, _| number(all[0].as_text().is_none_or(|text| text.trim().is_empty()))),
    Function::new("concat", 1, MANY, |all, _| {
        let whole: String = all.iter().filter_map(Value::as_text).collect();
        if whole.len() > TEXT_BYTES_MAX { Value::Missing } else { Value::text(whole) }
    }),
    Function::new("strlen", 1, 1, |all, _| {
        all[0].as_text().map_or(Value::Missing, |text| Value::Number(text.chars().count() as f64))
    }),
    Function::new("toupper", 1, 1, |all, _| of(&all[0], |text| text.to_uppercase())),
    Function::new("tolower", 1, 1, |all, _| of(&all[0], |text| text.to_lowercase())),
    Function::new("trim", 1, 2, |all, _| trimmed(all, true, true)),
    Function::new("ltrim", 1, 2, |all, _| trimmed(all, true, false)),
    Function::new("rtrim", 1, 2, |all, _| trimmed(all, false, true)),
    Function::new("substr", 2, 3, |all, _| {
        let (Some(text), Some(start)) = (all[0].as_text(), all[1].number()) else { return Value::Missing };
        let length = all.get(2).map_or(Some(f64::MAX), Value::number);
        let Some(length) = length else { return Value::Missing };
        let part: String = text.chars().skip(start.max(0.0) as usize).take(length.max(0.0) as usize).collect();
        Value::text(part)
    }),
    Function::new("replace", 3, 3, |all, _| {
        let (Some(text), Some(old), Some(new)) = (all[0].as_text(), all[1].as_text(), all[2].as_text()) else {
            return Value::Missing;
        };
        if old.is_empty() {
            return Value::text(&*text);
        }
        let grown = text.len() + text.matches(&*old).count() * new.len();
        if grown > TEXT_BYTES_MAX { Value::Missing } else { Value::text(text.replace(&*old, &new)) }
    }),
    Function::new("strcontains", 2, 2, |all, _| match (all[0].as_text(), all[1].as_text()) {
        (Some(text), Some(part)) => number(text.contains(&*part)),
        _ => number(false),
    }),
];

/// AWS says 1 and 0 here.
fn number(holds: bool) -> Value {
    Value::Number(if holds { 1.0 } else { 0.0 })
}

fn of(value: &Value, change: fn(Cow<'_, str>) -> String) -> Value {
    value.as_text().map_or(Value::Missing, |text| Value::text(change(text)))
}

/// Without the characters of the second argument, or without blanks.
fn trimmed(all: &[Value], start: bool, end: bool) -> Value {
    let Some(text) = all[0].as_text() else { return Value::Missing };
    let unwanted = all.get(1).and_then(Value::as_text);
    let is_unwanted = |c: char| unwanted.as_ref().map_or(c.is_whitespace(), |unwanted| unwanted.contains(c));
    let mut rest = &*text;
    if start {
        rest = rest.trim_start_matches(is_unwanted);
    }
    if end {
        rest = rest.trim_end_matches(is_unwanted);
    }
    Value::text(rest)
}
