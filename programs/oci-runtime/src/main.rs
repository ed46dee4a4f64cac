//! A one-shot OCI runtime on libcontainer.

fn main() {}
