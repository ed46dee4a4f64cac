//! Pulling from registries: what arrives, who may have it, and what is said when it does not arrive.

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use blobs::Digest;
use images::{Auth, ErrorKind, Options, Origin, Platform, Progress, PullBehavior};
use serde_json::json;
use support::image::{descriptor, gzip, image, image_of, index, noise, with_config, zstd};
use support::local::BuiltIn;
use support::remote::{Access, Fault, Remote};
use support::tar::Tar;
use support::{Node, listing, name};

fn layer(content: &str) -> Vec<u8> {
    Tar::new().dir("etc").file(&format!("etc/{content}"), content).end()
}

#[tokio::test]
async fn an_image_is_pulled_from_the_real_registry_whatever_its_compression() {
    let registry = BuiltIn::start().await;
    let layers = [layer("plain"), layer("gzip"), layer("zstd")];
    let travelling = vec![layers[0].clone(), gzip(&layers[1]), zstd(&layers[2])];
    let config = json!({
        "architecture": "amd64", "os": "linux",
        "config": {"Entrypoint": ["/app"], "Env": ["A=1"], "WorkingDir": "/w", "User": "1:2", "StopSignal": "SIGINT"},
        "rootfs": {"type": "layers", "diff_ids": layers.iter().map(|layer| Digest::of(layer)).collect::<Vec<_>>()},
    });
    let built = with_config(config, travelling);
    let app = registry.push("team/app:1", &built).await;

    let node = Node::new();
    let image = node.pull(&app).await.unwrap();
    assert_eq!((image.digest(), image.id()), (built.digest(), Digest::of(&built.config)));
    assert_eq!(image.config().entrypoint.as_deref(), Some(&["/app".to_owned()][..]));
    assert_eq!((image.config().user.as_str(), image.config().working_directory.as_str()), ("1:2", "/w"));
    assert_eq!(image.platform(), &Platform::linux("amd64"));
    assert_eq!(image.size_bytes(), built.layers.iter().map(|layer| layer.len() as u64).sum::<u64>());
    let found: Vec<String> = image.layers().iter().map(|layer| listing(&layer.dir)).collect();
    assert_eq!(found, ["plain", "gzip", "zstd"].map(|name| format!("etc d755 0:0\netc/{name} -644 0:0 {name:?}")));

    let [stored] = &node.store.list()[..] else { panic!("one name is stored") };
    assert_eq!((stored.name.to_string(), stored.digest, stored.origin), (app, built.digest(), Origin::Pulled));
    assert_eq!(stored.size_bytes, image.size_bytes());
}

#[tokio::test]
async fn the_variant_for_this_machine_is_pulled() {
    let registry = BuiltIn::start().await;
    let build = |architecture: &str, content: &str| {
        let layer = layer(content);
        image_of(architecture, vec![gzip(&layer)], vec![Digest::of(&layer)])
    };
    let (intel, arm, armv7) = (build("amd64", "intel"), build("arm64", "arm"), build("arm", "v7"));
    let index = index(&[
        (&armv7, json!({"os": "linux", "architecture": "arm", "variant": "v7"})),
        (&arm, json!({"os": "linux", "architecture": "arm64", "variant": "v8"})),
        (&intel, json!({"os": "linux", "architecture": "amd64"})),
    ]);
    let app = registry.push_index("app:1", &index, &[&intel, &arm, &armv7]).await;
    for (architecture, file) in [("amd64", "intel"), ("arm64", "arm")] {
        let node = Node::with(|options| Options { platform: Platform::linux(architecture), ..options });
        let image = node.pull(&app).await.unwrap();
        assert!(image.layers()[0].dir.join("etc").join(file).exists(), "{architecture}");
        assert_eq!(image.digest(), Digest::of(&index), "what the name stands for is the index");
        assert_eq!(node.blob_count(), 4, "the other variants stay where they are");
    }
    let node = Node::with(|options| Options { platform: Platform::linux("riscv64"), ..options });
    assert_eq!(
        node.reason(&app).await,
        "CannotPullContainerError: no matching manifest for linux/riscv64 in the manifest list entries"
    );
    // A variant by its own digest needs no choice.
    let node = Node::new();
    let pinned = format!("{}/app@{}", registry.address, intel.digest());
    assert_eq!(node.pull(&pinned).await.unwrap().digest(), intel.digest());
}

#[tokio::test]
async fn a_registry_that_asks_for_a_login_gets_it() {
    let built = image(&[layer("secret")]);
    let login = Auth::Basic { username: "user".to_owned(), password: "pass".to_owned() };
    let wrong = Auth::Basic { username: "user".to_owned(), password: "wrong".to_owned() };
    let denied = "CannotPullContainerError: Error response from daemon: ";
    let head = |remote: &Remote| format!("{denied}Head \"http://{}/v2/app/manifests/1\": ", remote.address);
    for access in [Access::Open, Access::Basic("user:pass"), Access::Token("user:pass"), Access::Token("")] {
        let remote = Remote::start(access.clone()).await;
        let app = remote.offer("app:1", &built);
        let image = Node::new().pull_as(&app, &login, PullBehavior::Always).await;
        assert!(image.is_ok(), "{access:?}: {image:?}");
        let tokens = if matches!(access, Access::Token(_)) { 1 } else { 0 };
        assert_eq!(remote.asked("/token"), tokens, "{access:?}: one token serves the whole pull");

        let is_open = matches!(access, Access::Open | Access::Token(""));
        for (auth, why) in
            [(&Auth::Anonymous, "no basic auth credentials"), (&wrong, "unauthorized: authentication required")]
        {
            let result = Node::new().pull_as(&app, auth, PullBehavior::Default).await;
            match (&access, result) {
                (_, Ok(_)) => assert!(is_open, "{access:?} let {auth:?} in"),
                (Access::Token(_), Err(error)) => {
                    let expected = format!("{}unauthorized: incorrect username or password", head(&remote));
                    assert_eq!((error.cannot_pull_reason(), error.kind()), (expected, ErrorKind::Denied));
                }
                (_, Err(error)) => {
                    let expected = format!("{}{why}", head(&remote));
                    assert_eq!((error.cannot_pull_reason(), error.kind()), (expected, ErrorKind::Denied));
                }
            }
        }
    }
    let remote = Remote::start(Access::Denied).await;
    let app = remote.offer("app:1", &built);
    let error = Node::new().pull_as(&app, &login, PullBehavior::Default).await.unwrap_err();
    let expected = format!(
        "CannotPullContainerError: The task can’t pull the image. Check whether the image exists. Error response from \
         daemon: pull access denied for {}/app, repository does not exist or may require 'docker login': denied: \
         requested access to the resource is denied",
        remote.address
    );
    assert_eq!(error.cannot_pull_reason(), expected);
}

#[tokio::test]
async fn what_goes_wrong_is_told_in_the_engines_words() {
    let registry = BuiltIn::start().await;
    registry.push("app:1", &image(&[layer("x")])).await;
    let node = Node::new();
    let host = registry.address;
    let daemon = "CannotPullContainerError: Error response from daemon: ";
    for (text, expected) in [
        (
            format!("{host}/app:2"),
            format!("manifest for {host}/app:2 not found: manifest unknown: Requested image not found"),
        ),
        (
            format!("{host}/nothing:1"),
            format!(
                "repository {host}/nothing not found: name unknown: The repository with name 'nothing' does not exist in the \
                 registry with id '000000000000'"
            ),
        ),
        (
            "127.0.0.1:1/app:1".to_owned(),
            "Get \"http://127.0.0.1:1/v2/\": dial tcp 127.0.0.1:1: connect: connection refused".to_owned(),
        ),
        (
            "registry.invalid/app:1".to_owned(),
            "Get \"https://registry.invalid/v2/\": dial tcp: lookup registry.invalid: no such host".to_owned(),
        ),
    ] {
        assert_eq!(node.reason(&text).await, format!("{daemon}{expected}"));
    }
    assert!(node.store.list().is_empty());

    let remote = Remote::start(Access::Open).await;
    for (status, expected) in [
        (500, "received unexpected HTTP status: 500 Internal Server Error".to_owned()),
        (503, "received unexpected HTTP status: 503 Service Unavailable".to_owned()),
        (
            403,
            format!(
                "pull access denied for {}/app, repository does not exist or may require 'docker login': denied: requested \
                 access to the resource is denied",
                remote.address
            ),
        ),
        (404, format!("manifest for {}/app:1 not found: manifest unknown: manifest unknown", remote.address)),
    ] {
        let app = remote.offer("app:1", &image(&[layer("x")]));
        remote.fail("/manifests/1", [Fault::Status(status)]);
        let advice =
            if status == 403 { "The task can’t pull the image. Check whether the image exists. " } else { "" };
        let expected = format!("CannotPullContainerError: {advice}Error response from daemon: {expected}");
        assert_eq!(node.reason(&app).await, expected);
    }
    for (document, expected) in [
        ("no JSON", "invalid manifest: expected ident at line 1 column 2"),
        ("{}", "invalid manifest: missing field `schemaVersion` at line 1 column 2"),
        (r#"{"schemaVersion":1}"#, "invalid manifest: schema version 1 is not supported"),
        (r#"{"schemaVersion":2}"#, "invalid manifest: it is neither a manifest nor an index"),
        (
            r#"{"schemaVersion":2,"manifests":[]}"#,
            "CannotPullContainerError: no matching manifest for linux/amd64 in the manifest list entries",
        ),
    ] {
        let app = remote.offer_document("bad:1", support::image::MANIFEST, document.as_bytes());
        let reason = node.reason(&app).await;
        assert_eq!(reason.strip_prefix(daemon).unwrap_or(&reason), expected);
    }
}

#[tokio::test]
async fn a_registry_in_trouble_is_asked_again() {
    let patient = |attempts| {
        Node::with(|options| Options { pull_attempts: attempts, pull_again_after: Duration::from_millis(1), ..options })
    };
    let remote = Remote::start(Access::Open).await;
    let app = remote.offer("app:1", &image(&[layer("x")]));
    remote.fail("/manifests/1", [503, 429, 500].map(Fault::Status));
    patient(4).pull(&app).await.unwrap();
    remote.fail("/manifests/1", [503, 503, 503].map(Fault::Status));
    let reason = patient(3).reason(&app).await;
    assert!(reason.ends_with("received unexpected HTTP status: 503 Service Unavailable"), "{reason}");
    // What is not there does not come by asking.
    let other = remote.offer("app:2", &image(&[layer("y")]));
    remote.fail("/manifests/2", [Fault::Status(404)]);
    assert!(patient(5).reason(&other).await.contains("manifest unknown"));
}

#[tokio::test]
async fn documents_that_fit_nobody_are_refused() {
    let remote = Remote::start(Access::Open).await;
    let node = Node::new();
    let tar = layer("x");
    let rootfs = json!({"type": "layers", "diff_ids": [Digest::of(&tar)]});
    let windows = with_config(json!({"os": "windows", "architecture": "amd64", "rootfs": rootfs}), vec![gzip(&tar)]);
    let uneven = with_config(json!({"os": "linux", "architecture": "amd64", "rootfs": rootfs}), vec![]);
    let chart = with_config(json!({"name": "chart"}), vec![gzip(&tar)]);
    for (built, expected) in [
        (&windows, "image operating system \"windows\" cannot be used on this platform"),
        (&uneven, "invalid image configuration: it has 1 layers, and its manifest 0"),
        (&chart, "invalid image configuration: missing field `rootfs` at line 1 column 16"),
    ] {
        let error = node.pull(&remote.offer("app:1", built)).await.unwrap_err();
        assert_eq!(error.to_string(), expected);
    }
    // Indexes in each other, deeper than anybody means.
    let mut inner = image(&[tar]).manifest;
    for _ in 0..6 {
        let entry = descriptor(support::image::INDEX, &inner);
        let index = json!({"schemaVersion": 2, "manifests": [entry]}).to_string().into_bytes();
        remote.offer_document("deep:1", support::image::INDEX, &inner);
        inner = index;
    }
    let deep = remote.offer_document("deep:1", support::image::INDEX, &inner);
    assert_eq!(node.pull(&deep).await.unwrap_err().to_string(), "invalid index: too many indexes in each other");
    assert!(node.store.list().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn eight_pulls_at_once_bring_each_layer_once() {
    let remote = Remote::start(Access::Open).await;
    remote.pace(Duration::from_millis(1));
    let shared = noise(5, 50_000);
    let one = image(&[shared.clone(), noise(6, 50_000), noise(7, 50_000)]);
    let other = image(&[shared, noise(8, 50_000)]);
    let names = [remote.offer("one:1", &one), remote.offer("other:1", &other)];
    let node = Arc::new(Node::new());
    let mut pulls = Vec::new();
    for number in 0..8 {
        let (node, app) = (node.clone(), names[number % 2].clone());
        pulls.push(tokio::spawn(async move { node.pull(&app).await.map(|image| image.digest()) }));
    }
    for (number, pull) in pulls.into_iter().enumerate() {
        assert_eq!(pull.await.unwrap().unwrap(), [&one, &other][number % 2].digest());
    }
    for blob in one.blobs().into_iter().chain(other.blobs()) {
        assert_eq!(remote.asked(Digest::of(blob)), 1);
    }
    assert_eq!(node.layer_dirs().len(), 4);
}

#[tokio::test]
async fn progress_is_told() {
    let remote = Remote::start(Access::Open).await;
    let built = image(&[noise(9, 200_000), noise(10, 100_000)]);
    let app = name(&remote.offer("app:1", &built));
    let node = Node::new();
    let total: u64 = built.layers.iter().map(|layer| layer.len() as u64).sum();
    let done = Progress { layers: 2, layers_done: 2, bytes: total, bytes_done: total };
    let pull = || async {
        let seen = Mutex::new(Vec::new());
        let tell = |progress| seen.lock().unwrap().push(progress);
        node.store.pull(&app, &Auth::Anonymous, PullBehavior::Default, &tell).await.unwrap();
        seen.into_inner().unwrap()
    };
    let first = pull().await;
    assert!(first.len() > 4, "{first:?}");
    assert!(first.is_sorted_by_key(|progress| (progress.bytes_done, progress.layers_done)), "{first:?}");
    assert!(first[0].bytes_done < total && first[0].layers_done == 0);
    assert_eq!(first.last(), Some(&done));
    assert_eq!(pull().await, [done], "everything is here");
}

#[tokio::test]
async fn everything_is_found_again_after_a_restart() {
    let remote = Remote::start(Access::Open).await;
    let built = image(&[layer("a"), layer("b")]);
    let app = remote.offer("app:1", &built);
    let node = Node::new();
    let before = node.pull(&app).await.unwrap();
    let (list, dirs) = (node.store.list(), before.layers().to_vec());
    drop(before);
    let node = node.reopen();
    assert_eq!(node.store.list(), list);
    let blobs = remote.asked("/blobs/");
    let after = node.pull_as(&app, &Auth::Anonymous, PullBehavior::Once).await.unwrap();
    assert_eq!((after.digest(), after.layers()), (built.digest(), &dirs[..]));
    node.pull_as(&app, &Auth::Anonymous, PullBehavior::Always).await.unwrap();
    assert_eq!(remote.asked("/blobs/"), blobs, "no layer travels again");
}
