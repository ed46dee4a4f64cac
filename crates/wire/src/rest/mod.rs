//! Which operation of a REST service a request means: nothing but its method, path, parameters and headers say so.

mod body;
pub(crate) mod chunked;
mod place;

use http::HeaderMap;
use http::request::Parts;
use percent_encoding::percent_decode_str;
use shape::{ErrorFacts, Location, Operation, Service, ServiceModel, WireError};

use crate::protocol::form::Form;
pub(crate) use body::{bytes, incomplete, stream};
pub(crate) use place::{is_meant, path};

/// An operation, and what stands in the path for the labels of its URI.
pub(crate) struct Found {
    pub operation: &'static Operation,
    pub labels: Vec<(&'static str, String)>,
}

/// Errors: that nobody serves it, in the words of S3.
pub(crate) fn operation(service: &dyn Service, parts: &Parts, path: &str, form: &Form) -> Result<Found, WireError> {
    let model = service.model();
    let asked = Asked { method: parts.method.as_str(), path, form, headers: &parts.headers };
    let served = model.operations.iter().filter_map(|operation| {
        let required = required(operation);
        let (weight, labels) = asked.fits(operation.http_method, operation.http_uri, &required)?;
        Some((weight, Found { operation, labels }))
    });
    // Of those that fit, the one that asks for most is meant.
    let served = served.max_by_key(|(weight, _)| *weight);
    let unserved = model.unserved.iter().filter_map(|unserved| {
        let (weight, _) = asked.fits(unserved.http_method, unserved.http_uri, unserved.required)?;
        Some((weight, unserved.name))
    });
    let unserved = unserved.max_by_key(|(weight, _)| *weight);
    match (served, unserved) {
        (Some((weight, found)), other) if other.is_none_or(|(more, _)| more <= weight) => Ok(found),
        (_, Some((_, name))) => Err(WireError::new(NOT_IMPLEMENTED, NOT_IMPLEMENTED_TEXT).with_source(name)),
        _ => Err(method_not_allowed(model, parts)),
    }
}

const NOT_IMPLEMENTED: ErrorFacts = ErrorFacts::client("NotImplemented", 501);
const NOT_IMPLEMENTED_TEXT: &str = "A header you provided implies functionality that is not implemented";
const METHOD_NOT_ALLOWED: ErrorFacts = ErrorFacts::client("MethodNotAllowed", 405);

fn method_not_allowed(model: &ServiceModel, parts: &Parts) -> WireError {
    let source = format!("{} has no {} of {}", model.name, parts.method, parts.uri.path());
    WireError::new(METHOD_NOT_ALLOWED, "The specified method is not allowed against this resource.").with_source(source)
}

fn required(operation: &Operation) -> Vec<(Location, &'static str)> {
    let members = operation.input.members().iter().filter(|member| member.required);
    let places = members.filter(|member| matches!(member.location, Location::Header | Location::QueryString));
    places.map(|member| (member.location, member.wire_name())).collect()
}

struct Asked<'a> {
    method: &'a str,
    path: &'a str,
    form: &'a Form,
    headers: &'a HeaderMap,
}

impl Asked<'_> {
    /// How many things that the operation asks for are there, and its labels; None when one is not.
    fn fits(
        &self,
        method: &str,
        uri: &'static str,
        required: &[(Location, &str)],
    ) -> Option<(usize, Vec<(&'static str, String)>)> {
        if method != self.method {
            return None;
        }
        let (path, query) = uri.split_once('?').unwrap_or((uri, ""));
        let mut weight = 0;
        for literal in query.split('&').filter(|literal| !literal.is_empty()) {
            let (name, value) = literal.split_once('=').unwrap_or((literal, ""));
            // `x-id` only names the operation, for caches between.
            if name == "x-id" {
                continue;
            }
            let given = self.form.get(name)?;
            if !value.is_empty() && given != value {
                return None;
            }
            weight += 1;
        }
        for (location, name) in required {
            let is_there = match location {
                Location::Header => self.headers.contains_key(*name),
                _ => self.form.get(name).is_some(),
            };
            if !is_there {
                return None;
            }
            weight += 1;
        }
        Some((weight, labels(path, self.path)?))
    }
}

/// Matches `/{Bucket}/{Key+}`. A label is never empty; one with a plus sign takes all the rest.
fn labels(template: &'static str, path: &str) -> Option<Vec<(&'static str, String)>> {
    let mut labels = Vec::new();
    let mut rest = Some(path.strip_prefix('/')?);
    for segment in template.strip_prefix('/')?.split('/').filter(|segment| !segment.is_empty()) {
        let given = rest.filter(|given| !given.is_empty())?;
        let label = segment.strip_prefix('{').and_then(|label| label.strip_suffix('}'));
        if let Some(greedy) = label.and_then(|label| label.strip_suffix('+')) {
            labels.push((greedy, decoded(given)?));
            rest = None;
            continue;
        }
        let (given, after) = given.split_once('/').map_or((given, None), |(given, after)| (given, Some(after)));
        match label {
            Some(label) if !given.is_empty() => labels.push((label, decoded(given)?)),
            None if segment == given => {}
            _ => return None,
        }
        rest = after;
    }
    // One slash at the end is none.
    rest.is_none_or(str::is_empty).then_some(labels)
}

fn decoded(text: &str) -> Option<String> {
    percent_decode_str(text).decode_utf8().ok().map(std::borrow::Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_matched() {
        for (template, path, expected) in [
            ("/", "/", Some(vec![])),
            ("/", "/a", None),
            ("/{Bucket}", "/", None),
            ("/{Bucket}", "/a", Some(vec![("Bucket", "a")])),
            ("/{Bucket}", "/a/", Some(vec![("Bucket", "a")])),
            ("/{Bucket}", "/a/b", None),
            ("/{Bucket}/{Key+}", "/a", None),
            ("/{Bucket}/{Key+}", "/a/", None),
            ("/{Bucket}/{Key+}", "/a/b/c%2F%20d//", Some(vec![("Bucket", "a"), ("Key", "b/c/ d//")])),
            ("/{Bucket}/{Key+}", "/a//b", Some(vec![("Bucket", "a"), ("Key", "/b")])),
            ("/{Bucket}/{Key+}", "//b", None),
            ("/{Bucket}/{Key+}", "/a/%ff", None),
            ("/v1/{Name}/x", "/v1/n/x", Some(vec![("Name", "n")])),
            ("/v1/{Name}/x", "/v1/n/y", None),
        ] {
            let labels = labels(template, path);
            let labels =
                labels.as_ref().map(|labels| labels.iter().map(|(name, text)| (*name, text.as_str())).collect());
            assert_eq!(labels, expected, "{template} {path}");
        }
    }
}
