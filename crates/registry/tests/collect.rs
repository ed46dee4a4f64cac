//! Making room, while people push and pull.

mod support;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use blobs::{Blobs, Digest};
use registry::{Config, RepositoryKey, Scope};
use serde_json::json;
use support::{OCI_INDEX, OCI_MANIFEST, Server, open};

const HOUR: Duration = Duration::from_secs(3600);

impl Server {
    /// As if nobody had used anything for a day.
    fn let_a_day_pass(&self) {
        let yesterday = SystemTime::now() - 24 * HOUR;
        let mut pending: Vec<PathBuf> = vec![self.dir.path().to_owned()];
        while let Some(dir) = pending.pop() {
            for entry in std::fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    pending.push(path);
                } else {
                    std::fs::File::open(&path).unwrap().set_modified(yesterday).unwrap();
                }
            }
        }
    }

    async fn has(&self, name: &str, digest: &Digest) -> bool {
        self.send("HEAD", &format!("/v2/{name}/blobs/{digest}"), &[], "").await.status == 200
    }

    fn blobs(&self) -> usize {
        Blobs::open(self.dir.path().join("blobs")).unwrap().list().unwrap().len()
    }
}

#[tokio::test]
async fn what_no_manifest_needs_goes_when_it_is_old() {
    let server = Server::start().await;
    let (image, manifest) = server.push_image("web", "1", b"layer").await;
    let stray = server.push_blob("web", b"pushed, and then the client gave up").await;
    let other = server.push_blob("other", b"layer").await;
    assert_eq!(server.registry.collect(HOUR).unwrap(), Default::default());
    assert!(server.has("web", &stray).await);

    server.let_a_day_pass();
    let collected = server.registry.collect(HOUR).unwrap();
    // The other repository forgets the layer too, but the first one's image needs its bytes.
    assert_eq!((collected.forgotten, collected.blobs, collected.blob_bytes), (2, 1, 35));
    assert!(!server.has("web", &stray).await && !server.has("other", &other).await);
    assert_eq!(server.get("/v2/web/manifests/1").await.expect(200).body, manifest);
    assert_eq!(server.get(&format!("/v2/web/blobs/{}", Digest::of(b"layer"))).await.expect(200).body, "layer");

    // With its last manifest all of it goes, and not before it is old again.
    server.send("DELETE", &format!("/v2/web/manifests/{image}"), &[], "").await.expect(202);
    assert_eq!(server.registry.collect(HOUR).unwrap().blobs, 2, "not the layer, which was just read");
    server.let_a_day_pass();
    assert_eq!(server.registry.collect(HOUR).unwrap().blobs, 1);
    assert_eq!(server.blobs(), 0);
}

#[tokio::test]
async fn untagged_images_indexes_and_referrers_keep_what_they_are_made_of() {
    let server = Server::start().await;
    let (child, bytes) = server.push_image("web", "1", b"layer").await;
    let descriptor = json!({"mediaType": OCI_MANIFEST, "digest": child, "size": bytes.len()});
    // A build cache is an index of layers.
    let cached = server.push_blob("web", b"a cached layer").await;
    let layer = json!({"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": cached, "size": 14});
    let cache = json!({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [layer]}).to_string();
    server.send("PUT", "/v2/web/manifests/cache", &[("content-type", OCI_INDEX)], cache).await.expect(201);
    let empty = server.push_blob("web", b"{ }").await;
    let about = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "layers": [], "subject": descriptor,
                       "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": empty, "size": 3}});
    let digest = Digest::of(about.to_string().as_bytes()).to_string();
    server.put_manifest("web", &digest, about.to_string().as_bytes()).await.expect(201);
    server.send("DELETE", "/v2/web/manifests/1", &[], "").await.expect(202);

    server.let_a_day_pass();
    assert_eq!(server.registry.collect(HOUR).unwrap(), Default::default());
    for blob in [Digest::of(b"layer"), cached, empty] {
        assert!(server.has("web", &blob).await);
    }
    server.get(&format!("/v2/web/manifests/{child}")).await.expect(200);
}

#[tokio::test]
async fn a_blob_that_a_client_found_is_there_for_its_manifest() {
    let server = Server::start().await;
    let layer = server.push_blob("web", b"layer").await;
    let from = server.push_blob("base", b"mounted").await;
    let config = server.push_blob("web", b"{}").await;
    server.let_a_day_pass();
    // The client looks, finds them, and does not push them again.
    for blob in [layer, config] {
        assert!(server.has("web", &blob).await);
    }
    server.send("POST", &format!("/v2/web/blobs/uploads/?mount={from}&from=base"), &[], "").await.expect(201);
    assert_eq!(server.registry.collect(HOUR).unwrap().blobs, 0);
    let part = |digest: Digest| json!({"mediaType": "application/octet-stream", "digest": digest, "size": 7});
    let manifest = json!({"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": part(config), "layers": [part(layer), part(from)]});
    server.put_manifest("web", "1", manifest.to_string().as_bytes()).await.expect(201);
}

/// Pushes and collections at once, with the shortest grace that a push of this size can live with: every image that was
/// acknowledged is whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_acknowledged_image_is_harmed_by_collections() {
    let server = Arc::new(Server::start().await);
    let done = Arc::new(AtomicBool::new(false));
    let collector = {
        let (registry, done) = (Arc::clone(&server.registry), Arc::clone(&done));
        std::thread::spawn(move || {
            let mut rounds = 0;
            while !done.load(Ordering::Relaxed) {
                registry.collect(Duration::from_millis(1500)).unwrap();
                rounds += 1;
            }
            rounds
        })
    };
    let pushers: Vec<_> = (0..4)
        .map(|pusher| {
            let server = Arc::clone(&server);
            tokio::spawn(async move {
                for round in 0..12 {
                    // All share one layer, and each image has one of its own; some go again.
                    let (tag, layer) = (format!("{pusher}-{round}"), format!("layer {pusher} {round}"));
                    let (digest, _) = server.push_image("web", &tag, layer.as_bytes()).await;
                    if round % 3 == 0 {
                        server.send("DELETE", &format!("/v2/web/manifests/{digest}"), &[], "").await.expect(202);
                    }
                }
            })
        })
        .collect();
    for pusher in pushers {
        pusher.await.unwrap();
    }
    done.store(true, Ordering::Relaxed);
    assert!(collector.join().unwrap() > 3);
    server.let_a_day_pass();
    server.registry.collect(HOUR).unwrap();
    let tags = server.get("/v2/web/tags/list").await.expect(200).json();
    let tags: Vec<String> = serde_json::from_value(tags["tags"].clone()).unwrap();
    assert_eq!(tags.len(), 4 * 8);
    for tag in tags {
        let manifest = server.get(&format!("/v2/web/manifests/{tag}")).await.expect(200).json();
        for part in [&manifest["config"], &manifest["layers"][0]] {
            let digest: Digest = serde_json::from_value(part["digest"].clone()).unwrap();
            let blob = server.get(&format!("/v2/web/blobs/{digest}")).await;
            assert_eq!(Digest::of(&blob.expect(200).body), digest);
        }
    }
    assert_eq!(server.blobs(), 4 * 8 * 2 + 1, "and nothing else is left");
}

#[tokio::test]
async fn what_a_deletion_left_when_it_was_cut_short_does_not_come_back() {
    let server = Server::start().await;
    server.push_image("web", "1", b"layer").await;
    // A deletion removes the settings first; here everything ended.
    let scope = Scope::new("000000000000", "us-east-1").unwrap();
    std::fs::remove_file(server.dir.path().join("registry/repositories/000000000000/us-east-1/web/_repository.json"))
        .unwrap();
    let again = open(server.dir.path(), Config::default());
    let key = RepositoryKey::new(&scope, "web".parse().unwrap());
    assert!(again.needed_blobs().unwrap().is_empty());
    again.create_repository(&key, Default::default()).unwrap();
    assert!(again.images(&key).unwrap().is_empty() && again.tags(&key).unwrap().is_empty());
}

#[tokio::test]
async fn records_of_an_earlier_version_keep_their_blobs() {
    let server = Server::start().await;
    let (digest, _) = server.push_image("web", "1", b"layer").await;
    let record =
        server.dir.path().join("registry/repositories/000000000000/us-east-1/web/_manifests").join(digest.hex());
    let mut old: serde_json::Value = serde_json::from_slice(&std::fs::read(&record).unwrap()).unwrap();
    assert!(old.as_object_mut().unwrap().remove("needs").is_some());
    std::fs::write(&record, old.to_string()).unwrap();
    server.let_a_day_pass();
    assert_eq!(server.registry.collect(HOUR).unwrap(), Default::default());
}
