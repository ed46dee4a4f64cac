//! A service as the front door sees it: a model and one function.

use std::pin::Pin;

use async_trait::async_trait;
use futures::{Stream, StreamExt};

use crate::caller::Caller;
use crate::document::Document;
use crate::error::{CommonError, ErrorCode, OperationError, WireError};
use crate::schema::{Member, Schema};
use crate::value::{Shape, Value};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// awsJson 1.0 and 1.1; the version is in [`ServiceModel::json_version`].
    AwsJson,
    AwsQuery,
    Ec2Query,
    RestJson1,
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
    pub input: &'static Schema,
    pub output: &'static Schema,
    /// The element around an XML result, of query services.
    pub result_wrapper: Option<&'static str>,
    /// The exceptions that the model lists for it.
    pub errors: &'static [&'static str],
}

impl Operation {
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
}

/// Turns what a handler returned into what the front door sends.
pub fn answer<O: Shape, C: ErrorCode>(result: Result<O, OperationError<C>>) -> Result<Document, WireError> {
    result.map(O::into_document).map_err(WireError::from)
}

/// The same for an answer that goes on.
pub fn answer_stream<O: Shape, E: Value + 'static, C: ErrorCode>(
    result: Result<Streamed<O, E>, OperationError<C>>,
) -> Result<Streamed<Document, Document>, WireError> {
    let streamed = result.map_err(WireError::from)?;
    let events = streamed.events.map(E::into_document).boxed();
    Ok(Streamed { initial: streamed.initial.into_document(), events })
}
