//! The right side of a comparison, and what it says of a value.

use super::PatternError;
use super::cursor::Cursor;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

pub(super) fn operator(cursor: &mut Cursor<'_>) -> Option<Operator> {
    // The longer ones first.
    let all = [
        ("!=", Operator::NotEqual),
        ("<=", Operator::LessOrEqual),
        (">=", Operator::GreaterOrEqual),
        ("=", Operator::Equal),
        ("<", Operator::Less),
        (">", Operator::Greater),
    ];
    all.into_iter().find(|(token, _)| cursor.eat(token)).map(|(_, operator)| operator)
}

#[derive(Debug)]
pub(super) enum Operand {
    /// Text in which `*` stands for anything.
    Text(String),
    Number {
        value: f64,
        text: String,
    },
    Regex(regex::Regex),
}

/// What may stand in a value without quotes, beside letters and digits.
fn is_bare(c: char) -> bool {
    c.is_alphanumeric() || "_-*.:/@#$+?;~^'".contains(c)
}

pub(super) fn operand(cursor: &mut Cursor<'_>) -> Result<Operand, PatternError> {
    cursor.skip_spaces();
    match cursor.peek() {
        Some('"') => cursor.quoted('"', "a closing quotation mark").map(Operand::Text),
        Some('%') => cursor.regex().map(Operand::Regex),
        _ => {
            let text = cursor.take_while(is_bare);
            if text.is_empty() {
                return Err(cursor.expected("a value"));
            }
            let number =
                text.parse().ok().filter(|value: &f64| value.is_finite() && !text.starts_with(char::is_alphabetic));
            Ok(match number {
                Some(value) => Operand::Number { value, text: text.to_owned() },
                None => Operand::Text(text.to_owned()),
            })
        }
    }
}

impl Operand {
    /// Order is for numbers only.
    pub(super) fn may_follow(&self, operator: Operator) -> bool {
        matches!(operator, Operator::Equal | Operator::NotEqual) || matches!(self, Operand::Number { .. })
    }

    pub(super) fn test_text(&self, operator: Operator, value: &str) -> bool {
        let equal = || match self {
            Operand::Text(pattern) => like(pattern, value),
            Operand::Number { value: number, text } => value == text || value.parse() == Ok(*number),
            Operand::Regex(regex) => regex.is_match(value),
        };
        match operator {
            Operator::Equal => equal(),
            Operator::NotEqual => !equal(),
            _ => value.parse().is_ok_and(|value| self.test_order(operator, value)),
        }
    }

    pub(super) fn test_number(&self, operator: Operator, value: f64, text: &str) -> bool {
        match (self, operator) {
            (Operand::Number { value: number, .. }, Operator::Equal) => value == *number,
            (Operand::Number { value: number, .. }, Operator::NotEqual) => value != *number,
            (_, Operator::Equal | Operator::NotEqual) => self.test_text(operator, text),
            _ => self.test_order(operator, value),
        }
    }

    fn test_order(&self, operator: Operator, value: f64) -> bool {
        let Operand::Number { value: number, .. } = self else { return false };
        match operator {
            Operator::Less => value < *number,
            Operator::LessOrEqual => value <= *number,
            Operator::Greater => value > *number,
            Operator::GreaterOrEqual => value >= *number,
            Operator::Equal | Operator::NotEqual => false,
        }
    }
}

/// Whether `value` is `pattern`, in which `*` stands for any text.
pub(super) fn like(pattern: &str, value: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| value.strip_prefix(first)) else { return false };
    let Some(last) = parts.next_back() else { return rest.is_empty() };
    for part in parts {
        // The first place that fits leaves the most for those that follow.
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}
