//! Resolve, pull, verify and unpack container images.
