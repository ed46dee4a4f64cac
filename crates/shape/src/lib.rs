//! What one AWS shape is: its schema, its document form, its constraints.
//!
//! The crates under `api/` are generated in terms of this one. A generated structure is a plain Rust struct; a
//! [`Schema`] is constant data beside it that says what the AWS model says; a [`Document`] is the protocol-neutral
//! value between the two and the bytes. So a protocol is written once, for all services, in the crate `wire`.
//!
//! This crate never sees bytes, HTTP or a clock, and knows no AWS service by heart except in one table of error
//! codes ([`validation_error`]). Start reading at [`Schema`], then [`Service`].

#![forbid(unsafe_code)]

mod caller;
mod document;
mod error;
mod schema;
mod service;
mod validate;
mod value;

pub use bytes::Bytes;
pub use caller::{Caller, Principal, partition};
pub use document::Document;
pub use error::{CommonError, ErrorCode, ErrorFacts, Fault, OperationError, Source, WireError};
pub use schema::{
    BLOB, BOOLEAN, DOCUMENT, DOUBLE, FLOAT, INTEGER, Kind, LONG, Location, Member, STRING, Schema, TIMESTAMP,
    TimestampFormat, UNIT,
};
pub use service::{
    ByteStream, Call, Operation, Piece, Protocol, Service, ServiceModel, Streamed, Unserved, answer, answer_bytes,
    answer_stream, answer_taken,
};
pub use stdx::Timestamp;
pub use validate::{Violation, check, compiles, validate, validation_error, violations_message};
pub use value::{Fields, Shape, Value};
