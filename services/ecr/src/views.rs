//! What the registry keeps, in the shapes of the API.

use api_ecr::enums::{encryption_type, image_status, image_tag_mutability, image_tag_mutability_exclusion_filter_type};
use api_ecr::enums::{scan_status, tag_status};
use api_ecr::{
    EncryptionConfiguration, ImageDetail, ImageIdentifier, ImageScanStatus, ImageScanningConfiguration,
    ImageTagMutabilityExclusionFilter,
};
use blobs::Digest;
use registry::{Image, Repository, RepositoryKey, Tag, TagMutability};
use shape::partition;

pub(crate) fn arn(key: &RepositoryKey) -> String {
    let (account, region) = (key.scope.account(), key.scope.region());
    format!("arn:{}:ecr:{region}:{account}:repository/{}", partition(region), key.name)
}

pub(crate) fn repository(key: &RepositoryKey, repository: Repository) -> api_ecr::Repository {
    let (scope, settings) = (&key.scope, repository.settings);
    let (encryption_type, kms_key) = settings.encryption.unwrap_or_else(|| (encryption_type::AES256.to_owned(), None));
    let exclusions: Vec<_> = settings.tag_mutability_exclusions.into_iter().map(exclusion_filter).collect();
    api_ecr::Repository {
        repository_arn: Some(arn(key)),
        registry_id: Some(scope.account().to_owned()),
        repository_name: Some(key.name.to_string()),
        repository_uri: Some(key.to_string()),
        created_at: Some(repository.created_at),
        image_tag_mutability: Some(mutability(settings.tag_mutability).to_owned()),
        image_tag_mutability_exclusion_filters: Some(exclusions).filter(|filters| !filters.is_empty()),
        image_scanning_configuration: Some(ImageScanningConfiguration { scan_on_push: Some(settings.scan_on_push) }),
        encryption_configuration: Some(EncryptionConfiguration { encryption_type: Some(encryption_type), kms_key }),
    }
}

pub(crate) fn mutability(mutability: TagMutability) -> &'static str {
    match mutability {
        TagMutability::Mutable => image_tag_mutability::MUTABLE,
        TagMutability::Immutable => image_tag_mutability::IMMUTABLE,
        TagMutability::MutableWithExclusion => image_tag_mutability::MUTABLE_WITH_EXCLUSION,
        TagMutability::ImmutableWithExclusion => image_tag_mutability::IMMUTABLE_WITH_EXCLUSION,
    }
}

pub(crate) fn exclusion_filter(pattern: String) -> ImageTagMutabilityExclusionFilter {
    let filter_type = image_tag_mutability_exclusion_filter_type::WILDCARD.to_owned();
    ImageTagMutabilityExclusionFilter { filter_type: Some(filter_type), filter: Some(pattern) }
}

pub(crate) fn image(key: &RepositoryKey, repository: &Repository, image: Image) -> ImageDetail {
    let manifest = image.manifest;
    let tags: Vec<String> = image.tags.iter().map(Tag::to_string).collect();
    ImageDetail {
        registry_id: Some(key.scope.account().to_owned()),
        repository_name: Some(key.name.to_string()),
        image_digest: Some(image.digest.to_string()),
        image_tags: Some(tags).filter(|tags| !tags.is_empty()),
        image_size_in_bytes: Some(i64::try_from(manifest.content_size).unwrap_or(i64::MAX)),
        image_pushed_at: Some(manifest.pushed_at),
        image_scan_status: repository.settings.scan_on_push.then(never_scanned),
        image_manifest_media_type: Some(manifest.media_type),
        artifact_media_type: manifest.artifact_type,
        subject_manifest_digest: manifest.subject.map(|subject| subject.to_string()),
        image_status: Some(image_status::ACTIVE.to_owned()),
        ..ImageDetail::default()
    }
}

/// A manifest with everything but its identifier.
pub(crate) fn manifest(key: &RepositoryKey, bytes: &[u8], media_type: String) -> api_ecr::Image {
    api_ecr::Image {
        registry_id: Some(key.scope.account().to_owned()),
        repository_name: Some(key.name.to_string()),
        image_id: None,
        image_manifest: Some(String::from_utf8_lossy(bytes).into_owned()),
        image_manifest_media_type: Some(media_type),
    }
}

fn never_scanned() -> ImageScanStatus {
    ImageScanStatus {
        status: Some(scan_status::UNSUPPORTED_IMAGE.to_owned()),
        description: Some("UnsupportedImageError: Berth does not scan images.".to_owned()),
    }
}

pub(crate) fn identifier(digest: &Digest, tag: Option<&Tag>) -> ImageIdentifier {
    ImageIdentifier { image_digest: Some(digest.to_string()), image_tag: tag.map(Tag::to_string) }
}

/// One identifier for each tag of an image, or one without a tag.
pub(crate) fn identifiers(digest: &Digest, tags: &[Tag]) -> Vec<ImageIdentifier> {
    match tags {
        [] => vec![identifier(digest, None)],
        tags => tags.iter().map(|tag| identifier(digest, Some(tag))).collect(),
    }
}

/// Whether an image is one that a filter by tag status lets through.
pub(crate) fn has_tag_status(image: &Image, wanted: Option<&str>) -> bool {
    match wanted {
        Some(tag_status::TAGGED) => !image.tags.is_empty(),
        Some(tag_status::UNTAGGED) => image.tags.is_empty(),
        _ => true,
    }
}

/// Whether any image can have this status: here all images are active.
pub(crate) fn may_have_status(wanted: Option<&str>) -> bool {
    use api_ecr::enums::image_status_filter::{ACTIVE, ANY};
    wanted.is_none_or(|wanted| [ACTIVE, ANY].contains(&wanted))
}
