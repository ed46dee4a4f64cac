//! Reading a policy, and AWS's words for what is wrong with one.
//!
//! AWS checks the text against a JSON schema, and its messages are those of its validator; then against rules that a schema
//! cannot say, with messages of its own. Source: Amazon ECR User Guide, "Lifecycle policy properties"; the messages are those
//! that people report, and where nobody has reported one, ours says it in the same manner.

use std::collections::BTreeSet;

use api_ecr::Error;
use serde_json::{Map, Value};

use super::{Keep, Policy, Rule, Selection};
use crate::limits::{LIFECYCLE_RULES_MAX, LIFECYCLE_WILDCARDS_MAX};
use crate::refusals::invalid;

/// What the validator says.
type Checked<T> = Result<T, String>;

const NO_SCHEMA: &str = "instance failed to match exactly one schema (matched 0 out of 2)";

pub(crate) fn parse(text: &str) -> Result<Policy, Error> {
    policy(text).map_err(|failure| {
        invalid("LifecyclePolicyText", format_args!("Lifecycle policy validation failure: {failure}"))
    })
}

fn policy(text: &str) -> Checked<Policy> {
    let Ok(Value::Object(policy)) = serde_json::from_str::<Value>(text) else {
        return Err("Could not map policyString into LifecyclePolicy.".to_owned());
    };
    members(&policy, &["rules"], &[])?;
    let Value::Array(rules) = &policy["rules"] else { return Err(wrong_type(&policy["rules"], "array")) };
    match rules.len() {
        0 => return Err("array is too short: must have at least 1 elements but instance has 0 elements".to_owned()),
        1..=LIFECYCLE_RULES_MAX => {}
        count => {
            return Err(format!(
                "array is too long: must have at most {LIFECYCLE_RULES_MAX} elements but instance has {count} elements"
            ));
        }
    }
    let mut rules = rules.iter().map(rule).collect::<Checked<Vec<_>>>()?;
    rules.sort_by_key(|rule| rule.priority);
    check_together(&rules)?;
    Ok(Policy { rules })
}

fn rule(rule: &Value) -> Checked<Rule> {
    let rule = object(rule)?;
    members(rule, &["action", "rulePriority", "selection"], &["description"])?;
    let priority = i32::try_from(positive(&rule["rulePriority"])?)
        .map_err(|_| format!("numeric instance is greater than the required maximum (maximum: {})", i32::MAX))?;
    if let Some(description) = rule.get("description").filter(|description| !description.is_string()) {
        return Err(wrong_type(description, "string"));
    }
    let action = object(&rule["action"])?;
    if action.len() != 1 || !action.contains_key("type") {
        return Err(NO_SCHEMA.to_owned());
    }
    one_of(&action["type"], &["expire"])?;
    let (selection, keep) = selection(object(&rule["selection"])?)?;
    Ok(Rule { priority, selection, keep })
}

fn selection(selection: &Map<String, Value>) -> Checked<(Selection, Keep)> {
    let optional = ["countUnit", "tagPatternList", "tagPrefixList"];
    members(selection, &["countNumber", "countType", "tagStatus"], &optional)?;
    let status = one_of(&selection["tagStatus"], &["any", "tagged", "untagged"])?;
    let number = positive(&selection["countNumber"])?;
    let unit = selection.get("countUnit").map(Value::as_str);
    let keep = match (selection["countType"].as_str(), unit) {
        (Some("imageCountMoreThan"), None) => Keep::Newest(usize::try_from(number).unwrap_or(usize::MAX)),
        (Some("sinceImagePushed"), Some(Some("days"))) => Keep::PushedWithinDays(number),
        _ => return Err(NO_SCHEMA.to_owned()),
    };
    let prefixes = selection.get("tagPrefixList").map(texts).transpose()?;
    let patterns = selection.get("tagPatternList").map(texts).transpose()?;
    let selection = match (status, prefixes, patterns) {
        ("tagged", Some(prefixes), None) => Selection::Prefixes(prefixes),
        ("tagged", None, Some(patterns)) => Selection::Patterns(check_patterns(patterns)?),
        ("tagged", None, None) => {
            return Err("Must specify tagPrefixList or tagPatternList when tagStatus=TAGGED.".to_owned());
        }
        ("tagged", Some(_), Some(_)) => {
            return Err("Must not specify both tagPrefixList and tagPatternList.".to_owned());
        }
        ("any", None, None) => Selection::Any,
        ("untagged", None, None) => Selection::Untagged,
        (status, ..) => {
            let status = status.to_uppercase();
            return Err(format!("Must not specify tagPrefixList or tagPatternList when tagStatus={status}."));
        }
    };
    Ok((selection, keep))
}

fn check_patterns(patterns: Vec<String>) -> Checked<Vec<String>> {
    match patterns.iter().find(|pattern| pattern.matches('*').count() > LIFECYCLE_WILDCARDS_MAX) {
        Some(pattern) => {
            Err(format!("A tag pattern must have at most {LIFECYCLE_WILDCARDS_MAX} wildcards (*): {pattern}"))
        }
        None => Ok(patterns),
    }
}

/// What no rule can say alone. They come sorted by priority.
fn check_together(rules: &[Rule]) -> Checked<()> {
    if let Some(pair) = rules.windows(2).find(|pair| pair[0].priority == pair[1].priority) {
        return Err(format!("Rule priorities must be unique: {}", pair[0].priority));
    }
    if rules.iter().filter(|rule| rule.selection == Selection::Untagged).count() > 1 {
        return Err("Only one rule can select Untagged images per storage class.".to_owned());
    }
    if rules.iter().rev().skip(1).any(|rule| rule.selection == Selection::Any) {
        return Err("Rule for tagStatus=ANY must have the lowest priority per storage class".to_owned());
    }
    let mut seen = BTreeSet::new();
    for rule in rules {
        if let Selection::Prefixes(texts) | Selection::Patterns(texts) = &rule.selection {
            let mut texts = texts.clone();
            texts.sort();
            if !seen.insert(texts.clone()) {
                return Err(format!("Rules must not select the same tags: [{}]", texts.join(", ")));
            }
        }
    }
    Ok(())
}

fn object(value: &Value) -> Checked<&Map<String, Value>> {
    value.as_object().ok_or_else(|| wrong_type(value, "object"))
}

/// The lists are in the order of the alphabet, as the validator prints them.
fn members(object: &Map<String, Value>, required: &[&str], optional: &[&str]) -> Checked<()> {
    let quoted = |names: &[&str]| names.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(",");
    let missing: Vec<&str> = required.iter().copied().filter(|name| !object.contains_key(*name)).collect();
    if !missing.is_empty() {
        return Err(format!("object has missing required properties ([{}])", quoted(&missing)));
    }
    let mut unknown: Vec<&str> = object.keys().map(String::as_str).collect();
    unknown.retain(|name| !required.contains(name) && !optional.contains(name));
    unknown.sort_unstable();
    if !unknown.is_empty() {
        return Err(format!(
            "object instance has properties which are not allowed by the schema: [{}]",
            quoted(&unknown)
        ));
    }
    Ok(())
}

fn positive(value: &Value) -> Checked<u64> {
    match (value.as_u64(), value.as_i64()) {
        (Some(number @ 1..), _) => Ok(number),
        (_, Some(number)) => {
            Err(format!("numeric instance is lower than the required minimum (minimum: 1, found: {number})"))
        }
        _ => Err(wrong_type(value, "integer")),
    }
}

fn one_of<'a>(value: &Value, allowed: &[&'a str]) -> Checked<&'a str> {
    let found = value.as_str().and_then(|text| allowed.iter().find(|allowed| **allowed == text));
    found.copied().ok_or_else(|| {
        let allowed: Vec<String> = allowed.iter().map(|allowed| format!("\"{allowed}\"")).collect();
        format!("instance value ({value}) not found in enum (possible values: [{}])", allowed.join(","))
    })
}

fn texts(value: &Value) -> Checked<Vec<String>> {
    let Value::Array(values) = value else { return Err(wrong_type(value, "array")) };
    if values.is_empty() {
        return Err("array is too short: must have at least 1 elements but instance has 0 elements".to_owned());
    }
    let text = |value: &Value| match value.as_str() {
        Some("") => Err("string \"\" is too short (length: 0, required minimum: 1)".to_owned()),
        Some(text) => Ok(text.to_owned()),
        None => Err(wrong_type(value, "string")),
    };
    values.iter().map(text).collect()
}

fn wrong_type(value: &Value, allowed: &str) -> String {
    let found = match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    format!("instance type ({found}) does not match any allowed primitive type (allowed: [\"{allowed}\"])")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rule_of(priority: i64, selection: Value) -> Value {
        json!({"rulePriority": priority, "selection": selection, "action": {"type": "expire"}})
    }

    fn newest(status: &str) -> Value {
        json!({"tagStatus": status, "countType": "imageCountMoreThan", "countNumber": 3})
    }

    fn tagged(list: &str, texts: &[&str]) -> Value {
        json!({"tagStatus": "tagged", list: texts, "countType": "imageCountMoreThan", "countNumber": 3})
    }

    #[track_caller]
    fn refused(policy: Value, failure: &str) {
        let refusal = parse(&policy.to_string()).expect_err("this must be refused");
        let begin = "Invalid parameter at 'LifecyclePolicyText' failed to satisfy constraint: 'Lifecycle policy validation failure: ";
        assert_eq!(refusal.message, format!("{begin}{failure}'"));
    }

    #[track_caller]
    fn refused_rule(change: impl FnOnce(&mut Value), failure: &str) {
        let mut rule = rule_of(1, newest("any"));
        change(&mut rule);
        refused(json!({"rules": [rule]}), failure);
    }

    #[test]
    fn rules_are_read_in_the_order_of_their_priority() {
        let days =
            json!({"tagStatus": "untagged", "countType": "sinceImagePushed", "countUnit": "days", "countNumber": 14});
        let policy = json!({"rules": [
            rule_of(30, newest("any")),
            rule_of(2, tagged("tagPatternList", &["*-rc*", "v*"])),
            rule_of(1, tagged("tagPrefixList", &["prod"])),
            rule_of(9, days),
        ]});
        let rule = |priority, selection, keep| Rule { priority, selection, keep };
        let expected = vec![
            rule(1, Selection::Prefixes(vec!["prod".to_owned()]), Keep::Newest(3)),
            rule(2, Selection::Patterns(vec!["*-rc*".to_owned(), "v*".to_owned()]), Keep::Newest(3)),
            rule(9, Selection::Untagged, Keep::PushedWithinDays(14)),
            rule(30, Selection::Any, Keep::Newest(3)),
        ];
        assert_eq!(parse(&policy.to_string()).unwrap(), Policy { rules: expected });
    }

    #[test]
    fn a_text_must_be_a_policy() {
        for text in ["", "{", "[]", "1", "null", "\"rules\""] {
            let refusal = parse(text).unwrap_err().message;
            assert!(refusal.ends_with("Could not map policyString into LifecyclePolicy.'"), "{refusal}");
        }
        refused(json!({}), "object has missing required properties ([\"rules\"])");
        refused(
            json!({"rules": {}}),
            "instance type (object) does not match any allowed primitive type (allowed: [\"array\"])",
        );
        refused(json!({"rules": []}), "array is too short: must have at least 1 elements but instance has 0 elements");
        refused(
            json!({"rules": [1], "version": 1}),
            "object instance has properties which are not allowed by the schema: [\"version\"]",
        );
        let many: Vec<Value> = (1..=51).map(|n| rule_of(n, tagged("tagPrefixList", &[&format!("p{n}")]))).collect();
        refused(
            json!({"rules": many}),
            "array is too long: must have at most 50 elements but instance has 51 elements",
        );
        assert!(parse(&json!({"rules": many[1..]}).to_string()).is_ok());
    }

    #[test]
    fn a_rule_has_its_members() {
        let wrong = "instance type (integer) does not match any allowed primitive type (allowed: [\"object\"])";
        refused(json!({"rules": [1]}), wrong);
        refused_rule(
            |rule| *rule = json!({"rulePriority": 1}),
            "object has missing required properties ([\"action\",\"selection\"])",
        );
        refused_rule(
            |rule| rule["when"] = json!("now"),
            "object instance has properties which are not allowed by the schema: [\"when\"]",
        );
        refused_rule(
            |rule| rule["rulePriority"] = json!(0),
            "numeric instance is lower than the required minimum (minimum: 1, found: 0)",
        );
        refused_rule(
            |rule| rule["rulePriority"] = json!("1"),
            "instance type (string) does not match any allowed primitive type (allowed: [\"integer\"])",
        );
        refused_rule(
            |rule| rule["description"] = json!(null),
            "instance type (null) does not match any allowed primitive type (allowed: [\"string\"])",
        );
        refused_rule(
            |rule| rule["action"]["type"] = json!("transition"),
            "instance value (\"transition\") not found in enum (possible values: [\"expire\"])",
        );
        refused_rule(|rule| rule["action"]["targetStorageClass"] = json!(null), NO_SCHEMA);
    }

    #[test]
    fn a_selection_counts_in_one_way() {
        let select = |member: &'static str, value: Value| move |rule: &mut Value| rule["selection"][member] = value;
        refused_rule(
            select("tagStatus", json!("some")),
            "instance value (\"some\") not found in enum (possible values: [\"any\",\"tagged\",\"untagged\"])",
        );
        refused_rule(
            select("countNumber", json!(-1)),
            "numeric instance is lower than the required minimum (minimum: 1, found: -1)",
        );
        refused_rule(
            select("countNumber", json!(1.5)),
            "instance type (number) does not match any allowed primitive type (allowed: [\"integer\"])",
        );
        refused_rule(select("countType", json!("sinceImagePushed")), NO_SCHEMA);
        refused_rule(select("countType", json!("sinceImagePulled")), NO_SCHEMA);
        refused_rule(select("countUnit", json!("days")), NO_SCHEMA);
        refused_rule(select("countUnit", json!(null)), NO_SCHEMA);
        refused_rule(
            |rule| {
                rule["selection"]["countType"] = json!("sinceImagePushed");
                rule["selection"]["countUnit"] = json!("hours");
            },
            NO_SCHEMA,
        );
        refused_rule(
            select("tagPrefixList", json!(["a"])),
            "Must not specify tagPrefixList or tagPatternList when tagStatus=ANY.",
        );
        refused_rule(
            select("tagStatus", json!("tagged")),
            "Must specify tagPrefixList or tagPatternList when tagStatus=TAGGED.",
        );
        refused_rule(
            |rule| {
                rule["selection"] = tagged("tagPrefixList", &["a"]);
                rule["selection"]["tagPatternList"] = json!(["a*"]);
            },
            "Must not specify both tagPrefixList and tagPatternList.",
        );
        refused_rule(
            |rule| rule["selection"] = tagged("tagPatternList", &["*a*b*c*d*"]),
            "A tag pattern must have at most 4 wildcards (*): *a*b*c*d*",
        );
        refused_rule(
            |rule| rule["selection"] = tagged("tagPrefixList", &[]),
            "array is too short: must have at least 1 elements but instance has 0 elements",
        );
        refused_rule(
            |rule| rule["selection"] = tagged("tagPrefixList", &[""]),
            "string \"\" is too short (length: 0, required minimum: 1)",
        );
    }

    #[test]
    fn rules_must_go_together() {
        let two = |a: Value, b: Value| json!({"rules": [a, b]});
        refused(two(rule_of(1, newest("untagged")), rule_of(1, newest("any"))), "Rule priorities must be unique: 1");
        refused(
            two(rule_of(1, newest("untagged")), rule_of(2, newest("untagged"))),
            "Only one rule can select Untagged images per storage class.",
        );
        let any_first = "Rule for tagStatus=ANY must have the lowest priority per storage class";
        refused(two(rule_of(1, newest("any")), rule_of(2, newest("untagged"))), any_first);
        refused(two(rule_of(1, newest("any")), rule_of(2, newest("any"))), any_first);
        refused(
            two(rule_of(1, tagged("tagPrefixList", &["b", "a"])), rule_of(2, tagged("tagPrefixList", &["a", "b"]))),
            "Rules must not select the same tags: [a, b]",
        );
    }
}
