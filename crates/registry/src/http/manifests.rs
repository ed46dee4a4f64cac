//! HEAD, GET, PUT and DELETE of a manifest.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::Response;
use http::{HeaderName, Method, StatusCode, header};

use super::{answer, on_disk};
use crate::{MANIFEST_BYTES_MAX, Registry, RegistryError, RepositoryKey, Target};

pub(super) async fn handle(
    registry: Arc<Registry>,
    key: RepositoryKey,
    target: Target,
    request: Request,
) -> Result<Response, RegistryError> {
    match *request.method() {
        Method::GET | Method::HEAD => read(registry, key, target, request).await,
        Method::PUT => put(registry, key, target, request).await,
        Method::DELETE => {
            on_disk(&registry, move |registry| registry.delete_manifest(&key, &target)).await?;
            Ok(answer::empty(StatusCode::ACCEPTED))
        }
        _ => Err(RegistryError::Unsupported),
    }
}

async fn read(
    registry: Arc<Registry>,
    key: RepositoryKey,
    target: Target,
    request: Request,
) -> Result<Response, RegistryError> {
    let is_head = request.method() == Method::HEAD;
    registry.freshen(&key, &target).await?;
    let (digest, record, bytes) = on_disk(&registry, move |registry| {
        let (digest, record) = registry.resolve(&key, &target)?;
        let bytes = if is_head { Vec::new() } else { registry.manifest_bytes(&digest)? };
        Ok((digest, record, bytes))
    })
    .await?;
    if answer::is_known(request.headers(), &digest) {
        return Ok(answer::unchanged(&digest));
    }
    let mut response = answer::empty(StatusCode::OK);
    let headers = response.headers_mut();
    answer::set(headers, header::CONTENT_TYPE, &record.media_type);
    answer::set(headers, header::CONTENT_LENGTH, record.size);
    answer::set(headers, header::ETAG, format!("\"{digest}\""));
    answer::set_digest(headers, &digest);
    if !is_head {
        *response.body_mut() = Body::from(bytes);
    }
    Ok(response)
}

async fn put(
    registry: Arc<Registry>,
    key: RepositoryKey,
    target: Target,
    request: Request,
) -> Result<Response, RegistryError> {
    let content_type = answer::text(request.headers(), &header::CONTENT_TYPE).map(str::to_owned);
    let announced =
        answer::text(request.headers(), &header::CONTENT_LENGTH).and_then(|text| text.parse::<usize>().ok());
    let too_large = RegistryError::TooLarge { limit: MANIFEST_BYTES_MAX as u64 };
    if announced.is_some_and(|length| length > MANIFEST_BYTES_MAX) {
        return Err(too_large);
    }
    let bytes = to_bytes(request.into_body(), MANIFEST_BYTES_MAX).await.map_err(|error| {
        // The body's error has only a type-erased way to say that the limit was reached.
        if std::error::Error::source(&error).is_some_and(|source| source.to_string().contains("limit")) {
            too_large
        } else {
            RegistryError::ClientGone
        }
    })?;
    let name = key.name.clone();
    let (digest, manifest) =
        on_disk(&registry, move |registry| registry.put_manifest(&key, &target, content_type.as_deref(), &bytes))
            .await?;
    let mut response = answer::empty(StatusCode::CREATED);
    let headers = response.headers_mut();
    answer::set(headers, header::LOCATION, format!("/v2/{name}/manifests/{digest}"));
    answer::set_digest(headers, &digest);
    if let Some(subject) = manifest.subject {
        answer::set(headers, HeaderName::from_static("oci-subject"), subject);
    }
    Ok(response)
}
