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
pub(crate) use fetch::{Fetched, Session, follow};
pub(crate) use http::Http;
pub use repository::{RemoteBlob, RemoteManifest, RemoteRegistries, RemoteRepository};

/// Whether a `WWW-Authenticate` header asks for something that we can answer.
pub(crate) fn is_challenge(header: &str) -> bool {
    auth::Challenge::parse(header).is_some()
}
