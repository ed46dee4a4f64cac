//! The built-in image registry: OCI distribution 1.1 over a blob store and a directory of repositories.
//!
//! [`router`] answers `docker push`, `skopeo copy` and every other OCI client; [`Registry`] is the same content as plain
//! calls, for ECR's API and for the node that runs images from here without copying them.
//!
//! Repositories belong to an account and a region, which the request's `Host` names in the form
//! `ACCOUNT.dkr.ecr.REGION.…`; any other host means the default ones. The registry runs in open mode: it asks for no login and
//! accepts any, the one of ECR's `GetAuthorizationToken` included, and a push to a repository that does not exist creates
//! it ([`Config::create_on_push`]).
//!
//! Everything lies in a directory ([`Registry::open`]), or in an object store that several servers may share
//! ([`Registry::open_in`]).
//!
//! It never holds a blob in memory. It deletes blobs only where they are its own ([`Registry::collect`]); where a node shares them, it
//! says which it needs ([`Registry::needed_blobs`]), and the node sweeps.
//!
//! Start reading at [`Registry`], then `http/mod.rs`.

#![forbid(unsafe_code)]

mod cache;
mod collect;
mod deletion;
mod elsewhere;
mod error;
mod fetch;
mod files;
mod http;
mod layout;
mod limits;
mod manifest;
mod name;
mod parts;
mod records;
mod replication;
mod repository;
mod settings;
mod signing;
mod templates;
mod tidy;
mod turns;
mod upload;
mod upstream;

pub use collect::Collected;
pub use deletion::Deleted;
pub use error::RegistryError;
#[doc(hidden)]
pub use http::parsers;
pub use http::router;
pub use limits::{BLOB_BYTES_MAX, MANIFEST_BYTES_MAX, PAGE_ITEMS_MAX};
pub use manifest::{Manifest, MediaType};
pub use name::{RepositoryKey, RepositoryName, Scope, Tag, Target};
pub use records::Holder;
pub use replication::{Destination, Replica, ReplicaStatus, Replication, ReplicationRule};
pub use repository::{Config, Image, ManifestRecord, Registry, Repository};
pub use settings::{RepositorySettings, TagMutability, fits};
pub use templates::{AppliedFor, CreationTemplate, CreationTemplates, is_below};
pub use upstream::{Upstream, UpstreamBlob, UpstreamError, UpstreamManifest, Upstreams};
