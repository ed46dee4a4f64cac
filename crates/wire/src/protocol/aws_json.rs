//! awsJson 1.0 and 1.1.
//!
//! Source: Smithy specification, "AWS JSON 1.1 protocol", and the answers of AWS where it is silent.

use http::StatusCode;
use shape::{CommonError, Document, ErrorCode, Operation, ServiceModel, WireError};

use super::{Answer, Codec, Incoming, status};
use crate::json::{NotJson, decode, encode, encode_free};

pub(super) struct AwsJson;

impl Codec for AwsJson {
    fn input(&self, operation: &'static Operation, request: &Incoming) -> Result<Document, WireError> {
        match decode(operation.input, &request.body) {
            // `null` is an input without members.
            Ok(Document::Null) => Ok(Document::Structure(Vec::new())),
            Ok(document) => Ok(document),
            Err(NotJson::Type(message)) => Err(WireError::new(*CommonError::SerializationException.facts(), message)),
            Err(syntax) => Err(WireError::silent(*CommonError::SerializationException.facts()).with_source(syntax)),
        }
    }

    fn output(&self, model: &ServiceModel, operation: &Operation, output: &Document, _request_id: &str) -> Answer {
        // AWS answers an operation without output with no body at all, and every SDK expects that.
        let body = if operation.output.is_unit() { Vec::new() } else { encode(operation.output, output) };
        Answer { status: StatusCode::OK, content_type: content_type(Some(model)), headers: Vec::new(), body }
    }

    fn error(&self, model: Option<&ServiceModel>, error: &WireError, _request_id: &str) -> Answer {
        let mut members = vec![("__type", Document::from(error.facts.name))];
        if let Some(message) = &error.message {
            members.push((message_name(error), Document::from(message.as_str())));
        }
        members.extend(error.members.iter().cloned());
        let mut body = Vec::new();
        encode_free(&Document::Structure(members), &mut body);
        Answer { status: status(error.facts.status), content_type: content_type(model), headers: Vec::new(), body }
    }
}

/// The front door of AWS writes `Message` where it refuses by permission, and every service's own errors `message`.
/// SDKs read both; scripts that parse raw answers depend on it.
fn message_name(error: &WireError) -> &'static str {
    if error.facts.name == "AccessDeniedException" { "Message" } else { "message" }
}

fn content_type(model: Option<&ServiceModel>) -> String {
    format!("application/x-amz-json-{}", model.map_or("1.1", |model| model.json_version))
}
