//! From a tar stream to a directory that overlayfs can mount.
//!
//! `tar.rs` reads entries and trusts nothing; `tree.rs` is a directory one cannot leave, `place.rs` a name in it; `apply.rs` is
//! what an entry means, whiteouts included.

mod apply;
mod place;
pub(crate) mod tar;
mod tree;

pub(crate) use apply::{ApplyError, Lower, apply};
