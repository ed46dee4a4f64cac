//! The pull-through cache: repositories that are copies of others, filled as they are read.
//!
//! Source: Amazon ECR User Guide, "Sync an upstream registry with an Amazon ECR private registry": a tag is looked up again when the
//! last look was 24 hours ago, and what is cached is served when the upstream registry cannot be reached.

use std::sync::Arc;

use blobs::Digest;
use tokio::task::spawn_blocking;

use crate::limits::TAG_FRESH_FOR;
use crate::repository::{Parts, now};
use crate::upstream::{Upstream, UpstreamError};
use crate::{AppliedFor, Registry, RegistryError, RepositoryKey, Target};

impl Registry {
    /// Where a repository's images come from when they are not here.
    pub(crate) fn upstream(&self, key: &RepositoryKey) -> Result<Option<Arc<dyn Upstream>>, RegistryError> {
        match &self.upstreams {
            None => Ok(None),
            Some(upstreams) => upstreams.of(self, key),
        }
    }

    /// Whether the registry that a repository is a copy of would answer. `None` for a repository of its own.
    pub async fn ping_upstream(
        self: &Arc<Self>,
        key: &RepositoryKey,
    ) -> Result<Option<Result<(), UpstreamError>>, RegistryError> {
        let (registry, of) = (Arc::clone(self), key.clone());
        let looked = spawn_blocking(move || registry.upstream(&of)).await.map_err(|_| RegistryError::Abandoned)??;
        Ok(match looked {
            Some(upstream) => Some(upstream.ping().await),
            None => None,
        })
    }

    /// Makes sure that a manifest is here, and that a tag means what it means upstream, if the repository is a copy of another.
    pub async fn freshen(self: &Arc<Self>, key: &RepositoryKey, target: &Target) -> Result<(), RegistryError> {
        let (registry, of, wanted) = (Arc::clone(self), key.clone(), target.clone());
        let looked = spawn_blocking(move || {
            let Some(upstream) = registry.upstream(&of)? else { return Ok(None) };
            Ok::<_, RegistryError>(Some((upstream, registry.known(&of, &wanted)?)))
        });
        let Some((upstream, known)) = looked.await.map_err(|_| RegistryError::Abandoned)?? else { return Ok(()) };
        if known == Known::Fresh {
            return Ok(());
        }
        // As long as it takes: a second request for the same tag waits for the first, and then finds it fresh.
        let _turn = self.freshening.turn((key.clone(), target.to_string())).await;
        let (registry, of, wanted) = (Arc::clone(self), key.clone(), target.clone());
        let known = spawn_blocking(move || registry.known(&of, &wanted));
        let known = known.await.map_err(|_| RegistryError::Abandoned)??;
        if known == Known::Fresh {
            return Ok(());
        }
        match upstream.manifest(target).await {
            Ok(found) => {
                let (registry, key, target) = (Arc::clone(self), key.clone(), target.clone());
                let stored = spawn_blocking(move || {
                    registry.repository_or_new(&key, AppliedFor::PullThroughCache)?;
                    registry.store_parts(&key, &target, found.media_type.as_deref(), &found.bytes, Parts::MayCome)
                });
                match stored.await.map_err(|_| RegistryError::Abandoned)? {
                    // Whoever made the tag immutable here wants what it named first.
                    Ok(_) | Err(RegistryError::TagImmutable { .. }) => Ok(()),
                    Err(error) => Err(error),
                }
            }
            Err(error) if known == Known::Stale => {
                tracing::warn!(repository = %key, %target, %error, "the cached image is served as it is");
                Ok(())
            }
            // Whoever asked finds that it is not here, and is told so in the usual words.
            Err(UpstreamError::NotFound) => Ok(()),
            Err(error) => Err(RegistryError::Upstream(error)),
        }
    }

    fn known(&self, key: &RepositoryKey, target: &Target) -> Result<Known, RegistryError> {
        match self.resolve(key, target) {
            Err(RegistryError::NameUnknown { .. } | RegistryError::ManifestUnknown) => return Ok(Known::Nothing),
            Err(error) => return Err(error),
            Ok(_) => {}
        }
        let Target::Tag(tag) = target else { return Ok(Known::Fresh) };
        let checked_at = self.tag_checked_at(key, tag)?;
        // What was pushed here by hand has no such time, and is nobody's copy.
        let is_fresh = checked_at.is_none_or(|at| now().since(at) < TAG_FRESH_FOR);
        Ok(if is_fresh { Known::Fresh } else { Known::Stale })
    }

    /// Makes sure that a part of an image is here, a manifest or a blob, if the repository is a copy of another.
    pub async fn bring_part(self: &Arc<Self>, key: &RepositoryKey, digest: Digest) -> Result<(), RegistryError> {
        let (registry, of) = (Arc::clone(self), key.clone());
        let looked = spawn_blocking(move || {
            let is_here = registry.use_blob(&of, &digest).is_ok();
            Ok::<_, RegistryError>(if is_here { None } else { registry.upstream(&of)? })
        });
        let Some(upstream) = looked.await.map_err(|_| RegistryError::Abandoned)?? else { return Ok(()) };
        self.freshen(key, &Target::Digest(digest)).await?;
        let (registry, of) = (Arc::clone(self), key.clone());
        let is_manifest = spawn_blocking(move || registry.resolve(&of, &Target::Digest(digest)).is_ok()).await;
        if is_manifest.map_err(|_| RegistryError::Abandoned)? {
            return Ok(());
        }
        self.fetch_blob(key, digest, upstream).await?.done().await
    }
}

/// What is here of something that another registry has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Known {
    Fresh,
    /// A tag that may have moved.
    Stale,
    Nothing,
}
