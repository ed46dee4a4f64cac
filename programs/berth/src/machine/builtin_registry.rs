//! The registry of this process, as its own node sees it: names become digests without a request.

use std::collections::HashSet;
use std::error::Error;
use std::sync::Arc;

use blobs::Digest;
use images::{LocalAnswer, LocalImage, LocalRegistry};
use registry::{Registry, RegistryError, RepositoryKey, Scope, Target};

pub struct BuiltInRegistry {
    pub registry: Arc<Registry>,
    /// Whose repositories a name without account and region means.
    pub default_scope: Scope,
    pub port: u16,
}

impl LocalRegistry for BuiltInRegistry {
    fn serves(&self, host: &str) -> bool {
        let Some((name, port)) = host.rsplit_once(':') else { return false };
        port.parse() == Ok(self.port) && ["localhost", "127.0.0.1", "[::1]"].contains(&name)
    }

    fn resolve(&self, image: &LocalImage<'_>) -> Result<LocalAnswer, Box<dyn Error + Send + Sync>> {
        let unknown_repository = |message: String| LocalAnswer::RepositoryUnknown { message };
        let scope = match image.scope {
            None => self.default_scope.clone(),
            Some((account, region)) => match Scope::new(account, region) {
                Some(scope) => scope,
                None => return Ok(unknown_repository(format!("{account} in {region} is no registry"))),
            },
        };
        let Ok(name) = image.repository.parse() else {
            return Ok(unknown_repository(format!("'{}' is no repository name", image.repository)));
        };
        let Ok(target) = image.target.parse::<Target>() else {
            return Ok(LocalAnswer::ManifestUnknown { message: format!("'{}' is no tag", image.target) });
        };
        match self.registry.resolve(&RepositoryKey::new(&scope, name), &target) {
            Ok((digest, _)) => Ok(LocalAnswer::Manifest(digest)),
            Err(error @ RegistryError::NameUnknown { .. }) => Ok(unknown_repository(error.to_string())),
            Err(error @ RegistryError::ManifestUnknown) => {
                Ok(LocalAnswer::ManifestUnknown { message: error.to_string() })
            }
            Err(error) => Err(Box::new(error)),
        }
    }

    fn needed_blobs(&self) -> Result<HashSet<Digest>, Box<dyn Error + Send + Sync>> {
        Ok(self.registry.needed_blobs()?)
    }
}
