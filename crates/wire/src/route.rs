//! Which service and operation a request means.
//!
//! In this order: `X-Amz-Target`, the service in the credential scope, the host, and at last the version of an
//! unsigned query, because STS may be asked without a signature.

use std::sync::Arc;

use http::request::Parts;
use http::{Method, header};
use shape::{ErrorFacts, Operation, Protocol, Service, WireError};

use crate::protocol::form::Form;
use crate::sigv4::Claim;

/// Where a request goes.
pub(crate) enum Route<'a> {
    Operation(&'a Arc<dyn Service>, &'static Operation),
    /// In the words of a protocol, of a service if we know it.
    Refused(Protocol, Option<&'a Arc<dyn Service>>, WireError),
    /// What the front ends of AWS answer when nothing at all can be made of a request: 404, and this as its body.
    Nothing,
}

pub(crate) const NOTHING: &str = "<UnknownOperationException/>\n";

const UNKNOWN_OPERATION: ErrorFacts = ErrorFacts::client("UnknownOperationException", 400);
const INVALID_ACTION: ErrorFacts = ErrorFacts::client("InvalidAction", 400);
const MISSING_ACTION: ErrorFacts = ErrorFacts::client("MissingAction", 400);

pub(crate) fn route<'a>(services: &'a [Arc<dyn Service>], parts: &Parts, form: &Form) -> Route<'a> {
    match text(parts, "x-amz-target") {
        Some(target) => by_target(services, parts, target),
        None => by_place(services, parts, form),
    }
}

fn by_target<'a>(services: &'a [Arc<dyn Service>], parts: &Parts, target: &str) -> Route<'a> {
    if parts.method != Method::POST || !is_json(parts) {
        return Route::Nothing;
    }
    let (prefix, name) = target.rsplit_once('.').unwrap_or((target, ""));
    let service = services.iter().find(|service| service.model().target_prefix == prefix && !prefix.is_empty());
    match service.and_then(|service| Some((service, service.model().operation(name)?))) {
        Some((service, operation)) => Route::Operation(service, operation),
        None => Route::Refused(Protocol::AwsJson, service, WireError::silent(UNKNOWN_OPERATION)),
    }
}

fn by_place<'a>(services: &'a [Arc<dyn Service>], parts: &Parts, form: &Form) -> Route<'a> {
    let (action, version) = (form.get("Action"), form.get("Version").unwrap_or_default());
    let service = named(services, parts, version).or_else(|| by_version(services, action?, version));
    let protocol = service.map(|service| service.model().protocol);
    match (service, protocol, action) {
        (Some(service), Some(Protocol::AwsQuery | Protocol::Ec2Query), Some(action)) => {
            let model = service.model();
            match model.operation(action).filter(|_| version == model.api_version) {
                Some(operation) => Route::Operation(service, operation),
                None => Route::Refused(model.protocol, Some(service), invalid_action(action, version)),
            }
        }
        (Some(service), Some(protocol @ (Protocol::AwsQuery | Protocol::Ec2Query)), None) => {
            let message = "The request is missing an action or a required parameter.";
            Route::Refused(protocol, Some(service), WireError::new(MISSING_ACTION, message))
        }
        (None, _, Some(action)) => Route::Refused(Protocol::AwsQuery, None, invalid_action(action, version)),
        _ => Route::Nothing,
    }
}

fn invalid_action(action: &str, version: &str) -> WireError {
    WireError::new(INVALID_ACTION, format!("Could not find operation {action} for version {version}"))
}

/// The service that the signature or else the host names. Two generations of one service may share a name; then the
/// version decides.
fn named<'a>(services: &'a [Arc<dyn Service>], parts: &Parts, version: &str) -> Option<&'a Arc<dyn Service>> {
    let claim = Claim::of(&parts.headers, parts.uri.query().unwrap_or_default()).ok();
    let host = text(parts, header::HOST.as_str()).unwrap_or_default();
    let is_meant = |service: &&Arc<dyn Service>| match &claim {
        Some(claim) => service.model().signing_name == claim.scope.service,
        None => {
            // Operations whose answers go on are asked of a host of their own: `stream-logs.us-east-1.amazonaws.com`.
            let host = ["stream-", "streaming-"].iter().find_map(|prefix| host.strip_prefix(prefix)).unwrap_or(host);
            let rest = host.strip_prefix(service.model().endpoint_prefix);
            rest.is_some_and(|rest| rest.starts_with('.'))
        }
    };
    let mut meant = services.iter().filter(is_meant);
    let first = meant.next()?;
    Some(meant.chain([first]).find(|service| service.model().api_version == version).unwrap_or(first))
}

fn by_version<'a>(services: &'a [Arc<dyn Service>], action: &str, version: &str) -> Option<&'a Arc<dyn Service>> {
    services.iter().find(|service| {
        let model = service.model();
        model.protocol == Protocol::AwsQuery && model.api_version == version && model.operation(action).is_some()
    })
}

/// SDKs of both versions talk to services of both, so the version is not looked at.
fn is_json(parts: &Parts) -> bool {
    let content_type = text(parts, header::CONTENT_TYPE.as_str()).unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    matches!(essence, "application/x-amz-json-1.0" | "application/x-amz-json-1.1" | "application/json")
}

fn text<'a>(parts: &'a Parts, name: &str) -> Option<&'a str> {
    parts.headers.get(name)?.to_str().ok()
}
