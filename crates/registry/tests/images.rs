//! What ECR's rules add to the protocol, and pushes that meet.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use blobs::Digest;
use registry::{MediaType, RegistryError, RepositoryKey, RepositorySettings, Scope, Tag, TagMutability, Target};
use serde_json::json;
use support::Server;

fn web() -> RepositoryKey {
    RepositoryKey::new(&Scope::new("000000000000", "us-east-1").unwrap(), "web".parse().unwrap())
}

fn tag(text: &str) -> Tag {
    text.parse().unwrap()
}

async fn push_index(server: &Server, target: &str, manifests: &[Digest]) -> Digest {
    let media_type = MediaType::OciIndex.as_str();
    let manifests: Vec<_> = manifests.iter().map(|digest| json!({"digest": digest, "size": 1})).collect();
    let index = json!({"schemaVersion": 2, "mediaType": media_type, "manifests": manifests}).to_string();
    let path = format!("/v2/web/manifests/{target}");
    server.send("PUT", &path, &[("content-type", media_type)], index.clone()).await.expect(201);
    Digest::of(index.as_bytes())
}

#[tokio::test]
async fn an_image_of_an_index_stays_as_long_as_the_index() {
    let server = Server::start().await;
    let (small, _) = server.push_image("web", "small", b"layer").await;
    let (large, _) = server.push_image("web", "large", b"larger layer").await;
    let index = push_index(&server, "multi", &[small, large]).await;
    let (_, record) = server.registry.resolve(&web(), &Target::Digest(index)).unwrap();
    assert_eq!(record.content_size, 14, "an index is as large as the largest of its images");

    let path = |digest: Digest| format!("/v2/web/manifests/{digest}");
    let refused = server.send("DELETE", &path(large), &[], "").await;
    let message = &refused.expect_error(405, "UNSUPPORTED").json()["errors"][0]["message"];
    assert_eq!(*message, format!("Requested image referenced by manifest list: [{index}]"));
    // By its tag it can go no more than by its digest, when the tag is its last.
    let refused = server.registry.delete_tag(&web(), &tag("large"), None).unwrap_err();
    assert!(matches!(refused, RegistryError::Referenced { by } if by == [index]));

    server.send("DELETE", &path(index), &[], "").await.expect(202);
    server.send("DELETE", &path(large), &[], "").await.expect(202);
    // An index that is pushed again holds what it lists again.
    let index = push_index(&server, "multi", &[small]).await;
    server.send("DELETE", &path(small), &[], "").await.expect_error(405, "UNSUPPORTED");
    server.send("DELETE", &path(index), &[], "").await.expect(202);
    server.send("DELETE", &path(small), &[], "").await.expect(202);
    server.registry.delete_repository(&web()).unwrap();
}

#[tokio::test]
async fn nobody_sees_half_of_a_push_or_of_a_deletion() {
    let server = Server::start().await;
    let (digest, manifest) = server.push_image("web", "1", b"layer").await;
    let (registry, ended) = (server.registry.clone(), Arc::new(AtomicBool::new(false)));
    let until = ended.clone();
    let looker = std::thread::spawn(move || {
        while !until.load(Ordering::Relaxed) {
            let images = registry.images(&web()).unwrap();
            assert!(images.iter().all(|image| image.tags == [tag("1")]), "{images:?}");
        }
    });
    for _ in 0..30 {
        server.registry.delete_manifest(&web(), &Target::Digest(digest)).unwrap();
        server.put_manifest("web", "1", &manifest).await.expect(201);
    }
    ended.store(true, Ordering::Relaxed);
    looker.join().expect("an image had its tag whenever it was seen");
}

#[tokio::test]
async fn the_last_tag_may_take_the_image_along() {
    let server = Server::start().await;
    let (digest, manifest) = server.push_image("web", "1", b"layer").await;
    server.put_manifest("web", "latest", &manifest).await.expect(201);
    let (other, _) = server.push_image("web", "2", b"another layer").await;

    let refused = server.registry.delete_tag(&web(), &tag("1"), Some(&other)).unwrap_err();
    assert!(matches!(refused, RegistryError::TagOfAnother { .. }), "{refused}");
    let refused = server.registry.delete_tag(&web(), &tag("1"), Some(&Digest::of(b"missing"))).unwrap_err();
    assert!(matches!(refused, RegistryError::ManifestUnknown), "{refused}");

    let deleted = server.registry.delete_tag(&web(), &tag("1"), Some(&digest)).unwrap();
    assert_eq!((deleted.digest, deleted.tags), (digest, vec![tag("1")]));
    server.get("/v2/web/manifests/latest").await.expect(200);
    server.registry.delete_tag(&web(), &tag("latest"), None).unwrap();
    server.get(&format!("/v2/web/manifests/{digest}")).await.expect_error(404, "MANIFEST_UNKNOWN");
    let refused = server.registry.delete_tag(&web(), &tag("latest"), None).unwrap_err();
    assert!(matches!(refused, RegistryError::ManifestUnknown), "{refused}");
}

#[tokio::test]
async fn an_exclusion_lets_some_tags_move() {
    let server = Server::start().await;
    let settings = RepositorySettings {
        tag_mutability: TagMutability::ImmutableWithExclusion,
        tag_mutability_exclusions: vec!["dev*".to_owned()],
        ..RepositorySettings::default()
    };
    server.registry.create_repository(&web(), settings).unwrap();
    server.push_image("web", "v1", b"one").await;
    server.push_image("web", "dev-1", b"one").await;
    let (second, manifest) = server.push_image("web", "v2", b"two").await;
    server.put_manifest("web", "v1", &manifest).await.expect_error(400, "TAG_INVALID");
    server.put_manifest("web", "dev-1", &manifest).await.expect(201);
    assert_eq!(server.registry.resolve(&web(), &Target::Tag(tag("dev-1"))).unwrap().0, second);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_push_one_blob_at_once() {
    let server = Server::start().await;
    let bytes: Vec<u8> = (0..2_000_000_u32).map(|n| (n % 251) as u8).collect();
    let digest = Digest::of(&bytes);
    let (first, second) = bytes.split_at(1_234_567);
    // Each in two chunks, and to one repository or another, so that the uploads really overlap.
    let pushes = (0..8).map(|n| {
        let server = &server;
        async move {
            let name = format!("web-{}", n % 2);
            let start = server.send("POST", &format!("/v2/{name}/blobs/uploads/"), &[], "").await;
            let upload = start.expect(202).header("location").to_owned();
            server.send("PATCH", &upload, &[], first.to_vec()).await.expect(202);
            server.send("PUT", &format!("{upload}?digest={digest}"), &[], second.to_vec()).await.expect(201);
            let read = server.get(&format!("/v2/{name}/blobs/{digest}")).await;
            assert_eq!(Digest::of(&read.expect(200).body), digest);
        }
    });
    futures::future::join_all(pushes).await;
    let entries = |dir: &str| std::fs::read_dir(server.dir.path().join("blobs").join(dir)).unwrap().count();
    assert_eq!((entries("sha256"), entries("tmp"), entries("uploads")), (1, 0, 0), "one blob, and nothing beside it");
}

#[tokio::test(flavor = "multi_thread")]
async fn images_pushed_at_once_are_all_there() {
    let server = Server::start().await;
    let pushes = (0..16).map(|n| {
        let server = &server;
        async move { server.push_image("web", &format!("v{n}"), format!("layer {}", n % 4).as_bytes()).await.0 }
    });
    let digests = futures::future::join_all(pushes).await;
    let images = server.registry.images(&web()).unwrap();
    assert_eq!(images.len(), 4);
    for (n, digest) in digests.into_iter().enumerate() {
        let (found, _) = server.registry.resolve(&web(), &Target::Tag(tag(&format!("v{n}")))).unwrap();
        assert_eq!(found, digest);
    }
}
