//! GET and HEAD of a blob by a signed address, as a presigned one of S3 would answer.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use http::{HeaderValue, Method, StatusCode, header};

use super::{answer, blobs, path};
use crate::repository::now;
use crate::signing::{Claim, PATH};
use crate::{Registry, RepositoryKey, Scope};

pub(super) async fn handle(State(registry): State<Arc<Registry>>, request: Request) -> Response {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return refuse(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", "The specified method is not allowed");
    }
    let path = path::decode(request.uri().path());
    let Some((key, digest)) = path.as_deref().and_then(parse) else {
        return refuse(StatusCode::NOT_FOUND, "NoSuchKey", "The specified key does not exist.");
    };
    let query = answer::query(&request);
    let (expires, signature) = (query.get("expires"), query.get("signature"));
    let (Some(expires), Some(signature)) = (expires, signature) else {
        return refuse(StatusCode::FORBIDDEN, "AccessDenied", "Access Denied");
    };
    if !registry.signer.verify(&Claim { key: &key, digest: &digest, expires }, signature) {
        let message = "The request signature we calculated does not match the signature you provided.";
        return refuse(StatusCode::FORBIDDEN, "SignatureDoesNotMatch", message);
    }
    if expires.parse().is_ok_and(|expires: i64| now().as_millis() / 1000 >= expires) {
        return refuse(StatusCode::FORBIDDEN, "AccessDenied", "Request has expired");
    }
    let is_head = request.method() == Method::HEAD;
    match blobs::handle(registry, key, digest, request).await {
        Ok(response) => response,
        Err(error) => answer::error(&error, is_head),
    }
}

/// `/_berth/layers/ACCOUNT/REGION/NAME/DIGEST`
fn parse(path: &str) -> Option<(RepositoryKey, ::blobs::Digest)> {
    let mut parts = path.strip_prefix(PATH)?.strip_prefix('/')?.splitn(3, '/');
    let scope = Scope::new(parts.next()?, parts.next()?)?;
    let (name, digest) = parts.next()?.rsplit_once('/')?;
    Some((RepositoryKey::new(&scope, name.parse().ok()?), digest.parse().ok()?))
}

fn refuse(status: StatusCode, code: &str, message: &str) -> Response {
    let text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message></Error>"
    );
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
    response
}
