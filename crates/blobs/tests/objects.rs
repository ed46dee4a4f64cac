//! Blobs in an object store: what several servers over one store rely on.

use std::collections::HashSet;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use blobs::{Algorithm, BlobError, BlobStore, Blobs, Content, Digest, blocking};
use object_store::memory::InMemory;
use object_store::path::Path as Name;
use object_store::{ObjectStore, ObjectStoreExt};
use tempfile::TempDir;

struct World {
    store: Arc<InMemory>,
    dirs: Vec<TempDir>,
}

impl World {
    fn new() -> World {
        World { store: Arc::default(), dirs: Vec::new() }
    }

    fn server(&mut self, cache_bytes_max: u64) -> BlobStore {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(dir.path()).unwrap();
        self.dirs.push(dir);
        BlobStore::in_objects(blobs, self.store.clone(), cache_bytes_max)
    }

    fn put(&self, name: String, bytes: &'static [u8]) {
        let (store, name) = (self.store.clone(), Name::from(name));
        blocking(async move { store.put(&name, bytes.into()).await }).unwrap();
    }

    fn delete(&self, name: String) {
        let (store, name) = (self.store.clone(), Name::from(name));
        blocking(async move { store.delete(&name).await }).unwrap();
    }

    fn names(&self) -> Vec<String> {
        let store = self.store.clone();
        let found: Vec<_> =
            blocking(async move { futures::TryStreamExt::try_collect(store.list(None)).await }).unwrap();
        found.into_iter().map(|meta: object_store::ObjectMeta| meta.location.to_string()).collect()
    }
}

fn push(store: &BlobStore, bytes: &[u8]) -> Result<Digest, BlobError> {
    let local = store.local();
    let id = local.start_upload()?;
    let mut upload = local.upload(id)?;
    upload.write_all(bytes).unwrap();
    store.commit_upload(upload, Digest::of(bytes)).map(|()| Digest::of(bytes))
}

#[test]
fn what_one_server_has_the_other_has() {
    let mut world = World::new();
    let (one, two) = (world.server(1 << 20), world.server(1 << 20));
    // More than a part of an upload.
    let bytes = vec![7; 9 << 20];
    let digest = push(&one, &bytes).unwrap();
    let small = one.put_by(Algorithm::Sha256, b"small").unwrap();
    assert_eq!((two.size(&digest).unwrap(), two.size(&small).unwrap()), (Some(9 << 20), Some(5)));
    assert!(two.keep(&digest).unwrap() && !two.keep(&Digest::of(b"no")).unwrap());
    assert_eq!(two.read(&small, 10).unwrap(), b"small");
    assert!(matches!(two.read(&digest, 10), Err(BlobError::TooLarge { .. })));
    // Too large for the directory, and the other was read.
    assert!(matches!(one.content(&digest).unwrap(), Content::Elsewhere));
    assert!(matches!(two.content(&small).unwrap(), Content::File(_)));

    let wrong = one.local().start_upload().unwrap();
    let refused = one.commit_upload(one.local().upload(wrong).unwrap(), digest);
    assert!(matches!(refused, Err(BlobError::Mismatch { .. })), "{refused:?}");
    assert_eq!(HashSet::from_iter(two.list().unwrap()), HashSet::from([digest, small]));
}

#[test]
fn the_directory_stays_small_and_keeps_what_is_used() {
    let mut world = World::new();
    let store = world.server(2500);
    let digests: Vec<_> = (0..3).map(|number| push(&store, &[number; 1000]).unwrap()).collect();
    let here = |store: &BlobStore| {
        digests.iter().map(|digest| matches!(store.content(digest).unwrap(), Content::File(_))).collect::<Vec<_>>()
    };
    assert_eq!(here(&store), [false, true, true]);
    assert!(store.keep(&digests[1]).unwrap());
    store.read(&digests[0], 1000).unwrap();
    assert_eq!(here(&store), [true, true, false]);
    // One that fits nowhere takes nobody's place.
    push(&store, &[9; 3000]).unwrap();
    assert_eq!(here(&store), [true, true, false]);
}

#[test]
fn a_sweep_and_a_use_see_each_other() {
    let mut world = World::new();
    let (one, two) = (world.server(0), world.server(0));
    let hour = Duration::from_secs(3600);
    let digest = push(&one, b"pushed").unwrap();
    let none = HashSet::new();
    assert_eq!(two.sweep(&none, hour).unwrap().blobs, 0, "it is young");
    assert_eq!(two.sweep(&HashSet::from([digest]), Duration::ZERO).unwrap().blobs, 0, "it is needed");
    assert_eq!(two.sweep(&none, Duration::ZERO).unwrap().blobs, 1);
    assert_eq!(world.names(), Vec::<String>::new());

    // A third server is about to delete it: whoever wants it waits, and learns how it ended.
    let doomed = format!("doomed/{}", digest.hex());
    let used = format!("used/{}", digest.hex());
    for goes in [false, true] {
        push(&world.server(0), b"pushed").unwrap();
        world.delete(used.clone());
        world.put(doomed.clone(), b"");
        let fresh = world.server(0);
        let waiting = std::thread::spawn(move || fresh.keep(&digest).unwrap());
        while !world.names().contains(&used) {
            std::thread::yield_now();
        }
        assert!(!waiting.is_finished());
        if goes {
            world.delete(format!("blobs/sha256/{}", digest.hex()));
        }
        world.delete(doomed.clone());
        assert_eq!(waiting.join().unwrap(), !goes);
    }

    // And whoever pushes it again pushes it once more, should it be gone.
    world.put(doomed.clone(), b"");
    let fresh = world.server(0);
    let pushing = std::thread::spawn(move || push(&fresh, b"pushed").unwrap());
    let blob = format!("blobs/sha256/{}", digest.hex());
    while !world.names().contains(&blob) {
        std::thread::yield_now();
    }
    world.delete(blob);
    world.delete(doomed);
    pushing.join().unwrap();
    assert_eq!(world.server(0).size(&digest).unwrap(), Some(6));
    assert_eq!(world.names().len(), 1);
}

#[test]
fn what_was_damaged_is_not_read() {
    let mut world = World::new();
    let store = world.server(1 << 20);
    let digest = Digest::of(b"right");
    world.put(format!("blobs/sha256/{}", digest.hex()), b"wrong");
    assert!(matches!(store.read(&digest, 10), Err(BlobError::Mismatch { .. })));
    assert!(matches!(store.content(&digest).unwrap(), Content::Elsewhere));
}

#[test]
fn a_node_has_the_same_file() {
    let mut world = World::new();
    let (node, registry) = (tempfile::tempdir().unwrap(), world.server(1 << 20));
    let node = Blobs::open(node.path().join("blobs")).unwrap();
    let digest = push(&registry, b"layer").unwrap();
    node.put_from(registry.local(), &digest).unwrap();
    node.put_from(registry.local(), &digest).unwrap();
    let inode = |blobs: &Blobs| std::os::unix::fs::MetadataExt::ino(&std::fs::metadata(blobs.path(&digest)).unwrap());
    assert_eq!(inode(&node), inode(registry.local()));
    let missing = Digest::of(b"missing");
    assert!(matches!(node.put_from(registry.local(), &missing), Err(BlobError::NotFound { .. })));
}
