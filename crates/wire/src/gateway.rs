//! One port for all services.

use std::error::Error;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use axum::body::Body;
use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use shape::{
    ByteStream, CommonError, ErrorCode, ErrorFacts, Kind, Operation, Piece, Protocol, Schema, Service, Timestamp,
    WireError, check,
};

use crate::auth::AuthMode;
use crate::budget::{Budget, Unread};
use crate::event_stream;
use crate::limits::{BODY_BYTES_MAX, MEMBERS_BYTES_MAX};
use crate::protocol::form::Form;
use crate::protocol::{Answer, Codec, HOST_ID, Head, Incoming, codec};
use crate::rest;
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
        if let Some(service) = self.rest_service(&parts) {
            return self.rest(service, parts, body, &request_id).await;
        }
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

    /// Whether a request is for a service whose paths are its own, whatever else is served under them.
    pub fn owns_paths(&self, parts: &Parts) -> bool {
        self.rest_service(parts).is_some()
    }

    fn rest_service(&self, parts: &Parts) -> Option<&Arc<dyn Service>> {
        // No REST service has targets, and most requests of others do.
        if parts.headers.contains_key("x-amz-target") {
            return None;
        }
        let mut services = self.services.iter().filter(|service| service.model().protocol == Protocol::RestXml);
        services.find(|service| rest::is_meant(service.model(), parts))
    }

    /// Answers a request to a REST service.
    async fn rest(&self, service: &Arc<dyn Service>, parts: Parts, body: Body, request_id: &str) -> Response<Body> {
        let is_head = parts.method == Method::HEAD;
        let mut response = match self.run_rest(service.as_ref(), parts, body, request_id).await {
            Ok(response) => response,
            Err((operation, error)) => {
                log(service.model().name, operation, &error, request_id);
                let mut answer = refused(service.model().protocol, Some(service), &error, request_id);
                if is_head {
                    answer.body.clear();
                }
                respond(answer, request_id)
            }
        };
        let headers = response.headers_mut();
        if let Some(id) = headers.get("x-amzn-requestid").cloned() {
            headers.insert("x-amz-request-id", id);
        }
        headers.insert("x-amz-id-2", HeaderValue::from_static(HOST_ID));
        response
    }

    async fn run_rest(
        &self,
        service: &dyn Service,
        mut parts: Parts,
        body: Body,
        request_id: &str,
    ) -> Result<Response<Body>, (&'static str, WireError)> {
        let model = service.model();
        let form = Form::parse(&[parts.uri.query().unwrap_or_default().as_bytes()]);
        let path = rest::path(model, &parts).into_owned();
        let rest::Found { operation, labels } =
            rest::operation(service, &parts, &path, &form).map_err(|error| ("-", error))?;
        let failed = |error| (operation.name, error);
        let caller = self.auth.caller_before(&parts, now(), request_id.to_owned()).map_err(failed)?;
        let signer = self.auth.chunk_signer(&parts);
        let codec = codec_of(model.protocol);
        // How the body came is no property of what it is.
        let headers = parts.headers.clone();
        without_chunks(&mut parts.headers);
        let mut incoming = Incoming { form, head: Head { headers: parts.headers, labels }, ..Incoming::default() };
        if operation.carries_bytes() {
            let input = codec.input(operation, &incoming).map_err(failed)?;
            check(model, operation, &input).map_err(failed)?;
            let bytes = rest::stream(body, &headers, signer);
            let called = AssertUnwindSafe(service.carry(operation, caller, input, bytes)).catch_unwind().await;
            let (output, bytes) = called.unwrap_or_else(|_| panicked()).map_err(failed)?;
            let answer = codec.output(model, operation, &output, request_id);
            return Ok(carried(operation, answer, bytes, request_id));
        }
        let whole = self.budget.read(body, BODY_BYTES_MAX).await.map_err(|unread| {
            failed(match unread {
                Unread::TooLarge => WireError::silent(*CommonError::RequestEntityTooLarge.facts()),
                Unread::Full => WireError::new(SLOW_DOWN, "Please reduce your request rate."),
                Unread::Broken(error) => rest::incomplete().with_source(error),
            })
        })?;
        incoming.body = rest::bytes(whole.bytes.clone(), &headers, signer).await.map_err(failed)?;
        let input = codec.input(operation, &incoming).map_err(failed)?;
        check(model, operation, &input).map_err(failed)?;
        let called = AssertUnwindSafe(service.call(operation, caller, input)).catch_unwind().await;
        let output = called.unwrap_or_else(|_| panicked()).map_err(failed)?;
        Ok(self.send(codec.output(model, operation, &output, request_id), request_id).await)
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
        let incoming = Incoming { form: form_of(&parts, &body), body, ..Incoming::default() };
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
                        log(model.name, operation.name, &error, request_id);
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
            Some(body) => with(response(answer.status, &answer.content_type, body, request_id), answer.headers),
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
    Answer {
        status,
        content_type: "application/xml".to_owned(),
        headers: Vec::new(),
        body: NOTHING.as_bytes().to_vec(),
    }
}

fn respond(answer: Answer, request_id: &str) -> Response<Body> {
    with(response(answer.status, &answer.content_type, Body::from(answer.body), request_id), answer.headers)
}

fn with(mut response: Response<Body>, headers: Vec<(HeaderName, HeaderValue)>) -> Response<Body> {
    for (name, value) in headers {
        response.headers_mut().insert(name, value);
    }
    response
}

/// An answer with bytes beside it, or with none where it takes some only.
fn carried(operation: &Operation, answer: Answer, bytes: ByteStream, request_id: &str) -> Response<Body> {
    if !operation.output.members().iter().any(|member| member.streaming) {
        return respond(answer, request_id);
    }
    // Without a type of its own, an object has none of ours.
    let content_type = "binary/octet-stream";
    let length = bytes.length;
    let data = bytes.pieces.filter_map(|piece| async {
        match piece {
            Ok(Piece::Bytes(bytes)) => Some(Ok(bytes)),
            Ok(Piece::Trailer(..)) => None,
            Err(error) => Some(Err(error)),
        }
    });
    let mut response = response(answer.status, content_type, Body::from_stream(data), request_id);
    if let Some(length) = length {
        response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    with(response, answer.headers)
}

/// `Content-Encoding` without the encoding of the transfer.
fn without_chunks(headers: &mut HeaderMap) {
    let Some(value) = headers.remove(header::CONTENT_ENCODING) else { return };
    let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
    let rest: Vec<&str> = text.split(',').map(str::trim).filter(|coding| *coding != "aws-chunked").collect();
    if let (false, Ok(value)) = (rest.is_empty(), HeaderValue::from_str(&rest.join(","))) {
        headers.insert(header::CONTENT_ENCODING, value);
    }
}

/// Source: Amazon S3 API Reference, "Error responses".
const SLOW_DOWN: ErrorFacts = ErrorFacts::server("SlowDown", 503);

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

fn log(service: &str, operation: &str, error: &WireError, request_id: &str) {
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
