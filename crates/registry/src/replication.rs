//! Copies of images in other accounts and regions of the same Berth. Nothing travels: the blobs are shared.

use std::collections::BTreeSet;

use blobs::Digest;
use serde::{Deserialize, Serialize};

use crate::{AppliedFor, Holder, Manifest, Registry, RegistryError, RepositoryKey, Scope, Tag, Target};

/// Where the images go that are pushed to a registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replication {
    version: u32,
    pub rules: Vec<ReplicationRule>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReplicationRule {
    pub destinations: Vec<Destination>,
    /// How the names of the repositories begin that are meant; none for all.
    pub prefixes: Vec<String>,
}

/// The registry of an account in a region.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Destination {
    pub account: String,
    pub region: String,
}

/// What became of one copy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replica {
    #[serde(flatten)]
    pub destination: Destination,
    pub status: ReplicaStatus,
    /// Why it failed.
    pub failure: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum ReplicaStatus {
    InProgress,
    Complete,
    Failed,
}

#[derive(Serialize, Deserialize)]
struct Replicas {
    version: u32,
    replicas: Vec<Replica>,
}

impl Replication {
    /// The record that holds it.
    pub const RECORD: &str = "replication";

    pub fn new(rules: Vec<ReplicationRule>) -> Replication {
        Replication { version: 1, rules }
    }

    /// Where the images of a repository go, each place once.
    pub fn destinations(&self, key: &RepositoryKey) -> BTreeSet<&Destination> {
        let means = |rule: &&ReplicationRule| {
            rule.prefixes.is_empty()
                || rule.prefixes.iter().any(|prefix| key.name.as_str().starts_with(prefix.as_str()))
        };
        self.rules.iter().filter(means).flat_map(|rule| &rule.destinations).collect()
    }
}

impl Registry {
    pub fn replication(&self, scope: &Scope) -> Result<Replication, RegistryError> {
        let kept = self.record(Holder::Registry(scope), Replication::RECORD)?;
        Ok(kept.unwrap_or_else(|| Replication::new(Vec::new())))
    }

    /// Where copies of an image went, or are going.
    pub fn replicas(&self, key: &RepositoryKey, digest: &Digest) -> Result<Vec<Replica>, RegistryError> {
        let kept: Option<Replicas> = self.files.read(&self.dir(key).replicas(digest))?;
        Ok(kept.map_or_else(Vec::new, |kept| kept.replicas))
    }

    /// Copies an image that was just pushed to wherever the registry's rules say. What fails is told by its status, and is
    /// no reason to refuse the push. A copy is not copied further.
    pub(crate) fn replicate(&self, key: &RepositoryKey, digest: &Digest, tags: &[Tag]) -> Result<(), RegistryError> {
        let replication = self.replication(&key.scope)?;
        let destinations = replication.destinations(key);
        if destinations.is_empty() {
            return Ok(());
        }
        let replica =
            |destination: &Destination, status, failure| Replica { destination: destination.clone(), status, failure };
        let begun = destinations.iter().map(|to| replica(to, ReplicaStatus::InProgress, None));
        self.keep_replicas(key, digest, begun.collect())?;
        let ended = destinations.into_iter().map(|to| match self.copy(key, to, digest, tags) {
            Ok(()) => replica(to, ReplicaStatus::Complete, None),
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, %key, ?to, "an image could not be replicated");
                replica(to, ReplicaStatus::Failed, Some(error.answer().1.to_owned()))
            }
        });
        self.keep_replicas(key, digest, ended.collect())
    }

    /// Ends what a crash interrupted.
    pub fn finish_replication(&self) -> Result<(), RegistryError> {
        for scope in self.scopes()? {
            if self.replication(&scope)?.rules.is_empty() {
                continue;
            }
            for name in self.repository_names(&scope)? {
                let key = RepositoryKey::new(&scope, name);
                for image in self.images(&key)? {
                    let replicas = self.replicas(&key, &image.digest)?;
                    if replicas.iter().any(|replica| replica.status == ReplicaStatus::InProgress) {
                        self.replicate(&key, &image.digest, &image.tags)?;
                    }
                }
            }
        }
        Ok(())
    }

    fn keep_replicas(&self, key: &RepositoryKey, digest: &Digest, replicas: Vec<Replica>) -> Result<(), RegistryError> {
        let _turn = self.turn();
        let dir = self.dir(key);
        // An image that was deleted in the meantime has no copies to speak of.
        if !self.files.exists(&dir.manifest(digest))? {
            return Ok(());
        }
        self.files.write_in_new_dir(&dir.replicas(digest), &Replicas { version: 1, replicas })
    }

    fn copy(&self, key: &RepositoryKey, to: &Destination, digest: &Digest, tags: &[Tag]) -> Result<(), RegistryError> {
        let scope = Scope::new(&to.account, &to.region).ok_or(RegistryError::Unsupported)?;
        let target = RepositoryKey::new(&scope, key.name.clone());
        self.repository_or_new(&target, AppliedFor::Replication)?;
        self.copy_parts(key, &target, digest)?;
        self.copy_manifest(key, &target, digest, &Target::Digest(*digest))?;
        tags.iter().try_for_each(|tag| self.copy_manifest(key, &target, digest, &Target::Tag(tag.clone())))
    }

    /// Copies the manifests that an index lists, each before the index that lists it: some may have been pushed when no rule
    /// was there yet.
    fn copy_parts(&self, from: &RepositoryKey, to: &RepositoryKey, digest: &Digest) -> Result<(), RegistryError> {
        let mut seen = BTreeSet::from([*digest]);
        let mut order = vec![*digest];
        let mut next = 0;
        while let Some(index) = order.get(next).copied() {
            next += 1;
            let (manifest, _) = self.parsed(from, &index)?;
            order.extend(manifest.manifests.into_iter().filter(|part| seen.insert(*part)));
        }
        // An index may list one that another part of it lists too; a second look finds what the first could not place.
        let mut pending: Vec<Digest> = order.into_iter().skip(1).rev().collect();
        while !pending.is_empty() {
            let count = pending.len();
            let mut postponed = Vec::new();
            for part in pending {
                match self.copy_manifest(from, to, &part, &Target::Digest(part)) {
                    Err(RegistryError::ManifestBlobUnknown { .. }) => postponed.push(part),
                    copied => copied?,
                }
            }
            if postponed.len() == count {
                return Err(RegistryError::ManifestBlobUnknown { digest: postponed[0], name: to.name.to_string() });
            }
            pending = postponed;
        }
        Ok(())
    }

    fn parsed(&self, key: &RepositoryKey, digest: &Digest) -> Result<(Manifest, Vec<u8>), RegistryError> {
        let (digest, record) = self.resolve(key, &Target::Digest(*digest))?;
        let bytes = self.manifest_bytes(&digest)?;
        Ok((Manifest::parse(Some(&record.media_type), &bytes)?, bytes))
    }

    fn copy_manifest(
        &self,
        from: &RepositoryKey,
        to: &RepositoryKey,
        digest: &Digest,
        target: &Target,
    ) -> Result<(), RegistryError> {
        let (manifest, bytes) = self.parsed(from, digest)?;
        for blob in &manifest.blobs {
            if !self.mount_blob(from, to, blob)? {
                return Err(RegistryError::BlobUnknown { digest: *blob, name: from.name.to_string() });
            }
        }
        self.store_manifest(to, target, Some(manifest.media_type.as_str()), &bytes)?;
        Ok(())
    }
}
