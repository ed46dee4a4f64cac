//! From records to answers.

use std::collections::BTreeMap;

use api_s3::{Object as ListedObject, Owner};
use model::{Bucket, Object, ObjectHeaders};

use crate::listing::said;

/// The ETag as it is said: with quotation marks, which are part of it.
pub(crate) fn etag(etag: &str) -> Option<String> {
    Some(format!("\"{etag}\""))
}

pub(crate) fn arn(bucket: &Bucket) -> Option<String> {
    Some(format!("arn:{}:s3:::{}", bucket.scope.partition(), bucket.name))
}

/// Accounts have canonical ids of 64 digits; ours are made of their twelve.
pub(crate) fn owner(bucket: &Bucket) -> Owner {
    Owner { id: Some(format!("{:0>64}", bucket.scope.account)), ..Owner::default() }
}

/// An object in a list.
pub(crate) fn listed(object: &Object, is_encoded: bool) -> ListedObject {
    ListedObject {
        key: Some(said(&object.key, is_encoded)),
        last_modified: Some(object.modified_at),
        e_tag: etag(&object.etag),
        checksum_algorithm: object.checksum.as_ref().map(|checksum| vec![checksum.algorithm.clone()]),
        checksum_type: object.checksum.as_ref().map(|checksum| checksum.kind.clone()),
        size: i64::try_from(object.size).ok(),
        storage_class: Some("STANDARD".to_owned()),
        ..ListedObject::default()
    }
}

/// What an answer says of an object beside its bytes: the same members in GetObject and HeadObject.
macro_rules! describe {
    ($output:expr, $object:expr, $wants_checksum:expr) => {{
        let object: &model::Object = $object;
        let headers = &object.headers.standard;
        let header = |name: &str| headers.get(name).cloned();
        $output.accept_ranges = Some("bytes".to_owned());
        $output.last_modified = Some(object.modified_at);
        $output.content_length = i64::try_from(object.size).ok();
        $output.e_tag = crate::views::etag(&object.etag);
        $output.cache_control = header("CacheControl");
        $output.content_disposition = header("ContentDisposition");
        $output.content_encoding = header("ContentEncoding");
        $output.content_language = header("ContentLanguage");
        $output.content_type = Some(header("ContentType").unwrap_or_else(|| "binary/octet-stream".to_owned()));
        $output.expires = header("Expires");
        $output.website_redirect_location = header("WebsiteRedirectLocation");
        $output.server_side_encryption = header("ServerSideEncryption");
        $output.metadata = Some(object.headers.metadata.clone()).filter(|metadata| !metadata.is_empty());
        if $wants_checksum {
            crate::checksums::say!($output, object.checksum.as_ref());
            $output.checksum_type = object.checksum.as_ref().map(|checksum| checksum.kind.clone());
        }
    }};
}
pub(crate) use describe;

/// What a request says of an object beside its bytes, and what nobody here can do for it.
macro_rules! headers_of {
    ($input:expr) => {{
        let refused = [
            ("x-amz-server-side-encryption-customer-algorithm", $input.sse_customer_algorithm.is_some()),
            ("x-amz-server-side-encryption", $input.server_side_encryption.as_deref().is_some_and(|by| by != "AES256")),
            ("x-amz-object-lock-mode", $input.object_lock_mode.is_some()),
            ("x-amz-object-lock-legal-hold", $input.object_lock_legal_hold_status.is_some()),
            ("x-amz-tagging", $input.tagging.as_deref().is_some_and(|tags| !tags.is_empty())),
            ("x-amz-acl", $input.acl.as_deref().is_some_and(|acl| acl.starts_with("public"))),
            ("x-amz-storage-class", $input.storage_class.as_deref().is_some_and(|class| class != "STANDARD")),
        ];
        match refused.into_iter().find(|(_, is_asked)| *is_asked) {
            Some((header, _)) => Err(crate::refusals::not_implemented(header)),
            None => crate::views::headers(
                [
                    ("CacheControl", &$input.cache_control),
                    ("ContentDisposition", &$input.content_disposition),
                    ("ContentEncoding", &$input.content_encoding),
                    ("ContentLanguage", &$input.content_language),
                    ("ContentType", &$input.content_type),
                    ("Expires", &$input.expires),
                    ("WebsiteRedirectLocation", &$input.website_redirect_location),
                    ("ServerSideEncryption", &$input.server_side_encryption),
                ],
                $input.metadata.clone(),
            ),
        }
    }};
}
pub(crate) use headers_of;

pub(crate) fn headers(
    standard: [(&str, &Option<String>); 8],
    metadata: Option<BTreeMap<String, String>>,
) -> Result<ObjectHeaders, api_s3::Error> {
    let metadata = metadata.unwrap_or_default();
    let bytes: usize = metadata.iter().map(|(name, value)| name.len() + value.len()).sum();
    if bytes > crate::limits::METADATA_BYTES_MAX {
        let message = "Your metadata headers exceed the maximum allowed metadata size";
        return Err(api_s3::Error::new(api_s3::ErrorCode::MetadataTooLarge, message));
    }
    let standard = standard.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value.clone()?))).collect();
    Ok(ObjectHeaders { standard, metadata })
}
