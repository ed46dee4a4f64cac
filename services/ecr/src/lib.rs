//! Amazon ECR: the repositories and images of the built-in registry, as the AWS API shows them.
//!
//! | what | where |
//! |---|---|
//! | every operation | `ops/`, one a file |
//! | layers and uploads; images by tag and digest | `layers.rs`, `image_ids.rs` |
//! | lifecycle policies: read, decide, act | `lifecycle/` |
//! | resource policies, scanning settings, pull-through cache rules, creation templates, as they are kept | `policies.rs`, `scanning.rs`, `cache_rules.rs`, `templates.rs` |
//! | which permission an operation asks for | `access.rs` |
//!
//! What is pushed and pulled lives in `registry`; this crate gives it AWS's names, rules and errors. A caller sees the
//! repositories of its own account and region. What it has to remember it leaves with the registry, and it never speaks the registry's own protocol.
//! Start reading at [`EcrService`]; [`quirks`] says where AWS, or we, surprise.

#![forbid(unsafe_code)]

mod access;
mod cache_rules;
#[cfg(test)]
mod golden;
mod image_ids;
mod layers;
mod lifecycle;
pub mod limits;
mod names;
mod ops;
mod pages;
mod policies;
pub mod quirks;
mod refusals;
mod resource_tags;
mod scanning;
mod service;
mod settings;
mod templates;
mod views;

pub use access::{ACCESS, Access};
pub use cache_rules::{CachedFrom, NO_SECRETS, cached_from};
pub use lifecycle::Applied;
pub use service::EcrService;
