//! The client side of OCI distribution, as far as pulling needs it.
//!
//! It is ours, over hyper, rather than `oci-client`: that would bring a second HTTP stack, cannot continue a download that
//! broke off, and keeps a registry's own words about a refusal to itself, which `describe-tasks` must show.

mod auth;
mod download;
mod fetch;
mod http;
mod repository;

pub use auth::Auth;
pub(crate) use fetch::{Fetched, Session};
pub(crate) use http::Http;
pub use repository::{RemoteBlob, RemoteManifest, RemoteRegistries, RemoteRepository};
