//! Which permission each operation asks for. Open mode asks for none; `--auth iam` will.
//!
//! Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon S3".

/// The IAM action of an operation, and the kind of resource it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    pub operation: &'static str,
    pub action: &'static str,
    /// `*` when the action cannot be narrowed to a resource.
    pub resource: &'static str,
}

macro_rules! access {
    ($($operation:literal is $action:literal on $resource:literal,)*) => {
        &[$(Access { operation: $operation, action: concat!("s3:", $action), resource: $resource },)*]
    };
}

pub const ACCESS: &[Access] = access! {
    "AbortMultipartUpload" is "AbortMultipartUpload" on "object",
    "CompleteMultipartUpload" is "PutObject" on "object",
    "CopyObject" is "PutObject" on "object",
    "CreateBucket" is "CreateBucket" on "bucket",
    "CreateMultipartUpload" is "PutObject" on "object",
    "DeleteBucket" is "DeleteBucket" on "bucket",
    "DeleteObject" is "DeleteObject" on "object",
    "DeleteObjects" is "DeleteObject" on "object",
    "GetBucketLocation" is "GetBucketLocation" on "bucket",
    "GetObject" is "GetObject" on "object",
    "HeadBucket" is "ListBucket" on "bucket",
    "HeadObject" is "GetObject" on "object",
    "ListBuckets" is "ListAllMyBuckets" on "*",
    "ListObjects" is "ListBucket" on "bucket",
    "ListObjectsV2" is "ListBucket" on "bucket",
    "ListParts" is "ListMultipartUploadParts" on "object",
    "PutObject" is "PutObject" on "object",
    "UploadPart" is "PutObject" on "object",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_asks_for_something() {
        let asked: Vec<&str> = ACCESS.iter().map(|access| access.operation).collect();
        let served: Vec<&str> = api_s3::MODEL.operations.iter().map(|operation| operation.name).collect();
        assert_eq!(asked, served);
    }
}
