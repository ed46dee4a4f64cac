//! The registry of this process, as its own node sees it: names become digests without a request.

use std::collections::HashSet;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use blobs::{Blobs, Digest};
use images::{Bringing, LocalAnswer, LocalImage, LocalRegistry, Missing};
use registry::{Registry, RegistryError, RepositoryKey, Scope, Target};

pub struct BuiltInRegistry {
    pub registry: Arc<Registry>,
    /// The node's. Where the registry's are the same, nothing travels.
    pub blobs: Blobs,
    /// Whose repositories a name without account and region means.
    pub default_scope: Scope,
    pub port: u16,
}

impl BuiltInRegistry {
    /// The repository and the manifest that a name means.
    fn wanted(&self, image: &LocalImage<'_>) -> Result<(RepositoryKey, Target), LocalAnswer> {
        let unknown_repository = |message: String| LocalAnswer::RepositoryUnknown { message };
        let scope = match image.scope {
            None => self.default_scope.clone(),
            Some((account, region)) => Scope::new(account, region)
                .ok_or_else(|| unknown_repository(format!("{account} in {region} is no registry")))?,
        };
        let no_name = |_| unknown_repository(format!("'{}' is no repository name", image.repository));
        let no_tag = |_| LocalAnswer::ManifestUnknown { message: format!("'{}' is no tag", image.target) };
        let key = RepositoryKey::new(&scope, image.repository.parse().map_err(no_name)?);
        Ok((key, image.target.parse().map_err(no_tag)?))
    }
}

impl LocalRegistry for BuiltInRegistry {
    fn serves(&self, host: &str) -> bool {
        let Some((name, port)) = host.rsplit_once(':') else { return false };
        port.parse() == Ok(self.port) && ["localhost", "127.0.0.1", "[::1]"].contains(&name)
    }

    fn bring<'a>(&'a self, image: LocalImage<'a>, missing: Missing) -> Bringing<'a> {
        Box::pin(async move {
            // What is no name here is told by `resolve`, in the usual words.
            let Ok((key, target)) = self.wanted(&image) else { return Ok(()) };
            match missing {
                Missing::Target => self.registry.freshen(&key, &target).await?,
                Missing::Part(digest) => {
                    self.registry.bring_part(&key, digest).await?;
                    if self.registry.is_shared() {
                        match self.registry.place(&key, digest, &self.blobs).await {
                            // The node finds that it is missing, in the usual words.
                            Err(RegistryError::BlobUnknown { .. }) => {}
                            placed => placed?,
                        }
                    }
                }
            }
            Ok(())
        })
    }

    fn resolve(&self, image: &LocalImage<'_>) -> Result<LocalAnswer, Box<dyn Error + Send + Sync>> {
        let (key, target) = match self.wanted(image) {
            Ok(wanted) => wanted,
            Err(answer) => return Ok(answer),
        };
        match self.registry.resolve(&key, &target) {
            Ok((digest, _)) => Ok(LocalAnswer::Manifest(digest)),
            Err(error @ RegistryError::NameUnknown { .. }) => {
                Ok(LocalAnswer::RepositoryUnknown { message: error.to_string() })
            }
            Err(error @ RegistryError::ManifestUnknown) => {
                Ok(LocalAnswer::ManifestUnknown { message: error.to_string() })
            }
            Err(error) => Err(Box::new(error)),
        }
    }

    fn prune(&self, unused_for: Duration) -> Result<(), Box<dyn Error + Send + Sync>> {
        // Where other servers have the same registry, it prunes by its own hour.
        if !self.registry.is_shared() {
            self.registry.prune(unused_for)?;
        }
        Ok(())
    }

    fn needed_blobs(&self) -> Result<HashSet<Digest>, Box<dyn Error + Send + Sync>> {
        // What is in an object store needs nothing here.
        Ok(if self.registry.is_shared() { HashSet::new() } else { self.registry.needed_blobs()? })
    }
}
