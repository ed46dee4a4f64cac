//! One file per AWS protocol: bytes to documents, documents to bytes.
//!
//! A new protocol is a file here with a [`Codec`], an arm in [`codec`], and, when it finds its operation in another
//! way than by target or action, an arm in `route.rs`.

mod aws_json;
mod aws_query;
pub(crate) mod form;
mod rest_xml;
mod xml;
mod xml_read;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use shape::{Document, Operation, Protocol, ServiceModel, WireError};

use form::Form;
pub(crate) use rest_xml::HOST_ID;

/// What a codec may read of a request.
#[derive(Default)]
pub(crate) struct Incoming {
    pub form: Form,
    pub body: Bytes,
    /// What else a REST protocol reads.
    pub head: Head,
}

/// The head of a request to a REST service.
#[derive(Default)]
pub(crate) struct Head {
    pub headers: HeaderMap,
    /// What stands in the path for the labels of the operation's URI, decoded.
    pub labels: Vec<(&'static str, String)>,
}

/// What a codec says; the gateway makes a response of it.
#[derive(Debug)]
pub(crate) struct Answer {
    pub status: StatusCode,
    pub content_type: String,
    /// Beside those that every answer has.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    pub body: Vec<u8>,
}

pub(crate) trait Codec: Sync {
    /// Errors: the protocol's way to say that the bytes do not fit the shape.
    fn input(&self, operation: &'static Operation, request: &Incoming) -> Result<Document, WireError>;

    fn output(&self, model: &ServiceModel, operation: &Operation, output: &Document, request_id: &str) -> Answer;

    /// `model` is None when the request found no service.
    fn error(&self, model: Option<&ServiceModel>, error: &WireError, request_id: &str) -> Answer;
}

/// The query protocol by its own name.
pub(crate) const QUERY: &dyn Codec = &aws_query::AwsQuery;

/// The XML protocol by its own name.
pub(crate) const REST_XML: &dyn Codec = &rest_xml::RestXml;

/// None for a protocol that no generated service of ours speaks.
pub(crate) fn codec(protocol: Protocol) -> Option<&'static dyn Codec> {
    match protocol {
        Protocol::AwsJson => Some(&aws_json::AwsJson),
        Protocol::AwsQuery => Some(QUERY),
        Protocol::RestXml => Some(REST_XML),
        Protocol::Ec2Query | Protocol::RestJson1 | Protocol::RpcV2Cbor => None,
    }
}

fn status(code: u16) -> StatusCode {
    StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}
