//! Content-addressed bytes, on disk or in an object store, shared by the node's images and the built-in registry.
//!
//! A blob is a file named by the SHA-256 of what is in it. It appears whole or not at all: bytes are written aside
//! with a running digest, flushed to the disk, and only then renamed to their name. So an image that was pushed to the
//! registry is run by the agent from the very same files.
//!
//! This crate never knows what a blob means: manifests, tags and layers belong to its users, and so does the decision
//! which blobs are still needed ([`Blobs::sweep`] is told).
//!
//! A registry may keep its blobs in an object store instead ([`BlobStore`]); the directory then only stands before it.
//!
//! Start reading at [`Blobs`]; [`Upload`] is how bytes arrive over many requests, [`pump`] is how they arrive from a stream.

#![forbid(unsafe_code)]

mod blob_store;
mod bucket;
mod digest;
mod disk_use;
pub mod durable;
mod error;
mod pump;
mod store;
mod upload;

pub use blob_store::{BlobStore, Content};
pub use bucket::{Stream as ObjectStream, blocking};
pub use digest::{Algorithm, Digest, DigestError, Hasher};
pub use disk_use::DiskUse;
pub use error::BlobError;
pub use pump::{PumpError, pump};
pub use store::{BlobWriter, Blobs, Swept};
pub use upload::{Upload, UploadId};
