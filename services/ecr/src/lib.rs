//! Amazon ECR: the repositories and images of the built-in registry, as the AWS API shows them.
//!
//! | operations | file |
//! |---|---|
//! | CreateRepository, DescribeRepositories, DeleteRepository | `ops/create_repository.rs`, ... |
//! | ListImages, DescribeImages, BatchDeleteImage | `ops/list_images.rs`, ... |
//! | GetAuthorizationToken | `ops/get_authorization_token.rs` |
//!
//! What is pushed and pulled lives in `registry`; this crate gives it AWS's names, rules and errors. A caller sees the
//! repositories of its own account and region. It keeps nothing itself, and never speaks the registry's own protocol.
//! Start reading at [`EcrService`]; [`quirks`] says where AWS, or we, surprise.

#![forbid(unsafe_code)]

mod image_ids;
pub mod limits;
mod names;
mod ops;
mod pages;
pub mod quirks;
mod refusals;
mod resource_tags;
mod service;
mod views;

pub use service::EcrService;
