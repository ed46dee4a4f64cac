//! Manifests and blobs of one repository, for one pull.

use blobs::Digest;
use bytes::Bytes;
use http::{HeaderName, Method, Response, StatusCode, Uri, header};
use hyper::body::Incoming;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::auth::Challenge;
use super::http::collect;
use super::{Auth, Http};
use crate::limits::{DOCUMENT_BYTES_MAX, REDIRECTS_MAX};
use crate::manifest::ACCEPT;
use crate::{ImageError, Reference};

/// One pull from one repository: where it is, who asks, and the token that was obtained.
pub(crate) struct Session {
    http: Http,
    reference: Reference,
    auth: Auth,
    /// `http://host:port`, without a path.
    base: String,
    /// What the registry takes itself for, when that is not where we connect to.
    host: Option<String>,
    authorization: Mutex<Option<String>>,
}

/// A manifest as the registry sent it.
pub(crate) struct Fetched {
    pub(crate) digest: Digest,
    pub(crate) media_type: Option<String>,
    pub(crate) bytes: Bytes,
}

#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
}

#[derive(Deserialize)]
struct ErrorDocument {
    errors: Vec<ErrorEntry>,
}

#[derive(Deserialize)]
struct ErrorEntry {
    code: String,
    #[serde(default)]
    message: String,
}

impl Session {
    pub(crate) fn new(http: Http, reference: Reference, auth: Auth, base: String, host: Option<String>) -> Session {
        Session { http, reference, auth, base, host, authorization: Mutex::default() }
    }

    /// Fetches a manifest or index and checks its digest, if one was asked for.
    pub(crate) async fn manifest(&self, target: &str) -> Result<Fetched, ImageError> {
        let url = self.url(&format!("manifests/{target}"))?;
        let mut headers = Vec::new();
        for media_type in ACCEPT {
            headers.push((header::ACCEPT, media_type.to_owned()));
        }
        // Docker knocks at `/v2/` before it asks for anything, so that is the address in its words about a registry out of reach.
        let response = self.get(&url, &headers).await.map_err(|error| match error {
            ImageError::Connection { method, reason, .. } => {
                ImageError::Connection { method, url: format!("{}/v2/", self.base), reason }
            }
            other => other,
        })?;
        if response.status() != StatusCode::OK {
            return Err(self.refusal(response, &url).await);
        }
        let media_type = response.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type = media_type.map(str::to_owned);
        let bytes = collect(response.into_body(), DOCUMENT_BYTES_MAX).await.ok_or_else(|| ImageError::Connection {
            method: "Get",
            url: url.to_string(),
            reason: "unexpected EOF".to_owned(),
        })?;
        let Ok(expected) = target.parse::<Digest>() else {
            return Ok(Fetched { digest: Digest::of(&bytes), media_type, bytes });
        };
        let actual = expected.of_same_kind(&bytes);
        if actual != expected {
            return Err(ImageError::DocumentMismatch { what: "manifest", expected, actual });
        }
        Ok(Fetched { digest: expected, media_type, bytes })
    }

    pub(super) fn url(&self, rest: &str) -> Result<Uri, ImageError> {
        let url = format!("{}/v2/{}/{rest}", self.base, self.reference.repository());
        url.parse().map_err(|error: http::uri::InvalidUri| ImageError::Connection {
            method: "Get",
            url,
            reason: error.to_string(),
        })
    }

    /// Where every registry answers that one may speak to.
    pub(super) fn root(&self) -> Result<Uri, ImageError> {
        let url = format!("{}/v2/", self.base);
        url.parse().map_err(|error: http::uri::InvalidUri| ImageError::Connection {
            method: "Get",
            url,
            reason: error.to_string(),
        })
    }

    /// Asks, logs in when asked to, and follows redirects, without the login once they lead to another host.
    pub(super) async fn get(
        &self,
        url: &Uri,
        headers: &[(HeaderName, String)],
    ) -> Result<Response<Incoming>, ImageError> {
        let mut response = self.get_authorized(url, headers).await?;
        let mut from = url.clone();
        for _ in 0..REDIRECTS_MAX {
            if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(response);
            }
            let location = response.headers().get(header::LOCATION).and_then(|location| location.to_str().ok());
            let Some(to) = location.and_then(|location| follow(&from, location)) else { return Ok(response) };
            let is_home = |place: &Uri| place.authority() == url.authority() && place.scheme() == url.scheme();
            response = if is_home(&from) && is_home(&to) {
                self.get_authorized(&to, headers).await?
            } else {
                self.http.send(Method::GET, &to, headers).await.map_err(without_query)?
            };
            from = to;
        }
        Ok(response)
    }

    async fn get_authorized(
        &self,
        url: &Uri,
        headers: &[(HeaderName, String)],
    ) -> Result<Response<Incoming>, ImageError> {
        let mut headers = headers.to_vec();
        headers.extend(self.host.clone().map(|host| (header::HOST, host)));
        let known = self.authorization.lock().await.clone();
        let mut with = headers.clone();
        with.extend(known.clone().map(|authorization| (header::AUTHORIZATION, authorization)));
        let response = self.http.send(Method::GET, url, &with).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return Ok(response);
        }
        let challenges: Vec<Challenge> = response
            .headers()
            .get_all(header::WWW_AUTHENTICATE)
            .iter()
            .filter_map(|value| Challenge::parse(value.to_str().ok()?))
            .collect();
        let Some(challenge) = challenges.into_iter().next() else { return Ok(response) };
        let mut authorization = self.authorization.lock().await;
        // Another download of this pull may have logged in, or renewed an expired token, while this one was refused.
        if *authorization == known {
            if known.is_some() && matches!(challenge, Challenge::Basic) {
                return Ok(response);
            }
            *authorization = Some(self.log_in(challenge, url).await?);
        }
        headers.extend(authorization.clone().map(|authorization| (header::AUTHORIZATION, authorization)));
        drop(authorization);
        self.http.send(Method::GET, url, &headers).await
    }

    /// Answers a challenge with the value of an `Authorization` header.
    async fn log_in(&self, challenge: Challenge, url: &Uri) -> Result<String, ImageError> {
        let Challenge::Bearer { realm, service, scope, .. } = challenge else {
            let missing = || ImageError::NoCredentials { method: "Head", url: url.to_string() };
            return self.auth.basic().ok_or_else(missing);
        };
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let scope = scope.unwrap_or_else(|| format!("repository:{}:pull", self.reference.repository()));
        let mut query = format!("scope={}", encode(&scope));
        if let Some(service) = service {
            query = format!("service={}&{query}", encode(&service));
        }
        let separator = if realm.contains('?') { '&' } else { '?' };
        let shown = |reason: String| ImageError::Connection { method: "Get", url: realm.clone(), reason };
        let token_url: Uri = format!("{realm}{separator}{query}")
            .parse()
            .map_err(|error: http::uri::InvalidUri| shown(error.to_string()))?;
        // A password goes over plain HTTP only where the registry itself is spoken to so.
        if token_url.scheme_str() != Some("https") && self.base.starts_with("https:") && self.auth != Auth::Anonymous {
            return Err(shown("the registry asks for the login without encryption".to_owned()));
        }
        let headers: Vec<_> = self.auth.basic().map(|basic| (header::AUTHORIZATION, basic)).into_iter().collect();
        let response = self.http.send(Method::GET, &token_url, &headers).await?;
        let status = response.status();
        if status == StatusCode::UNAUTHORIZED || status == StatusCode::FORBIDDEN {
            let message =
                errors(response).await.map_or_else(|| "authentication required".to_owned(), |error| error.message);
            return Err(ImageError::Unauthorized { method: "Head", url: url.to_string(), message });
        }
        if status != StatusCode::OK {
            return Err(ImageError::Status { status: status.to_string() });
        }
        let body = collect(response.into_body(), DOCUMENT_BYTES_MAX).await.unwrap_or_default();
        let token: Option<Token> = serde_json::from_slice(&body).ok();
        let token = token.and_then(|token| token.token.or(token.access_token));
        token
            .map(|token| format!("Bearer {token}"))
            .ok_or_else(|| shown("authorization server did not include a token in the response".to_owned()))
    }

    /// What a refusal means, in Docker's words.
    pub(super) async fn refusal(&self, response: Response<Incoming>, url: &Uri) -> ImageError {
        let status = response.status();
        let insufficient = response.headers().get_all(header::WWW_AUTHENTICATE).iter().any(|value| {
            let challenge = value.to_str().ok().and_then(Challenge::parse);
            matches!(challenge, Some(Challenge::Bearer { error: Some(error), .. }) if error == "insufficient_scope")
        });
        let is_bearer = self.authorization.lock().await.as_ref().is_some_and(|value| value.starts_with("Bearer"));
        let name = self.reference.familiar_name();
        let entry = errors(response).await;
        if status == StatusCode::UNAUTHORIZED && (insufficient || is_bearer) {
            // A token was given and is not enough: Docker takes that for a repository one may not see.
            return ImageError::AccessDenied { name, message: "requested access to the resource is denied".to_owned() };
        }
        let Some(ErrorEntry { code, message }) = entry else {
            return match status {
                StatusCode::UNAUTHORIZED => ImageError::Unauthorized {
                    method: "Head",
                    url: url.to_string(),
                    message: "authentication required".to_owned(),
                },
                StatusCode::FORBIDDEN => {
                    ImageError::AccessDenied { name, message: "requested access to the resource is denied".to_owned() }
                }
                StatusCode::NOT_FOUND => ImageError::ManifestUnknown {
                    name: self.reference.familiar(),
                    message: "manifest unknown".to_owned(),
                },
                _ => ImageError::Status { status: status.to_string() },
            };
        };
        match code.as_str() {
            "MANIFEST_UNKNOWN" => ImageError::ManifestUnknown { name: self.reference.familiar(), message },
            "NAME_UNKNOWN" => ImageError::RepositoryUnknown { name, message },
            "DENIED" => ImageError::AccessDenied { name, message },
            "UNAUTHORIZED" => ImageError::Unauthorized { method: "Head", url: url.to_string(), message },
            _ => ImageError::Registry { code: code.to_lowercase().replace('_', " "), message },
        }
    }
}

async fn errors(response: Response<Incoming>) -> Option<ErrorEntry> {
    let body = collect(response.into_body(), DOCUMENT_BYTES_MAX).await?;
    serde_json::from_slice::<ErrorDocument>(&body).ok()?.errors.into_iter().next()
}

/// Takes the query, which may be a signature worth money, out of an error's address.
fn without_query(error: ImageError) -> ImageError {
    match error {
        ImageError::Connection { method, url, reason } => {
            let url = url.split('?').next().unwrap_or_default().to_owned();
            ImageError::Connection { method, url, reason }
        }
        other => other,
    }
}

/// Where a redirect leads; never from HTTPS to plain HTTP.
pub(crate) fn follow(from: &Uri, location: &str) -> Option<Uri> {
    let to: Uri = if location.starts_with("http://") || location.starts_with("https://") {
        location.parse().ok()?
    } else if location.starts_with('/') {
        format!("{}://{}{location}", from.scheme_str()?, from.authority()?).parse().ok()?
    } else {
        return None;
    };
    let downgrades = from.scheme_str() == Some("https") && to.scheme_str() != Some("https");
    (!downgrades).then_some(to)
}
