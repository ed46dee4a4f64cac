//! What a field may be, and how values are compared, calculated with and shown.

use std::borrow::Cow;
use std::cmp::Ordering;
use std::sync::Arc;

use serde_json::Value as Json;
use stdx::Timestamp;
use stdx::time::civil;

use crate::bins::Period;

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Value {
    /// The event has no such field.
    Missing,
    Bool(bool),
    Number(f64),
    /// Milliseconds since 1970.
    Time(i64),
    Text(Arc<str>),
    /// A list or an object.
    Json(Arc<Json>),
    /// `5m`, as the argument of a function.
    Period(Period),
}

impl Value {
    pub(crate) fn text(text: impl Into<Arc<str>>) -> Value {
        Value::Text(text.into())
    }

    /// A null is no value, as on AWS.
    pub(crate) fn of_json(json: &Json) -> Value {
        match json {
            Json::Null => Value::Missing,
            Json::Bool(value) => Value::Bool(*value),
            // Kept as written where a double would lose digits: ids are numbers too.
            Json::Number(number) => match number.as_f64().filter(|value| value.is_finite()) {
                Some(value) if value.abs() < 9_007_199_254_740_992.0 => Value::Number(value),
                _ => Value::text(number.to_string()),
            },
            Json::String(text) => Value::text(text.as_str()),
            Json::Array(_) | Json::Object(_) => Value::Json(Arc::new(json.clone())),
        }
    }

    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Value::Missing)
    }

    pub(crate) fn number(&self) -> Option<f64> {
        match self {
            Value::Number(value) => Some(*value),
            Value::Time(millis) => Some(*millis as f64),
            Value::Bool(value) => Some(f64::from(u8::from(*value))),
            Value::Text(text) => number(text),
            Value::Missing | Value::Json(_) | Value::Period(_) => None,
        }
    }

    pub(crate) fn is_true(&self) -> bool {
        match self {
            Value::Bool(value) => *value,
            Value::Number(value) => *value != 0.0,
            Value::Text(text) => text.eq_ignore_ascii_case("true") || &**text == "1",
            Value::Missing | Value::Time(_) | Value::Json(_) | Value::Period(_) => false,
        }
    }

    /// As an answer shows it; nothing when it is missing.
    pub(crate) fn shown(&self) -> Option<Cow<'_, str>> {
        Some(match self {
            Value::Missing | Value::Period(_) => return None,
            Value::Bool(value) => Cow::Borrowed(if *value { "1" } else { "0" }),
            Value::Number(value) => Cow::Owned(shown_number(*value)),
            Value::Time(millis) => Cow::Owned(shown_time(*millis)),
            Value::Text(text) => Cow::Borrowed(text),
            Value::Json(json) => Cow::Owned(json.to_string()),
        })
    }

    /// What text functions see.
    pub(crate) fn as_text(&self) -> Option<Cow<'_, str>> {
        match self {
            Value::Time(millis) => Some(Cow::Owned(millis.to_string())),
            other => other.shown(),
        }
    }

    /// About how many bytes it takes.
    pub(crate) fn weight(&self) -> usize {
        size_of::<Value>()
            + match self {
                Value::Text(text) => text.len(),
                Value::Json(json) => json_weight(json),
                _ => 0,
            }
    }

    /// Numbers as numbers, also where they are written as text; everything else as text. Nothing compares with what is
    /// missing.
    pub(crate) fn compare(&self, other: &Value) -> Option<Ordering> {
        if self.is_missing() || other.is_missing() {
            return None;
        }
        if let (Some(left), Some(right)) = (self.number(), other.number()) {
            return left.partial_cmp(&right);
        }
        // JSON has `true` where a query may have "true".
        let word = |value: &Value, text: &Value| match (value, text) {
            (Value::Bool(value), Value::Text(text)) => Some((if *value { "true" } else { "false" }).cmp(text)),
            _ => None,
        };
        if let Some(order) = word(self, other).or_else(|| word(other, self).map(Ordering::reverse)) {
            return Some(order);
        }
        Some(self.as_text()?.cmp(&other.as_text()?))
    }
}

/// A whole text that is a number; `inf`, `nan` and blanks are none.
pub(crate) fn number(text: &str) -> Option<f64> {
    if !text.bytes().next().is_some_and(|first| first.is_ascii_digit() || matches!(first, b'-' | b'+' | b'.')) {
        return None;
    }
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

/// At most four decimals, and no zeros at the end, as AWS shows them.
fn shown_number(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    if value.fract() == 0.0 {
        return format!("{value:.0}");
    }
    if !value.is_finite() {
        return if value.is_nan() { "NaN".to_owned() } else { format!("{value}") };
    }
    let text = format!("{value:.4}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

/// `2026-11-23 13:15:34.120`
fn shown_time(millis: i64) -> String {
    let (year, month, day, hour, minute, second, millisecond) = civil(Timestamp::from_millis(millis));
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{millisecond:03}")
}

fn json_weight(json: &Json) -> usize {
    size_of::<Json>()
        + match json {
            Json::String(text) => text.len(),
            Json::Array(items) => items.iter().map(json_weight).sum(),
            Json::Object(members) => members.iter().map(|(key, value)| key.len() + json_weight(value)).sum(),
            _ => 0,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_shown_short() {
        for (value, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (10.0, "10"),
            (-10.0, "-10"),
            (-0.5, "-0.5"),
            (1.0 / 3.0, "0.3333"),
            (2.5, "2.5"),
            (-0.000_01, "0"),
            (1e20, "100000000000000000000"),
        ] {
            assert_eq!(shown_number(value), text);
        }
    }

    #[test]
    fn comparisons_look_through_text() {
        let order = |left: &Value, right: &Value| left.compare(right);
        assert_eq!(order(&Value::text("10"), &Value::Number(9.0)), Some(Ordering::Greater));
        assert_eq!(order(&Value::text("10"), &Value::text("9")), Some(Ordering::Greater));
        assert_eq!(order(&Value::text("b"), &Value::text("a")), Some(Ordering::Greater));
        assert_eq!(order(&Value::Bool(true), &Value::text("true")), Some(Ordering::Equal));
        assert_eq!(order(&Value::text("false"), &Value::Bool(false)), Some(Ordering::Equal));
        assert_eq!(order(&Value::Bool(true), &Value::Number(1.0)), Some(Ordering::Equal));
        assert_eq!(order(&Value::Missing, &Value::Missing), None);
        assert_eq!(number("1e3"), Some(1000.0));
        for text in ["", "inf", "nan", " 1", "1 ", "1.2.3", "-", "+x"] {
            assert_eq!(number(text), None, "{text}");
        }
    }

    #[test]
    fn times_are_shown_with_milliseconds() {
        assert_eq!(shown_time(1_795_384_329_148), "2026-11-22 21:52:09.148");
    }
}
