//! One file, one operation.

pub(crate) mod batch_delete_image;
pub(crate) mod create_repository;
pub(crate) mod delete_repository;
pub(crate) mod describe_images;
pub(crate) mod describe_repositories;
pub(crate) mod get_authorization_token;
pub(crate) mod list_images;
