//! Making room: what was pushed and no manifest needs, and what crashes left.
//!
//! A blob is pushed before the manifest that needs it, so nothing goes before it was unused for a while. The order makes a crash
//! harmless at every step: first a repository forgets a blob, then the blob's bytes go, and whoever pushes a manifest must
//! find both.

use std::collections::HashSet;
use std::time::Duration;

use blobs::Digest;

use crate::layout;
use crate::manifest::Manifest;
use crate::repository::ManifestRecord;
use crate::{Registry, RegistryError, RepositoryKey};

/// What a collection removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Blobs that a repository no longer has.
    pub forgotten: u64,
    /// Uploads and half-written files that nobody continued.
    pub abandoned: u64,
    pub blobs: u64,
    pub blob_bytes: u64,
}

impl Registry {
    /// Removes what nothing needs and nobody used for `unused_for`, bytes included.
    ///
    /// For a registry whose blobs are its own. Where a node shares them, the node collects: it calls [`Registry::prune`].
    pub fn collect(&self, unused_for: Duration) -> Result<Collected, RegistryError> {
        let mut collected = self.prune(unused_for)?;
        let swept = self.blobs.sweep(&self.needed_blobs()?, unused_for)?;
        (collected.blobs, collected.blob_bytes) = (swept.blobs, swept.bytes);
        Ok(collected)
    }

    /// Lets repositories forget blobs that none of their manifests needs, and removes abandoned uploads. Deletes no blob.
    pub fn prune(&self, unused_for: Duration) -> Result<Collected, RegistryError> {
        let abandoned = self.blobs.local().remove_abandoned(unused_for)?;
        let mut collected = Collected { abandoned, ..Collected::default() };
        for scope in layout::scopes(&self.files)? {
            for name in self.repository_names(&scope)? {
                let key = RepositoryKey::new(&scope, name);
                collected.forgotten += self.prune_blobs(&key, unused_for)?;
                self.prune_marks(&key)?;
                self.prune_uploads(&key)?;
            }
        }
        Ok(collected)
    }

    fn prune_blobs(&self, key: &RepositoryKey, unused_for: Duration) -> Result<u64, RegistryError> {
        let dir = self.dir(key);
        let candidates = self.files.older(&dir.blobs(), unused_for)?;
        if candidates.is_empty() {
            return Ok(0);
        }
        // Manifests are read without their pushers waiting. One that comes meanwhile touches what it needs, which is looked at below.
        let mut needed = HashSet::new();
        let manifests = self.files.digests(&dir.manifests())?;
        let paths: Vec<_> = manifests.iter().map(|digest| dir.manifest(digest)).collect();
        for (digest, record) in manifests.iter().zip(self.files.read_all(&paths)?) {
            needed.extend(self.needs(digest, record)?);
        }
        let mut forgotten = 0;
        for digest in candidates.iter().filter(|digest| !needed.contains(digest)) {
            let (_turn, _using) = (self.turn(), self.using());
            if self.files.remove_older(&dir.blob(digest), unused_for)? {
                forgotten += 1;
            }
        }
        Ok(forgotten)
    }

    /// What a manifest needs; nothing when it was deleted meanwhile.
    fn needs(&self, digest: &Digest, record: Option<ManifestRecord>) -> Result<Vec<Digest>, RegistryError> {
        match record {
            None => Ok(Vec::new()),
            Some(ManifestRecord { needs: Some(needs), .. }) => Ok(needs),
            // An earlier version did not write it down.
            Some(record) => Ok(Manifest::parse(Some(&record.media_type), &self.manifest_bytes(digest)?)?.blobs),
        }
    }

    /// Removes marks that outlived the manifest which they are about, and what crashes left half-written.
    fn prune_marks(&self, key: &RepositoryKey) -> Result<(), RegistryError> {
        let dir = self.dir(key);
        for marks in [dir.all_referrers(), dir.all_indexes()] {
            for about in self.files.digests(&marks)? {
                let marks = marks.join(about.hex());
                let _turn = self.turn();
                for digest in self.files.digests(&marks)? {
                    if !self.files.exists(&dir.manifest(&digest))? {
                        self.files.remove(&marks.join(digest.hex()))?;
                    }
                }
                // It stays when it is not empty.
                self.files.remove_dir_if_empty(&marks);
            }
        }
        let _turn = self.turn();
        for place in [dir.tags(), dir.manifests(), dir.blobs()] {
            self.files.remove_temporary(&place)?;
        }
        Ok(())
    }
}
