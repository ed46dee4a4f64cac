//! Reads what a JSON service answered.

use bytes::Bytes;
use http::response::Parts;
use serde::Deserialize;
use shape::{Document, Operation};

use crate::ClientError;

/// The body of a refusal. AWS writes the message with either capital.
#[derive(Deserialize, Default)]
struct Refusal {
    #[serde(rename = "__type", default)]
    kind: String,
    #[serde(default)]
    message: Option<String>,
    #[serde(rename = "Message", default)]
    capital_message: Option<String>,
}

pub(crate) fn read(operation: &'static Operation, parts: &Parts, body: &Bytes) -> Result<Document, ClientError> {
    if !parts.status.is_success() {
        return Err(refused(operation, parts, body));
    }
    if operation.output.is_unit() || body.is_empty() {
        return Ok(Document::Structure(Vec::new()));
    }
    wire::json::decode(operation.output, body)
        .map_err(|source| ClientError::Answer { operation: operation.name, source })
}

fn refused(operation: &'static Operation, parts: &Parts, body: &Bytes) -> ClientError {
    let refusal: Refusal = serde_json::from_slice(body).unwrap_or_default();
    // `com.amazon.coral.service#SerializationException` and `SerializationException:http://...` are the same code.
    let code = refusal.kind.rsplit('#').next().unwrap_or_default();
    let code = code.split(':').next().unwrap_or_default();
    let request_id = parts.headers.get("x-amzn-requestid").and_then(|id| id.to_str().ok()).unwrap_or("unknown");
    ClientError::Refused {
        operation: operation.name,
        code: if code.is_empty() { parts.status.as_u16().to_string() } else { code.to_owned() },
        message: refusal.message.or(refusal.capital_message).unwrap_or_default(),
        status: parts.status.as_u16(),
        request_id: request_id.to_owned(),
    }
}
