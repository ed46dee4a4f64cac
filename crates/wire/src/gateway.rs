//! One port for all services.

use std::error::Error;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Body;
use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use http::request::Parts;
use http::{HeaderValue, Request, Response, StatusCode, header};
use shape::{
    CommonError, ErrorCode, ErrorFacts, Kind, Operation, Protocol, Schema, Service, Timestamp, WireError, check,
};

use crate::auth::AuthMode;
use crate::budget::{Budget, Unread};
use crate::event_stream;
use crate::limits::{BODY_BYTES_MAX, MEMBERS_BYTES_MAX};
use crate::protocol::form::Form;
use crate::protocol::{Answer, Codec, Incoming, codec};
use crate::route::{NOTHING, Route, route};

/// Serves every AWS service it is given. Cheap to share; calls may be concurrent.
pub struct Gateway {
    services: Vec<Arc<dyn Service>>,
    auth: AuthMode,
    budget: Budget,
}

impl Gateway {
    /// # Panics
    ///
    /// When a service speaks a protocol that has no codec: a program that links such a service is wrong.
    pub fn new(services: Vec<Arc<dyn Service>>, auth: AuthMode) -> Gateway {
        for service in &services {
            let model = service.model();
            assert!(codec(model.protocol).is_some(), "no codec for {:?}, which {} speaks", model.protocol, model.name);
        }
        Gateway { services, auth, budget: Budget::default() }
    }

    /// Answers one request. Whatever goes wrong is an answer too, in the words of the service's protocol.
    pub async fn handle(&self, request: Request<Body>) -> Response<Body> {
        let request_id = uuid::Uuid::new_v4().to_string();
        let (parts, body) = request.into_parts();
        match self.budget.read(body, self.body_bytes_max(&parts)).await {
            // The body's share of the memory is given back with it, when the answer is made.
            Ok(body) => self.answer(parts, body.bytes.clone(), &request_id).await,
            Err(Unread::TooLarge) => {
                let error = WireError::silent(*CommonError::RequestEntityTooLarge.facts());
                respond(refused(Protocol::AwsJson, None, &error, &request_id), &request_id)
            }
            Err(Unread::Full) => respond(busy("bodies", &request_id), &request_id),
            Err(Unread::Broken(error)) => {
                tracing::debug!(%request_id, error, "the client went away while it sent its request");
                respond(nothing(StatusCode::BAD_REQUEST), &request_id)
            }
        }
    }

    /// How much of a body is read: more for an operation that the model lets send more bytes than others.
    fn body_bytes_max(&self, parts: &Parts) -> usize {
        let target = parts.headers.get("x-amz-target").and_then(|target| target.to_str().ok()?.rsplit_once('.'));
        let operation = target.and_then(|(prefix, name)| {
            let service = self.services.iter().find(|service| service.model().target_prefix == prefix)?;
            service.model().operation(name)
        });
        match operation.map(|operation| operation.input.kind) {
            Some(Kind::Structure(members)) => members.iter().fold(BODY_BYTES_MAX, |max, member| match member.schema {
                // In JSON, bytes travel as Base64; beside them is room for the other members.
                Schema { kind: Kind::Blob, max: Some(bytes), .. } => {
                    max.max(usize::try_from(*bytes).unwrap_or(0).div_ceil(3) * 4 + MEMBERS_BYTES_MAX)
                }
                _ => max,
            }),
            _ => BODY_BYTES_MAX,
        }
    }

    async fn answer(&self, parts: Parts, body: Bytes, request_id: &str) -> Response<Body> {
        let incoming = Incoming { form: form_of(&parts, &body), body };
        let answer = match route(&self.services, &parts, &incoming.form) {
            Route::Nothing => nothing(StatusCode::NOT_FOUND),
            Route::Refused(protocol, service, error) => {
                tracing::debug!(request_id, uri = %parts.uri, %error, "no such operation");
                refused(protocol, service, &error, request_id)
            }
            Route::Operation(service, operation) => {
                let model = service.model();
                match self.run(service.as_ref(), operation, &parts, &incoming, request_id).await {
                    Ok(response) => return response,
                    Err(error) => {
                        log(model.name, operation, &error, request_id);
                        refused(model.protocol, Some(service), &error, request_id)
                    }
                }
            }
        };
        respond(answer, request_id)
    }

    async fn run(
        &self,
        service: &dyn Service,
        operation: &'static Operation,
        parts: &Parts,
        incoming: &Incoming,
        request_id: &str,
    ) -> Result<Response<Body>, WireError> {
        let model = service.model();
        let caller = self.auth.caller(parts, &incoming.body, now(), request_id.to_owned())?;
        let codec = codec_of(model.protocol);
        let input = codec.input(operation, incoming)?;
        check(model, operation, &input)?;
        // A bug in one operation must not take the connection, and the other requests on it, with it.
        if let Some(events) = operation.events() {
            let called = AssertUnwindSafe(service.stream(operation, caller, input)).catch_unwind().await;
            let streamed = called.unwrap_or_else(|_| panicked())?;
            let messages = event_stream::messages(operation, events, streamed).map(Ok::<_, std::convert::Infallible>);
            return Ok(response(StatusCode::OK, event_stream::CONTENT_TYPE, Body::from_stream(messages), request_id));
        }
        let called = AssertUnwindSafe(service.call(operation, caller, input)).catch_unwind().await;
        let output = called.unwrap_or_else(|_| panicked())?;
        Ok(self.send(codec.output(model, operation, &output, request_id), request_id).await)
    }

    /// An answer as large as it may be: once there is memory for it.
    async fn send(&self, answer: Answer, request_id: &str) -> Response<Body> {
        match self.budget.answer(answer.body).await {
            Some(body) => response(answer.status, &answer.content_type, body, request_id),
            None => respond(busy("answers", request_id), request_id),
        }
    }
}

/// Every SDK comes again after this one.
fn busy(what: &str, request_id: &str) -> Answer {
    tracing::warn!(request_id, "there is no memory for more {what}");
    let message = "The request has failed due to a temporary failure of the server.";
    refused(Protocol::AwsJson, None, &WireError::new(SERVICE_UNAVAILABLE, message), request_id)
}

/// Source: Amazon ECS API Reference, "Common Error Types".
const SERVICE_UNAVAILABLE: ErrorFacts = ErrorFacts::server("ServiceUnavailable", 503);

fn panicked<T>() -> Result<T, WireError> {
    Err(WireError::silent(*CommonError::InternalFailure.facts()).with_source("the operation panicked"))
}

/// The parameters of a query protocol; none when the body is something else.
fn form_of(parts: &Parts, body: &Bytes) -> Form {
    let content_type = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let is_form = content_type.is_some_and(|value| value.starts_with("application/x-www-form-urlencoded"));
    let query = parts.uri.query().unwrap_or_default().as_bytes();
    Form::parse(&[query, if is_form { body } else { b"" }])
}

fn codec_of(protocol: Protocol) -> &'static dyn Codec {
    codec(protocol).expect("Gateway::new takes only services whose protocol has a codec")
}

fn refused(protocol: Protocol, service: Option<&Arc<dyn Service>>, error: &WireError, request_id: &str) -> Answer {
    codec_of(protocol).error(service.map(|service| service.model()), error, request_id)
}

fn nothing(status: StatusCode) -> Answer {
    Answer { status, content_type: "application/xml".to_owned(), body: NOTHING.as_bytes().to_vec() }
}

fn respond(answer: Answer, request_id: &str) -> Response<Body> {
    response(answer.status, &answer.content_type, Body::from(answer.body), request_id)
}

fn response(status: StatusCode, content_type: &str, body: Body, request_id: &str) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    if let Ok(value) = HeaderValue::from_str(request_id) {
        headers.insert("x-amzn-requestid", value);
    }
    if let Ok(value) = HeaderValue::from_str(content_type) {
        headers.insert(header::CONTENT_TYPE, value);
    }
    response
}

fn log(service: &str, operation: &Operation, error: &WireError, request_id: &str) {
    let operation = operation.name;
    let mut chain = String::new();
    let mut source = error.source();
    while let Some(cause) = source {
        chain.push_str(": ");
        chain.push_str(&cause.to_string());
        source = cause.source();
    }
    match error.facts.fault {
        shape::Fault::Client => tracing::debug!(service, operation, request_id, "refused: {error}{chain}"),
        shape::Fault::Server => tracing::error!(service, operation, request_id, "failed: {error}{chain}"),
    }
}

/// The one clock of this crate.
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
