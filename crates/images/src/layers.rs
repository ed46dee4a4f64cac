//! Unpacked layers, each once, shared by every image that has them.
//!
//! `layers/<chain id>/fs` is complete or absent: a layer is unpacked into `layers/.tmp-…`, checked and renamed. The chain id,
//! not the diff id, names it, because what a layer unpacks to may depend on those below.
//!
//! Nobody waits for the disk: a layer can be unpacked again from its blob, which is durable. Until its files are, the layer has a
//! note of the boot in which it was unpacked, and after any other boot it is not believed.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use blobs::{Blobs, Digest, Hasher, durable};
use uuid::Uuid;

use crate::settle::Settler;
use crate::single::Single;
use crate::unpack::{ApplyError, Lower, apply};
use crate::{ImageError, compression};

/// One unpacked layer of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// What this layer and all below it are together.
    pub chain_id: Digest,
    /// The digest of its plain tar.
    pub diff_id: Digest,
    /// What overlayfs mounts.
    pub dir: PathBuf,
}

/// All unpacked layers of a node.
#[derive(Debug)]
pub(crate) struct Layers {
    dir: PathBuf,
    unpacking: Single<Digest>,
    /// The most bytes that one layer may unpack to.
    bytes_max: u64,
    settler: Arc<Settler>,
    /// Held for as long as anything here may be written, threads that nobody waits for any more included.
    _lock: File,
}

/// Whether a layer could be unpacked without those below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unpacked {
    Done,
    NeedsLower,
}

impl Layers {
    /// Opens the store and removes what a crash left half-unpacked. Whoever holds `lock` is alone here.
    pub(crate) fn open(dir: PathBuf, lock: File, bytes_max: u64, boot: String) -> Result<Layers, ImageError> {
        durable::create_dir_all(&dir).map_err(ImageError::disk("create directory", &dir))?;
        // Set-user-id programs of images lie below: only root may come near.
        fs::set_permissions(&dir, fs::Permissions::from_mode(0o700)).map_err(ImageError::disk("protect", &dir))?;
        let settler = Arc::new(Settler::new(dir.clone(), boot));
        let layers = Layers { dir, unpacking: Single::default(), bytes_max, settler, _lock: lock };
        for name in layers.names()? {
            let mut path = layers.dir.join(&name);
            if !name.starts_with(durable::TEMPORARY_PREFIX) {
                if !layers.settler.may_be_torn(&name)? {
                    continue;
                }
                // Renamed first: half of it must not look like a layer.
                let aside = layers.aside();
                fs::rename(&path, &aside).map_err(ImageError::disk("rename", &path))?;
                path = aside;
            }
            fs::remove_dir_all(&path).map_err(ImageError::disk("remove", &path))?;
        }
        layers.settle();
        Ok(layers)
    }

    fn aside(&self) -> PathBuf {
        self.dir.join(format!("{}{}", durable::TEMPORARY_PREFIX, Uuid::new_v4().simple()))
    }

    /// Makes all layers that are here durable; nobody waits for it.
    pub(crate) fn settle(&self) {
        self.settler.settle();
    }

    fn names(&self) -> Result<Vec<String>, ImageError> {
        let list = || -> io::Result<Vec<String>> {
            fs::read_dir(&self.dir)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
        };
        list().map_err(ImageError::disk("list", &self.dir))
    }

    /// The layers that `diff_ids`, lowest first, unpack to.
    pub(crate) fn of(&self, diff_ids: &[Digest]) -> Vec<Layer> {
        let mut below: Option<Digest> = None;
        let mut layers = Vec::new();
        for diff_id in diff_ids {
            // Source: OCI image specification, "Layer ChainID".
            let chain_id = match below {
                None => *diff_id,
                Some(below) => Digest::of(format!("{below} {diff_id}").as_bytes()),
            };
            below = Some(chain_id);
            layers.push(Layer { chain_id, diff_id: *diff_id, dir: self.dir.join(chain_id.hex()).join("fs") });
        }
        layers
    }

    pub(crate) fn has(&self, layer: &Layer) -> bool {
        layer.dir.is_dir()
    }

    /// Unpacks a layer from its blob, unless it is there.
    ///
    /// With `below`, the directories under it; without, a layer that needs them says so and leaves nothing. Dropping
    /// the future does not stop the thread that unpacks, and nobody else unpacks the same layer until it is done.
    pub(crate) async fn unpack(
        self: &Arc<Self>,
        blobs: &Blobs,
        blob: Digest,
        layer: &Layer,
        below: Option<Vec<PathBuf>>,
    ) -> Result<Unpacked, ImageError> {
        if self.has(layer) {
            return Ok(Unpacked::Done);
        }
        let turn = self.unpacking.turn(layer.chain_id).await;
        if self.has(layer) {
            return Ok(Unpacked::Done);
        }
        let (layers, blobs, layer) = (Arc::clone(self), blobs.clone(), layer.clone());
        let work = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let lower = below.as_deref().map_or(Lower::Unknown, Lower::Known);
            layers.unpack_now(&blobs, &blob, &layer, lower)
        });
        work.await.map_err(|_| ImageError::Abandoned)?
    }

    fn unpack_now(
        &self,
        blobs: &Blobs,
        blob: &Digest,
        layer: &Layer,
        lower: Lower<'_>,
    ) -> Result<Unpacked, ImageError> {
        let aside = self.aside();
        let result = self.unpack_aside(blobs, blob, layer, lower, &aside);
        if !matches!(result, Ok(Unpacked::Done)) {
            // What cannot be removed now is removed when the store is opened next.
            let _ = fs::remove_dir_all(&aside);
        }
        result
    }

    fn unpack_aside(
        &self,
        blobs: &Blobs,
        blob: &Digest,
        layer: &Layer,
        lower: Lower<'_>,
        aside: &Path,
    ) -> Result<Unpacked, ImageError> {
        let disk = |source| ImageError::Unpack { path: layer.dir.clone(), source };
        let root = aside.join("fs");
        fs::DirBuilder::new().recursive(true).mode(0o755).create(&root).map_err(disk)?;
        fs::set_permissions(&root, fs::Permissions::from_mode(0o755)).map_err(disk)?;
        // Durable before anything of the layer, and long before its name.
        self.settler.note(aside).map_err(disk)?;

        let plain = compression::reader(blobs.file(blob)?, self.bytes_max).map_err(disk)?;
        let mut source = Hashing { source: plain, hasher: Hasher::new(layer.diff_id.algorithm()) };
        match apply(&mut source, &root, lower) {
            Ok(()) => {}
            Err(ApplyError::NeedsLower) => return Ok(Unpacked::NeedsLower),
            Err(ApplyError::Invalid { reason }) => return Err(ImageError::LayerInvalid { reason }),
            Err(ApplyError::Io(source)) => return Err(disk(source)),
        }
        let actual = source.hasher.finish();
        if actual != layer.diff_id {
            return Err(ImageError::LayerMismatch { expected: layer.diff_id, actual });
        }
        fs::rename(aside, self.dir.join(layer.chain_id.hex())).map_err(disk)?;
        Ok(Unpacked::Done)
    }

    /// Removes layers; gives their number.
    ///
    /// `remove_unless_needed` decides about each: it is given what takes the layer away, and says whether it called that.
    pub(crate) fn sweep(
        &self,
        remove_unless_needed: impl Fn(&Digest, &dyn Fn() -> io::Result<()>) -> io::Result<bool>,
    ) -> Result<u64, ImageError> {
        let mut removed = 0;
        for name in self.names()? {
            let Ok(chain_id) = Digest::from_hex(&name) else { continue };
            // Renamed first, so that a crash never leaves a layer that is there in part.
            let path = self.dir.join(&name);
            let aside = self.aside();
            let done = remove_unless_needed(&chain_id, &|| fs::rename(&path, &aside));
            if done.map_err(ImageError::disk("remove", &path))? {
                fs::remove_dir_all(&aside).map_err(ImageError::disk("remove", &aside))?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}

/// Takes the digest of what passes through.
struct Hashing<R> {
    source: R,
    hasher: Hasher,
}

impl<R: Read> Read for Hashing<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}
