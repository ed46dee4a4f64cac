//! What clients rely on, once more over an object store: `support` looks at the name of this file's crate.
#![allow(clippy::duplicate_mod, reason = "each of these files is a test of its own too")]

#[path = "conformance.rs"]
mod conformance;
#[path = "interrupted.rs"]
mod interrupted;
#[path = "protocol.rs"]
mod protocol;
#[path = "skopeo.rs"]
mod skopeo;
