//! Presence, and JSON in text.

use std::sync::Arc;

use super::{Function, MANY, flag};
use crate::value::Value;

pub(super) static FUNCTIONS: &[Function] = &[
    Function::new("ispresent", 1, 1, |all, _| flag(!all[0].is_missing())),
    Function::new("coalesce", 1, MANY, |all, _| {
        all.iter().find(|value| !value.is_missing()).cloned().unwrap_or(Value::Missing)
    }),
    Function::new("jsonparse", 1, 1, |all, _| {
        let parsed = all[0].as_text().and_then(|text| serde_json::from_str(&text).ok());
        parsed.map_or(Value::Missing, |json| Value::of_json(&json))
    }),
    Function::new("jsonstringify", 1, 1, |all, _| match &all[0] {
        Value::Json(json) => Value::text(json.to_string()),
        other => other.shown().map_or(Value::Missing, |text| Value::Text(Arc::from(&*text))),
    }),
];
