//! Where everything is on disk.
//!
//! ```text
//! repositories/<account>/<region>/<name>/…      a repository named `a/b` is the directory a/b
//!     _repository.json                          its settings; without it there is no repository
//!     _manifests/<hex>                          a record of each manifest; its bytes are a blob
//!     _tags/<tag>                               a record of the manifest it names
//!     _blobs/<hex>                              empty: the repository may hand out this blob
//!     _referrers/<subject hex>/<hex>            empty: this manifest is about that subject
//!     _uploads/<id>                             empty: that upload was begun for this repository
//!     _indexes/<hex>/<index hex>                empty: that index, if it is still there, lists this manifest
//!     _replicas/<hex>                           where copies of this image went
//!     _records/<name>.json                      what the owner wants kept beside the repository
//! repositories/<account>/<region>/_registry/<name>.json      the same, of the whole registry
//! ```
//!
//! A component of a name never begins with `_`, so names and these entries cannot meet. Every file is written aside,
//! flushed and renamed.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use blobs::{Digest, UploadId, durable};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{RegistryError, RepositoryKey, RepositoryName, Scope, Tag};

/// The directory of one repository.
#[derive(Clone, Debug)]
pub(crate) struct RepositoryDir(PathBuf);

const SETTINGS: &str = "_repository.json";
const MANIFESTS: &str = "_manifests";
const TAGS: &str = "_tags";
const BLOBS: &str = "_blobs";
const REFERRERS: &str = "_referrers";
const INDEXES: &str = "_indexes";
const UPLOADS: &str = "_uploads";
const REPLICAS: &str = "_replicas";
const RECORDS: &str = "_records";
/// All that a repository has beside its settings.
const PARTS: [&str; 8] = [TAGS, MANIFESTS, BLOBS, REFERRERS, INDEXES, REPLICAS, RECORDS, UPLOADS];
const REGISTRY: &str = "_registry";

impl RepositoryDir {
    pub(crate) fn of(root: &Path, key: &RepositoryKey) -> RepositoryDir {
        RepositoryDir(scope_dir(root, &key.scope).join(key.name.as_str()))
    }

    pub(crate) fn settings(&self) -> PathBuf {
        self.0.join(SETTINGS)
    }

    pub(crate) fn manifests(&self) -> PathBuf {
        self.0.join(MANIFESTS)
    }

    pub(crate) fn manifest(&self, digest: &Digest) -> PathBuf {
        self.manifests().join(digest.hex())
    }

    pub(crate) fn tags(&self) -> PathBuf {
        self.0.join(TAGS)
    }

    pub(crate) fn tag(&self, tag: &Tag) -> PathBuf {
        self.tags().join(tag.as_str())
    }

    pub(crate) fn blobs(&self) -> PathBuf {
        self.0.join(BLOBS)
    }

    pub(crate) fn blob(&self, digest: &Digest) -> PathBuf {
        self.blobs().join(digest.hex())
    }

    pub(crate) fn referrers(&self, subject: &Digest) -> PathBuf {
        self.0.join(REFERRERS).join(subject.hex())
    }

    pub(crate) fn referrer(&self, subject: &Digest, digest: &Digest) -> PathBuf {
        self.referrers(subject).join(digest.hex())
    }

    pub(crate) fn all_referrers(&self) -> PathBuf {
        self.0.join(REFERRERS)
    }

    pub(crate) fn all_indexes(&self) -> PathBuf {
        self.0.join(INDEXES)
    }

    pub(crate) fn uploads(&self) -> PathBuf {
        self.0.join(UPLOADS)
    }

    pub(crate) fn upload(&self, id: &UploadId) -> PathBuf {
        self.uploads().join(id.to_string())
    }

    pub(crate) fn indexes(&self, digest: &Digest) -> PathBuf {
        self.0.join(INDEXES).join(digest.hex())
    }

    pub(crate) fn replicas(&self, digest: &Digest) -> PathBuf {
        self.0.join(REPLICAS).join(digest.hex())
    }

    pub(crate) fn record(&self, name: &str) -> PathBuf {
        self.0.join(RECORDS).join(format!("{name}.json"))
    }

    /// Makes the directories that a new repository needs. A removal that a crash cut short may have left something of an
    /// older one, which must not come back.
    pub(crate) fn create(&self) -> Result<(), RegistryError> {
        for name in PARTS {
            remove_dir(&self.0.join(name))?;
        }
        for dir in [self.manifests(), self.tags(), self.blobs()] {
            durable::create_dir_all(&dir).map_err(RegistryError::io("create directory", &dir))?;
        }
        Ok(())
    }

    /// Removes the repository, but not those whose names continue its name.
    pub(crate) fn remove(&self) -> Result<(), RegistryError> {
        // The settings go first: from then on it does not exist, whatever a crash leaves of the rest.
        remove(&self.settings())?;
        for name in PARTS {
            remove_dir(&self.0.join(name))?;
        }
        // It stays when another repository lies below it.
        let _ = fs::remove_dir(&self.0);
        Ok(())
    }
}

pub(crate) fn scope_dir(root: &Path, scope: &Scope) -> PathBuf {
    root.join("repositories").join(scope.account()).join(scope.region())
}

pub(crate) fn registry_record(root: &Path, scope: &Scope, name: &str) -> PathBuf {
    scope_dir(root, scope).join(REGISTRY).join(format!("{name}.json"))
}

/// The scopes that have, or had, a repository.
pub(crate) fn scopes(root: &Path) -> Result<Vec<Scope>, RegistryError> {
    let root = root.join("repositories");
    let mut scopes = Vec::new();
    for account in names(&root)? {
        for region in names(&root.join(&account))? {
            scopes.extend(Scope::new(&account, &region));
        }
    }
    Ok(scopes)
}

/// The names of a scope's repositories, sorted.
pub(crate) fn repository_names(root: &Path, scope: &Scope) -> Result<Vec<RepositoryName>, RegistryError> {
    let mut found = Vec::new();
    let mut pending = vec![(scope_dir(root, scope), String::new())];
    while let Some((dir, prefix)) = pending.pop() {
        for name in names(&dir)? {
            if name == SETTINGS {
                found.extend(prefix.parse::<RepositoryName>());
            } else if !name.starts_with('_') {
                let path = if prefix.is_empty() { name.clone() } else { format!("{prefix}/{name}") };
                pending.push((dir.join(&name), path));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// The entries of a directory, sorted, without half-written ones; none when the directory does not exist.
pub(crate) fn names(dir: &Path) -> Result<Vec<String>, RegistryError> {
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(RegistryError::io("list", dir)(error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(RegistryError::io("list", dir))?;
        names.extend(entry.file_name().into_string().ok().filter(|name| !name.starts_with(durable::TEMPORARY_PREFIX)));
    }
    names.sort();
    Ok(names)
}

/// The digests whose hexadecimal digits are the entries of a directory.
pub(crate) fn digests(dir: &Path) -> Result<Vec<Digest>, RegistryError> {
    Ok(names(dir)?.iter().filter_map(|name| Digest::from_hex(name).ok()).collect())
}

pub(crate) fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, RegistryError> {
    match fs::read(path) {
        Ok(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|source| RegistryError::Record { path: path.to_owned(), source }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(RegistryError::io("read", path)(error)),
    }
}

pub(crate) fn write<T: Serialize>(path: &Path, record: &T) -> Result<(), RegistryError> {
    let bytes = serde_json::to_vec(record).map_err(|source| RegistryError::Record { path: path.to_owned(), source })?;
    durable::write(path, &bytes).map_err(RegistryError::io("write", path))
}

/// Writes a record into a directory that may not be there yet.
pub(crate) fn write_in_new_dir<T: Serialize>(path: &Path, record: &T) -> Result<(), RegistryError> {
    if let Some(dir) = path.parent() {
        durable::create_dir_all(dir).map_err(RegistryError::io("create directory", dir))?;
    }
    write(path, record)
}

/// Puts an empty file, the mark that something belongs here.
pub(crate) fn mark(path: &Path) -> Result<(), RegistryError> {
    if path.exists() {
        return Ok(());
    }
    durable::write(path, b"").map_err(RegistryError::io("write", path))
}

/// Notes that what a mark is about is used. It is a hint for collections, and not worth a flush.
pub(crate) fn touch(path: &Path) -> Result<(), RegistryError> {
    let touched = fs::File::open(path).and_then(|file| file.set_modified(SystemTime::now()));
    touched.map_err(RegistryError::io("touch", path))
}

/// Puts the mark of a manifest into a directory that may not be there yet.
pub(crate) fn mark_in(dir: &Path, digest: &Digest) -> Result<(), RegistryError> {
    durable::create_dir_all(dir).map_err(RegistryError::io("create directory", dir))?;
    mark(&dir.join(digest.hex()))
}

/// Removes a directory with all that is in it. It is no error when it is not there.
pub(crate) fn remove_dir(dir: &Path) -> Result<(), RegistryError> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(RegistryError::io("remove", dir)(error)),
        _ => Ok(()),
    }
}

/// Removes a file, in a directory that may not be there either.
pub(crate) fn remove_if_any(path: &Path) -> Result<(), RegistryError> {
    if path.exists() { remove(path) } else { Ok(()) }
}

pub(crate) fn remove(path: &Path) -> Result<(), RegistryError> {
    durable::remove(path).map_err(RegistryError::io("remove", path))
}
