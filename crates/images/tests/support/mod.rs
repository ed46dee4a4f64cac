//! What the tests of the image store share.
#![allow(dead_code, reason = "each test file uses its own part")]

pub mod archive;
pub mod image;
pub mod local;
pub mod remote;
pub mod tar;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use blobs::Blobs;
use images::{Auth, Image, ImageError, ImageStore, Loaded, LocalRegistry, Options, Platform, PullBehavior, Reference};
use tempfile::TempDir;

use self::remote::{Access, Remote};

/// An image store in a directory of its own.
pub struct Node {
    pub dir: TempDir,
    pub store: ImageStore,
}

pub fn options(dir: &Path) -> Options {
    let blobs = Blobs::open(dir.join("blobs")).unwrap();
    // Whoever tests what goes wrong wants to know at once.
    Options { platform: Platform::linux("amd64"), pull_attempts: 1, ..Options::new(dir.join("images"), blobs) }
}

pub fn name(text: &str) -> Reference {
    text.parse().unwrap()
}

impl Node {
    pub fn new() -> Node {
        Node::with(|options| options)
    }

    pub fn with(change: impl FnOnce(Options) -> Options) -> Node {
        let dir = tempfile::tempdir().unwrap();
        let store = ImageStore::open(change(options(dir.path()))).unwrap();
        Node { dir, store }
    }

    pub fn local(registry: Arc<dyn LocalRegistry>, blobs: Blobs) -> Node {
        Node::with(|options| Options { local: Some(registry), blobs, ..options })
    }

    /// The same directory, as another process would find it.
    pub fn reopen(self) -> Node {
        let Node { dir, store } = self;
        drop(store);
        let store = ImageStore::open(options(dir.path())).unwrap();
        Node { dir, store }
    }

    pub async fn pull(&self, text: &str) -> Result<Image, ImageError> {
        self.pull_as(text, &Auth::Anonymous, PullBehavior::Default).await
    }

    pub async fn pull_as(&self, text: &str, auth: &Auth, behavior: PullBehavior) -> Result<Image, ImageError> {
        self.store.pull(&name(text), auth, behavior, &|_| {}).await
    }

    /// Pulls an image of layers that are given as plain tars, lowest first.
    pub async fn unpack(&self, layers: &[Vec<u8>]) -> Result<Image, ImageError> {
        let remote = Remote::start(Access::Open).await;
        self.pull(&remote.offer("app:1", &image::image(layers))).await
    }

    /// Loads an archive that is given as bytes.
    pub async fn load(&self, archive: &[u8]) -> Result<Loaded, ImageError> {
        let path = self.dir.path().join("archive");
        std::fs::write(&path, archive).unwrap();
        self.store.load(&path).await
    }

    /// Why a pull fails, as `describe-tasks` tells it.
    pub async fn reason(&self, text: &str) -> String {
        self.pull(text).await.expect_err("the pull fails").cannot_pull_reason()
    }

    /// What is in the directory of unpacked layers.
    pub fn layer_dirs(&self) -> Vec<String> {
        names(&self.dir.path().join("images/layers"))
    }

    pub fn blob_count(&self) -> usize {
        names(&self.dir.path().join("blobs/sha256")).len()
    }
}

/// Waits until something is so.
pub async fn until(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !is_so() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The names in a directory, sorted.
pub fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// What is below a directory, one line each: kind, mode, owner, path, and content or target.
pub fn listing(dir: &Path) -> String {
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    let mut lines = Vec::new();
    let mut ahead = vec![PathBuf::new()];
    while let Some(path) = ahead.pop() {
        let full = dir.join(&path);
        let metadata = std::fs::symlink_metadata(&full).unwrap();
        let file_type = metadata.file_type();
        let mut note = String::new();
        let kind = if file_type.is_dir() {
            ahead.extend(names(&full).into_iter().map(|name| path.join(name)));
            if is_opaque(&full) {
                note = " opaque".to_owned();
            }
            'd'
        } else if file_type.is_symlink() {
            note = format!(" -> {}", std::fs::read_link(&full).unwrap().display());
            'l'
        } else if file_type.is_char_device() {
            note = format!(" {}", metadata.rdev());
            'c'
        } else if file_type.is_block_device() {
            'b'
        } else if file_type.is_fifo() {
            'p'
        } else {
            let content = std::fs::read(&full).unwrap();
            note = format!(" {:?}", String::from_utf8_lossy(&content[..content.len().min(32)]));
            '-'
        };
        let (mode, uid, gid) = (metadata.mode() & 0o7777, metadata.uid(), metadata.gid());
        if !path.as_os_str().is_empty() {
            lines.push(format!("{} {kind}{mode:o} {uid}:{gid}{note}", path.display()));
        }
    }
    lines.sort();
    lines.join("\n")
}

fn is_opaque(dir: &Path) -> bool {
    let mut value = [0; 1];
    rustix::fs::lgetxattr(dir, "trusted.overlay.opaque", &mut value[..]).is_ok_and(|length| &value[..length] == b"y")
}
