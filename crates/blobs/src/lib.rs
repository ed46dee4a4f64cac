//! Content-addressed bytes, shared by images and the registry.
