//! What takes repositories, images and tags away.

use blobs::Digest;

use crate::layout;
use crate::{Registry, RegistryError, Repository, RepositoryKey, Tag, Target};

/// What a deletion removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deleted {
    pub digest: Digest,
    pub tags: Vec<Tag>,
}

impl Registry {
    /// Deletes a repository that has no images.
    pub fn delete_repository(&self, key: &RepositoryKey) -> Result<Repository, RegistryError> {
        let _turn = self.turn();
        let repository = self.repository(key)?;
        if !layout::digests(&self.dir(key).manifests())?.is_empty() {
            return Err(RegistryError::RepositoryNotEmpty {
                name: key.name.to_string(),
                account: key.scope.account().to_owned(),
            });
        }
        self.dir(key).remove()?;
        Ok(repository)
    }

    /// Deletes a repository with everything in it.
    pub fn delete_repository_and_images(&self, key: &RepositoryKey) -> Result<Repository, RegistryError> {
        let _turn = self.turn();
        let repository = self.repository(key)?;
        self.dir(key).remove()?;
        Ok(repository)
    }

    /// Deletes a tag, or a manifest with all its tags. The last tag of an image does not take the image along.
    ///
    /// Errors: a manifest that an index of the repository lists stays, as in ECR.
    pub fn delete_manifest(&self, key: &RepositoryKey, target: &Target) -> Result<Deleted, RegistryError> {
        let _turn = self.turn();
        match target {
            Target::Tag(tag) => {
                let (digest, _) = self.resolve(key, target)?;
                self.remove_tag(key, tag, digest)
            }
            Target::Digest(digest) => self.remove_image(key, digest),
        }
    }

    /// Deletes a tag, and with its last tag the image: ECR's way. A `digest` must be what the tag names.
    pub fn delete_tag(
        &self,
        key: &RepositoryKey,
        tag: &Tag,
        digest: Option<&Digest>,
    ) -> Result<Deleted, RegistryError> {
        let _turn = self.turn();
        let (tagged, _) = self.resolve(key, &Target::Tag(tag.clone()))?;
        if let Some(digest) = digest.filter(|digest| **digest != tagged) {
            self.resolve(key, &Target::Digest(*digest))?;
            return Err(RegistryError::TagOfAnother { tag: tag.to_string(), digest: *digest });
        }
        let is_last = self.tags_by_digest(key)?.get(&tagged).is_none_or(|tags| tags.len() <= 1);
        if is_last { self.remove_image(key, &tagged) } else { self.remove_tag(key, tag, tagged) }
    }

    /// Deletes an image if it still has these tags: who decided that it may go knew no others.
    ///
    /// False when it has others by now, is gone, or is listed by an index.
    pub fn delete_image_as(&self, key: &RepositoryKey, digest: &Digest, tags: &[Tag]) -> Result<bool, RegistryError> {
        let _turn = self.turn();
        if self.tags_by_digest(key)?.remove(digest).unwrap_or_default() != tags {
            return Ok(false);
        }
        match self.remove_image(key, digest) {
            Ok(_) => Ok(true),
            Err(RegistryError::ManifestUnknown | RegistryError::Referenced { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn remove_tag(&self, key: &RepositoryKey, tag: &Tag, digest: Digest) -> Result<Deleted, RegistryError> {
        layout::remove(&self.dir(key).tag(tag))?;
        Ok(Deleted { digest, tags: vec![tag.clone()] })
    }

    fn remove_image(&self, key: &RepositoryKey, digest: &Digest) -> Result<Deleted, RegistryError> {
        let (digest, record) = self.resolve(key, &Target::Digest(*digest))?;
        let by = self.indexes_with(key, &digest)?;
        if !by.is_empty() {
            return Err(RegistryError::Referenced { by });
        }
        let dir = self.dir(key);
        let tags = self.tags_by_digest(key)?.remove(&digest).unwrap_or_default();
        for tag in &tags {
            layout::remove(&dir.tag(tag))?;
        }
        layout::remove(&dir.manifest(&digest))?;
        if let Some(subject) = &record.subject {
            layout::remove(&dir.referrer(subject, &digest))?;
        }
        layout::remove_dir(&dir.indexes(&digest))?;
        layout::remove_if_any(&dir.replicas(&digest))?;
        Ok(Deleted { digest, tags })
    }

    /// The indexes that list a manifest. A mark that outlived its index says nothing.
    pub fn indexes_with(&self, key: &RepositoryKey, digest: &Digest) -> Result<Vec<Digest>, RegistryError> {
        let dir = self.dir(key);
        let mut indexes = layout::digests(&dir.indexes(digest))?;
        indexes.retain(|index| dir.manifest(index).exists());
        Ok(indexes)
    }
}
