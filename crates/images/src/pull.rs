//! From a name to an image: whom to ask, and what to do when nobody answers.

use std::collections::HashSet;
use std::sync::Arc;

use blobs::{BlobError, Digest};
use bytes::Bytes;

use crate::image::{Content, Image, document};
use crate::limits::{DOCUMENT_BYTES_MAX, INDEX_DEPTH_MAX, PULL_AGAIN_AFTER_MAX};
use crate::local::{LocalAnswer, LocalImage, Missing};
use crate::manifest::{Document, choose};
use crate::ready::Source;
use crate::references::{Origin, Stored};
use crate::remote::{Fetched, Session};
use crate::{Auth, ImageError, ImageStore, Reference};

/// When a registry is asked. Source: Amazon ECS Developer Guide, `ECS_IMAGE_PULL_BEHAVIOR`.
///
/// An image that came from an archive came from no registry: its name may mean nothing there, or a stranger's image, and a node
/// without a network would wait for an answer before each container. So all but `Always` use it as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PullBehavior {
    /// Always; when that fails, the image that is here will do.
    #[default]
    Default,
    /// Always; when that fails, so does the pull.
    Always,
    /// Unless the image was pulled before.
    Once,
    /// Unless the image is here. The same as `Once`: what was pulled and collected since is pulled again by both.
    PreferCached,
}

impl PullBehavior {
    /// Reads a value of `ECS_IMAGE_PULL_BEHAVIOR`.
    pub fn from_name(name: &str) -> Option<PullBehavior> {
        match name {
            "default" => Some(PullBehavior::Default),
            "always" => Some(PullBehavior::Always),
            "once" => Some(PullBehavior::Once),
            "prefer-cached" => Some(PullBehavior::PreferCached),
            _ => None,
        }
    }
}

/// How far a pull is. Layers that are here already count as done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    pub layers: usize,
    /// Unpacked and ready.
    pub layers_done: usize,
    /// Of all layers, as they travel.
    pub bytes: u64,
    pub bytes_done: u64,
}

/// Is told of progress, often and from any thread; it should return at once.
pub type OnProgress<'a> = &'a (dyn Fn(Progress) + Send + Sync);

impl ImageStore {
    /// Makes the image that a name stands for ready to run.
    ///
    /// A name that [`crate::LocalRegistry`] serves is resolved there on every call, under any behavior that asks at all: it costs
    /// no network, and a tag that was moved is seen at once.
    pub async fn pull(
        &self,
        name: &Reference,
        auth: &Auth,
        behavior: PullBehavior,
        on_progress: OnProgress<'_>,
    ) -> Result<Image, ImageError> {
        let known = self.inner.references.find(name);
        let asks_first = match behavior {
            PullBehavior::Always => true,
            PullBehavior::Once | PullBehavior::PreferCached => false,
            PullBehavior::Default => {
                let is_loaded = known.as_ref().is_some_and(|known| known.origin == Origin::Loaded);
                !is_loaded || self.is_local(name)
            }
        };
        if !asks_first && let Some(image) = self.cached(known.as_ref()).await {
            return Ok(image);
        }
        // Nobody waits for a registry that may come back, when what is here will do.
        let attempts = match behavior == PullBehavior::Default && asks_first && known.is_some() {
            true => 1,
            false => self.inner.options.pull_attempts,
        };
        let error = match self.ask_again(name, auth, on_progress, attempts).await {
            Ok(image) => return Ok(image),
            Err(error) => error,
        };
        if behavior == PullBehavior::Default
            && asks_first
            && let Some(image) = self.cached(known.as_ref()).await
        {
            tracing::warn!(%name, %error, "failed to pull an image; the one that is here will do");
            return Ok(image);
        }
        Err(error)
    }

    /// Makes the image ready that a name stood for when somebody looked before.
    ///
    /// One that is here in whole is the same as anywhere else, so that only `Always` asks all the same. An image from an archive has
    /// no other source: where the name now stands for another one, that one must do.
    pub async fn pull_pinned(
        &self,
        name: &Reference,
        digest: Digest,
        auth: &Auth,
        behavior: PullBehavior,
        on_progress: OnProgress<'_>,
    ) -> Result<Image, ImageError> {
        let known = self.inner.references.find(name);
        let is_loaded = known.as_ref().is_some_and(|known| known.origin == Origin::Loaded);
        if (behavior != PullBehavior::Always || is_loaded)
            && let Ok(content) = self.on_disk(move |inner| inner.content(digest)).await
            && let Ok(image) = self.ready(content, Source::Disk, &|_| {}).await
        {
            return Ok(image);
        }
        let pinned = format!("{}@{digest}", name.familiar()).parse().map_err(ImageError::Reference)?;
        let attempts = if is_loaded { 1 } else { self.inner.options.pull_attempts };
        match self.ask_again(&pinned, auth, on_progress, attempts).await {
            Err(error) if is_loaded => match self.cached(known.as_ref()).await {
                Some(image) => {
                    tracing::warn!(%name, %digest, "an image was loaded again, and what it was before is not here any more");
                    Ok(image)
                }
                None => Err(error),
            },
            pulled => pulled,
        }
    }

    /// The image that a name stood for, if all of it is still here.
    async fn cached(&self, known: Option<&Stored>) -> Option<Image> {
        let known = known?.clone();
        let content = self.on_disk(move |inner| {
            inner.references.touch(&known.name);
            inner.content(known.digest)
        });
        let image = self.ready(content.await.ok()?, Source::Disk, &|_| {}).await;
        image.inspect_err(|error| tracing::debug!(%error, "an image is here only in part")).ok()
    }

    fn is_local(&self, name: &Reference) -> bool {
        let local = self.inner.options.local.as_ref();
        local.is_some_and(|local| name.ecr_scope().is_some() || local.serves(name.host()))
    }

    async fn ask_again(
        &self,
        name: &Reference,
        auth: &Auth,
        on_progress: OnProgress<'_>,
        attempts: u32,
    ) -> Result<Image, ImageError> {
        let mut wait = self.inner.options.pull_again_after;
        for _ in 1..attempts {
            match self.ask(name, auth, on_progress).await {
                Err(error) if error.may_pass() => {
                    tracing::info!(%name, %error, "a registry is in trouble; it is asked again")
                }
                answer => return answer,
            }
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(PULL_AGAIN_AFTER_MAX);
        }
        self.ask(name, auth, on_progress).await
    }

    async fn ask(&self, name: &Reference, auth: &Auth, on_progress: OnProgress<'_>) -> Result<Image, ImageError> {
        let image = if self.is_local(name) {
            let content = self.resolve_local(name).await?;
            self.ready(content, Source::Local(name), on_progress).await?
        } else {
            let session = self.session(name, auth).await?;
            let content = self.bring_documents(&session, name).await?;
            self.ready(content, Source::Remote(&session), on_progress).await?
        };
        let (name, content) = (name.clone(), Arc::clone(image.content()));
        self.on_disk(move |inner| inner.references.put(&name, content.digest, Origin::Pulled, content.size_bytes()))
            .await?;
        Ok(image)
    }

    /// Resolves a name in the built-in registry, which may have to bring manifests and configuration from elsewhere.
    async fn resolve_local(&self, name: &Reference) -> Result<Arc<Content>, ImageError> {
        self.bring_local(name, Missing::Target).await?;
        let mut brought = HashSet::new();
        loop {
            match self.look_up_local(name).await {
                Err(ImageError::Blobs(BlobError::NotFound { digest })) if brought.insert(digest) => {
                    self.bring_local(name, Missing::Part(digest)).await?;
                }
                found => return found,
            }
        }
    }

    pub(crate) async fn bring_local(&self, name: &Reference, missing: Missing) -> Result<(), ImageError> {
        let Some(local) = &self.inner.options.local else { return Ok(()) };
        let target = name.target();
        let image = LocalImage { scope: name.scope(), repository: name.repository(), target: &target };
        let brought = local.bring(image, missing).await;
        brought.map_err(|error| ImageError::Local { reason: error.to_string() })
    }

    async fn look_up_local(&self, name: &Reference) -> Result<Arc<Content>, ImageError> {
        let name = name.clone();
        self.on_disk(move |inner| {
            let failed = |reason: String| ImageError::Local { reason };
            let local = inner.options.local.as_ref().ok_or_else(|| failed("there is none".to_owned()))?;
            let target = name.target();
            let image = LocalImage { scope: name.scope(), repository: name.repository(), target: &target };
            match local.resolve(&image).map_err(|error| failed(error.to_string()))? {
                LocalAnswer::Manifest(digest) => inner.content(digest),
                LocalAnswer::ManifestUnknown { message } => {
                    Err(ImageError::ManifestUnknown { name: name.familiar(), message })
                }
                LocalAnswer::RepositoryUnknown { message } => {
                    Err(ImageError::RepositoryUnknown { name: name.familiar_name(), message })
                }
            }
        })
        .await
    }

    async fn session(&self, name: &Reference, auth: &Auth) -> Result<Session, ImageError> {
        let http = self.on_disk(|inner| Ok(inner.http())).await?;
        let options = &self.inner.options;
        let (base, host) = match (name.host(), &options.ecr_endpoint) {
            (host, Some(endpoint)) if name.ecr_scope().is_some() => {
                (endpoint.trim_end_matches('/').to_owned(), Some(host.to_owned()))
            }
            // Docker Hub's registry does not live where its name says.
            ("docker.io", _) => ("https://registry-1.docker.io".to_owned(), None),
            (host, _) => {
                let is_plain =
                    name.is_loopback() || options.insecure_registries.iter().any(|insecure| insecure == host);
                (format!("{}://{host}", if is_plain { "http" } else { "https" }), None)
            }
        };
        Ok(Session::new(http, name.clone(), auth.clone(), base, host))
    }

    /// Brings the manifest that a name stands for, the indexes that lead to it, and the configuration.
    async fn bring_documents(&self, session: &Session, name: &Reference) -> Result<Arc<Content>, ImageError> {
        let Fetched { digest: root, mut bytes, .. } = session.manifest(&name.target()).await?;
        self.keep_document(root, bytes.clone()).await?;
        for _ in 0..=INDEX_DEPTH_MAX {
            match Document::parse(&bytes)? {
                Document::Index(manifests) => {
                    let next = choose(&manifests, &self.inner.options.platform)?.digest;
                    bytes = match self.on_disk(move |inner| document(inner.blobs(), next)).await {
                        Ok(bytes) => bytes.into(),
                        Err(_) => session.manifest(&next.to_string()).await?.bytes,
                    };
                    self.keep_document(next, bytes.clone()).await?;
                }
                Document::Manifest(manifest) => {
                    let (blob, size) = (manifest.config.digest, manifest.config.size);
                    if size > DOCUMENT_BYTES_MAX {
                        let reason = format!("it is larger than {DOCUMENT_BYTES_MAX} bytes");
                        return Err(ImageError::Invalid { what: "image configuration", reason });
                    }
                    let _turn = self.inner.downloads.turn(blob).await;
                    if self.on_disk(move |inner| document(inner.blobs(), blob)).await.is_err() {
                        session.blob(self.inner.blobs(), blob, size, &|_| {}).await?;
                    }
                    return self.on_disk(move |inner| inner.content(root)).await;
                }
            }
        }
        Err(ImageError::Invalid { what: "index", reason: "too many indexes in each other".to_owned() })
    }

    async fn keep_document(&self, digest: Digest, bytes: Bytes) -> Result<(), ImageError> {
        self.on_disk(move |inner| Ok(inner.blobs().put_by(digest.algorithm(), &bytes).map(|_| ())?)).await
    }
}
