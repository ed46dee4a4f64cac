//! Constraints of the model, in the words of AWS.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Arc, OnceLock, RwLock};

use regex::Regex;

use crate::document::Document;
use crate::error::{ErrorFacts, WireError};
use crate::schema::{Kind, Schema};
use crate::service::{Operation, ServiceModel};

/// AWS does not list violations without end either; ten of them are enough to see what is wrong.
pub const VIOLATIONS_MAX: usize = 10;

/// One value that breaks one constraint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// `containerDefinitions.1.member.healthCheck.command`
    pub path: String,
    /// None when the value is missing.
    pub value: Option<String>,
    /// `Member must have length less than or equal to 255`
    pub constraint: String,
}

/// Checks an input before a handler sees it.
///
/// Errors: the service's code for constraint failures, see [`validation_error`].
pub fn check(model: &ServiceModel, operation: &Operation, input: &Document) -> Result<(), WireError> {
    let violations = validate(operation.input, input);
    if violations.is_empty() {
        return Ok(());
    }
    let message = match model.name {
        "ecr" => ecr_message(&violations[0]),
        _ => violations_message(&violations),
    };
    Err(WireError::new(validation_error(model.name), message))
}

/// The code with which a service answers a broken constraint.
pub fn validation_error(service: &str) -> ErrorFacts {
    match service {
        "ecs" | "ecr" | "logs" => ErrorFacts::client("InvalidParameterException", 400),
        "s3" => ErrorFacts::client("InvalidArgument", 400),
        "sts" | "iam" | "cloudformation" | "autoscaling" | "elbv2" => ErrorFacts::client("ValidationError", 400),
        _ => ErrorFacts::client("ValidationException", 400),
    }
}

/// `1 validation error detected: Value null at 'taskDefinition' failed to satisfy constraint: Member must not be null`
pub fn violations_message(violations: &[Violation]) -> String {
    let count = violations.len();
    let mut message = format!("{count} validation error{} detected: ", if count == 1 { "" } else { "s" });
    for (at, violation) in violations.iter().enumerate() {
        if at > 0 {
            message.push_str("; ");
        }
        match &violation.value {
            None => message.push_str("Value null"),
            Some(value) => _ = write!(message, "Value '{value}'"),
        }
        _ = write!(message, " at '{}' failed to satisfy constraint: {}", violation.path, violation.constraint);
    }
    message
}

/// ECR names one parameter and not its value, and words a pattern in its own way:
/// `Invalid parameter at 'imageIds' failed to satisfy constraint: 'Member must have length less than or equal to 100'`
fn ecr_message(violation: &Violation) -> String {
    let constraint = match violation.constraint.strip_prefix(PATTERN) {
        Some(pattern) => format!("must satisfy regular expression '{pattern}'"),
        None => violation.constraint.clone(),
    };
    format!("Invalid parameter at '{}' failed to satisfy constraint: '{constraint}'", violation.path)
}

/// Every constraint that `document` breaks, up to [`VIOLATIONS_MAX`].
pub fn validate(schema: &'static Schema, document: &Document) -> Vec<Violation> {
    let mut found = Vec::new();
    visit(schema, document, &mut String::new(), &mut found);
    found.truncate(VIOLATIONS_MAX);
    found
}

fn visit(schema: &'static Schema, document: &Document, path: &mut String, found: &mut Vec<Violation>) {
    if document.is_null() || found.len() >= VIOLATIONS_MAX {
        return;
    }
    for constraint in broken(schema, document) {
        found.push(Violation { path: path.clone(), value: Some(shown(schema, document)), constraint });
    }
    match (&schema.kind, document) {
        (Kind::Structure(members), Document::Structure(_)) => {
            for member in *members {
                let value = document.member(member.name).unwrap_or(&Document::Null);
                within(path, member.name, |path| {
                    if member.required && value.is_null() {
                        let constraint = "Member must not be null".to_owned();
                        found.push(Violation { path: path.clone(), value: None, constraint });
                    }
                    visit(member.schema, value, path, found);
                });
            }
        }
        (Kind::List(member), Document::List(items)) => visit_list(schema, member, items, path, found),
        (Kind::Map { key, value }, Document::Map(entries)) => {
            visit_map(schema, (key, value), document, entries, path, found);
        }
        _ => {}
    }
}

/// AWS names the element of a list of structures, but reports a list of plain values as a whole.
fn visit_list(
    list: &'static Schema,
    member: &'static Schema,
    items: &[Document],
    path: &mut String,
    found: &mut Vec<Violation>,
) {
    if is_plain(member) {
        if items.iter().any(|item| !item.is_null() && !broken(member, item).is_empty()) {
            let value = items_shown(member, items);
            let constraint = format!("Member must satisfy constraint: [{}]", every_constraint(member).join(", "));
            let value = if list.sensitive { HIDDEN.to_owned() } else { value };
            found.push(Violation { path: path.clone(), value: Some(value), constraint });
        }
        return;
    }
    for (at, item) in items.iter().enumerate() {
        within(path, &format!("{}.member", at + 1), |path| visit(member, item, path, found));
    }
}

fn visit_map(
    map: &'static Schema,
    (key, value): (&'static Schema, &'static Schema),
    document: &Document,
    entries: &[(String, Document)],
    path: &mut String,
    found: &mut Vec<Violation>,
) {
    if entries.iter().any(|(name, _)| !broken_text(key, name).is_empty()) {
        let constraint = format!("Map keys must satisfy constraint: [{}]", every_constraint(key).join(", "));
        found.push(Violation { path: path.clone(), value: Some(shown(map, document)), constraint });
    }
    if is_plain(value) {
        if entries.iter().any(|(_, item)| !item.is_null() && !broken(value, item).is_empty()) {
            let constraint = format!("Map value must satisfy constraint: [{}]", every_constraint(value).join(", "));
            found.push(Violation { path: path.clone(), value: Some(shown(map, document)), constraint });
        }
        return;
    }
    for (name, item) in entries {
        within(path, &format!("{name}.member"), |path| visit(value, item, path, found));
    }
}

fn within(path: &mut String, step: &str, visit: impl FnOnce(&mut String)) {
    let length = path.len();
    if length > 0 {
        path.push('.');
    }
    path.push_str(step);
    visit(path);
    path.truncate(length);
}

fn is_plain(schema: &Schema) -> bool {
    !matches!(schema.kind, Kind::Structure(_) | Kind::List(_) | Kind::Map { .. })
}

/// The constraints of this very value, without its members.
fn broken(schema: &Schema, document: &Document) -> Vec<String> {
    match document {
        Document::String(text) => broken_text(schema, text),
        Document::Blob(bytes) => outside(schema, bytes.len() as i64, Measure::Length),
        Document::List(items) => outside(schema, items.len() as i64, Measure::Length),
        Document::Map(entries) => outside(schema, entries.len() as i64, Measure::Length),
        Document::Integer(value) => outside(schema, *value, Measure::Value),
        // A fraction below the minimum or above the maximum is outside, so round away from the middle.
        Document::Float(value) if schema.min.is_some_and(|min| *value < min as f64) => {
            outside(schema, value.floor() as i64, Measure::Value)
        }
        Document::Float(value) => outside(schema, value.ceil() as i64, Measure::Value),
        _ => Vec::new(),
    }
}

fn broken_text(schema: &Schema, text: &str) -> Vec<String> {
    let mut constraints = outside(schema, text.chars().count() as i64, Measure::Length);
    if let Some(pattern) = schema.pattern
        && compiled(pattern).is_some_and(|regex| !regex.is_match(text))
    {
        constraints.push(pattern_constraint(pattern));
    }
    if !schema.values.is_empty() && !schema.values.contains(&text) {
        constraints.push(values_constraint(schema.values));
    }
    constraints
}

#[derive(Clone, Copy)]
enum Measure {
    Length,
    Value,
}

fn outside(schema: &Schema, measured: i64, measure: Measure) -> Vec<String> {
    let mut constraints = Vec::new();
    if let Some(max) = schema.max.filter(|max| measured > *max) {
        constraints.push(bound(measure, "less", max));
    }
    if let Some(min) = schema.min.filter(|min| measured < *min) {
        constraints.push(bound(measure, "greater", min));
    }
    constraints
}

fn every_constraint(schema: &Schema) -> Vec<String> {
    let measure = match schema.kind {
        Kind::Integer | Kind::Long | Kind::Float | Kind::Double => Measure::Value,
        _ => Measure::Length,
    };
    let bounds =
        [schema.max.map(|max| bound(measure, "less", max)), schema.min.map(|min| bound(measure, "greater", min))];
    let pattern = schema.pattern.map(pattern_constraint);
    let values = (!schema.values.is_empty()).then(|| values_constraint(schema.values));
    bounds.into_iter().flatten().chain(pattern).chain(values).collect()
}

fn bound(measure: Measure, direction: &str, limit: i64) -> String {
    let measure = match measure {
        Measure::Length => "length",
        Measure::Value => "value",
    };
    format!("Member must have {measure} {direction} than or equal to {limit}")
}

const PATTERN: &str = "Member must satisfy regular expression pattern: ";

fn pattern_constraint(pattern: &str) -> String {
    format!("{PATTERN}{pattern}")
}

fn values_constraint(values: &[&str]) -> String {
    format!("Member must satisfy enum value set: [{}]", values.join(", "))
}

const HIDDEN: &str = "***";

/// A value as AWS prints it, which is Java's way.
fn shown(schema: &Schema, document: &Document) -> String {
    if schema.sensitive {
        return HIDDEN.to_owned();
    }
    match (&schema.kind, document) {
        (_, Document::String(text)) => text.clone(),
        (_, Document::Bool(value)) => value.to_string(),
        (_, Document::Integer(value)) => value.to_string(),
        (_, Document::Float(value)) => value.to_string(),
        (_, Document::Timestamp(at)) => at.to_string(),
        (Kind::List(member), Document::List(items)) => items_shown(member, items),
        (Kind::Map { value, .. }, Document::Map(entries)) => {
            let entries: Vec<_> = entries.iter().map(|(key, item)| format!("{key}={}", shown(value, item))).collect();
            format!("{{{}}}", entries.join(", "))
        }
        (Kind::Structure(_), _) => schema.name.to_owned(),
        _ => "null".to_owned(),
    }
}

fn items_shown(member: &Schema, items: &[Document]) -> String {
    let items: Vec<_> = items.iter().map(|item| shown(member, item)).collect();
    format!("[{}]", items.join(", "))
}

/// True when the pattern is one that [`validate`] can check. The generator drops the others.
pub fn compiles(pattern: &str) -> bool {
    anchored(pattern).is_ok()
}

/// The model's patterns are Java's `matches()`: they speak of the whole string.
fn anchored(pattern: &str) -> Result<Regex, regex::Error> {
    Regex::new(&format!(r"\A(?:{pattern})\z"))
}

/// By the pattern's text; None for one that does not compile, which the generator would have refused.
type Compiled = HashMap<&'static str, Option<Arc<Regex>>>;

/// Compiles each pattern of the model once, when it is first needed.
fn compiled(pattern: &'static str) -> Option<Arc<Regex>> {
    static COMPILED: OnceLock<RwLock<Compiled>> = OnceLock::new();
    let cache = COMPILED.get_or_init(Default::default);
    if let Some(known) = cache.read().unwrap_or_else(|poisoned| poisoned.into_inner()).get(pattern) {
        return known.clone();
    }
    let regex = anchored(pattern).ok().map(Arc::new);
    cache.write().unwrap_or_else(|poisoned| poisoned.into_inner()).insert(pattern, regex.clone());
    regex
}
