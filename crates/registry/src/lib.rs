//! The OCI distribution protocol over the blob store.
