//! The order of `sort`.
//!
//! Source: User Guide, "sort": text comes before numbers; text is compared in chunks of digits and of other characters,
//! so that `key 9` comes before `key 10`. What is missing comes first.

use std::cmp::Ordering;

use crate::value::Value;

pub(crate) fn order(left: &Value, right: &Value) -> Ordering {
    let class = |value: &Value| match value {
        Value::Missing | Value::Period(_) => 0,
        value if value.number().is_none() => 1,
        _ => 2,
    };
    match (left.number(), right.number()) {
        (Some(left), Some(right)) => left.total_cmp(&right),
        (None, None) if class(left) == 1 && class(right) == 1 => match (left.as_text(), right.as_text()) {
            (Some(left), Some(right)) => natural(&left, &right),
            _ => Ordering::Equal,
        },
        _ => class(left).cmp(&class(right)),
    }
}

fn natural(left: &str, right: &str) -> Ordering {
    let (mut left_rest, mut right_rest) = (left, right);
    loop {
        let (a, b) = (digits(left_rest), digits(right_rest));
        let (order, a, b) = match (a.is_empty() || b.is_empty(), left_rest.chars().next(), right_rest.chars().next()) {
            (false, ..) => {
                let (number_a, number_b) = (a.trim_start_matches('0'), b.trim_start_matches('0'));
                (number_a.len().cmp(&number_b.len()).then_with(|| number_a.cmp(number_b)), a.len(), b.len())
            }
            (true, Some(a), Some(b)) => (a.cmp(&b), a.len_utf8(), b.len_utf8()),
            // Numbers that differ only in zeros at their beginning are not the same text.
            (true, ..) => return left_rest.len().cmp(&right_rest.len()).then_with(|| left.cmp(right)),
        };
        if order != Ordering::Equal {
            return order;
        }
        (left_rest, right_rest) = (&left_rest[a..], &right_rest[b..]);
    }
}

/// The digits at the beginning.
fn digits(text: &str) -> &str {
    &text[..text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len())]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_order_of_the_guide() {
        let text = |text: &str| Value::text(text);
        let sorted = [
            Value::Missing,
            text(""),
            text("Key !"),
            text("Key 0"),
            text("Key 5"),
            text("Key 00012"),
            text("Key 512"),
            text("Key A"),
            text("Key a"),
            text("-5"),
            Value::Number(0.5),
            text("9"),
            text("10"),
            Value::Number(11.0),
        ];
        for pair in sorted.windows(2) {
            assert_eq!(order(&pair[0], &pair[1]), Ordering::Less, "{pair:?}");
            assert_eq!(order(&pair[1], &pair[0]), Ordering::Greater, "{pair:?}");
        }
    }

    proptest! {
        #[test]
        fn it_is_an_order(mut values in prop::collection::vec("[a0-9é .-]{0,6}", 0..12)) {
            // A comparison that contradicts itself makes this panic.
            values.sort_by(|a, b| order(&Value::text(a.as_str()), &Value::text(b.as_str())));
        }
    }
}
