//! The parsers that are private otherwise, for those who feed them nonsense on purpose. Nobody else calls these.

use bytes::Bytes;
use shape::{Document, Operation, Timestamp, WireError};

use crate::protocol::form::Form;
use crate::protocol::{Incoming, QUERY};

/// The input of an operation as the query protocol spells it.
pub fn query_input(operation: &'static Operation, query: &[u8], body: &[u8]) -> Result<Document, WireError> {
    QUERY.input(operation, &Incoming { form: Form::parse(&[query, body]), body: Bytes::new() })
}

pub fn iso8601(text: &str) -> Option<Timestamp> {
    crate::dates::parse_iso8601(text)
}
