//! Making room without taking away what anybody needs.

mod support;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use blobs::Digest;
use images::{Auth, Collected, ErrorKind, Keep, PullBehavior};
use support::image::{Built, image};
use support::local::BuiltIn;
use support::remote::{Access, Remote};
use support::tar::Tar;
use support::{Node, name};

/// An image over the base that all have.
fn app(content: &str) -> Built {
    image(&[Tar::new().file("base", "base").end(), Tar::new().file("app", content).end()])
}

fn now(images: impl IntoIterator<Item = Digest>) -> Keep {
    Keep { images: images.into_iter().collect(), unused_for: Duration::ZERO }
}

#[tokio::test]
async fn what_has_a_name_stays_and_the_rest_goes() {
    let remote = Remote::start(Access::Open).await;
    let (one, two) = (remote.offer("one:1", &app("one")), remote.offer("two:1", &app("two")));
    let node = Node::new();
    for text in [&one, &two] {
        node.pull(text).await.unwrap();
    }
    assert_eq!((node.layer_dirs().len(), node.blob_count()), (3, 7));
    assert_eq!(node.store.collect(now([])).await.unwrap(), Collected::default());

    node.store.remove(&name(&one)).await.unwrap();
    let collected = node.store.collect(now([])).await.unwrap();
    let gone = app("one");
    let bytes = [&gone.manifest, &gone.config, &gone.layers[1]].map(|bytes| bytes.len() as u64).iter().sum();
    assert_eq!(collected, Collected { layers: 1, blobs: 3, blob_bytes: bytes });
    let image = node.pull_as(&two, &Auth::Anonymous, PullBehavior::Once).await.unwrap();
    assert!(image.layers()[0].dir.join("base").exists() && image.layers()[1].dir.join("app").exists());
    drop(image);

    node.store.remove(&name(&two)).await.unwrap();
    node.store.collect(now([])).await.unwrap();
    assert_eq!((node.layer_dirs().len(), node.blob_count()), (0, 0));
    node.pull(&one).await.unwrap();
}

#[tokio::test]
async fn what_a_task_runs_stays_after_its_tag_was_moved() {
    let remote = Remote::start(Access::Open).await;
    let text = remote.offer("app:1", &app("old"));
    let node = Node::new();
    let old = node.pull(&text).await.unwrap().digest();
    remote.offer("app:1", &app("new"));
    let new = node.pull(&text).await.unwrap().digest();
    assert_ne!(old, new);
    let node = node.reopen();
    assert_eq!(node.store.collect(now([old, new])).await.unwrap(), Collected::default());
    assert_eq!(node.store.collect(now([])).await.unwrap().layers, 1);
    // From now on nobody knows what the old image needed.
    node.pull(&text).await.unwrap();
    node.store.remove(&name(&text)).await.unwrap();
    let error = node.store.collect(now([old])).await.unwrap_err();
    assert_eq!((error.kind(), error.to_string()), (ErrorKind::NotFound, format!("No such image: {old}")));
    assert_eq!(node.layer_dirs().len(), 2, "nothing was removed");
}

#[tokio::test]
async fn what_is_held_stays_until_it_is_let_go() {
    let remote = Remote::start(Access::Open).await;
    let text = remote.offer("app:1", &app("x"));
    let node = Node::new();
    let image = node.pull(&text).await.unwrap();
    let clone = image.clone();
    node.store.remove(&name(&text)).await.unwrap();
    for holder in [image, clone] {
        assert_eq!(node.store.collect(now([])).await.unwrap(), Collected::default());
        drop(holder);
    }
    assert_eq!(node.store.collect(now([])).await.unwrap().layers, 2);
}

#[tokio::test]
async fn what_the_registry_needs_stays_and_young_blobs_do() {
    let registry = BuiltIn::start().await;
    let text = registry.push("app:1", &app("x")).await;
    let pushed: HashSet<Digest> = registry.blobs.list().unwrap().into_iter().collect();
    let node = Node::local(registry.adapter(), registry.blobs.clone());
    node.pull(&text).await.unwrap();
    node.store.remove(&name(&text)).await.unwrap();
    let stray = registry.blobs.put(b"stray").unwrap();
    let collected = node.store.collect(Keep::default()).await.unwrap();
    assert_eq!((collected.layers, collected.blobs), (2, 0), "the stray blob is young");
    assert_eq!(node.store.collect(now([])).await.unwrap().blobs, 1);
    assert!(!registry.blobs.exists(&stray).unwrap());
    assert_eq!(registry.blobs.list().unwrap().into_iter().collect::<HashSet<_>>(), pushed);
    node.pull(&text).await.unwrap();
}

#[tokio::test]
async fn a_named_image_whose_blobs_are_gone_holds_nobody_up() {
    let remote = Remote::start(Access::Open).await;
    let text = remote.offer("app:1", &app("x"));
    let node = Node::new();
    node.pull(&text).await.unwrap();
    let manifest = node.dir.path().join("blobs/sha256").join(app("x").digest().hex());
    let node = node.reopen();
    std::fs::remove_file(manifest).unwrap();
    assert_eq!(node.store.collect(now([])).await.unwrap().layers, 2);
    node.pull_as(&text, &Auth::Anonymous, PullBehavior::Once).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn pulls_and_collections_at_once_do_not_disturb_each_other() {
    let remote = Remote::start(Access::Open).await;
    let names: Vec<String> = ["a", "b", "c"].map(|tag| remote.offer(&format!("{tag}:1"), &app(tag))).to_vec();
    let node = Arc::new(Node::new());
    let mut pulls = Vec::new();
    for text in names {
        let node = Arc::clone(&node);
        pulls.push(tokio::spawn(async move {
            for _ in 0..25 {
                let image = node.pull(&text).await.unwrap();
                // Named, or held: one of both always.
                for _ in 0..2 {
                    assert!(image.layers().iter().all(|layer| std::fs::read_dir(&layer.dir).unwrap().count() == 1));
                    node.store.remove(&name(&text)).await.unwrap();
                    tokio::task::yield_now().await;
                }
            }
        }));
    }
    let mut removed = 0;
    while !pulls.iter().all(|pull| pull.is_finished()) {
        let keep = Keep { images: HashSet::new(), unused_for: Duration::from_secs(60) };
        removed += node.store.collect(keep).await.unwrap().layers;
    }
    for pull in pulls {
        pull.await.unwrap();
    }
    assert!(removed > 0, "collections found something to do");
    node.store.collect(now([])).await.unwrap();
    assert!(node.layer_dirs().is_empty());
}

#[tokio::test]
async fn images_that_were_not_used_for_longest_are_the_first_to_go() {
    let remote = Remote::start(Access::Open).await;
    let (one, two) = (remote.offer("one:1", &app("one")), remote.offer("two:1", &app("two")));
    let node = Node::new();
    let first = node.pull(&one).await.unwrap();
    let digest = node.pull(&two).await.unwrap().digest();
    node.load(&support::archive::docker_save(serde_json::json!(["loaded:1"]))).await.unwrap();
    let unused = |in_use: &[Digest], age: Duration, later: Duration| {
        let now = stdx::Timestamp::from_millis(
            i64::try_from(
                (std::time::SystemTime::now() + later).duration_since(std::time::UNIX_EPOCH).unwrap().as_millis(),
            )
            .unwrap(),
        );
        let unused = node.store.unused(&in_use.iter().copied().collect(), age, now);
        unused.into_iter().map(|stored| stored.name.to_string()).collect::<Vec<_>>()
    };
    let hour = Duration::from_secs(3600);
    // Young images stay, and so does what is held or run; what was loaded is nobody's to remove.
    assert!(unused(&[], hour, Duration::ZERO).is_empty());
    let all = [name(&one).to_string(), name(&two).to_string()];
    assert_eq!(unused(&[], hour, hour), all[1..]);
    assert!(unused(&[digest], hour, hour).is_empty());
    drop(first);
    assert_eq!(unused(&[], hour, hour), all);
}
