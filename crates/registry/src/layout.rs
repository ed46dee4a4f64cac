//! Where everything is: below the registry's directory, or below its part of an object store.
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
//! A component of a name never begins with `_`, so names and these entries cannot meet. [`crate::files`] reads and writes them.
//! Uploads are always in the directory: their bytes are.

use std::path::{Path, PathBuf};

use blobs::{Digest, UploadId};

use crate::files::Files;
use crate::{RegistryError, RepositoryKey, RepositoryName, Scope, Tag};

/// The directory of one repository.
#[derive(Clone, Debug)]
pub(crate) struct RepositoryDir(PathBuf);

/// The file without which there is no repository.
pub(crate) const SETTINGS: &str = "_repository.json";
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
    pub(crate) fn create(&self, files: &Files) -> Result<(), RegistryError> {
        if files.are_shared() {
            // Another server may have made the repository just now, and filled it. There, the settings go last.
            return Ok(());
        }
        for name in PARTS {
            files.remove_dir(&self.0.join(name))?;
        }
        [self.manifests(), self.tags(), self.blobs()].iter().try_for_each(|dir| files.make_dir(dir))
    }

    /// Removes the repository, but not those whose names continue its name.
    pub(crate) fn remove(&self, files: &Files) -> Result<(), RegistryError> {
        if !files.are_shared() {
            // The settings go first: from then on it does not exist, whatever a crash leaves of the rest.
            files.remove(&self.settings())?;
        }
        for name in PARTS {
            files.remove_dir(&self.0.join(name))?;
        }
        if files.are_shared() {
            // Cut short, the removal is done again by whoever wanted it.
            files.remove(&self.settings())?;
        }
        // It stays when another repository lies below it.
        files.remove_dir_if_empty(&self.0);
        Ok(())
    }
}

const REPOSITORIES: &str = "repositories";

pub(crate) fn scope_dir(root: &Path, scope: &Scope) -> PathBuf {
    root.join(REPOSITORIES).join(scope.account()).join(scope.region())
}

pub(crate) fn registry_record(root: &Path, scope: &Scope, name: &str) -> PathBuf {
    scope_dir(root, scope).join(REGISTRY).join(format!("{name}.json"))
}

/// The scopes that have, or had, a repository.
pub(crate) fn scopes(files: &Files) -> Result<Vec<Scope>, RegistryError> {
    let root = files.root().join(REPOSITORIES);
    let mut scopes = Vec::new();
    for account in files.names(&root)? {
        for region in files.names(&root.join(&account))? {
            scopes.extend(Scope::new(&account, &region));
        }
    }
    Ok(scopes)
}

/// The names of a scope's repositories, sorted.
pub(crate) fn repository_names(files: &Files, scope: &Scope) -> Result<Vec<RepositoryName>, RegistryError> {
    let found = files.repositories(&scope_dir(files.root(), scope))?;
    let mut names: Vec<RepositoryName> = found.iter().filter_map(|name| name.parse().ok()).collect();
    names.sort();
    Ok(names)
}
