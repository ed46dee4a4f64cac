//! What is kept of S3 beside the bytes of objects: buckets, what each object is, and uploads in parts.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use stdx::Timestamp;

use crate::{Scope, Versioned};

/// A bucket. There is one of its name in all accounts and regions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    pub name: String,
    /// Whose it is, and where it was made.
    pub scope: Scope,
    pub created_at: Timestamp,
    /// Nothing may come into it any more: it goes as soon as it is known to be empty.
    pub is_closing: bool,
}

/// An object: what it says of itself, and where its bytes are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    pub bucket: String,
    pub key: String,
    /// Bytes.
    pub size: u64,
    /// Without quotation marks.
    pub etag: String,
    pub modified_at: Timestamp,
    /// One after another; more than one when it was uploaded in parts.
    pub content: Vec<Content>,
    pub headers: ObjectHeaders,
    pub checksum: Option<Checksum>,
}

/// Bytes by their digest, `sha256:…`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    pub digest: String,
    pub size: u64,
}

/// What a client put beside the bytes, to be said again with them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectHeaders {
    /// `Content-Type` and the like, by their names in the API.
    pub standard: BTreeMap<String, String>,
    /// What came as `x-amz-meta-…`, by the rest of the name.
    pub metadata: BTreeMap<String, String>,
}

/// What a client can compare bytes with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checksum {
    /// `CRC32`, `CRC32C`, `CRC64NVME`, `SHA1` or `SHA256`.
    pub algorithm: String,
    /// In Base64; of the checksums of the parts with their number behind it, where the kind says so.
    pub value: String,
    /// `FULL_OBJECT` or `COMPOSITE`.
    pub kind: String,
}

/// An upload in parts that has not ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MultipartUpload {
    pub bucket: String,
    pub key: String,
    pub id: String,
    pub initiated_at: Timestamp,
    pub headers: ObjectHeaders,
    /// What the parts and the object are to be compared with.
    pub checksum_algorithm: Option<String>,
    pub checksum_kind: Option<String>,
}

/// A part of such an upload.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UploadPart {
    pub bucket: String,
    pub upload: String,
    pub number: u32,
    pub etag: String,
    pub modified_at: Timestamp,
    pub content: Content,
    pub checksum: Option<Checksum>,
}

impl Versioned for Bucket {
    const VERSION: u32 = 1;
}

impl Versioned for Object {
    const VERSION: u32 = 1;
}

impl Versioned for MultipartUpload {
    const VERSION: u32 = 1;
}

impl Versioned for UploadPart {
    const VERSION: u32 = 1;
}
