//! Pull-through cache rules, followed: ECR keeps them, and the node's client of other registries speaks to what they name.

use std::sync::Arc;

use async_trait::async_trait;
use blobs::Digest;
use futures::StreamExt;
use images::{Auth, ErrorKind, ImageError, RemoteRegistries, RemoteRepository};
use registry::{
    MediaType, Registry, RegistryError, RepositoryKey, Target, Upstream, UpstreamBlob, UpstreamError, UpstreamManifest,
    Upstreams,
};

/// Every repository that a rule covers is a copy.
#[derive(Debug, Default)]
pub struct CacheRules {
    registries: RemoteRegistries,
}

impl Upstreams for CacheRules {
    fn of(&self, registry: &Registry, key: &RepositoryKey) -> Result<Option<Arc<dyn Upstream>>, RegistryError> {
        let Some(from) = service_ecr::cached_from(registry, key)? else { return Ok(None) };
        if let Some(arn) = from.credential_arn {
            let message = format!("the login in {arn} cannot be read: Berth does not have AWS Secrets Manager yet");
            return Ok(Some(Arc::new(NoWay { message })));
        }
        Ok(Some(match self.registries.repository(&from.url, &from.repository, Auth::Anonymous) {
            Ok(repository) => Arc::new(There { repository }),
            Err(error) => Arc::new(NoWay { message: error.to_string() }),
        }))
    }
}

/// A repository of another registry.
struct There {
    repository: RemoteRepository,
}

#[async_trait]
impl Upstream for There {
    async fn ping(&self) -> Result<(), UpstreamError> {
        self.repository.ping().await.map_err(why)
    }

    async fn manifest(&self, target: &Target) -> Result<UpstreamManifest, UpstreamError> {
        let found = self.repository.manifest(&target.to_string()).await.map_err(why)?;
        // Some registries send manifests as plain JSON; then what is inside says what it is.
        let media_type = found.media_type.filter(|text| MediaType::parse(text).is_some());
        Ok(UpstreamManifest { media_type, bytes: found.bytes })
    }

    async fn blob(&self, digest: &Digest, start: u64) -> Result<UpstreamBlob, UpstreamError> {
        let found = self.repository.blob(digest, start).await.map_err(why)?;
        Ok(UpstreamBlob { start: found.start, size: found.size, body: found.body.boxed() })
    }
}

fn why(error: ImageError) -> UpstreamError {
    match error.kind() {
        ErrorKind::NotFound => UpstreamError::NotFound,
        ErrorKind::Denied => UpstreamError::Denied { message: error.to_string() },
        _ => UpstreamError::Unreachable { reason: error.to_string() },
    }
}

/// A rule that cannot be followed. What was copied before is served all the same.
struct NoWay {
    message: String,
}

#[async_trait]
impl Upstream for NoWay {
    async fn ping(&self) -> Result<(), UpstreamError> {
        Err(UpstreamError::Denied { message: self.message.clone() })
    }

    async fn manifest(&self, _: &Target) -> Result<UpstreamManifest, UpstreamError> {
        Err(UpstreamError::Denied { message: self.message.clone() })
    }

    async fn blob(&self, _: &Digest, _: u64) -> Result<UpstreamBlob, UpstreamError> {
        Err(UpstreamError::Denied { message: self.message.clone() })
    }
}
