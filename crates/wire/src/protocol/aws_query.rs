//! awsQuery: form parameters in, XML out.
//!
//! Source: Smithy specification, "AWS query protocol".

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use shape::{
    CommonError, Document, ErrorCode, ErrorFacts, Fault, Kind, Operation, Schema, ServiceModel, Timestamp, WireError,
};

use super::form::Form;
use super::xml::Xml;
use super::{Answer, Codec, Incoming, status};
use crate::dates::parse_iso8601;
use crate::limits::DEPTH_MAX;

pub(super) struct AwsQuery;

impl Codec for AwsQuery {
    fn input(&self, operation: &'static Operation, request: &Incoming) -> Result<Document, WireError> {
        let reader = Reader { form: &request.form };
        Ok(reader.structure(operation.input, "", 0)?.unwrap_or(Document::Structure(Vec::new())))
    }

    fn output(&self, model: &ServiceModel, operation: &Operation, output: &Document, request_id: &str) -> Answer {
        let mut xml = Xml::default();
        let response = format!("{}Response", operation.name);
        xml.open_in(&response, model.xml_namespace);
        if let Some(wrapper) = operation.result_wrapper {
            xml.open(wrapper);
            xml.members(operation.output, output);
            xml.close(wrapper);
        }
        xml.open("ResponseMetadata");
        xml.text("RequestId", request_id);
        xml.close("ResponseMetadata");
        xml.close(&response);
        Answer { status: StatusCode::OK, content_type: "text/xml".to_owned(), headers: Vec::new(), body: xml.finish() }
    }

    fn error(&self, model: Option<&ServiceModel>, error: &WireError, request_id: &str) -> Answer {
        let mut xml = Xml::default();
        match model {
            Some(model) => xml.open_in("ErrorResponse", model.xml_namespace),
            None => xml.open("ErrorResponse"),
        }
        xml.open("Error");
        let fault = match error.facts.fault {
            Fault::Client => "Sender",
            Fault::Server => "Receiver",
        };
        xml.text("Type", fault);
        xml.text("Code", error.facts.code);
        if let Some(message) = &error.message {
            xml.text("Message", message);
        }
        xml.close("Error");
        xml.text("RequestId", request_id);
        xml.close("ErrorResponse");
        Answer {
            status: status(query_status(&error.facts)),
            content_type: "text/xml".to_owned(),
            headers: Vec::new(),
            body: xml.finish(),
        }
    }
}

/// What JSON services refuse with 400, query services refuse with 403.
///
/// Source: AWS STS API Reference, "Common Error Types".
fn query_status(facts: &ErrorFacts) -> u16 {
    match facts.code {
        "AccessDenied"
        | "ExpiredToken"
        | "InvalidClientTokenId"
        | "MissingAuthenticationToken"
        | "SignatureDoesNotMatch" => 403,
        _ => facts.status,
    }
}

struct Reader<'a> {
    form: &'a Form,
}

/// None when the parameter is absent.
type Read = Result<Option<Document>, WireError>;

impl Reader<'_> {
    fn structure(&self, schema: &'static Schema, prefix: &str, depth: usize) -> Read {
        let mut values = Vec::new();
        for member in schema.members() {
            let name = below(prefix, member.wire_name());
            if let Some(value) = self.value(member.schema, &name, depth + 1)? {
                values.push((member.name, value));
            }
        }
        // A structure all of whose members are absent is absent, at the top too: the caller knows better.
        Ok((!values.is_empty()).then_some(Document::Structure(values)))
    }

    fn value(&self, schema: &'static Schema, name: &str, depth: usize) -> Read {
        if depth > DEPTH_MAX {
            return Err(malformed(format!("{name} is nested too deeply")));
        }
        match schema.kind {
            // Asking first keeps recursive shapes finite.
            Kind::Structure(_) if self.form.has(name) => self.structure(schema, name, depth),
            Kind::Structure(_) => Ok(None),
            Kind::List(member) => self.list(schema, member, name, depth),
            Kind::Map { value, .. } => self.map(schema, value, name, depth),
            _ => self.form.get(name).map(|text| scalar(schema, name, text)).transpose(),
        }
    }

    fn list(&self, list: &'static Schema, member: &'static Schema, name: &str, depth: usize) -> Read {
        let items = match list.flattened {
            true => match list.element {
                Some(element) => sibling(name, element),
                None => name.to_owned(),
            },
            false => below(name, list.element.unwrap_or("member")),
        };
        let mut values = Vec::new();
        for index in self.form.indices(&items) {
            values.extend(self.value(member, &format!("{items}.{index}"), depth + 1)?);
        }
        // `Name=` is an empty list, and no parameter at all is no list.
        Ok((!values.is_empty() || self.form.get(name).is_some()).then_some(Document::List(values)))
    }

    fn map(&self, map: &'static Schema, value: &'static Schema, name: &str, depth: usize) -> Read {
        let entries = if map.flattened { name.to_owned() } else { below(name, "entry") };
        let (key_name, value_name) = map.entry.unwrap_or(("key", "value"));
        let mut values = Vec::new();
        for index in self.form.indices(&entries) {
            let entry = format!("{entries}.{index}");
            let Some(key) = self.form.get(&below(&entry, key_name)) else { continue };
            if let Some(item) = self.value(value, &below(&entry, value_name), depth + 1)? {
                values.push((key.to_owned(), item));
            }
        }
        Ok((!values.is_empty() || self.form.get(name).is_some()).then_some(Document::Map(values)))
    }
}

fn below(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") }
}

/// `Filters.Names` with its last step replaced.
fn sibling(name: &str, last: &str) -> String {
    match name.rsplit_once('.') {
        Some((prefix, _)) => format!("{prefix}.{last}"),
        None => last.to_owned(),
    }
}

fn scalar(schema: &Schema, name: &str, text: &str) -> Result<Document, WireError> {
    let refuse = |kind: &str| malformed(format!("Invalid value for {name}: '{text}' is not {kind}"));
    let number = |kind| text.trim().parse::<i64>().map_err(|_| refuse(kind));
    Ok(match schema.kind {
        Kind::Boolean => Document::Bool(match text.to_ascii_lowercase().as_str() {
            "true" | "1" => true,
            "false" | "0" => false,
            _ => return Err(refuse("a boolean")),
        }),
        Kind::Integer => match number("an integer")? {
            value if i32::try_from(value).is_ok() => Document::Integer(value),
            _ => return Err(refuse("an integer")),
        },
        Kind::Long => Document::Integer(number("a long")?),
        Kind::Float | Kind::Double => Document::Float(text.trim().parse().map_err(|_| refuse("a number"))?),
        Kind::Blob => Document::Blob(STANDARD.decode(text).map_err(|_| refuse("base64"))?.into()),
        Kind::Timestamp => Document::Timestamp(
            parse_iso8601(text)
                .or_else(|| text.parse().ok().map(Timestamp::from_seconds_f64))
                .ok_or_else(|| refuse("a timestamp"))?,
        ),
        _ => Document::from(text),
    })
}

fn malformed(message: String) -> WireError {
    WireError::new(*CommonError::SerializationException.facts(), message)
}

#[cfg(test)]
mod tests;
