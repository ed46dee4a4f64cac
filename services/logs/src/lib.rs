//! Amazon CloudWatch Logs.
#![forbid(unsafe_code)]
pub mod pattern;
