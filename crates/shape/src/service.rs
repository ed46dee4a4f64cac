//! A service as the front door sees it: a model and one function.

use std::pin::Pin;

use async_trait::async_trait;
use bytes::Bytes;
use futures::{Stream, StreamExt};

use crate::caller::Caller;
use crate::document::Document;
use crate::error::{CommonError, ErrorCode, OperationError, WireError};
use crate::schema::{Location, Member, Schema};
use crate::value::{Shape, Value};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// awsJson 1.0 and 1.1; the version is in [`ServiceModel::json_version`].
    AwsJson,
    AwsQuery,
    Ec2Query,
    RestJson1,
    RestXml,
    RpcV2Cbor,
}

/// The interface facts of one AWS service.
#[derive(Debug)]
pub struct ServiceModel {
    /// The name in botocore and on the command line: `ecs`.
    pub name: &'static str,
    pub service_id: &'static str,
    pub protocol: Protocol,
    /// `1.0` or `1.1`; empty when the protocol is not awsJson.
    pub json_version: &'static str,
    /// What stands before the dot in `X-Amz-Target`.
    pub target_prefix: &'static str,
    /// The first label of the host: `api.ecr`.
    pub endpoint_prefix: &'static str,
    /// The service in a credential scope: `ecr`.
    pub signing_name: &'static str,
    pub api_version: &'static str,
    pub xml_namespace: &'static str,
    pub operations: &'static [&'static Operation],
    /// Of a REST service: how the operations that are not served are asked for, so that none is taken for another.
    pub unserved: &'static [Unserved],
}

impl ServiceModel {
    pub fn operation(&self, name: &str) -> Option<&'static Operation> {
        self.operations.iter().find(|operation| operation.name == name).copied()
    }
}

/// One operation of a service.
#[derive(Debug)]
pub struct Operation {
    pub name: &'static str,
    pub http_method: &'static str,
    /// The URI with its labels: `/` for everything but REST.
    pub http_uri: &'static str,
    /// The status of a REST answer that says nothing else.
    pub http_status: u16,
    pub input: &'static Schema,
    pub output: &'static Schema,
    /// The element around an XML result, of query and REST services.
    pub result_wrapper: Option<&'static str>,
    /// The exceptions that the model lists for it.
    pub errors: &'static [&'static str],
}

/// How an operation is asked for that nobody answers.
#[derive(Debug)]
pub struct Unserved {
    pub name: &'static str,
    pub http_method: &'static str,
    pub http_uri: &'static str,
    /// The headers and parameters that it cannot do without.
    pub required: &'static [(Location, &'static str)],
}

impl Operation {
    /// Whether bytes travel beside the document, in a member that is not part of it.
    pub fn carries_bytes(&self) -> bool {
        let carries = |schema: &Schema| schema.members().iter().any(|member| member.streaming);
        carries(self.input) || carries(self.output)
    }

    /// Whether a request's bytes are beside its document.
    pub fn takes_bytes(&self) -> bool {
        self.input.members().iter().any(|member| member.streaming)
    }

    /// The member of the output that stands for the events of an answer that goes on.
    pub fn events(&self) -> Option<&'static Member> {
        self.output.members().iter().find(|member| member.schema.event_stream)
    }
}

/// An answer that goes on: what is known at once, and events until the session ends.
pub struct Streamed<O, E> {
    pub initial: O,
    /// Each has one member: the event. An event that is an exception is the last. Dropping the stream ends the session.
    pub events: Pin<Box<dyn Stream<Item = E> + Send>>,
}

/// Bytes beside a document, as they come: the content of an object.
pub struct ByteStream {
    /// How many there will be, if that is known before.
    pub length: Option<u64>,
    /// Trailers come after all bytes. An error is the last; what it says goes to the client where that is still possible.
    pub pieces: Pin<Box<dyn Stream<Item = Result<Piece, WireError>> + Send>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    Bytes(Bytes),
    /// A header that could be said only after the bytes. Its name is lower case.
    Trailer(String, String),
}

impl ByteStream {
    pub fn empty() -> ByteStream {
        ByteStream { length: Some(0), pieces: Box::pin(futures::stream::empty()) }
    }
}

/// A type that names one operation, for typed clients.
pub trait Call {
    type Input: Shape;
    type Output: Shape;
    const OPERATION: &'static Operation;
    const MODEL: &'static ServiceModel;
}

/// A service behind the front door. The generated routers implement it on top of typed handlers.
///
/// Calls may be concurrent. `input` has the form of `operation.input` and satisfies its constraints.
#[async_trait]
pub trait Service: Send + Sync {
    fn model(&self) -> &'static ServiceModel;

    async fn call(&self, operation: &'static Operation, caller: Caller, input: Document)
    -> Result<Document, WireError>;

    /// The same for an operation that has [`Operation::events`].
    async fn stream(
        &self,
        _operation: &'static Operation,
        _caller: Caller,
        _input: Document,
    ) -> Result<Streamed<Document, Document>, WireError> {
        Err(WireError::silent(*CommonError::UnknownOperationException.facts()))
    }

    /// The same for an operation that [carries bytes](Operation::carries_bytes).
    async fn carry(
        &self,
        _operation: &'static Operation,
        _caller: Caller,
        _input: Document,
        _bytes: ByteStream,
    ) -> Result<(Document, ByteStream), WireError> {
        Err(WireError::silent(*CommonError::UnknownOperationException.facts()))
    }
}

/// Turns what a handler returned into what the front door sends.
pub fn answer<O: Shape, C: ErrorCode>(result: Result<O, OperationError<C>>) -> Result<Document, WireError> {
    result.map(O::into_document).map_err(WireError::from)
}

/// The same for an answer without bytes to an operation that takes some.
pub fn answer_taken<O: Shape, C: ErrorCode>(
    result: Result<O, OperationError<C>>,
) -> Result<(Document, ByteStream), WireError> {
    Ok((answer(result)?, ByteStream::empty()))
}

/// The same for an answer with bytes.
pub fn answer_bytes<O: Shape, C: ErrorCode>(
    result: Result<(O, ByteStream), OperationError<C>>,
) -> Result<(Document, ByteStream), WireError> {
    let (output, bytes) = result.map_err(WireError::from)?;
    Ok((output.into_document(), bytes))
}

/// The same for an answer that goes on.
pub fn answer_stream<O: Shape, E: Value + 'static, C: ErrorCode>(
    result: Result<Streamed<O, E>, OperationError<C>>,
) -> Result<Streamed<Document, Document>, WireError> {
    let streamed = result.map_err(WireError::from)?;
    let events = streamed.events.map(E::into_document).boxed();
    Ok(Streamed { initial: streamed.initial.into_document(), events })
}
