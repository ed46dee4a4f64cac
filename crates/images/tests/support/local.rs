//! The built-in registry, as the agent would hand it to the image store, and as clients push to it.

use std::collections::HashSet;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use blobs::{Blobs, Digest};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use images::{Bringing, LocalAnswer, LocalImage, LocalRegistry, Missing};
use registry::{Config, Registry, RegistryError, RepositoryKey, Scope, Target};
use tempfile::TempDir;

use super::image::{Built, INDEX, MANIFEST};

pub struct BuiltIn {
    pub address: SocketAddr,
    pub registry: Arc<Registry>,
    pub blobs: Blobs,
    pub dir: TempDir,
}

/// [`LocalRegistry`] over the real registry.
pub struct Adapter {
    registry: Arc<Registry>,
    host: String,
    pub resolved: AtomicUsize,
}

fn key(image: &LocalImage<'_>) -> Result<RepositoryKey, Box<dyn Error + Send + Sync>> {
    let (account, region) = image.scope.unwrap_or(("000000000000", "us-east-1"));
    let scope = Scope::new(account, region).ok_or("no such scope")?;
    Ok(RepositoryKey::new(&scope, image.repository.parse()?))
}

impl LocalRegistry for Adapter {
    fn serves(&self, host: &str) -> bool {
        host == self.host
    }

    fn resolve(&self, image: &LocalImage<'_>) -> Result<LocalAnswer, Box<dyn Error + Send + Sync>> {
        self.resolved.fetch_add(1, Ordering::Relaxed);
        let key = key(image)?;
        let target: Target = image.target.parse()?;
        match self.registry.resolve(&key, &target) {
            Ok((digest, _)) => Ok(LocalAnswer::Manifest(digest)),
            Err(error @ RegistryError::NameUnknown { .. }) => {
                Ok(LocalAnswer::RepositoryUnknown { message: error.to_string() })
            }
            Err(error @ RegistryError::ManifestUnknown) => {
                Ok(LocalAnswer::ManifestUnknown { message: error.to_string() })
            }
            Err(error) => Err(error.into()),
        }
    }

    fn bring<'a>(&'a self, image: LocalImage<'a>, missing: Missing) -> Bringing<'a> {
        Box::pin(async move {
            let key = key(&image)?;
            match missing {
                Missing::Target => self.registry.freshen(&key, &image.target.parse()?).await?,
                Missing::Part(digest) => self.registry.bring_part(&key, digest).await?,
            }
            Ok(())
        })
    }

    fn prune(&self, unused_for: Duration) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.registry.prune(unused_for)?;
        Ok(())
    }

    fn needed_blobs(&self) -> Result<HashSet<Digest>, Box<dyn Error + Send + Sync>> {
        Ok(self.registry.needed_blobs()?)
    }
}

impl BuiltIn {
    pub async fn start() -> BuiltIn {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(dir.path().join("blobs")).unwrap();
        let registry = Registry::open(dir.path().join("registry"), blobs.clone(), Config::default()).unwrap();
        BuiltIn::serve(registry, blobs, dir).await
    }

    pub async fn serve(registry: Registry, blobs: Blobs, dir: TempDir) -> BuiltIn {
        let registry = Arc::new(registry);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let app = registry::router(Arc::clone(&registry));
        // It ends with the test's runtime.
        tokio::spawn(async move { axum::serve(listener, app).await });
        BuiltIn { address, registry, blobs, dir }
    }

    pub fn adapter(&self) -> Arc<Adapter> {
        let (registry, host) = (Arc::clone(&self.registry), self.address.to_string());
        Arc::new(Adapter { registry, host, resolved: AtomicUsize::new(0) })
    }

    async fn send(&self, method: &str, path: &str, media_type: &str, host: &str, body: &[u8]) {
        let request = Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        let request = request.header("content-type", media_type).header("host", host);
        let client = Client::builder(TokioExecutor::new()).build_http();
        let response = client.request(request.body(Full::new(Bytes::copy_from_slice(body))).unwrap()).await.unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert!(status.is_success(), "{method} {path}: {status} {}", String::from_utf8_lossy(&body));
    }

    /// Pushes an image to the default account; gives its name.
    pub async fn push(&self, name: &str, image: &Built) -> String {
        self.push_to(&self.address.to_string(), name, image).await
    }

    pub async fn push_to(&self, host: &str, name: &str, image: &Built) -> String {
        let (repository, tag) = name.split_once(':').unwrap();
        for blob in image.blobs() {
            let path = format!("/v2/{repository}/blobs/uploads/?digest={}", Digest::of(blob));
            self.send("POST", &path, "application/octet-stream", host, blob).await;
        }
        let path = format!("/v2/{repository}/manifests/{tag}");
        self.send("PUT", &path, MANIFEST, host, &image.manifest).await;
        format!("{host}/{name}")
    }

    pub async fn push_index(&self, name: &str, index: &[u8], images: &[&Built]) -> String {
        let (repository, tag) = name.split_once(':').unwrap();
        for image in images {
            self.push(&format!("{repository}:_{}", image.digest().hex()), image).await;
        }
        let host = self.address.to_string();
        self.send("PUT", &format!("/v2/{repository}/manifests/{tag}"), INDEX, &host, index).await;
        format!("{host}/{name}")
    }
}
