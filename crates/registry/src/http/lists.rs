//! Lists: tags, repositories, and what refers to a manifest.

use std::sync::Arc;

use axum::extract::Request;
use axum::response::Response;
use blobs::Digest;
use http::{HeaderName, StatusCode, header};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use super::{answer, on_disk};
use crate::limits::REFERRERS_MAX;
use crate::{ManifestRecord, MediaType, PAGE_ITEMS_MAX, Registry, RegistryError, RepositoryKey, Scope};

pub(super) async fn tags(
    registry: Arc<Registry>,
    key: RepositoryKey,
    request: Request,
) -> Result<Response, RegistryError> {
    let name = key.name.clone();
    let tags = on_disk(&registry, move |registry| registry.tags(&key)).await?;
    let tags = tags.iter().map(|tag| tag.as_str().to_owned()).collect();
    let (page, next) = page(tags, &request)?;
    Ok(with_next(answer::json(StatusCode::OK, &json!({"name": name.as_str(), "tags": page})), next))
}

pub(super) async fn catalog(
    registry: Arc<Registry>,
    scope: Scope,
    request: Request,
) -> Result<Response, RegistryError> {
    let names = on_disk(&registry, move |registry| registry.repository_names(&scope)).await?;
    let (page, next) = page(names.iter().map(|name| name.as_str().to_owned()).collect(), &request)?;
    Ok(with_next(answer::json(StatusCode::OK, &json!({"repositories": page})), next))
}

/// Everything that is about a manifest, as an index; empty when nothing is, even where there is no such manifest.
pub(super) async fn referrers(
    registry: Arc<Registry>,
    key: RepositoryKey,
    subject: Digest,
    request: Request,
) -> Result<Response, RegistryError> {
    let query = answer::query(&request);
    let wanted = query.get("artifactType").filter(|wanted| !wanted.is_empty()).cloned();
    let found = on_disk(&registry, move |registry| registry.referrers(&key, &subject)).await?;
    let found = found.into_iter().filter(|(_, record)| wanted.is_none() || record.artifact_type == wanted);
    // Pages are ours to cut: a client follows the link, and the answer stays below what clients read of a manifest.
    let last = query.get("last");
    let mut rest = found.skip_while(|(digest, _)| last.is_some_and(|last| digest.to_string() <= *last));
    let page: Vec<_> = rest.by_ref().take(REFERRERS_MAX).collect();
    let next = page.last().filter(|_| rest.next().is_some()).map(|(digest, _)| {
        let filter = wanted.as_deref().map(|wanted| format!("artifactType={}&", encode(wanted))).unwrap_or_default();
        format!("<{}?{filter}last={digest}>; rel=\"next\"", request.uri().path())
    });
    let manifests: Vec<_> = page.into_iter().map(|(digest, record)| descriptor(&digest, record)).collect();
    let index = json!({"schemaVersion": 2, "mediaType": MediaType::OciIndex.as_str(), "manifests": manifests});
    let mut response = answer::json(StatusCode::OK, &index);
    answer::set(response.headers_mut(), header::CONTENT_TYPE, MediaType::OciIndex.as_str());
    if wanted.is_some() {
        answer::set(response.headers_mut(), HeaderName::from_static("oci-filters-applied"), "artifactType");
    }
    Ok(with_next(response, next))
}

fn descriptor(digest: &Digest, record: ManifestRecord) -> serde_json::Value {
    let mut descriptor = json!({"mediaType": record.media_type, "digest": digest, "size": record.size});
    if let Some(artifact_type) = record.artifact_type {
        descriptor["artifactType"] = json!(artifact_type);
    }
    if !record.annotations.is_empty() {
        descriptor["annotations"] = json!(record.annotations);
    }
    descriptor
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// Cuts a sorted list by the query's `n` and `last`, and says where the next page is.
fn page(items: Vec<String>, request: &Request) -> Result<(Vec<String>, Option<String>), RegistryError> {
    let query = answer::query(request);
    let count = match query.get("n") {
        None => PAGE_ITEMS_MAX,
        Some(text) => {
            text.parse().map_err(|_| RegistryError::PageInvalid { text: text.chars().take(100).collect() })?
        }
    };
    let count = count.min(PAGE_ITEMS_MAX);
    let last = query.get("last");
    let mut rest = items.into_iter().filter(|item| last.is_none_or(|last| item > last)).peekable();
    let page: Vec<String> = rest.by_ref().take(count).collect();
    let next = match (rest.peek(), page.last()) {
        (Some(_), Some(last)) => Some(format!("<{}?n={count}&last={last}>; rel=\"next\"", request.uri().path())),
        _ => None,
    };
    Ok((page, next))
}

fn with_next(mut response: Response, next: Option<String>) -> Response {
    if let Some(next) = next {
        answer::set(response.headers_mut(), header::LINK, next);
    }
    response
}
