//! The settings of an account: their names, what they may be, and what counts for whom.
//!
//! Source: Amazon ECS Developer Guide, "Access Amazon ECS features with account settings".

use std::sync::Arc;

use model::{AccountSetting, Scope};
use state::Snapshot;

use crate::ctx::Ctx;
use crate::error::{Error, client, invalid};

/// One setting, and its value where nobody has set it.
pub(crate) struct Known {
    pub name: &'static str,
    pub default: &'static str,
    values: &'static [&'static str],
    /// Only AWS changes it.
    is_managed: bool,
}

const SWITCH: &[&str] = &["enabled", "disabled", "on", "off"];
/// An ARN in the long format is all there is, as for every account since 2021.
const ON: &[&str] = &["enabled", "on"];

const fn plain(name: &'static str, default: &'static str, values: &'static [&'static str]) -> Known {
    Known { name, default, values, is_managed: false }
}

pub(crate) const KNOWN: &[Known] = &[
    plain("awsvpcTrunking", "disabled", SWITCH),
    plain("containerInsights", "disabled", &["enhanced", "enabled", "disabled", "on", "off"]),
    plain("containerInstanceLongArnFormat", "enabled", ON),
    plain("defaultLogDriverMode", "non-blocking", &["blocking", "non-blocking"]),
    plain("fargateEventWindows", "disabled", SWITCH),
    plain("fargateFIPSMode", "disabled", SWITCH),
    plain("fargateTaskRetirementWaitPeriod", "7", &["0", "7", "14"]),
    Known { name: "guardDutyActivate", default: "off", values: &[], is_managed: true },
    plain("serviceLongArnFormat", "enabled", ON),
    plain("tagResourceAuthorization", "on", SWITCH),
    plain("taskLongArnFormat", "enabled", ON),
];

/// The setting of that name.
pub(crate) fn known(name: Option<&str>) -> Result<&'static Known, Error> {
    let name = name.unwrap_or_default();
    KNOWN
        .iter()
        .find(|known| known.name == name)
        .ok_or_else(|| invalid(format!("Invalid account setting name: {name}")))
}

/// The value, if the setting can have it.
pub(crate) fn check(known: &Known, value: &str) -> Result<String, Error> {
    if known.is_managed {
        return Err(client(format!("The account setting {} is managed by AWS and cannot be changed.", known.name)));
    }
    match known.values.contains(&value) {
        true => Ok(value.to_owned()),
        false => Err(invalid(format!("Invalid value for the account setting {}: {value}", known.name))),
    }
}

/// Who speaks for all in the account that say nothing themselves.
pub(crate) fn root(ctx: &Ctx<'_>) -> String {
    format!("arn:{}:iam::{}:root", ctx.scope.partition(), ctx.scope.account)
}

/// Whose setting is meant: a user, role or root user of the account, or who asks.
pub(crate) fn principal(ctx: &Ctx<'_>, given: Option<&str>) -> Result<String, Error> {
    let Some(arn) = given.filter(|arn| !arn.is_empty()) else { return Ok(ctx.caller.principal.arn.clone()) };
    let within = format!("arn:{}:iam::{}:", ctx.scope.partition(), ctx.scope.account);
    let rest = arn.strip_prefix(&within);
    let is_one = rest.is_some_and(|rest| rest == "root" || rest.starts_with("user/") || rest.starts_with("role/"));
    if is_one { Ok(arn.to_owned()) } else { Err(invalid("The specified principalArn is not valid.")) }
}

/// What the principal itself has set.
pub(crate) fn own<'a>(ctx: &Ctx<'a>, known: &Known, principal: &str) -> Option<&'a Arc<AccountSetting>> {
    kept(ctx.snapshot, &ctx.scope, known, principal)
}

/// What counts for a principal: its own word, else that of the root user, else the default.
pub(crate) fn effective(snapshot: &Snapshot, scope: &Scope, known: &Known, principal: &str) -> String {
    let root = format!("arn:{}:iam::{}:root", scope.partition(), scope.account);
    let said = [principal, &root].into_iter().find_map(|who| kept(snapshot, scope, known, who));
    said.map_or_else(|| known.default.to_owned(), |kept| kept.value.clone())
}

fn kept<'a>(snapshot: &'a Snapshot, scope: &Scope, known: &Known, who: &str) -> Option<&'a Arc<AccountSetting>> {
    snapshot.account_settings.get(&format!("{scope}/{}/{who}", known.name))
}

pub(crate) fn setting(known: &Known, value: &str, principal: &str) -> api_ecs::Setting {
    api_ecs::Setting {
        name: Some(known.name.to_owned()),
        value: Some(value.to_owned()),
        principal_arn: Some(principal.to_owned()),
        r#type: Some(if known.is_managed { "aws_managed".to_owned() } else { "user".to_owned() }),
    }
}
