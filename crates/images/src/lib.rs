//! The node's images: found by name, pulled, verified, unpacked once, shared by all containers.
//!
//! [`ImageStore::pull`] brings an image from a registry over the OCI distribution protocol, or from the built-in
//! registry without copying a byte; [`ImageStore::load`] brings it from an archive. Either way an [`Image`] comes out:
//! its configuration, and directories, lowest first, that overlayfs mounts as they are.
//!
//! Nothing here mounts, runs, or knows ECS. Whatever an archive or a registry sends is held for hostile: digests are
//! checked, sizes are bounded, and unpacking cannot reach outside of the layer's own directory.
//!
//! Start reading at [`ImageStore`] (`store.rs`), then `pull.rs` and `ready.rs`; `unpack/` turns a tar stream into a directory,
//! and `remote/` speaks to registries.

#![forbid(unsafe_code)]

mod archive;
mod cache;
mod collect;
mod compression;
mod config;
mod error;
mod image;
mod layers;
mod limits;
mod load;
mod local;
mod manifest;
#[doc(hidden)]
pub mod parsers;
mod pins;
mod platform;
mod pull;
mod ready;
mod reference;
mod references;
mod remote;
mod settle;
mod single;
mod store;
mod unpack;
mod unused;

pub use collect::{Collected, Keep};
pub use config::{Healthcheck, ImageConfig};
pub use error::{ErrorKind, ImageError};
pub use image::Image;
pub use layers::Layer;
pub use load::Loaded;
pub use local::{Bringing, LocalAnswer, LocalImage, LocalRegistry, Missing};
pub use platform::Platform;
pub use pull::{OnProgress, Progress, PullBehavior};
pub use reference::{Reference, ReferenceError};
pub use references::{Origin, Stored};
pub use remote::{Auth, RemoteBlob, RemoteManifest, RemoteRegistries, RemoteRepository};
pub use store::{ImageStore, Options};
