//! `{ $.status >= 500 && $.path = "/api/*" }`: what a JSON message says.

use serde_json::Value;

use super::cursor::Cursor;
use super::operand::{Operand, Operator, operand, operator};
use super::{DEPTH_MAX, PatternError};

#[derive(Debug)]
pub(super) enum Expression {
    And(Vec<Expression>),
    Or(Vec<Expression>),
    Compare { selector: Vec<Step>, operator: Operator, operand: Operand },
    Is { selector: Vec<Step>, value: Value },
    Exists { selector: Vec<Step>, wanted: bool },
}

#[derive(Debug, PartialEq)]
pub(super) enum Step {
    Key(String),
    Index(usize),
    /// Any element of an array, or any property of an object.
    Any,
}

pub(super) fn parse(cursor: &mut Cursor<'_>) -> Result<Expression, PatternError> {
    cursor.expect("{", "{")?;
    let expression = any_of(cursor, 0)?;
    cursor.expect("}", "}")?;
    cursor.skip_spaces();
    if cursor.peek().is_some() { Err(cursor.expected("the end")) } else { Ok(expression) }
}

fn any_of(cursor: &mut Cursor<'_>, depth: usize) -> Result<Expression, PatternError> {
    let mut parts = vec![all_of(cursor, depth)?];
    while cursor.eat("||") {
        parts.push(all_of(cursor, depth)?);
    }
    Ok(Expression::Or(parts))
}

fn all_of(cursor: &mut Cursor<'_>, depth: usize) -> Result<Expression, PatternError> {
    let mut parts = vec![one(cursor, depth)?];
    while cursor.eat("&&") {
        parts.push(one(cursor, depth)?);
    }
    Ok(Expression::And(parts))
}

fn one(cursor: &mut Cursor<'_>, depth: usize) -> Result<Expression, PatternError> {
    if depth > DEPTH_MAX {
        return Err(PatternError::TooDeep);
    }
    if cursor.eat("(") {
        let inner = any_of(cursor, depth + 1)?;
        cursor.expect(")", ")")?;
        return Ok(inner);
    }
    let selector = selector(cursor)?;
    if cursor.eat_word("IS") {
        let words = [("NULL", Value::Null), ("TRUE", Value::Bool(true)), ("FALSE", Value::Bool(false))];
        let found = words.into_iter().find(|(word, _)| cursor.eat_word(word));
        let (_, value) = found.ok_or_else(|| cursor.expected("NULL, TRUE or FALSE"))?;
        return Ok(Expression::Is { selector, value });
    }
    if cursor.eat_word("NOT") {
        return match cursor.eat_word("EXISTS") {
            true => Ok(Expression::Exists { selector, wanted: false }),
            false => Err(cursor.expected("EXISTS")),
        };
    }
    if cursor.eat_word("EXISTS") {
        return Ok(Expression::Exists { selector, wanted: true });
    }
    let operator = operator(cursor).ok_or_else(|| cursor.expected("a comparison"))?;
    let operand = operand(cursor)?;
    match operand.may_follow(operator) {
        true => Ok(Expression::Compare { selector, operator, operand }),
        false => Err(cursor.expected("a number before this place")),
    }
}

/// `$.name`, `$.['a name']`, `$.list[0].name`, `$.list[*]`.
fn selector(cursor: &mut Cursor<'_>) -> Result<Vec<Step>, PatternError> {
    cursor.expect("$", "a selector such as $.name")?;
    let mut steps = Vec::new();
    loop {
        match cursor.peek() {
            Some('.') => {
                cursor.bump();
                if cursor.eat_here('*') {
                    steps.push(Step::Any);
                } else if cursor.peek() != Some('[') {
                    let name = cursor.take_while(is_plain);
                    if name.is_empty() {
                        return Err(cursor.expected("the name of a property"));
                    }
                    steps.push(Step::Key(name.to_owned()));
                }
            }
            Some('[') => {
                cursor.bump();
                steps.push(in_brackets(cursor)?);
                cursor.expect("]", "]")?;
            }
            _ if steps.is_empty() => return Err(cursor.expected("a property")),
            _ => return Ok(steps),
        }
    }
}

fn in_brackets(cursor: &mut Cursor<'_>) -> Result<Step, PatternError> {
    cursor.skip_spaces();
    match cursor.peek() {
        Some(quote @ ('\'' | '"')) => cursor.quoted(quote, "a closing quotation mark").map(Step::Key),
        Some('*') => {
            cursor.bump();
            Ok(Step::Any)
        }
        _ => {
            cursor.take_while(|c| c.is_ascii_digit()).parse().map(Step::Index).map_err(|_| cursor.expected("an index"))
        }
    }
}

/// A selector alone, such as `$.latency`.
pub(super) fn selector_of(text: &str) -> Result<Vec<Step>, PatternError> {
    let mut cursor = Cursor::new(text);
    let steps = selector(&mut cursor)?;
    if cursor.peek().is_some() { Err(cursor.expected("the end")) } else { Ok(steps) }
}

/// What a selector finds first in a JSON message, as text; nothing when that is no scalar.
pub(super) fn value(selector: &[Step], message: &str) -> Option<String> {
    let message: Value = serde_json::from_str(message).ok()?;
    scalar(&message, selector)
}

/// What each selector of an expression finds.
pub(super) fn values(expression: &Expression, message: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    if let Ok(message) = serde_json::from_str(message) {
        collect(expression, &message, &mut found);
    }
    found
}

fn collect(expression: &Expression, message: &Value, found: &mut Vec<(String, String)>) {
    match expression {
        Expression::And(parts) | Expression::Or(parts) => {
            parts.iter().for_each(|part| collect(part, message, found));
        }
        Expression::Compare { selector, .. }
        | Expression::Is { selector, .. }
        | Expression::Exists { selector, .. } => {
            found.extend(scalar(message, selector).map(|value| (written(selector), value)));
        }
    }
}

fn scalar(message: &Value, selector: &[Step]) -> Option<String> {
    let found = std::cell::RefCell::new(None);
    any(message, selector, &|value| {
        let text = match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(value) => Some(value.to_string()),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        };
        let is_some = text.is_some();
        if is_some {
            found.replace(text);
        }
        is_some
    });
    found.into_inner()
}

fn written(selector: &[Step]) -> String {
    let plain = |key: &str| key.chars().all(is_plain);
    let step = |step: &Step| match step {
        Step::Key(key) if plain(key) => format!(".{key}"),
        Step::Key(key) => format!("['{key}']"),
        Step::Index(index) => format!("[{index}]"),
        Step::Any => "[*]".to_owned(),
    };
    selector.iter().fold("$".to_owned(), |text, one| text + &step(one))
}

/// What a property's name may be made of without brackets.
fn is_plain(c: char) -> bool {
    c.is_alphanumeric() || "_-@#/".contains(c)
}

pub(super) fn matches(expression: &Expression, message: &str) -> bool {
    // Nothing that is not an object can be selected from, so most other lines are never parsed.
    if !message.trim_start().starts_with('{') {
        return false;
    }
    serde_json::from_str(message).is_ok_and(|message| holds(expression, &message))
}

fn holds(expression: &Expression, message: &Value) -> bool {
    match expression {
        Expression::And(parts) => parts.iter().all(|part| holds(part, message)),
        Expression::Or(parts) => parts.iter().any(|part| holds(part, message)),
        Expression::Is { selector, value } => any(message, selector, &|found| found == value),
        Expression::Exists { selector, wanted } => any(message, selector, &|_| true) == *wanted,
        Expression::Compare { selector, operator, operand } => {
            any(message, selector, &|found| compare(found, *operator, operand))
        }
    }
}

fn compare(found: &Value, operator: Operator, operand: &Operand) -> bool {
    match found {
        Value::String(text) => operand.test_text(operator, text),
        Value::Number(number) => {
            number.as_f64().is_some_and(|value| operand.test_number(operator, value, &number.to_string()))
        }
        Value::Bool(value) => operand.test_text(operator, if *value { "true" } else { "false" }),
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}

/// Whether one of the selected values passes the test.
fn any(value: &Value, selector: &[Step], test: &dyn Fn(&Value) -> bool) -> bool {
    let Some((step, rest)) = selector.split_first() else { return test(value) };
    match step {
        Step::Key(key) => value.get(key).is_some_and(|inner| any(inner, rest, test)),
        Step::Index(index) => value.get(*index).is_some_and(|inner| any(inner, rest, test)),
        Step::Any => match value {
            Value::Array(all) => all.iter().any(|inner| any(inner, rest, test)),
            Value::Object(all) => all.values().any(|inner| any(inner, rest, test)),
            _ => false,
        },
    }
}
