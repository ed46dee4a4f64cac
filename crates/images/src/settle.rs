//! Layers become durable after they are there, and nobody waits for it.
//!
//! A layer that was just unpacked has a note beside its files, which is durable before they are: the boot in which it was
//! unpacked. When its files are durable, the note goes. After another boot, a layer with a note may be torn, and is unpacked again.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use blobs::durable;
use uuid::Uuid;

use crate::ImageError;

const NOTE: &str = "unsettled";

#[derive(Debug)]
pub(crate) struct Settler {
    /// Of all layers.
    dir: PathBuf,
    /// What differs after a power cut.
    boot: String,
    /// Had while layers become durable: all that wait for it are served by the next turn.
    turn: Mutex<()>,
}

impl Settler {
    pub(crate) fn new(dir: PathBuf, boot: String) -> Settler {
        Settler { dir, boot, turn: Mutex::default() }
    }

    /// Notes that what will be in a layer's directory is not durable yet.
    pub(crate) fn note(&self, layer: &Path) -> io::Result<()> {
        // No two notes are alike: one that was read is not taken for a later one of the same name.
        durable::write(&layer.join(NOTE), format!("{} {}", self.boot, Uuid::new_v4().simple()).as_bytes())
    }

    /// Whether a power cut may have taken something of a layer.
    pub(crate) fn may_be_torn(&self, name: &str) -> Result<bool, ImageError> {
        let note = read(&self.dir.join(name).join(NOTE))?;
        Ok(note.is_some_and(|note| note.rsplit_once(' ').is_none_or(|(boot, _)| boot != self.boot)))
    }

    /// Makes all layers durable that are complete, on a thread of its own.
    pub(crate) fn settle(self: &Arc<Self>) {
        let settler = Arc::clone(self);
        let thread = std::thread::Builder::new().name("layers".to_owned()).spawn(move || {
            let _turn = settler.turn.lock().unwrap_or_else(PoisonError::into_inner);
            if let Err(error) = settler.settle_now() {
                // It is tried again after the next pull, and at the next start.
                tracing::warn!(error = &error as &dyn std::error::Error, "layers are not durable yet");
            }
        });
        if let Err(error) = thread {
            tracing::warn!(%error, "layers are not durable yet");
        }
    }

    fn settle_now(&self) -> Result<(), ImageError> {
        let failed = |action, error: io::Error| ImageError::disk(action, &self.dir)(error);
        let mut waiting = Vec::new();
        for entry in fs::read_dir(&self.dir).map_err(|error| failed("list", error))? {
            let entry = entry.map_err(|error| failed("list", error))?;
            let path = entry.path().join(NOTE);
            if !entry.file_name().to_string_lossy().starts_with(durable::TEMPORARY_PREFIX)
                && let Some(note) = read(&path)?
            {
                waiting.push((path, note));
            }
        }
        if waiting.is_empty() {
            return Ok(());
        }
        // One flush for all: flushing thousands of files one by one takes many times as long.
        let dir = File::open(&self.dir).map_err(|error| failed("open", error))?;
        rustix::fs::syncfs(&dir).map_err(|error| failed("flush", error.into()))?;
        for (path, note) in waiting {
            // The layer may have been removed and unpacked again in the meantime.
            if read(&path)?.is_some_and(|now| now == note) {
                // Not flushed: should the note be back after a power cut, the layer is unpacked once more.
                fs::remove_file(&path).map_err(ImageError::disk("remove", &path))?;
            }
        }
        Ok(())
    }
}

fn read(path: &Path) -> Result<Option<String>, ImageError> {
    match fs::read_to_string(path) {
        Ok(note) => Ok(Some(note)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(error) => Err(ImageError::disk("read", path)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_is_believed_in_its_own_boot_or_when_it_is_durable() {
        let dir = tempfile::tempdir().unwrap();
        let settler = |boot: &str| Settler::new(dir.path().to_owned(), boot.to_owned());
        let (one, two) = (settler("one"), settler("two"));
        let layer = dir.path().join("layer");
        fs::create_dir(&layer).unwrap();
        assert!(!one.may_be_torn("layer").unwrap());
        one.note(&layer).unwrap();
        assert!(!one.may_be_torn("layer").unwrap() && two.may_be_torn("layer").unwrap());
        one.settle_now().unwrap();
        assert!(!two.may_be_torn("layer").unwrap());
        assert_eq!(fs::read_dir(&layer).unwrap().count(), 0);
    }
}
