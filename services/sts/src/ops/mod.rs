//! One file, one operation.

pub(crate) mod get_caller_identity;
