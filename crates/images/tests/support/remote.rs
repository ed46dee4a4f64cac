//! A small registry that asks for logins, and misbehaves as it is told.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use blobs::Digest;
use bytes::Bytes;
use futures::{StreamExt, stream};
use http::{HeaderMap, StatusCode, header};
use serde_json::json;

use super::image::{Built, INDEX, MANIFEST};

/// What a registry asks for before it answers.
#[derive(Clone, Debug)]
pub enum Access {
    Open,
    /// A user name and password.
    Basic(&'static str),
    /// A token, which its own `/token` gives to whoever shows these; to anybody, if empty.
    Token(&'static str),
    /// A token that is never enough.
    Denied,
}

/// What goes wrong with one answer.
#[derive(Clone, Debug)]
pub enum Fault {
    Status(u16),
    /// The connection ends after so many bytes.
    Cut(usize),
    /// The answer ends after so many bytes, and claims to be complete.
    Short(usize),
    /// One byte is another.
    Flip,
    /// More bytes than were announced.
    Long,
    Redirect(String),
    /// The whole blob, whatever part was asked for.
    WholeOnly,
    /// Another part than was asked for.
    WrongPart,
}

pub struct Remote {
    pub address: SocketAddr,
    pub state: Arc<Shared>,
}

pub struct Shared {
    access: Access,
    documents: Mutex<HashMap<String, (String, Bytes)>>,
    blobs: Mutex<HashMap<String, Bytes>>,
    faults: Mutex<HashMap<String, VecDeque<Fault>>>,
    requests: Mutex<Vec<String>>,
    /// How many requests showed a login.
    logins: Mutex<usize>,
    address: Mutex<Option<SocketAddr>>,
    /// How long each chunk of a blob takes.
    pace: Mutex<Option<Duration>>,
}

impl Remote {
    pub async fn start(access: Access) -> Remote {
        let state = Arc::new(Shared {
            access,
            documents: Mutex::default(),
            blobs: Mutex::default(),
            faults: Mutex::default(),
            requests: Mutex::default(),
            logins: Mutex::default(),
            address: Mutex::default(),
            pace: Mutex::default(),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        *state.address.lock().unwrap() = Some(address);
        let app = Router::new().fallback(answer).with_state(Arc::clone(&state));
        // It ends with the test's runtime.
        tokio::spawn(async move { axum::serve(listener, app).await });
        Remote { address, state }
    }

    /// Offers an image; gives its name.
    pub fn offer(&self, name: &str, image: &Built) -> String {
        self.offer_blobs(image);
        self.offer_document(name, MANIFEST, &image.manifest)
    }

    pub fn offer_blobs(&self, image: &Built) {
        for blob in image.blobs() {
            self.state.blobs.lock().unwrap().insert(Digest::of(blob).to_string(), blob.clone().into());
        }
    }

    pub fn offer_index(&self, name: &str, index: &[u8], images: &[&Built]) -> String {
        let (repository, _) = name.split_once(':').unwrap();
        for image in images {
            self.offer(&format!("{repository}:_{}", image.digest().hex()), image);
        }
        self.offer_document(name, INDEX, index)
    }

    pub fn offer_document(&self, name: &str, media_type: &str, bytes: &[u8]) -> String {
        let (repository, tag) = name.split_once(':').unwrap();
        let mut documents = self.state.documents.lock().unwrap();
        for target in [tag.to_owned(), Digest::of(bytes).to_string()] {
            let document = (media_type.to_owned(), bytes.to_vec().into());
            documents.insert(format!("/v2/{repository}/manifests/{target}"), document);
        }
        format!("{}/{name}", self.address)
    }

    /// Lets the next answers about a path that ends like this go wrong, one after the other.
    pub fn fail(&self, ending: impl ToString, faults: impl IntoIterator<Item = Fault>) {
        self.state.faults.lock().unwrap().entry(ending.to_string()).or_default().extend(faults);
    }

    pub fn pace(&self, pace: Duration) {
        *self.state.pace.lock().unwrap() = Some(pace);
    }

    pub fn logins(&self) -> usize {
        *self.state.logins.lock().unwrap()
    }

    /// How many requests there were whose path contains this.
    pub fn asked(&self, part: impl ToString) -> usize {
        let part = part.to_string();
        self.state.requests.lock().unwrap().iter().filter(|path| path.contains(&part)).count()
    }
}

fn plain(status: u16, body: impl Into<Body>) -> Response {
    Response::builder().status(status).body(body.into()).unwrap()
}

fn error(status: u16, code: &str, message: &str) -> Response {
    plain(status, json!({"errors": [{"code": code, "message": message}]}).to_string())
}

async fn answer(State(state): State<Arc<Shared>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    state.requests.lock().unwrap().push(path.clone());
    *state.logins.lock().unwrap() += usize::from(request.headers().contains_key(header::AUTHORIZATION));
    if path == "/token" {
        return token(&state, request.uri().query().unwrap_or_default(), request.headers());
    }
    if let Some(refusal) = refusal(&state, &path, request.headers()) {
        return refusal;
    }
    let fault = {
        let mut faults = state.faults.lock().unwrap();
        faults.iter_mut().find(|(ending, _)| path.ends_with(*ending)).and_then(|(_, faults)| faults.pop_front())
    };
    if let Some((media_type, bytes)) = state.documents.lock().unwrap().get(&path).cloned() {
        return match fault {
            Some(Fault::Status(status)) => plain(status, "not JSON"),
            Some(Fault::Flip) => plain(200, flip(&bytes)),
            _ => Response::builder().header(header::CONTENT_TYPE, media_type).body(Body::from(bytes)).unwrap(),
        };
    }
    if path.contains("/manifests/") {
        let known = path.split('/').nth(2).is_some_and(|name| {
            state.documents.lock().unwrap().keys().any(|key| key.starts_with(&format!("/v2/{name}/")))
        });
        return if known {
            error(404, "MANIFEST_UNKNOWN", "manifest unknown to registry")
        } else {
            error(404, "NAME_UNKNOWN", "repository name not known to registry")
        };
    }
    let digest = path.rsplit('/').next().unwrap_or_default();
    let blob = state.blobs.lock().unwrap().get(digest).cloned();
    match blob {
        Some(blob) => blob_answer(&state, blob, fault, request.headers()),
        None => error(404, "BLOB_UNKNOWN", "blob unknown to registry"),
    }
}

fn flip(bytes: &[u8]) -> Bytes {
    let mut bytes = bytes.to_vec();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    bytes.into()
}

fn blob_answer(state: &Shared, blob: Bytes, fault: Option<Fault>, headers: &HeaderMap) -> Response {
    let range = headers.get(header::RANGE).and_then(|range| range.to_str().ok());
    let asked = range.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse::<usize>().ok());
    let start = match (&fault, asked) {
        (Some(Fault::WholeOnly), _) => None,
        (Some(Fault::WrongPart), Some(start)) => Some(start - 1),
        (_, asked) => asked,
    };
    let part = blob.slice(start.unwrap_or(0)..);
    let mut response = Response::builder().status(if start.is_some() { 206 } else { 200 });
    if let Some(start) = start {
        response = response.header(header::CONTENT_RANGE, format!("bytes {start}-{}/{}", blob.len() - 1, blob.len()));
    }
    let body = match fault {
        Some(Fault::Status(status)) => return plain(status, "not JSON"),
        Some(Fault::Redirect(to)) => {
            return Response::builder().status(307).header(header::LOCATION, to).body(Body::empty()).unwrap();
        }
        Some(Fault::Cut(length)) => {
            response = response.header(header::CONTENT_LENGTH, part.len());
            // The pause lets hyper send what it has before it hears of the end.
            let broken = stream::iter([Ok(part.slice(..length)), Err(io::Error::other("cut"))]);
            let broken = broken.then(|chunk| async {
                tokio::time::sleep(Duration::from_millis(if chunk.is_ok() { 0 } else { 20 })).await;
                chunk
            });
            return response.body(Body::from_stream(broken)).unwrap();
        }
        Some(Fault::Short(length)) => part.slice(..length),
        Some(Fault::Flip) => flip(&part),
        Some(Fault::Long) => [&part[..], &[0; 100]].concat().into(),
        _ => part,
    };
    match *state.pace.lock().unwrap() {
        None => response.body(Body::from(body)).unwrap(),
        Some(pace) => {
            let chunks: VecDeque<Bytes> = body.chunks(1024).map(Bytes::copy_from_slice).collect();
            let paced = stream::unfold(chunks, move |mut chunks| async move {
                let chunk = chunks.pop_front()?;
                tokio::time::sleep(pace).await;
                Some((Ok::<_, io::Error>(chunk), chunks))
            });
            response.header(header::CONTENT_LENGTH, body.len()).body(Body::from_stream(paced)).unwrap()
        }
    }
}

fn shows(headers: &HeaderMap, expected: &str) -> bool {
    headers.get(header::AUTHORIZATION).is_some_and(|value| value == expected)
}

fn basic(login: &str) -> String {
    format!("Basic {}", STANDARD.encode(login))
}

/// The answer to a request that does not show what it must.
fn refusal(state: &Shared, path: &str, headers: &HeaderMap) -> Option<Response> {
    let address = (*state.address.lock().unwrap()).unwrap();
    let name = path.split('/').nth(2).unwrap_or_default();
    let bearer = format!(r#"Bearer realm="http://{address}/token",service="test",scope="repository:{name}:pull""#);
    let challenge = match &state.access {
        Access::Open => return None,
        Access::Basic(login) if shows(headers, &basic(login)) => return None,
        Access::Basic(_) => r#"Basic realm="test""#.to_owned(),
        Access::Token(_) if shows(headers, &format!("Bearer for {name}")) => return None,
        Access::Token(_) => bearer,
        Access::Denied => format!(r#"{bearer},error="insufficient_scope""#),
    };
    let mut response = error(401, "UNAUTHORIZED", "authentication required");
    response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge.parse().unwrap());
    Some(response)
}

fn token(state: &Shared, query: &str, headers: &HeaderMap) -> Response {
    let login = match &state.access {
        Access::Token(login) => *login,
        _ => "",
    };
    if !login.is_empty() && !shows(headers, &basic(login)) {
        return error(StatusCode::UNAUTHORIZED.as_u16(), "UNAUTHORIZED", "incorrect username or password");
    }
    let scope = query.split('&').find_map(|pair| pair.strip_prefix("scope=")).unwrap_or_default();
    let scope = scope.replace("%3A", ":");
    let name = scope.split(':').nth(1).unwrap_or_default();
    plain(200, json!({"token": format!("for {name}"), "expires_in": 300}).to_string())
}
