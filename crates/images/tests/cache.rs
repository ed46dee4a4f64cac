//! The pull-through cache of the built-in registry, before another registry that is spoken to over HTTP.

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use blobs::{Blobs, Digest};
use bytes::Bytes;
use futures::StreamExt;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use images::{Auth, ErrorKind, ImageError, PullBehavior, RemoteRegistries, RemoteRepository};
use registry::{
    Config, Registry, RegistryError, RepositoryKey, Target, Upstream, UpstreamBlob, UpstreamError, UpstreamManifest,
    Upstreams,
};
use support::Node;
use support::image::{image, index, noise};
use support::local::BuiltIn;
use support::tar::Tar;
use tempfile::TempDir;

/// Everything below `hub/` comes from one registry, through whatever the test does to it.
#[derive(Debug)]
struct Rules {
    registries: RemoteRegistries,
    upstream: SocketAddr,
    faults: Arc<Faults>,
}

/// How much of a blob comes at once, in bytes.
const PIECE: usize = 64 * 1024;

#[derive(Debug, Default)]
struct Faults {
    unreachable: AtomicBool,
    /// Flips a bit of every blob.
    corrupts: AtomicBool,
    /// Breaks off the next blobs, so many, in the middle.
    breaks: AtomicUsize,
    /// Holds blobs back after half of their bytes.
    holds: AtomicBool,
    asked: AtomicUsize,
}

struct There {
    repository: RemoteRepository,
    faults: Arc<Faults>,
}

impl Upstreams for Rules {
    fn of(&self, _: &Registry, key: &RepositoryKey) -> Result<Option<Arc<dyn Upstream>>, RegistryError> {
        let Some(name) = key.name.as_str().strip_prefix("hub/") else { return Ok(None) };
        let repository = self.registries.repository(&self.upstream.to_string(), name, Auth::Anonymous).unwrap();
        Ok(Some(Arc::new(There { repository, faults: Arc::clone(&self.faults) })))
    }
}

fn why(error: ImageError) -> UpstreamError {
    match error.kind() {
        ErrorKind::NotFound => UpstreamError::NotFound,
        _ => UpstreamError::Unreachable { reason: error.to_string() },
    }
}

#[async_trait]
impl Upstream for There {
    async fn ping(&self) -> Result<(), UpstreamError> {
        if self.faults.unreachable.load(Ordering::Relaxed) {
            return Err(UpstreamError::Unreachable { reason: "connection refused".to_owned() });
        }
        self.repository.ping().await.map_err(why)
    }

    async fn manifest(&self, target: &Target) -> Result<UpstreamManifest, UpstreamError> {
        self.faults.asked.fetch_add(1, Ordering::Relaxed);
        if self.faults.unreachable.load(Ordering::Relaxed) {
            return Err(UpstreamError::Unreachable { reason: "connection refused".to_owned() });
        }
        let found = self.repository.manifest(&target.to_string()).await.map_err(why)?;
        Ok(UpstreamManifest { media_type: found.media_type, bytes: found.bytes })
    }

    async fn blob(&self, digest: &Digest, start: u64) -> Result<UpstreamBlob, UpstreamError> {
        self.faults.asked.fetch_add(1, Ordering::Relaxed);
        if self.faults.unreachable.load(Ordering::Relaxed) {
            return Err(UpstreamError::Unreachable { reason: "connection refused".to_owned() });
        }
        let found = self.repository.blob(digest, start).await.map_err(why)?;
        let (corrupts, half) = (self.faults.corrupts.load(Ordering::Relaxed), found.size / 2);
        let breaks =
            self.faults.breaks.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok();
        let faults = Arc::clone(&self.faults);
        let mut at = found.start;
        // A busy connection gives a lot at once; the first half must never come with the second.
        let pieces = found.body.flat_map(|chunk| {
            let pieces = match chunk {
                Ok(chunk) => chunk.chunks(PIECE).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect(),
                Err(reason) => vec![Err(reason)],
            };
            futures::stream::iter(pieces)
        });
        let body = pieces.then(move |chunk| {
            at += chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
            let (faults, is_late) = (Arc::clone(&faults), at > half);
            async move {
                while is_late && faults.holds.load(Ordering::Relaxed) {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                let mut bytes = chunk?.to_vec();
                match (breaks && is_late, corrupts) {
                    (true, _) => Err("connection reset".to_owned()),
                    (false, true) => {
                        bytes[0] ^= 1;
                        Ok(Bytes::from(bytes))
                    }
                    (false, false) => Ok(Bytes::from(bytes)),
                }
            }
        });
        Ok(UpstreamBlob { start: found.start, size: found.size, body: body.boxed() })
    }
}

/// A registry whose repositories below `hub/` are copies of another's.
struct Cached {
    upstream: BuiltIn,
    here: BuiltIn,
    faults: Arc<Faults>,
}

async fn cached() -> Cached {
    let upstream = BuiltIn::start().await;
    let faults = Arc::new(Faults::default());
    let rules =
        Rules { registries: RemoteRegistries::default(), upstream: upstream.address, faults: Arc::clone(&faults) };
    let dir = TempDir::new().unwrap();
    let blobs = Blobs::open(dir.path().join("blobs")).unwrap();
    let registry = Registry::open(dir.path().join("registry"), blobs.clone(), Config::default()).unwrap();
    let here = BuiltIn::serve(registry.with_upstreams(Arc::new(rules)), blobs, dir).await;
    Cached { upstream, here, faults }
}

impl Cached {
    /// What a client gets; an answer that breaks off is `None`.
    async fn get(&self, path: &str) -> (StatusCode, Option<Bytes>) {
        let client = Client::builder(TokioExecutor::new()).build_http();
        let request = Request::get(format!("http://{}/v2/{path}", self.here.address));
        let answer = client.request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
        let status = answer.status();
        (status, answer.into_body().collect().await.ok().map(|body| body.to_bytes()))
    }

    /// As if the last look at every tag had been so long ago.
    fn let_pass(&self, time: Duration) {
        let then = (SystemTime::now() - time).duration_since(UNIX_EPOCH).unwrap().as_millis();
        let tags = self.here.dir.path().join("registry/repositories/000000000000/us-east-1/hub/team/app/_tags");
        for entry in std::fs::read_dir(tags).unwrap() {
            let path = entry.unwrap().path();
            let mut tag: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            assert!(tag["checked_at"].is_number() || tag["checked_at"].is_string(), "{tag}");
            tag["checked_at"] =
                serde_json::to_value(stdx::Timestamp::from_millis(i64::try_from(then).unwrap())).unwrap();
            std::fs::write(&path, tag.to_string()).unwrap();
        }
    }
}

fn app(content: &str) -> support::image::Built {
    image(&[Tar::new().file("app", content).end(), noise(7, 900_000)])
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_comes_once_and_stays_when_its_registry_is_gone() {
    let cached = cached().await;
    let one = app("one");
    cached.upstream.push("team/app:1", &one).await;
    let name = format!("{}/hub/team/app:1", cached.here.address);

    // Over HTTP, as docker pulls.
    let far = Node::new();
    let image = far.pull(&name).await.unwrap();
    assert_eq!(image.digest(), one.digest());
    let asked = cached.faults.asked.load(Ordering::Relaxed);
    let another = Node::new();
    another.pull(&name).await.unwrap();
    assert_eq!(cached.faults.asked.load(Ordering::Relaxed), asked, "nothing is asked for twice");

    // The tag moves upstream, which is seen a day later.
    let two = app("two");
    cached.upstream.push("team/app:1", &two).await;
    assert_eq!(cached.get("hub/team/app/manifests/1").await.1.unwrap(), one.manifest);
    cached.let_pass(Duration::from_secs(25 * 3600));
    cached.faults.unreachable.store(true, Ordering::Relaxed);
    assert_eq!(cached.get("hub/team/app/manifests/1").await.1.unwrap(), one.manifest, "what is here is served");
    assert_eq!(Node::new().pull(&name).await.unwrap().digest(), one.digest());
    let (status, body) = cached.get("hub/team/app/manifests/2").await;
    assert_eq!(status, 502, "{body:?}");
    cached.faults.unreachable.store(false, Ordering::Relaxed);
    assert_eq!(cached.get("hub/team/app/manifests/1").await.1.unwrap(), two.manifest);
    assert_eq!(cached.get("hub/team/app/manifests/2").await.0, 404);
    assert_eq!(cached.get("team/app/manifests/1").await.0, 404, "no rule covers it");
    assert_eq!(cached.get("hub/nothing/manifests/1").await.0, 404);
    assert!(cached.here.registry.repository_names(&Config::default().default_scope).unwrap().len() == 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_shares_the_blobs_runs_it_without_a_copy() {
    let cached = cached().await;
    let (one, other) = (app("one"), app("other processor"));
    let platform = |architecture: &str| serde_json::json!({"os": "linux", "architecture": architecture});
    let both = index(&[(&one, platform("amd64")), (&other, platform("arm64"))]);
    cached.upstream.push_index("team/app:1", &both, &[&one, &other]).await;
    let node = Node::local(cached.here.adapter(), cached.here.blobs.clone());
    let image = node.pull(&format!("{}/hub/team/app:1", cached.here.address)).await.unwrap();
    assert_eq!(image.digest(), Digest::of(&both));
    assert!(image.layers()[0].dir.join("app").exists());
    // The index, one manifest, its configuration and its layers; nothing of the other processor's.
    assert_eq!(cached.here.blobs.list().unwrap().len(), 1 + 1 + 1 + 2);
    cached.faults.unreachable.store(true, Ordering::Relaxed);
    let name = format!("{}/hub/team/app:1", cached.here.address);
    let again = node.pull_as(&name, &Auth::Anonymous, PullBehavior::Always).await.unwrap();
    assert_eq!(again.digest(), image.digest());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_reads_while_the_blob_arrives_and_never_the_whole_of_a_wrong_one() {
    let cached = cached().await;
    let one = app("one");
    cached.upstream.push("team/app:1", &one).await;
    let layer = one.layers[1].clone();
    let path = format!("hub/team/app/blobs/{}", Digest::of(&layer));

    // Wrong bytes break off before the end, and leave nothing.
    cached.faults.corrupts.store(true, Ordering::Relaxed);
    let (status, body) = cached.get(&path).await;
    assert_eq!((status, body), (StatusCode::OK, None));
    assert!(cached.here.blobs.list().unwrap().is_empty());
    cached.faults.corrupts.store(false, Ordering::Relaxed);

    // The first half is read while the second is held back upstream; all who ask share one download.
    cached.faults.holds.store(true, Ordering::Relaxed);
    cached.faults.breaks.store(2, Ordering::Relaxed);
    let before = cached.faults.asked.load(Ordering::Relaxed);
    let client = Client::builder(TokioExecutor::new()).build_http();
    let ask = || async {
        let request = Request::get(format!("http://{}/v2/{path}", cached.here.address));
        client.request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap().into_body()
    };
    let mut bodies = [ask().await, ask().await, ask().await];
    let mut read = vec![Vec::new(); bodies.len()];
    for (body, read) in bodies.iter_mut().zip(&mut read) {
        let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
        read.extend_from_slice(&first);
        assert!(read.len() < layer.len());
    }
    cached.faults.holds.store(false, Ordering::Relaxed);
    for (mut body, mut read) in bodies.into_iter().zip(read) {
        while let Some(frame) = body.frame().await {
            read.extend_from_slice(&frame.unwrap().into_data().unwrap());
        }
        assert_eq!(Digest::of(&read), Digest::of(&layer));
    }
    // Two broke off in the middle and were continued.
    assert_eq!(cached.faults.asked.load(Ordering::Relaxed) - before, 3);
    assert_eq!(cached.here.blobs.list().unwrap(), [Digest::of(&layer)]);
}
