//! What takes repositories, images and tags away.

use blobs::Digest;

use crate::{Registry, RegistryError, Repository, RepositoryKey, Tag, Target};

/// How many images are deleted while nobody can push.
const DELETED_IN_A_TURN: usize = 100;

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
        if !self.files.digests(&self.dir(key).manifests())?.is_empty() {
            return Err(RegistryError::RepositoryNotEmpty {
                name: key.name.to_string(),
                account: key.scope.account().to_owned(),
            });
        }
        self.dir(key).remove(&self.files)?;
        Ok(repository)
    }

    /// Deletes a repository with everything in it.
    pub fn delete_repository_and_images(&self, key: &RepositoryKey) -> Result<Repository, RegistryError> {
        let _turn = self.turn();
        let repository = self.repository(key)?;
        self.dir(key).remove(&self.files)?;
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

    /// Deletes those of some images that still have these tags: who decided that they may go knew no others. Gives their
    /// number; one that has other tags by now, is gone, or is listed by an index stays as it is.
    pub fn delete_images_as(&self, key: &RepositoryKey, images: &[(Digest, Vec<Tag>)]) -> Result<u64, RegistryError> {
        let mut deleted = 0;
        // Pushers have their turn in between.
        for images in images.chunks(DELETED_IN_A_TURN) {
            let _turn = self.turn();
            let mut tagged = self.tags_by_digest(key)?;
            for (digest, tags) in images {
                let found = tagged.remove(digest).unwrap_or_default();
                if found != *tags {
                    continue;
                }
                match self.remove_image_with(key, digest, found) {
                    Ok(_) => deleted += 1,
                    Err(RegistryError::ManifestUnknown | RegistryError::Referenced { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(deleted)
    }

    fn remove_tag(&self, key: &RepositoryKey, tag: &Tag, digest: Digest) -> Result<Deleted, RegistryError> {
        self.files.remove(&self.dir(key).tag(tag))?;
        Ok(Deleted { digest, tags: vec![tag.clone()] })
    }

    fn remove_image(&self, key: &RepositoryKey, digest: &Digest) -> Result<Deleted, RegistryError> {
        let tags = self.tags_by_digest(key)?.remove(digest).unwrap_or_default();
        self.remove_image_with(key, digest, tags)
    }

    /// The tags are all that the image has.
    fn remove_image_with(
        &self,
        key: &RepositoryKey,
        digest: &Digest,
        tags: Vec<Tag>,
    ) -> Result<Deleted, RegistryError> {
        let (digest, record) = self.resolve(key, &Target::Digest(*digest))?;
        let by = self.indexes_with(key, &digest)?;
        if !by.is_empty() {
            return Err(RegistryError::Referenced { by });
        }
        let dir = self.dir(key);
        for tag in &tags {
            self.files.remove(&dir.tag(tag))?;
        }
        self.files.remove(&dir.manifest(&digest))?;
        if let Some(subject) = &record.subject {
            self.files.remove(&dir.referrer(subject, &digest))?;
        }
        self.files.remove_dir(&dir.indexes(&digest))?;
        self.files.remove_if_any(&dir.replicas(&digest))?;
        Ok(Deleted { digest, tags })
    }

    /// The indexes that list a manifest. A mark that outlived its index says nothing.
    pub fn indexes_with(&self, key: &RepositoryKey, digest: &Digest) -> Result<Vec<Digest>, RegistryError> {
        let dir = self.dir(key);
        let mut indexes = self.files.digests(&dir.indexes(digest))?;
        let known = indexes.iter().map(|index| self.files.exists(&dir.manifest(index)));
        let known = known.collect::<Result<Vec<bool>, _>>()?;
        let mut known = known.into_iter();
        indexes.retain(|_| known.next().unwrap_or(false));
        Ok(indexes)
    }
}
