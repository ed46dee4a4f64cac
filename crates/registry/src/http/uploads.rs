//! Pushing a blob: in one request, in chunks, or by mounting it from another repository.

use std::sync::Arc;

use axum::body::BodyDataStream;
use axum::extract::Request;
use axum::response::Response;
use blobs::{Digest, PumpError, Upload, UploadId};
use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use http::{HeaderName, Method, StatusCode, header};
use tokio::sync::Notify;

use super::{answer, on_disk, path};
use crate::limits::CHUNK_WITHIN;
use crate::{BLOB_BYTES_MAX, Registry, RegistryError, RepositoryKey};

const UPLOAD_ID: HeaderName = HeaderName::from_static("docker-upload-uuid");

/// POST: begins an upload, does a whole one, or mounts a blob.
pub(super) async fn start(
    registry: Arc<Registry>,
    key: RepositoryKey,
    request: Request,
) -> Result<Response, RegistryError> {
    let query = answer::query(&request);
    // What the request names is looked at before a repository is made for it.
    let mount = query.get("mount").map(|mount| path::digest(mount)).transpose()?;
    let whole = query.get("digest").map(|digest| path::digest(digest)).transpose()?;
    let target = key.clone();
    on_disk(&registry, move |registry| registry.repository_for_push(&target)).await?;

    // Without `from`, the specification lets the registry look wherever it likes; we look where the client may read.
    if let (Some(digest), Some(from)) = (mount, query.get("from").and_then(|from| from.parse().ok())) {
        let (from, to) = (RepositoryKey::new(&key.scope, from), key.clone());
        if on_disk(&registry, move |registry| registry.mount_blob(&from, &to, &digest)).await? {
            return Ok(created(&key, &digest));
        }
    }
    let target = key.clone();
    let id = on_disk(&registry, move |registry| registry.start_upload(&target)).await?;
    let Some(digest) = whole else { return Ok(waiting(&key, id, 0, StatusCode::ACCEPTED)) };
    let finished = finish(Arc::clone(&registry), key.clone(), id, digest, request).await;
    if finished.is_err() {
        // Nobody was told its name, so nobody can continue it.
        let _ = on_disk(&registry, move |registry| registry.cancel_upload(&key, id)).await;
    }
    finished
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
            let upload = take(&registry, &key, id, Chunk::of(&request)?).await?;
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
            let target = key.clone();
            let offset = on_disk(&registry, move |registry| registry.upload_offset(&target, id)).await?;
            Ok(waiting(&key, id, offset, StatusCode::NO_CONTENT))
        }
        Method::DELETE => {
            on_disk(&registry, move |registry| registry.cancel_upload(&key, id)).await?;
            Ok(answer::empty(StatusCode::NO_CONTENT))
        }
        _ => Err(RegistryError::Unsupported),
    }
}

/// Where the request's bytes begin and how many they are, as far as it says so.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Chunk {
    start: Option<u64>,
    length: Option<u64>,
}

impl Chunk {
    fn of(request: &Request) -> Result<Chunk, RegistryError> {
        let announced = answer::text(request.headers(), &header::CONTENT_LENGTH).and_then(|text| text.parse().ok());
        let Some(range) = answer::text(request.headers(), &header::CONTENT_RANGE) else {
            return Ok(Chunk { start: None, length: announced });
        };
        let wrong = || RegistryError::UploadInvalid { reason: format!("'{range}' is not a content range") };
        let (start, length) = content_range(range).ok_or_else(wrong)?;
        match announced {
            Some(announced) if announced != length => {
                Err(RegistryError::ChunkLength { range: length, length: announced })
            }
            _ => Ok(Chunk { start: Some(start), length: Some(length) }),
        }
    }
}

/// `<first>-<last>`, the specification's form; HTTP's own, `bytes <first>-<last>/<size>`, is understood too.
pub(super) fn content_range(text: &str) -> Option<(u64, u64)> {
    let text = text.strip_prefix("bytes").map_or(text, |rest| rest.trim_start_matches([' ', '=']));
    let range = text.split_once('/').map_or(text, |(range, _size)| range);
    let (first, last) = range.split_once('-')?;
    let number =
        |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten();
    let (first, last) = (number(first)?, number(last)?);
    let length = last.checked_sub(first)?.checked_add(1)?;
    Some((first, length))
}

/// Takes an upload for one request, if the request continues where the last one ended.
async fn take(
    registry: &Arc<Registry>,
    key: &RepositoryKey,
    id: UploadId,
    chunk: Chunk,
) -> Result<Upload, RegistryError> {
    let target = key.clone();
    on_disk(registry, move |registry| registry.check_upload(&target, id)).await?;
    let upload = registry.blobs.local().take_over_upload(id).await?;
    match chunk {
        Chunk { start: Some(start), .. } if start != upload.offset() => {
            Err(RegistryError::UploadOutOfOrder { offset: upload.offset() })
        }
        Chunk { length: Some(length), .. } if length > BLOB_BYTES_MAX.saturating_sub(upload.offset()) => {
            Err(RegistryError::TooLarge { limit: BLOB_BYTES_MAX })
        }
        _ => Ok(upload),
    }
}

/// Writes the request's body at the end of the upload.
async fn append(upload: Upload, request: Request) -> Result<Upload, RegistryError> {
    let limit = BLOB_BYTES_MAX.saturating_sub(upload.offset());
    let body = watched(request.into_body().into_data_stream(), upload.wanted());
    let (upload, result) = blobs::pump(upload, body, limit).await;
    match (upload, result) {
        (Some(upload), Ok(_)) => Ok(upload),
        (_, Err(PumpError::Stream(reason))) => {
            tracing::debug!(reason, "a push broke off");
            Err(RegistryError::ClientGone)
        }
        (_, Err(PumpError::TooLong { .. })) => Err(RegistryError::TooLarge { limit: BLOB_BYTES_MAX }),
        (_, Err(PumpError::Write(source))) => {
            Err(RegistryError::Io { action: "write", path: "a blob upload".into(), source })
        }
        (None, Ok(_)) => Err(RegistryError::Abandoned),
    }
}

/// A body that breaks off when its sender says nothing for too long, or when another request wants the upload.
fn watched(body: BodyDataStream, wanted: Arc<Notify>) -> impl Stream<Item = Result<Bytes, String>> {
    stream::unfold((body, wanted), |(mut body, wanted)| async move {
        let next = tokio::select! {
            biased;
            () = wanted.notified() => Some(Err("another request continues the upload".to_owned())),
            next = tokio::time::timeout(CHUNK_WITHIN, body.next()) => match next {
                Ok(next) => next.map(|chunk| chunk.map_err(|error| error.to_string())),
                Err(_) => Some(Err("the client sends nothing any more".to_owned())),
            },
        };
        next.map(|chunk| (chunk, (body, wanted)))
    })
}

/// Appends what the request still has, and makes a blob of the upload.
async fn finish(
    registry: Arc<Registry>,
    key: RepositoryKey,
    id: UploadId,
    digest: Digest,
    request: Request,
) -> Result<Response, RegistryError> {
    let upload = take(&registry, &key, id, Chunk::of(&request)?).await?;
    let upload = append(upload, request).await?;
    let target = key.clone();
    on_disk(&registry, move |registry| registry.finish_upload(&target, upload, &digest)).await?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges_are_inclusive() {
        for (text, range) in [
            ("0-9", Some((0, 10))),
            ("10-10", Some((10, 1))),
            ("bytes 0-9/10", Some((0, 10))),
            ("bytes=0-9", Some((0, 10))),
            ("0-9/*", Some((0, 10))),
            ("9-0", None),
            ("-9", None),
            ("0-", None),
            ("+0-9", None),
            ("a-b", None),
            ("0-18446744073709551615", None),
            ("0-99999999999999999999", None),
        ] {
            assert_eq!(content_range(text), range, "{text}");
        }
    }
}
