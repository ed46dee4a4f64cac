//! The small files of a registry: in its directory, or as objects of a store that other servers use too.
//!
//! Every file is there whole or not at all, and is durable when it was written. Names are those of `layout.rs`.

mod directory;
mod objects;

use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::time::Duration;

use blobs::Digest;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) use self::directory::Directory;
pub(crate) use self::objects::Objects;
use crate::RegistryError;

/// What keeps the files. All calls block, may repeat, and may be concurrent.
pub(crate) trait Keep: Debug + Send + Sync {
    /// Whether other servers may write too.
    fn is_shared(&self) -> bool;
    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, RegistryError>;
    fn read_all(&self, paths: &[PathBuf]) -> Result<Vec<Option<Vec<u8>>>, RegistryError>;
    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), RegistryError>;
    /// False when somebody else wrote it before.
    fn write_new(&self, path: &Path, bytes: &[u8]) -> Result<bool, RegistryError>;
    fn exists(&self, path: &Path) -> Result<bool, RegistryError>;
    /// Notes that what a mark is about is used: a hint for collections. A mark that is not there is an error.
    fn touch(&self, path: &Path) -> Result<(), RegistryError>;
    /// Removes a file for good. It is no error when it is not there.
    fn remove(&self, path: &Path) -> Result<(), RegistryError>;
    /// Removes a mark that was not touched for so long; says whether it did.
    fn remove_older(&self, path: &Path, age: Duration) -> Result<bool, RegistryError>;
    /// The entries of a directory, sorted; none when it does not exist.
    fn names(&self, dir: &Path) -> Result<Vec<String>, RegistryError>;
    /// The files of a directory that were not touched for so long.
    fn older(&self, dir: &Path, age: Duration) -> Result<Vec<String>, RegistryError>;
    /// The directories below this one that have settings, by their names from here.
    fn repositories(&self, dir: &Path) -> Result<Vec<String>, RegistryError>;
    fn make_dir(&self, dir: &Path) -> Result<(), RegistryError>;
    /// Removes a directory with all that is in it. It is no error when it is not there.
    fn remove_dir(&self, dir: &Path) -> Result<(), RegistryError>;
    fn remove_dir_if_empty(&self, dir: &Path);
    /// Removes half-written files that nobody writes any more.
    fn remove_temporary(&self, dir: &Path) -> Result<(), RegistryError>;
}

/// The files by what is in them.
#[derive(Debug)]
pub(crate) struct Files {
    root: PathBuf,
    keep: Box<dyn Keep>,
}

impl Files {
    pub(crate) fn in_directory(root: &Path) -> Files {
        Files { root: root.to_owned(), keep: Box::new(Directory) }
    }

    pub(crate) fn in_objects(objects: Objects) -> Files {
        Files { root: PathBuf::new(), keep: Box::new(objects) }
    }

    /// Where every path begins.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn are_shared(&self) -> bool {
        self.keep.is_shared()
    }

    pub(crate) fn read<T: DeserializeOwned>(&self, path: &Path) -> Result<Option<T>, RegistryError> {
        self.keep.read(path)?.map(|bytes| parse(path, &bytes)).transpose()
    }

    /// Several files; of those that are not there, nothing.
    pub(crate) fn read_all<T: DeserializeOwned>(&self, paths: &[PathBuf]) -> Result<Vec<Option<T>>, RegistryError> {
        let read = self.keep.read_all(paths)?.into_iter().zip(paths);
        read.map(|(bytes, path)| bytes.map(|bytes| parse(path, &bytes)).transpose()).collect()
    }

    pub(crate) fn write<T: Serialize>(&self, path: &Path, record: &T) -> Result<(), RegistryError> {
        self.keep.write(path, &text(path, record)?)
    }

    pub(crate) fn write_new<T: Serialize>(&self, path: &Path, record: &T) -> Result<bool, RegistryError> {
        self.keep.write_new(path, &text(path, record)?)
    }

    /// Writes a record into a directory that may not be there yet.
    pub(crate) fn write_in_new_dir<T: Serialize>(&self, path: &Path, record: &T) -> Result<(), RegistryError> {
        if let Some(dir) = path.parent() {
            self.make_dir(dir)?;
        }
        self.write(path, record)
    }

    /// Puts an empty file, the mark that something belongs here.
    pub(crate) fn mark(&self, path: &Path) -> Result<(), RegistryError> {
        if self.exists(path)? {
            return Ok(());
        }
        self.keep.write(path, b"")
    }

    /// Puts the mark of a manifest into a directory that may not be there yet.
    pub(crate) fn mark_in(&self, dir: &Path, digest: &Digest) -> Result<(), RegistryError> {
        self.make_dir(dir)?;
        self.mark(&dir.join(digest.hex()))
    }

    pub(crate) fn touch(&self, path: &Path) -> Result<(), RegistryError> {
        self.keep.touch(path)
    }

    pub(crate) fn exists(&self, path: &Path) -> Result<bool, RegistryError> {
        self.keep.exists(path)
    }

    pub(crate) fn names(&self, dir: &Path) -> Result<Vec<String>, RegistryError> {
        self.keep.names(dir)
    }

    /// The digests whose hexadecimal digits are the entries of a directory.
    pub(crate) fn digests(&self, dir: &Path) -> Result<Vec<Digest>, RegistryError> {
        Ok(self.names(dir)?.iter().filter_map(|name| Digest::from_hex(name).ok()).collect())
    }

    /// Those of them whose marks were not touched for so long.
    pub(crate) fn older(&self, dir: &Path, age: Duration) -> Result<Vec<Digest>, RegistryError> {
        Ok(self.keep.older(dir, age)?.iter().filter_map(|name| Digest::from_hex(name).ok()).collect())
    }

    pub(crate) fn repositories(&self, dir: &Path) -> Result<Vec<String>, RegistryError> {
        self.keep.repositories(dir)
    }

    pub(crate) fn make_dir(&self, dir: &Path) -> Result<(), RegistryError> {
        self.keep.make_dir(dir)
    }

    pub(crate) fn remove(&self, path: &Path) -> Result<(), RegistryError> {
        self.keep.remove(path)
    }

    pub(crate) fn remove_older(&self, path: &Path, age: Duration) -> Result<bool, RegistryError> {
        self.keep.remove_older(path, age)
    }

    /// Removes a file, in a directory that may not be there either.
    pub(crate) fn remove_if_any(&self, path: &Path) -> Result<(), RegistryError> {
        if self.exists(path)? { self.remove(path) } else { Ok(()) }
    }

    pub(crate) fn remove_dir(&self, dir: &Path) -> Result<(), RegistryError> {
        self.keep.remove_dir(dir)
    }

    pub(crate) fn remove_dir_if_empty(&self, dir: &Path) {
        self.keep.remove_dir_if_empty(dir);
    }

    pub(crate) fn remove_temporary(&self, dir: &Path) -> Result<(), RegistryError> {
        self.keep.remove_temporary(dir)
    }
}

/// The entries of a directory of this machine, sorted.
pub(crate) fn names(dir: &Path) -> Result<Vec<String>, RegistryError> {
    Directory.names(dir)
}

fn parse<T: DeserializeOwned>(path: &Path, bytes: &[u8]) -> Result<T, RegistryError> {
    serde_json::from_slice(bytes).map_err(|source| RegistryError::Record { path: path.to_owned(), source })
}

fn text<T: Serialize>(path: &Path, record: &T) -> Result<Vec<u8>, RegistryError> {
    serde_json::to_vec(record).map_err(|source| RegistryError::Record { path: path.to_owned(), source })
}
