//! How a request names a group: by its name, or by its ARN.

use api_logs::Error;
use log_store::{GroupKey, StreamKey};
use shape::Caller;

use crate::refusals::{group_not_found, invalid};

pub(crate) fn group_key(caller: &Caller, name: impl Into<String>) -> GroupKey {
    GroupKey::new(&caller.account, &caller.region, name)
}

/// The group of a request that must name one. The model requires it, so the front door has refused its absence.
pub(crate) fn group(caller: &Caller, name: Option<String>) -> Result<GroupKey, Error> {
    name.map(|name| group_key(caller, name)).ok_or_else(|| invalid("logGroupName is required."))
}

pub(crate) fn stream(caller: &Caller, group: Option<String>, stream: Option<String>) -> Result<StreamKey, Error> {
    let stream = stream.ok_or_else(|| invalid("logStreamName is required."))?;
    Ok(self::group(caller, group)?.stream(stream))
}

/// The group of a request that may name it in two ways, exactly one of which must be used.
pub(crate) fn either(caller: &Caller, name: Option<String>, identifier: Option<String>) -> Result<GroupKey, Error> {
    match (name, identifier) {
        (Some(name), None) => Ok(group_key(caller, name)),
        (None, Some(identifier)) => identified(caller, &identifier),
        (Some(_), Some(_)) => Err(invalid("LogGroupName and LogGroupIdentifier cannot be both specified.")),
        (None, None) => Err(invalid("Either LogGroupName or LogGroupIdentifier must be specified.")),
    }
}

/// A name, or an ARN in the caller's account and region.
pub(crate) fn identified(caller: &Caller, identifier: &str) -> Result<GroupKey, Error> {
    match identifier.starts_with("arn:") {
        false => Ok(group_key(caller, identifier)),
        true => group_of_arn(caller, identifier),
    }
}

/// The ARN of a group, as tags are put on it.
pub(crate) fn arn(caller: &Caller, name: &str) -> String {
    caller.arn("logs", &format!("log-group:{name}"))
}

/// `arn:aws:logs:REGION:ACCOUNT:log-group:NAME`, with or without `:*` behind it.
pub(crate) fn group_of_arn(caller: &Caller, arn: &str) -> Result<GroupKey, Error> {
    let name = arn.strip_prefix(&caller.arn("logs", "log-group:")).ok_or_else(group_not_found)?;
    Ok(group_key(caller, name.strip_suffix(":*").unwrap_or(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_arns() {
        let caller = Caller::root("111122223333", "eu-west-1");
        for identifier in [
            "/ecs/web",
            "arn:aws:logs:eu-west-1:111122223333:log-group:/ecs/web",
            "arn:aws:logs:eu-west-1:111122223333:log-group:/ecs/web:*",
        ] {
            assert_eq!(identified(&caller, identifier).unwrap(), group_key(&caller, "/ecs/web"), "{identifier}");
        }
        for elsewhere in ["arn:aws:logs:us-east-1:111122223333:log-group:x", "arn:aws:s3:::x"] {
            assert!(identified(&caller, elsewhere).is_err(), "{elsewhere}");
        }
        assert!(either(&caller, Some("a".into()), Some("a".into())).is_err());
        assert!(either(&caller, None, None).is_err());
    }
}
