//! The registry over a server that speaks S3: `moto_server`, as PyPI has it, and a proxy before it that breaks things.

#[path = "../support/mod.rs"]
mod support;

mod faults;
mod kill;
mod moto;
mod proxy;
mod shared;
