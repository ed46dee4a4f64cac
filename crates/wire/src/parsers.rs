//! The parsers that are private otherwise, for those who feed them nonsense on purpose. Nobody else calls these.

use bytes::Bytes;
use futures::TryStreamExt;
use http::HeaderMap;
use shape::{Document, Operation, Piece, Timestamp, WireError};

use crate::protocol::form::Form;
use crate::protocol::{Head, Incoming, QUERY, REST_XML};

/// The input of an operation as the query protocol spells it.
pub fn query_input(operation: &'static Operation, query: &[u8], body: &[u8]) -> Result<Document, WireError> {
    QUERY.input(operation, &Incoming { form: Form::parse(&[query, body]), ..Incoming::default() })
}

/// The input of an operation as REST with XML spells it.
pub fn rest_xml_input(
    operation: &'static Operation,
    query: &[u8],
    headers: HeaderMap,
    body: &[u8],
) -> Result<Document, WireError> {
    let head = Head { headers, labels: Vec::new() };
    REST_XML.input(operation, &Incoming { form: Form::parse(&[query]), body: Bytes::copy_from_slice(body), head })
}

/// A body in chunks, in pieces as they may come.
pub async fn aws_chunked(pieces: Vec<Bytes>) -> Result<Vec<Piece>, WireError> {
    let bytes = futures::stream::iter(pieces.into_iter().map(Ok));
    crate::rest::chunked::decode(Box::pin(bytes), None).try_collect().await
}

pub fn iso8601(text: &str) -> Option<Timestamp> {
    crate::dates::parse_iso8601(text)
}
