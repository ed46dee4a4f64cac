//! REST with XML: a method, a path, headers and a body in; the same out.
//!
//! Errors are those of S3, without an element around them: it is the one service of this protocol here.
//!
//! Source: Smithy specification, "AWS restXml protocol"; Amazon S3 API Reference, "REST error responses".

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use shape::{
    Document, ErrorFacts, Kind, Location, Member, Operation, Schema, ServiceModel, Timestamp, TimestampFormat,
    WireError, validate,
};

use super::xml::Xml;
use super::xml_read::Element;
use super::{Answer, Codec, Incoming, status};
use crate::dates::{http_date, parse_http_date, parse_iso8601};

pub(super) struct RestXml;

impl Codec for RestXml {
    fn input(&self, operation: &'static Operation, request: &Incoming) -> Result<Document, WireError> {
        let mut values = Vec::new();
        for member in operation.input.members().iter().filter(|member| !member.streaming) {
            let value = match member.location {
                Location::Body | Location::StatusCode => None,
                Location::Uri => {
                    let label = request.head.labels.iter().find(|(name, _)| *name == member.wire_name());
                    label.map(|(_, text)| text.as_str().into())
                }
                Location::QueryString => {
                    request.form.get(member.wire_name()).map(|text| of_text(member, text)).transpose()?
                }
                Location::Header => header_text(&request.head.headers, member.wire_name())
                    .map(|text| of_text(member, &text))
                    .transpose()?,
                Location::Headers => prefixed(&request.head.headers, member.wire_name()),
                Location::Payload if request.body.is_empty() && member.required => {
                    return Err(WireError::new(MISSING_BODY, "Request Body is empty"));
                }
                Location::Payload if request.body.is_empty() => None,
                Location::Payload => Some(match member.schema.kind {
                    Kind::Blob => Document::Blob(request.body.clone()),
                    Kind::String => String::from_utf8_lossy(&request.body).into_owned().into(),
                    _ => of_body(member.schema, &request.body)?,
                }),
            };
            values.extend(value.map(|value| (member.name, value)));
        }
        // Without a payload, the members that have no other place are the body.
        let has_body = operation.input.members().iter().any(|member| member.location == Location::Body);
        if has_body
            && !request.body.is_empty()
            && let Document::Structure(body) = Element::parse(&request.body)?.read(operation.input)?
        {
            values.extend(body.into_iter().filter(|(name, _)| {
                let member = operation.input.members().iter().find(|member| member.name == *name);
                member.is_some_and(|member| member.location == Location::Body)
            }));
        }
        Ok(Document::Structure(values))
    }

    fn output(&self, model: &ServiceModel, operation: &Operation, output: &Document, _request_id: &str) -> Answer {
        let mut answer = Answer {
            status: status(operation.http_status),
            content_type: "application/xml".to_owned(),
            headers: Vec::new(),
            body: Vec::new(),
        };
        let members = operation.output.members();
        for member in members {
            let Some(value) = output.member(member.name).filter(|value| !value.is_null()) else { continue };
            match (member.location, value) {
                (Location::Header, _) => answer.headers.extend(header(member, value)),
                (Location::Headers, Document::Map(entries)) => {
                    answer.headers.extend(
                        entries.iter().filter_map(|(name, value)| {
                            named(&format!("{}{name}", member.wire_name()), value.as_str()?)
                        }),
                    );
                }
                (Location::StatusCode, Document::Integer(code)) => {
                    answer.status = u16::try_from(*code).map_or(answer.status, status);
                }
                (Location::Payload, _) if !member.streaming => {
                    let mut xml = Xml::declared();
                    xml.open_in(member.wire_name(), model.xml_namespace);
                    xml.members(member.schema, value);
                    xml.close(member.wire_name());
                    answer.body = xml.finish();
                }
                _ => {}
            }
        }
        // Source: RFC 9110, "Partial Content". The models leave it out.
        if answer.headers.iter().any(|(name, _)| *name == header::CONTENT_RANGE) {
            answer.status = StatusCode::PARTIAL_CONTENT;
        }
        if let Some(root) = operation.result_wrapper {
            let mut xml = Xml::declared();
            match members {
                [only] if only.wire_name() == root => {
                    let text = output.member(only.name).and_then(Document::as_str).unwrap_or_default();
                    xml.text_in(root, model.xml_namespace, text);
                }
                _ => {
                    xml.open_in(root, model.xml_namespace);
                    xml.body_members(operation.output, output);
                    xml.close(root);
                }
            }
            answer.body = xml.finish();
        }
        answer
    }

    fn error(&self, _model: Option<&ServiceModel>, error: &WireError, request_id: &str) -> Answer {
        let mut xml = Xml::declared();
        xml.open("Error");
        let (code, default) = code(&error.facts);
        xml.text("Code", code);
        xml.text("Message", error.message.as_deref().unwrap_or(default));
        for (name, value) in &error.members {
            xml.text(name, value.as_str().unwrap_or_default());
        }
        xml.text("RequestId", request_id);
        xml.text("HostId", HOST_ID);
        xml.close("Error");
        // Such an answer has no body.
        let body = if error.facts.status == 304 { Vec::new() } else { xml.finish() };
        Answer {
            status: status(front_status(code, &error.facts)),
            content_type: "application/xml".to_owned(),
            headers: Vec::new(),
            body,
        }
    }
}

/// What AWS's support would ask for; there is one host here.
pub(crate) const HOST_ID: &str = "berth";

/// What the front door says to every service, in the words of S3.
fn code(facts: &ErrorFacts) -> (&'static str, &'static str) {
    match facts.code {
        "InternalFailure" => ("InternalError", "We encountered an internal error. Please try again."),
        "InvalidClientTokenId" => {
            ("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.")
        }
        "MissingAuthenticationToken" => ("AccessDenied", "Access Denied"),
        "RequestEntityTooLarge" => ("EntityTooLarge", "Your proposed upload exceeds the maximum allowed size"),
        other => (other, ""),
    }
}

fn front_status(code: &str, facts: &ErrorFacts) -> u16 {
    match code {
        "AccessDenied" | "InvalidAccessKeyId" | "SignatureDoesNotMatch" => 403,
        "EntityTooLarge" | "ExpiredToken" => 400,
        _ => facts.status,
    }
}

fn header_text(headers: &HeaderMap, name: &str) -> Option<String> {
    let mut values = headers.get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
    let mut text = values.next()?.into_owned();
    for value in values {
        text.push(',');
        text.push_str(&value);
    }
    Some(text)
}

/// The headers that begin so, by the rest of their names.
fn prefixed(headers: &HeaderMap, prefix: &str) -> Option<Document> {
    let entries: Vec<(String, Document)> = headers
        .keys()
        .filter_map(|name| {
            let rest = name.as_str().strip_prefix(&prefix.to_ascii_lowercase())?;
            Some((rest.to_owned(), header_text(headers, name.as_str())?.into()))
        })
        .collect();
    (!entries.is_empty()).then_some(Document::Map(entries))
}

fn of_body(schema: &'static Schema, body: &[u8]) -> Result<Document, WireError> {
    let document = Element::parse(body)?.read(schema)?;
    if validate(schema, &document).is_empty() { Ok(document) } else { Err(malformed()) }
}

fn of_text(member: &Member, text: &str) -> Result<Document, WireError> {
    scalar(member.schema, member.timestamp_format.or(Some(TimestampFormat::Rfc822)), text).ok_or_else(|| {
        let message = format!("Argument {} is not valid: {text}", member.wire_name());
        WireError::new(INVALID_ARGUMENT, message)
    })
}

/// None when the text is no such value.
pub(super) fn scalar(schema: &Schema, format: Option<TimestampFormat>, text: &str) -> Option<Document> {
    Some(match schema.kind {
        Kind::Boolean => Document::Bool(match text.trim() {
            "true" => true,
            "false" => false,
            _ => return None,
        }),
        Kind::Integer => Document::Integer(text.trim().parse::<i32>().ok()?.into()),
        Kind::Long => Document::Integer(text.trim().parse().ok()?),
        Kind::Float | Kind::Double => Document::Float(text.trim().parse().ok()?),
        Kind::Blob => Document::Blob(STANDARD.decode(text).ok()?.into()),
        Kind::Timestamp => Document::Timestamp(match schema.timestamp_format.or(format) {
            Some(TimestampFormat::Rfc822) => parse_http_date(text)?,
            Some(TimestampFormat::UnixSeconds) => Timestamp::from_seconds_f64(text.parse().ok()?),
            _ => parse_iso8601(text)?,
        }),
        Kind::List(item) => {
            let items = text.split(',').map(|text| scalar(item, format, text.trim()));
            Document::List(items.collect::<Option<_>>()?)
        }
        _ => text.into(),
    })
}

fn header(member: &Member, value: &Document) -> Option<(HeaderName, HeaderValue)> {
    let text = match value {
        Document::String(text) => text.clone(),
        Document::Bool(value) => value.to_string(),
        Document::Integer(value) => value.to_string(),
        Document::Timestamp(at) => http_date(*at),
        _ => return None,
    };
    named(member.wire_name(), &text)
}

/// What came in a header goes out in one; what cannot, for it came in another way, is left out.
fn named(name: &str, text: &str) -> Option<(HeaderName, HeaderValue)> {
    let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
    Some((name, HeaderValue::from_bytes(text.as_bytes()).ok()?))
}

const INVALID_ARGUMENT: ErrorFacts = ErrorFacts::client("InvalidArgument", 400);
const MISSING_BODY: ErrorFacts = ErrorFacts::client("MissingRequestBodyError", 400);
const MALFORMED_XML: ErrorFacts = ErrorFacts::client("MalformedXML", 400);

pub(super) fn malformed() -> WireError {
    let message = "The XML you provided was not well-formed or did not validate against our published schema";
    WireError::new(MALFORMED_XML, message)
}
