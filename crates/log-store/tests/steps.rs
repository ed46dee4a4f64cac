//! A crash between any two steps of sealing, merging and removing: the directory as it was at each step is opened again.
//! And damage: it is noticed, said, and what is sound is kept.

mod world;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use log_store::{LogStore, NewGroup, Options, Position, Query, ReadError, StoreError};
use object_store::local::LocalFileSystem;
use object_store::path::Path as Name;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use tempfile::TempDir;
use world::{NOW, copy, event, file, files, group, messages};

type Boxed<T> = std::pin::Pin<Box<dyn futures::Stream<Item = Result<T>> + Send + 'static>>;

/// Keeps the whole directory as it is before and after each change of the segments.
#[derive(Debug)]
struct Witness {
    inner: Arc<LocalFileSystem>,
    root: PathBuf,
    kept: Arc<Mutex<Vec<TempDir>>>,
}

impl Witness {
    fn new(root: &Path) -> Arc<Witness> {
        fs::create_dir_all(root.join("segments")).unwrap();
        let inner = LocalFileSystem::new_with_prefix(root.join("segments")).unwrap();
        Arc::new(Witness { inner: Arc::new(inner), root: root.to_owned(), kept: Arc::default() })
    }

    fn keep(root: &Path, kept: &Mutex<Vec<TempDir>>) {
        let target = TempDir::new().unwrap();
        copy(root, target.path());
        kept.lock().unwrap().push(target);
    }
}

impl fmt::Display for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("witness")
    }
}

#[async_trait]
impl ObjectStore for Witness {
    async fn put_opts(&self, location: &Name, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        Witness::keep(&self.root, &self.kept);
        let put = self.inner.put_opts(location, payload, options).await;
        Witness::keep(&self.root, &self.kept);
        put
    }

    async fn put_multipart_opts(&self, _: &Name, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        unreachable!("a segment is put as a whole")
    }

    async fn get_opts(&self, location: &Name, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    fn delete_stream(&self, locations: Boxed<Name>) -> Boxed<Name> {
        use futures::StreamExt as _;
        let (inner, root, kept) = (self.inner.clone(), self.root.clone(), self.kept.clone());
        Box::pin(locations.then(move |location| {
            let (inner, root, kept) = (inner.clone(), root.clone(), kept.clone());
            async move {
                let location = location?;
                Witness::keep(&root, &kept);
                inner.delete(&location).await?;
                Witness::keep(&root, &kept);
                Ok(location)
            }
        }))
    }

    fn list(&self, prefix: Option<&Name>) -> Boxed<ObjectMeta> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Name>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Name, to: &Name, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

fn all(store: &LogStore) -> Vec<String> {
    messages(store, &Query::new(group()), 7)
}

fn expected(count: i64) -> Vec<String> {
    (0..count).map(|number| number.to_string()).collect()
}

/// What was acknowledged is there once, now and when all is sealed.
async fn check(directory: &Path, least: usize, what: &str) {
    let store = LogStore::open(directory).unwrap();
    let found = all(&store);
    assert!(found.len() >= least, "{what}: {} of {least}", found.len());
    assert_eq!(found, expected(found.len() as i64), "{what}");
    store.seal().await.unwrap();
    assert_eq!(all(&store), found, "{what}: sealed");
    store.put(group().stream("a"), vec![event(1_000_000, "behind it")], NOW).await.unwrap();
    drop(store);
    let store = LogStore::open(directory).unwrap();
    assert_eq!(all(&store).len(), found.len() + 1, "{what}: written to");
    assert!(store.damages().is_empty(), "{what}: {:?}", store.damages());
}

#[tokio::test]
async fn every_step_may_be_the_last() {
    let directory = TempDir::new().unwrap();
    let witness = Witness::new(directory.path());
    let store = LogStore::open_in(directory.path(), witness.clone(), Options::default()).unwrap();
    store.create_group(group(), NewGroup::default(), NOW).await.unwrap();
    store.create_stream(group().stream("a"), NOW).await.unwrap();
    let mut least = Vec::new();
    for number in 0..10 {
        store.put(group().stream("a"), vec![event(number, number.to_string())], NOW).await.unwrap();
        store.seal().await.unwrap();
        least.resize(witness.kept.lock().unwrap().len(), number as usize + 1);
    }
    drop(store);
    let kept = std::mem::take(&mut *witness.kept.lock().unwrap());
    assert!(kept.len() > 30, "{} steps", kept.len());
    least.resize(kept.len(), 10);
    let mut before: Option<&TempDir> = None;
    for (step, snapshot) in kept.iter().enumerate() {
        // Committed, and the write-ahead log not yet removed.
        if let Some(before) = before {
            let between = TempDir::new().unwrap();
            copy(snapshot.path(), between.path());
            copy(&before.path().join("wal"), &between.path().join("wal"));
            check(between.path(), least[step], &format!("between {} and {step}", step - 1)).await;
        }
        let copied = TempDir::new().unwrap();
        copy(snapshot.path(), copied.path());
        check(copied.path(), least[step], &format!("step {step}")).await;
        before = Some(snapshot);
    }
}

/// Ten events in four segments and the write-ahead log.
async fn sealed(directory: &Path) {
    let store = LogStore::open(directory).unwrap();
    store.create_group(group(), NewGroup::default(), NOW).await.unwrap();
    store.create_stream(group().stream("a"), NOW).await.unwrap();
    for number in 0..10 {
        store.put(group().stream("a"), vec![event(number, number.to_string())], NOW).await.unwrap();
        if number % 2 == 1 && number < 9 {
            store.seal().await.unwrap();
        }
    }
}

fn damaged(original: &TempDir) -> TempDir {
    let copied = TempDir::new().unwrap();
    copy(original.path(), copied.path());
    copied
}

fn is_damage(error: &StoreError) -> bool {
    matches!(error, StoreError::Damaged { .. })
}

/// The last step of the manifest is cut or spoilt at each byte, before and after what it replaces is removed.
#[tokio::test]
async fn a_torn_manifest_loses_nothing() {
    let original = TempDir::new().unwrap();
    sealed(original.path()).await;
    let before = damaged(&original);
    let store = LogStore::open(original.path()).unwrap();
    store.seal().await.unwrap();
    drop(store);
    let whole = fs::read(file(original.path(), "manifest.log")).unwrap();
    let (mut last, mut next) = (0, 8);
    while next < whole.len() {
        last = next;
        next += 8 + u32::from_le_bytes(whole[last..last + 4].try_into().unwrap()) as usize;
    }
    for at in last + 1..whole.len() {
        for torn in [whole[..at].to_vec(), [&whole[..at], &[!whole[at]], &whole[at + 1..]].concat()] {
            // The step was acknowledged: the write-ahead log is gone.
            let after = damaged(&original);
            fs::write(file(after.path(), "manifest.log"), &torn).unwrap();
            let store = LogStore::open(after.path()).unwrap();
            assert_eq!(all(&store), expected(10), "torn at {at}");
            assert!(store.damages().iter().all(is_damage) && !store.damages().is_empty(), "it is said");
            drop(store);
            // It was not.
            copy(&before.path().join("wal"), &after.path().join("wal"));
            fs::write(file(after.path(), "manifest.log"), &torn).unwrap();
            check(after.path(), 10, &format!("torn at {at}, with its origin")).await;
        }
    }
}

#[tokio::test]
async fn a_damaged_manifest_is_made_again() {
    let original = TempDir::new().unwrap();
    sealed(original.path()).await;
    let bytes = fs::read(file(original.path(), "manifest.log")).unwrap();
    for at in (0..bytes.len()).step_by(5) {
        let copied = damaged(&original);
        let mut spoilt = bytes.clone();
        spoilt[at] ^= 0x10;
        fs::write(file(copied.path(), "manifest.log"), spoilt).unwrap();
        let store = LogStore::open(copied.path()).unwrap();
        assert_eq!(all(&store), expected(10), "spoilt at {at}");
        store.seal().await.unwrap();
        assert_eq!(all(&store), expected(10), "spoilt at {at}, then sealed");
    }
    let lost = damaged(&original);
    fs::remove_file(file(lost.path(), "manifest.log")).unwrap();
    let store = LogStore::open(lost.path()).unwrap();
    assert_eq!(all(&store), expected(10), "lost");
    assert!(store.damages().iter().all(is_damage) && store.damages().len() == 1);
}

#[tokio::test]
async fn a_damaged_segment_is_said_and_keeps_to_itself() {
    let original = TempDir::new().unwrap();
    sealed(original.path()).await;
    let bytes = fs::read(file(original.path(), ".seg")).unwrap();
    for at in (0..bytes.len()).step_by(3) {
        let copied = damaged(&original);
        let mut spoilt = bytes.clone();
        spoilt[at] ^= 0x10;
        fs::write(file(copied.path(), ".seg"), spoilt).unwrap();
        let store = LogStore::open(copied.path()).unwrap();
        match store.read(&Query::new(group()), &|_| true) {
            // What is not needed for the page does not matter to it.
            Ok(page) => assert_eq!(page.events.len(), 10, "spoilt at {at}"),
            Err(ReadError::Store(error)) => assert!(is_damage(&error), "{error}"),
            Err(other) => panic!("{other}"),
        }
        let others = Query { from: Position::start_of(2), ..Query::new(group()) };
        assert_eq!(messages(&store, &others, 3), expected(10)[2..], "spoilt at {at}");
    }
    for length in [0, 10, bytes.len() / 2, bytes.len() - 1] {
        let copied = damaged(&original);
        fs::write(file(copied.path(), ".seg"), &bytes[..length]).unwrap();
        let store = LogStore::open(copied.path()).unwrap();
        let read = store.read(&Query::new(group()), &|_| true);
        assert!(matches!(&read, Err(ReadError::Store(error)) if is_damage(error)) || length == bytes.len() - 1);
        fs::remove_file(file(copied.path(), ".seg")).unwrap();
        let read = store.read(&Query::new(group()), &|_| true);
        assert!(matches!(&read, Err(ReadError::Store(error)) if is_damage(error)), "{read:?}");
    }
}

#[tokio::test]
async fn a_damaged_batch_costs_itself_only() {
    let original = TempDir::new().unwrap();
    let store = LogStore::open(original.path()).unwrap();
    store.create_group(group(), NewGroup::default(), NOW).await.unwrap();
    store.create_stream(group().stream("a"), NOW).await.unwrap();
    for number in 0..3 {
        store.put(group().stream("a"), vec![event(number, number.to_string())], NOW).await.unwrap();
    }
    drop(store);
    let path = file(original.path(), ".wal");
    let mut bytes = fs::read(&path).unwrap();
    // Behind the magic and the head of the first frame.
    bytes[8 + 8 + 3] ^= 0x10;
    fs::write(&path, &bytes).unwrap();
    let store = LogStore::open(original.path()).unwrap();
    assert_eq!(all(&store), expected(3)[1..]);
    assert!(store.damages().iter().all(is_damage) && store.damages().len() == 1);
    store.seal().await.unwrap();
    assert_eq!(all(&store), expected(3)[1..]);
}

/// A disk that is full, or an object store that is away: events wait in the write-ahead log, then they are refused, and
/// it all goes on when it may.
#[tokio::test]
async fn sealing_that_fails_is_tried_again() {
    let directory = TempDir::new().unwrap();
    let options = Options {
        wal_file_bytes_max: 500,
        wal_files_max: 2,
        wal_patience: std::time::Duration::from_millis(10),
        ..Options::default()
    };
    let store = LogStore::open_with(directory.path(), options).unwrap();
    store.create_group(group(), NewGroup::default(), NOW).await.unwrap();
    store.create_stream(group().stream("a"), NOW).await.unwrap();
    // A file where the directory of segments should be.
    let segments = directory.path().join("segments");
    let _ = fs::remove_dir_all(&segments);
    fs::write(&segments, "").unwrap();
    let mut acknowledged = 0;
    let refused = loop {
        let text = format!("{acknowledged}");
        match store.put(group().stream("a"), vec![event(acknowledged, text)], NOW).await {
            Ok(()) => acknowledged += 1,
            Err(refused) => break refused,
        }
        assert!(acknowledged < 1000, "it is never refused");
    };
    assert!(matches!(refused, log_store::ChangeError::Write(StoreError::Behind)), "{refused:?}");
    assert_eq!(all(&store), expected(acknowledged));
    fs::remove_file(&segments).unwrap();
    store.seal().await.unwrap();
    store.put(group().stream("a"), vec![event(acknowledged, acknowledged.to_string())], NOW).await.unwrap();
    assert_eq!(all(&store), expected(acknowledged + 1));
    assert!(!files(directory.path(), ".seg").is_empty());
}
