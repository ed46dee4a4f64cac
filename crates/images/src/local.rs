//! The built-in registry, seen from a node that shares its blob directory.

use std::collections::HashSet;
use std::error::Error;
use std::time::Duration;

use blobs::Digest;
use futures::future::BoxFuture;

/// An image as the built-in registry knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalImage<'a> {
    /// Account and region, when the name gives them.
    pub scope: Option<(&'a str, &'a str)>,
    pub repository: &'a str,
    /// A tag, or a digest with its `sha256:`.
    pub target: &'a str,
}

/// What the built-in registry says about a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LocalAnswer {
    /// The manifest or index; it and its parts are in the shared blobs.
    Manifest(Digest),
    ManifestUnknown {
        message: String,
    },
    RepositoryUnknown {
        message: String,
    },
}

/// What of an image is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// What its name stands for, or the certainty that it still does.
    Target,
    /// A manifest, a configuration or a layer of it.
    Part(Digest),
}

/// What comes of an asynchronous call.
pub type Bringing<'a> = BoxFuture<'a, Result<(), Box<dyn Error + Send + Sync>>>;

/// A registry whose blobs are the image store's own, so that nothing needs to travel.
///
/// All calls may repeat and be concurrent; `resolve` changes nothing. All but `serves` may block on the disk.
pub trait LocalRegistry: Send + Sync {
    /// Whether `host`, with its port, is this registry. Names in ECR's form are asked of it without this.
    fn serves(&self, host: &str) -> bool;

    fn resolve(&self, image: &LocalImage<'_>) -> Result<LocalAnswer, Box<dyn Error + Send + Sync>>;

    /// Asks the registry to have something of an image that it may have to bring from elsewhere. It comes before `resolve`.
    fn bring<'a>(&'a self, image: LocalImage<'a>, missing: Missing) -> Bringing<'a>;

    /// Forgets what was pushed and has not been needed for `unused_for`; the store asks for it before it asks what is needed.
    fn prune(&self, unused_for: Duration) -> Result<(), Box<dyn Error + Send + Sync>>;

    /// Every blob that the registry wants kept. The store asks before it deletes, so that nobody can forget to.
    fn needed_blobs(&self) -> Result<HashSet<Digest>, Box<dyn Error + Send + Sync>>;
}
