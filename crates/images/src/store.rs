//! The store itself: what is kept where, and what all ways to an image share.
//!
//! ```text
//! layers/<chain id>/fs       an unpacked layer, complete
//! references/<hex>.json      what a name stands for; the digits are the SHA-256 of the name
//! .tmp-…                     an archive that arrives as a stream
//! lock                       held by the process that has the store open
//! ```
//!
//! Manifests, configurations and layers as they travel are blobs, in a directory that the built-in registry may share.

use std::fmt;
use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use blobs::{Blobs, Digest, durable};

use crate::cache::Cache;
use crate::image::Content;
use crate::layers::Layers;
use crate::limits::{CACHED_BYTES_MAX, PULL_AGAIN_AFTER, PULL_ATTEMPTS, UNPACKED_BYTES_MAX};
use crate::pins::Pins;
use crate::references::References;
use crate::remote::Http;
use crate::single::Single;
use crate::{ImageError, LocalRegistry, Platform, Reference, Stored};

/// Where a node keeps its images, and whom it asks for them.
#[derive(Clone)]
pub struct Options {
    /// The store's own directory, best on the file system that has the containers' writable layers.
    pub dir: PathBuf,
    /// May be shared with the built-in registry. Else they belong to this store alone, which deletes what it does not need.
    pub blobs: Blobs,
    pub platform: Platform,
    pub local: Option<Arc<dyn LocalRegistry>>,
    /// `host[:port]` of registries that are spoken to over plain HTTP, besides those of this machine. Docker's word for it.
    pub insecure_registries: Vec<String>,
    /// Where names in ECR's form are asked for, `http://host:port`, when that is neither AWS nor `local`.
    pub ecr_endpoint: Option<String>,
    /// The most bytes that one layer or one archive may unpack to.
    pub unpacked_bytes_max: u64,
    /// How often a registry that is in trouble is asked, and how long after the first time; then twice as long each time.
    pub pull_attempts: u32,
    pub pull_again_after: Duration,
    /// What differs after every start of this machine: what was not flushed before the last one may be torn.
    pub boot: String,
}

impl Options {
    /// This machine's platform, and no registry but those that names lead to.
    pub fn new(dir: impl Into<PathBuf>, blobs: Blobs) -> Options {
        Options {
            dir: dir.into(),
            blobs,
            platform: Platform::host(),
            local: None,
            insecure_registries: Vec::new(),
            ecr_endpoint: None,
            unpacked_bytes_max: UNPACKED_BYTES_MAX,
            pull_attempts: PULL_ATTEMPTS,
            pull_again_after: PULL_AGAIN_AFTER,
            boot: std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned(),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("dir", &self.dir).field("platform", &self.platform).finish_non_exhaustive()
    }
}

/// All images of a node.
///
/// Clones are one store. Every call may be repeated and may be concurrent with any other, and dropping its future is fine. After
/// a failure or a crash nothing is named that is not complete, and what was half-made is removed when the store is opened next.
#[derive(Clone, Debug)]
pub struct ImageStore {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) options: Options,
    pub(crate) layers: Arc<Layers>,
    pub(crate) references: References,
    pub(crate) pins: Pins,
    pub(crate) downloads: Single<Digest>,
    pub(crate) collections: tokio::sync::Mutex<()>,
    pub(crate) cache: Cache,
    http: OnceLock<Http>,
}

impl ImageStore {
    /// Opens the store, creating its directories, and removes what a crash left half-made. Blocks on the disk.
    pub fn open(options: Options) -> Result<ImageStore, ImageError> {
        let dir = options.dir.clone();
        durable::create_dir_all(&dir).map_err(ImageError::disk("create directory", &dir))?;
        let lock = lock(&dir)?;
        remove_temporary(&dir).map_err(ImageError::disk("clean", &dir))?;
        let layers = Layers::open(dir.join("layers"), lock, options.unpacked_bytes_max, options.boot.clone())?;
        let references = References::open(dir.join("references"))?;
        let inner = Inner {
            options,
            layers: Arc::new(layers),
            references,
            pins: Pins::default(),
            downloads: Single::default(),
            collections: tokio::sync::Mutex::default(),
            cache: Cache::new(CACHED_BYTES_MAX),
            http: OnceLock::new(),
        };
        Ok(ImageStore { inner: Arc::new(inner) })
    }

    /// All named images, by name.
    pub fn list(&self) -> Vec<Stored> {
        self.inner.references.all()
    }

    /// What a name stands for, whether or not it was complete when last looked at. Asks no registry.
    pub fn find(&self, name: &Reference) -> Option<Stored> {
        self.inner.references.find(name)
    }

    /// Forgets a name; false when it was not known. What only it needed goes with the next collection.
    pub async fn remove(&self, name: &Reference) -> Result<bool, ImageError> {
        let name = name.clone();
        self.on_disk(move |inner| inner.references.remove(&name)).await
    }

    /// Runs what blocks on the disk away from the async threads.
    pub(crate) async fn on_disk<T, F>(&self, work: F) -> Result<T, ImageError>
    where
        T: Send + 'static,
        F: FnOnce(&Inner) -> Result<T, ImageError> + Send + 'static,
    {
        let inner = Arc::clone(&self.inner);
        tokio::task::spawn_blocking(move || work(&inner)).await.map_err(|_| ImageError::Abandoned)?
    }
}

impl Inner {
    pub(crate) fn blobs(&self) -> &Blobs {
        &self.options.blobs
    }

    /// What `digest` names, from memory or from the blobs. Blocks on the disk.
    pub(crate) fn content(&self, digest: Digest) -> Result<Arc<Content>, ImageError> {
        if let Some(content) = self.cache.get(&digest) {
            return Ok(content);
        }
        let content = Arc::new(Content::read(self.blobs(), &self.layers, &self.options.platform, digest)?);
        self.cache.put(&content);
        Ok(content)
    }

    /// The HTTP client. Made when it is first needed, because reading the machine's certificate authorities takes a while. Blocks.
    pub(crate) fn http(&self) -> Http {
        self.http.get_or_init(Http::new).clone()
    }
}

fn lock(dir: &Path) -> Result<File, ImageError> {
    let path = dir.join("lock");
    let file = File::options().write(true).create(true).truncate(false).open(&path);
    let file = file.map_err(ImageError::disk("open", &path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(ImageError::InUse { path: dir.to_owned() }),
        Err(TryLockError::Error(source)) => Err(ImageError::Disk { action: "lock", path, source }),
    }
}

fn remove_temporary(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(durable::TEMPORARY_PREFIX) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}
