//! Layers that break off, lead elsewhere, or are not what was announced.

mod support;

use blobs::Digest;
use images::{Auth, ErrorKind, PullBehavior};
use support::Node;
use support::image::{image, noise};
use support::remote::{Access, Fault, Remote};

#[tokio::test]
async fn a_download_that_breaks_off_continues() {
    let remote = Remote::start(Access::Open).await;
    let built = image(&[noise(1, 100_000)]);
    let blob = Digest::of(&built.layers[0]);
    for (what, faults) in [
        ("a cut", vec![Fault::Cut(40_000)]),
        ("two cuts", vec![Fault::Cut(40_000), Fault::Cut(40_000)]),
        ("an early end", vec![Fault::Short(40_000)]),
        ("an error first", vec![Fault::Status(503), Fault::Cut(10)]),
        ("a registry that begins again", vec![Fault::Cut(40_000), Fault::WholeOnly]),
        ("a registry that sends another part", vec![Fault::Cut(40_000), Fault::WrongPart]),
    ] {
        let app = remote.offer("app:1", &built);
        let before = remote.asked(blob);
        let requests = faults.len() + usize::from(!matches!(faults.last(), Some(Fault::WholeOnly)));
        remote.fail(blob, faults);
        let node = Node::new();
        node.pull(&app).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(remote.asked(blob) - before, requests, "{what}");
    }
}

#[tokio::test]
async fn a_layer_that_never_arrives_whole_is_given_up() {
    let remote = Remote::start(Access::Open).await;
    let built = image(&[noise(2, 1000)]);
    let blob = Digest::of(&built.layers[0]);
    let app = remote.offer("app:1", &built);
    let url = format!("http://{}/v2/app/blobs/{blob}", remote.address);
    let daemon = "CannotPullContainerError: Error response from daemon: ";
    for (fault, count, expected) in [
        (Fault::Cut(10), 5, format!("Get \"{url}\": unexpected EOF")),
        (Fault::Status(500), 5, "received unexpected HTTP status: 500 Internal Server Error".to_owned()),
        (
            Fault::Long,
            1,
            format!(
                "failed to register layer: {blob} is longer than the {} bytes that its manifest says",
                built.layers[0].len()
            ),
        ),
        (
            Fault::Status(404),
            1,
            format!("manifest for {}/app:1 not found: manifest unknown: manifest unknown", remote.address),
        ),
    ] {
        let node = Node::new();
        let before = remote.asked(blob);
        remote.fail(blob, vec![fault.clone(); count]);
        assert_eq!(node.reason(&app).await, format!("{daemon}{expected}"));
        assert_eq!(remote.asked(blob) - before, count, "{fault:?}");
        assert_eq!(node.blob_count(), 2, "{fault:?}: only the documents are here");
        assert!(node.layer_dirs().is_empty() && node.store.list().is_empty(), "{fault:?}");
        // The next try finds nothing in its way.
        node.pull(&app).await.unwrap();
    }
}

#[tokio::test]
async fn bytes_that_are_not_the_announced_ones_are_refused() {
    let remote = Remote::start(Access::Open).await;
    let built = image(&[noise(3, 1000)]);
    let (blob, config) = (Digest::of(&built.layers[0]), Digest::of(&built.config));
    let app = remote.offer("app:1", &built);
    for (what, ending, expected) in [
        ("a layer", blob.to_string(), format!("filesystem layer verification failed for digest {blob}")),
        ("a configuration", config.to_string(), format!("filesystem layer verification failed for digest {config}")),
    ] {
        let node = Node::new();
        remote.fail(ending, [Fault::Flip]);
        let error = node.pull(&app).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupted, "{what}");
        assert!(error.cannot_pull_reason().contains(&expected), "{what}: {}", error.cannot_pull_reason());
        assert!(node.layer_dirs().is_empty() && node.store.list().is_empty(), "{what}");
        node.pull(&app).await.unwrap();
    }
    let pinned = format!("{}/app@{}", remote.address, built.digest());
    remote.fail(format!("/manifests/{}", built.digest()), [Fault::Flip]);
    let error = Node::new().pull(&pinned).await.unwrap_err();
    assert!(
        error.to_string().starts_with(&format!("digest mismatch for manifest: expected {}", built.digest())),
        "{error}"
    );
}

#[tokio::test]
async fn redirects_are_followed_without_the_login() {
    let built = image(&[noise(4, 1000)]);
    let blob = Digest::of(&built.layers[0]);
    // The storage behind the registry refuses whoever shows a login that it did not ask for.
    let storage = Remote::start(Access::Open).await;
    storage.offer_blobs(&built);
    let remote = Remote::start(Access::Basic("user:pass")).await;
    let app = remote.offer("app:1", &built);
    let there = format!("http://{}/elsewhere/{blob}", storage.address);
    let auth = Auth::Basic { username: "user".to_owned(), password: "pass".to_owned() };
    let pull = || async { Node::new().pull_as(&app, &auth, PullBehavior::Always).await };

    remote.fail(blob, [Fault::Redirect(there.clone())]);
    pull().await.unwrap();
    assert_eq!((storage.asked("/elsewhere/"), storage.logins()), (1, 0));

    remote.fail(blob, [Fault::Redirect(format!("/v2/app/blobs/{blob}"))]);
    pull().await.unwrap();

    remote.fail(blob, vec![Fault::Redirect(format!("/v2/app/blobs/{blob}")); 10]);
    assert_eq!(pull().await.unwrap_err().to_string(), "received unexpected HTTP status: 307 Temporary Redirect");
    drop(storage);

    let gone = Remote::start(Access::Basic("user:pass")).await;
    let app = gone.offer("app:1", &built);
    gone.fail(blob, vec![Fault::Redirect("http://127.0.0.1:1/x?signature=secret".to_owned()); 5]);
    let error = Node::new().pull_as(&app, &auth, PullBehavior::Always).await.unwrap_err().to_string();
    assert_eq!(error, "Get \"http://127.0.0.1:1/x\": dial tcp 127.0.0.1:1: connect: connection refused");
}

#[tokio::test]
async fn a_layer_that_the_disk_changed_is_brought_again() {
    let remote = Remote::start(Access::Open).await;
    let built = image(&[noise(11, 10_000)]);
    let blob = Digest::of(&built.layers[0]);
    let app = remote.offer("app:1", &built);
    let node = Node::new();
    let path = node.dir.path().join("blobs/sha256").join(blob.hex());
    std::fs::write(&path, "rotten").unwrap();
    node.pull(&app).await.unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), built.layers[0]);
}
