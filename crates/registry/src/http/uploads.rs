//! Pushing a blob: in one request, in chunks, or by mounting it from another repository.

use std::sync::Arc;

use axum::extract::Request;
use axum::response::Response;
use blobs::{Digest, PumpError, Upload, UploadId};
use http::{HeaderName, Method, StatusCode, header};

use super::{answer, on_disk, path};
use crate::{BLOB_BYTES_MAX, Registry, RegistryError, RepositoryKey};

const UPLOAD_ID: HeaderName = HeaderName::from_static("docker-upload-uuid");

/// POST: begins an upload, does a whole one, or mounts a blob.
pub(super) async fn start(
    registry: Arc<Registry>,
    key: RepositoryKey,
    request: Request,
) -> Result<Response, RegistryError> {
    let query = answer::query(&request);
    let target = key.clone();
    on_disk(&registry, move |registry| registry.repository_for_push(&target)).await?;

    if let Some(mount) = query.get("mount") {
        let digest = path::digest(mount)?;
        // Without `from`, the specification lets the registry look wherever it likes; we look where the client may read.
        if let Some(from) = query.get("from").and_then(|from| from.parse().ok()) {
            let (from, to) = (RepositoryKey::new(&key.scope, from), key.clone());
            if on_disk(&registry, move |registry| registry.mount_blob(&from, &to, &digest)).await? {
                return Ok(created(&key, &digest));
            }
        }
    }
    let id = on_disk(&registry, |registry| Ok(registry.blobs.start_upload()?)).await?;
    match query.get("digest") {
        Some(digest) => finish(registry, key, id, path::digest(digest)?, request).await,
        None => Ok(waiting(&key, id, 0, StatusCode::ACCEPTED)),
    }
}

/// What happens to an upload that was begun.
pub(super) async fn handle(
    registry: Arc<Registry>,
    key: RepositoryKey,
    id: UploadId,
    request: Request,
) -> Result<Response, RegistryError> {
    match *request.method() {
        Method::PATCH => {
            let upload = take(&registry, id, chunk_start(&request)?).await?;
            let offset = append(upload, request).await?.offset();
            Ok(waiting(&key, id, offset, StatusCode::ACCEPTED))
        }
        Method::PUT => {
            let query = answer::query(&request);
            let digest = query.get("digest").ok_or(RegistryError::DigestInvalid { text: String::new() })?;
            let digest = path::digest(digest)?;
            finish(registry, key, id, digest, request).await
        }
        Method::GET | Method::HEAD => {
            let offset = on_disk(&registry, move |registry| Ok(registry.blobs.upload_offset(id)?)).await?;
            Ok(waiting(&key, id, offset, StatusCode::NO_CONTENT))
        }
        Method::DELETE => {
            on_disk(&registry, move |registry| {
                registry.blobs.upload(id)?.cancel();
                Ok(())
            })
            .await?;
            Ok(answer::empty(StatusCode::NO_CONTENT))
        }
        _ => Err(RegistryError::Unsupported),
    }
}

/// Where the request's bytes begin, when it says so.
fn chunk_start(request: &Request) -> Result<Option<u64>, RegistryError> {
    let Some(range) = answer::text(request.headers(), &header::CONTENT_RANGE) else { return Ok(None) };
    let wrong = || RegistryError::UploadInvalid { reason: format!("'{range}' is not a content range") };
    let start = range.trim_start_matches("bytes ").split_once('-').and_then(|(start, _)| start.parse().ok());
    start.map(Some).ok_or_else(wrong)
}

/// Takes an upload for one request, if the request continues where the last one ended.
async fn take(registry: &Arc<Registry>, id: UploadId, start: Option<u64>) -> Result<Upload, RegistryError> {
    let upload = on_disk(registry, move |registry| Ok(registry.blobs.upload(id)?)).await?;
    match start {
        Some(start) if start != upload.offset() => Err(RegistryError::UploadOutOfOrder { offset: upload.offset() }),
        _ => Ok(upload),
    }
}

/// Writes the request's body at the end of the upload.
async fn append(upload: Upload, request: Request) -> Result<Upload, RegistryError> {
    let limit = BLOB_BYTES_MAX.saturating_sub(upload.offset());
    let (upload, result) = blobs::pump(upload, request.into_body().into_data_stream(), limit).await;
    match (upload, result) {
        (Some(upload), Ok(_)) => Ok(upload),
        (_, Err(PumpError::Stream(error))) => {
            tracing::debug!(%error, "a push broke off");
            Err(RegistryError::ClientGone)
        }
        (_, Err(PumpError::TooLong { .. })) => Err(RegistryError::TooLarge { limit: BLOB_BYTES_MAX }),
        (_, Err(PumpError::Write(source))) => {
            Err(RegistryError::Io { action: "write", path: "a blob upload".into(), source })
        }
        (None, Ok(_)) => Err(RegistryError::Abandoned),
    }
}

/// Appends what the request still has, and makes a blob of the upload.
async fn finish(
    registry: Arc<Registry>,
    key: RepositoryKey,
    id: UploadId,
    digest: Digest,
    request: Request,
) -> Result<Response, RegistryError> {
    let upload = take(&registry, id, chunk_start(&request)?).await?;
    let upload = append(upload, request).await?;
    let target = key.clone();
    on_disk(&registry, move |registry| {
        upload.commit(digest)?;
        registry.link_blob(&target, &digest)
    })
    .await?;
    Ok(created(&key, &digest))
}

fn waiting(key: &RepositoryKey, id: UploadId, offset: u64, status: StatusCode) -> Response {
    let mut response = answer::empty(status);
    let headers = response.headers_mut();
    answer::set(headers, header::LOCATION, format!("/v2/{}/blobs/uploads/{id}", key.name));
    answer::set(headers, header::RANGE, answer::upload_range(offset));
    answer::set(headers, UPLOAD_ID, id);
    response
}

fn created(key: &RepositoryKey, digest: &Digest) -> Response {
    let mut response = answer::empty(StatusCode::CREATED);
    answer::set(response.headers_mut(), header::LOCATION, format!("/v2/{}/blobs/{digest}", key.name));
    answer::set_digest(response.headers_mut(), digest);
    response
}
