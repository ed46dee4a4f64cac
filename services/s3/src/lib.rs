//! Amazon S3, as much of it as tasks and their tools need: environment files, configurations of log routers, transcripts.
//!
//! | operations | file |
//! |---|---|
//! | CreateBucket, HeadBucket, ListBuckets, GetBucketLocation, DeleteBucket | `ops/create_bucket.rs`, ... |
//! | PutObject, GetObject, HeadObject, DeleteObject, DeleteObjects, CopyObject | `ops/put_object.rs`, ... |
//! | ListObjectsV2, ListObjects | `listing.rs`, `ops/list_objects_v2.rs`, ... |
//! | CreateMultipartUpload, UploadPart, CompleteMultipartUpload, AbortMultipartUpload, ListParts | `ops/upload_part.rs`, ... |
//!
//! What an object is lies among the records of the control plane, its bytes in a blob store under their digest. An object is put
//! by writing its bytes first and its record then, so nobody ever sees half of one; bytes that no record names are swept later.
//! There are no versions, access control lists, tags or lifecycle rules: what asks for them is refused.
//!
//! Start reading at [`S3Service`], then `ops/put_object.rs`.

#![forbid(unsafe_code)]

pub mod access;
mod bytes_in;
mod bytes_out;
mod checksums;
mod conditions;
pub mod limits;
mod listing;
mod names;
mod ops;
pub mod quirks;
mod ranges;
mod records;
mod refusals;
mod routes;
mod service;
mod views;

pub use service::S3Service;
