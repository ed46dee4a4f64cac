//! A registry on loopback, and a client that says exactly what it sends.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use blobs::{Blobs, Digest};
use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use object_store::ObjectStore;
use object_store::memory::InMemory;
use registry::{Config, Registry, router};
use serde_json::{Value, json};
use tempfile::TempDir;

pub struct Server {
    pub address: SocketAddr,
    pub registry: Arc<Registry>,
    pub dir: TempDir,
}

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
}

impl Server {
    pub async fn start() -> Server {
        Server::start_with(Config::default()).await
    }

    pub async fn start_with(config: Config) -> Server {
        Server::start_in(tempfile::tempdir().unwrap(), config).await
    }

    /// Another server over what this one kept.
    pub async fn restart(self) -> Server {
        Server::start_in(self.dir, Config::default()).await
    }

    async fn start_in(dir: TempDir, config: Config) -> Server {
        let registry = open(dir.path(), config);
        Server::serve(registry, dir).await
    }

    pub async fn serve(registry: Registry, dir: TempDir) -> Server {
        let registry = Arc::new(registry);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = router(Arc::clone(&registry));
        // It ends with the test's runtime.
        tokio::spawn(async move { axum::serve(listener, app).await });
        Server { address, registry, dir }
    }

    pub async fn send(&self, method: &str, path: &str, headers: &[(&str, &str)], body: impl Into<Bytes>) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let client = Client::builder(TokioExecutor::new()).build_http();
        let response = client.request(request.body(Full::new(body.into())).unwrap()).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Answer { status: parts.status, headers: parts.headers, body }
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], "").await
    }

    /// Pushes a blob in one request.
    pub async fn push_blob(&self, name: &str, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        let answer =
            self.send("POST", &format!("/v2/{name}/blobs/uploads/?digest={digest}"), &[], bytes.to_vec()).await;
        answer.expect(201);
        digest
    }

    /// Pushes an image of one layer and gives its manifest's digest and bytes.
    pub async fn push_image(&self, name: &str, tag: &str, layer: &[u8]) -> (Digest, Vec<u8>) {
        let layer_digest = self.push_blob(name, layer).await;
        let config = self.push_blob(name, b"{}").await;
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": OCI_MANIFEST,
            "config": {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": config, "size": 2},
            "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": layer_digest, "size": layer.len()}],
        })
        .to_string()
        .into_bytes();
        self.put_manifest(name, tag, &manifest).await.expect(201);
        (Digest::of(&manifest), manifest)
    }

    pub async fn put_manifest(&self, name: &str, target: &str, manifest: &[u8]) -> Answer {
        let path = format!("/v2/{name}/manifests/{target}");
        self.send("PUT", &path, &[("content-type", OCI_MANIFEST)], manifest.to_vec()).await
    }
}

pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// `in_objects.rs` has tests of other files once more, over an object store.
const IN_OBJECTS: bool = matches!(env!("CARGO_CRATE_NAME").as_bytes(), b"in_objects");

/// Where the registry's blobs and uploads are on this machine.
pub const BLOBS: &str = if IN_OBJECTS { "registry/cache" } else { "blobs" };

/// The object store of each directory; it outlives the registry.
static STORES: Mutex<BTreeMap<PathBuf, Arc<dyn ObjectStore>>> = Mutex::new(BTreeMap::new());

/// In memory, or with `BERTH_TEST_OBJECTS=s3://BUCKET?endpoint=URL` in a bucket, of whoever wants to know how another server fares.
fn new_store(dir: &Path) -> Arc<dyn ObjectStore> {
    let Ok(address) = std::env::var("BERTH_TEST_OBJECTS") else { return Arc::new(InMemory::new()) };
    let store = objects::open(&address.parse().unwrap(), &objects::Options::default()).unwrap();
    objects::part(&store, dir.file_name().unwrap().to_str().unwrap())
}

pub fn open(dir: &Path, config: Config) -> Registry {
    if IN_OBJECTS {
        let store = STORES.lock().unwrap().entry(dir.to_owned()).or_insert_with(|| new_store(dir)).clone();
        return Registry::open_in(dir.join("registry"), store, 1 << 30, config).unwrap();
    }
    Registry::open(dir.join("registry"), Blobs::open(dir.join("blobs")).unwrap(), config).unwrap()
}

impl Answer {
    #[track_caller]
    pub fn expect(&self, status: u16) -> &Answer {
        assert_eq!(self.status.as_u16(), status, "{}", String::from_utf8_lossy(&self.body));
        self
    }

    #[track_caller]
    pub fn expect_error(&self, status: u16, code: &str) -> &Answer {
        self.expect(status);
        assert_eq!(self.json()["errors"][0]["code"], code);
        self
    }

    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no header {name}")).to_str().unwrap()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}
