//! Resource policies as they are kept: their form is checked here, their meaning is IAM's.

use api_ecr::Error;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::refusals::invalid;

/// A policy that somebody set. Of a repository or of a registry, and part of what is on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PolicyRecord {
    version: u32,
    pub(crate) text: String,
}

impl PolicyRecord {
    /// Beside a repository, or a registry.
    pub(crate) const NAME: &str = "policy";

    pub(crate) fn new(text: String) -> PolicyRecord {
        PolicyRecord { version: 1, text }
    }
}

/// What a policy is set on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum On {
    Repository,
    Registry,
}

pub(crate) fn check(text: &str, on: On) -> Result<(), Error> {
    let policy = serde_json::from_str::<Value>(text).ok().filter(|policy| is_policy(policy, on));
    let kind = if on == On::Repository { "repository" } else { "registry" };
    policy.map(drop).ok_or_else(|| invalid("PolicyText", format_args!("Invalid {kind} policy provided")))
}

/// Source: IAM User Guide, "Grammar of the IAM JSON policy language", for policies of a resource.
fn is_policy(policy: &Value, on: On) -> bool {
    let Some(policy) = policy.as_object() else { return false };
    let known = policy.keys().all(|key| ["Version", "Id", "Statement"].contains(&key.as_str()));
    let version = policy
        .get("Version")
        .is_none_or(|version| version.as_str().is_some_and(|version| ["2008-10-17", "2012-10-17"].contains(&version)));
    let statements = match policy.get("Statement") {
        Some(Value::Array(statements)) => statements.as_slice(),
        Some(statement @ Value::Object(_)) => std::slice::from_ref(statement),
        _ => return false,
    };
    known && version && !statements.is_empty() && statements.iter().all(|statement| is_statement(statement, on))
}

fn is_statement(statement: &Value, on: On) -> bool {
    const KEYS: [&str; 9] =
        ["Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource", "NotResource", "Condition"];
    let Some(statement) = statement.as_object() else { return false };
    let one_of = |a: &str, b: &str| match (statement.get(a), statement.get(b)) {
        (Some(value), None) | (None, Some(value)) => Some(value),
        _ => None,
    };
    let effect = statement.get("Effect").and_then(Value::as_str);
    let resource = one_of("Resource", "NotResource");
    let has_resource = statement.contains_key("Resource") || statement.contains_key("NotResource");
    statement.keys().all(|key| KEYS.contains(&key.as_str()))
        && matches!(effect, Some("Allow" | "Deny"))
        && one_of("Principal", "NotPrincipal").is_some_and(is_principal)
        && one_of("Action", "NotAction").is_some_and(|actions| texts(actions, is_action))
        // A repository's policy speaks of its repository and needs to name none; a registry's must say of which.
        && (resource.is_some_and(|resource| texts(resource, |text| text == "*" || text.starts_with("arn:")))
            || (!has_resource && on == On::Repository))
        && statement.get("Condition").is_none_or(Value::is_object)
}

fn is_principal(principal: &Value) -> bool {
    match principal {
        Value::String(text) => text == "*",
        Value::Object(kinds) => {
            !kinds.is_empty()
                && kinds.iter().all(|(kind, who)| {
                    ["AWS", "Service", "Federated", "CanonicalUser"].contains(&kind.as_str())
                        && texts(who, |text| !text.is_empty())
                })
        }
        _ => false,
    }
}

fn is_action(text: &str) -> bool {
    text == "*" || text.strip_prefix("ecr:").is_some_and(|action| !action.is_empty())
}

/// One text, or a list of some, each of which is good.
fn texts(value: &Value, is_good: impl Fn(&str) -> bool) -> bool {
    match value {
        Value::String(text) => is_good(text),
        Value::Array(values) => !values.is_empty() && values.iter().all(|value| value.as_str().is_some_and(&is_good)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn statement() -> Value {
        json!({"Sid": "pull", "Effect": "Allow", "Principal": {"AWS": ["arn:aws:iam::111122223333:root"]},
               "Action": ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]})
    }

    fn is_good(change: impl FnOnce(&mut Value), on: On) -> bool {
        let mut statement = statement();
        change(&mut statement);
        check(&json!({"Version": "2012-10-17", "Statement": [statement]}).to_string(), on).is_ok()
    }

    #[test]
    fn policies_have_a_form() {
        assert!(is_good(|_| {}, On::Repository));
        assert!(is_good(|s| s["Principal"] = json!("*"), On::Repository));
        assert!(is_good(|s| s["Action"] = json!("ecr:*"), On::Repository));
        assert!(is_good(|s| s["Condition"] = json!({"StringEquals": {"aws:SourceVpc": "vpc-1"}}), On::Repository));
        for (member, value) in [
            ("Effect", json!("Maybe")),
            ("Effect", json!(null)),
            ("Principal", json!("everybody")),
            ("Principal", json!({})),
            ("Principal", json!({"User": "x"})),
            ("NotPrincipal", json!("*")),
            ("Action", json!("s3:GetObject")),
            ("Action", json!("ecr:")),
            ("Action", json!([])),
            ("Action", json!([1])),
            ("Resource", json!("web")),
            ("Condition", json!("never")),
            ("Surprise", json!(1)),
        ] {
            assert!(!is_good(|s| s[member] = value.clone(), On::Repository), "{member} {value}");
        }
        for missing in ["Effect", "Principal", "Action"] {
            assert!(!is_good(|s| drop(s.as_object_mut().unwrap().remove(missing)), On::Repository), "{missing}");
        }
        assert!(!is_good(|_| {}, On::Registry), "a registry's policy names repositories");
        assert!(is_good(|s| s["Resource"] = json!(["arn:aws:ecr:us-east-1:1:repository/*"]), On::Registry));
    }

    #[test]
    fn what_is_no_policy_is_refused_in_the_words_of_aws() {
        let whole = |text: &str| check(text, On::Repository).map_err(|error| error.message);
        let refusal =
            "Invalid parameter at 'PolicyText' failed to satisfy constraint: 'Invalid repository policy provided'";
        for text in [
            "",
            "{",
            "[]",
            "{}",
            r#"{"Statement": []}"#,
            r#"{"Statement": [1]}"#,
            &json!({"Version": "2020-01-01", "Statement": statement()}).to_string(),
            &json!({"Statement": statement(), "Rules": []}).to_string(),
        ] {
            assert_eq!(whole(text), Err(refusal.to_owned()), "{text}");
        }
        assert_eq!(whole(&json!({"Statement": statement()}).to_string()), Ok(()));
    }
}
