//! The operations as a typed caller sees them.

use std::sync::Arc;
use std::time::Duration;

use api_ecr::*;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use blobs::{Blobs, Digest};
use registry::{Config, MediaType, Registry, RepositoryKey, Scope, Target};
use serde_json::json;
use service_ecr::EcrService;
use shape::{Caller, ErrorCode as _, Timestamp};
use tempfile::TempDir;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_123);

struct World {
    service: EcrService,
    registry: Arc<Registry>,
    caller: Caller,
    directory: TempDir,
}

impl World {
    fn new() -> World {
        let directory = TempDir::new().unwrap();
        let blobs = Blobs::open(directory.path().join("blobs")).unwrap();
        let registry = Arc::new(Registry::open(directory.path(), blobs, Config::default()).unwrap());
        let service = EcrService::with_clock(registry.clone(), Arc::new(|| NOW));
        World { service, registry, caller: Caller::root("111122223333", "eu-west-1"), directory }
    }

    fn key(&self) -> RepositoryKey {
        RepositoryKey::new(&Scope::new("111122223333", "eu-west-1").unwrap(), "web".parse().unwrap())
    }

    /// Stores an image of so many bytes. Its parts lie elsewhere, so nothing else need be pushed.
    fn image(&self, target: &str, size: u64) -> Digest {
        let elsewhere = json!({"mediaType": "application/vnd.oci.image.config.v1+json", "digest": Digest::of(b""),
                               "size": size, "urls": ["http://elsewhere"]});
        self.put(target, MediaType::OciManifest, json!({"config": elsewhere}))
    }

    /// Stores an index of other images.
    fn index(&self, target: &str, manifests: &[Digest]) -> Digest {
        let manifest = |digest: &Digest| json!({"digest": digest, "size": 1});
        let manifests: Vec<_> = manifests.iter().map(manifest).collect();
        self.put(target, MediaType::OciIndex, json!({"manifests": manifests}))
    }

    fn put(&self, target: &str, media_type: MediaType, mut manifest: serde_json::Value) -> Digest {
        manifest["schemaVersion"] = json!(2);
        manifest["mediaType"] = json!(media_type.as_str());
        let bytes = manifest.to_string().into_bytes();
        let target = if target.is_empty() { Target::Digest(Digest::of(&bytes)) } else { target.parse().unwrap() };
        self.registry.put_manifest(&self.key(), &target, None, &bytes).unwrap().0
    }

    async fn create(&self, input: CreateRepositoryRequest) -> Result<Repository, Error> {
        let input = CreateRepositoryRequest { repository_name: text("web"), ..input };
        Ok(self.service.create_repository(&self.caller, input).await?.repository.unwrap())
    }

    async fn list(&self, input: ListImagesRequest) -> ListImagesResponse {
        let input = ListImagesRequest { repository_name: text("web"), ..input };
        self.service.list_images(&self.caller, input).await.unwrap()
    }

    /// All images as `tag` or, without one, `-`.
    async fn listed(&self, tag_status: Option<&str>) -> Vec<String> {
        let filter = ListImagesFilter { tag_status: tag_status.map(str::to_owned), ..Default::default() };
        let ids = self.list(ListImagesRequest { filter: Some(filter), ..Default::default() }).await.image_ids.unwrap();
        let mut tags: Vec<_> = ids.into_iter().map(|id| id.image_tag.unwrap_or_else(|| "-".to_owned())).collect();
        tags.sort();
        tags
    }

    async fn describe(&self, input: DescribeImagesRequest) -> Result<Vec<ImageDetail>, Error> {
        let input = DescribeImagesRequest { repository_name: text("web"), ..input };
        Ok(self.service.describe_images(&self.caller, input).await?.image_details.unwrap())
    }

    async fn described(&self, ids: &[(Option<&str>, Option<&str>)]) -> Result<Vec<ImageDetail>, Error> {
        self.describe(DescribeImagesRequest { image_ids: Some(ids_of(ids)), ..Default::default() }).await
    }

    /// Deletes images and says what is gone, and what failed with which code.
    async fn delete(&self, ids: &[(Option<&str>, Option<&str>)]) -> (Vec<ImageIdentifier>, Vec<String>) {
        let input = BatchDeleteImageRequest {
            repository_name: text("web"),
            image_ids: Some(ids_of(ids)),
            ..Default::default()
        };
        let answer = self.service.batch_delete_image(&self.caller, input).await.unwrap();
        let failures = answer.failures.unwrap().into_iter().map(|failure| failure.failure_code.unwrap());
        (answer.image_ids.unwrap(), failures.collect())
    }
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// Pairs of digest and tag.
fn ids_of(ids: &[(Option<&str>, Option<&str>)]) -> Vec<ImageIdentifier> {
    let id = |(digest, tag): &(Option<&str>, Option<&str>)| ImageIdentifier {
        image_digest: digest.map(str::to_owned),
        image_tag: tag.map(str::to_owned),
    };
    ids.iter().map(id).collect()
}

fn id(digest: Digest, tag: Option<&str>) -> ImageIdentifier {
    ImageIdentifier { image_digest: Some(digest.to_string()), image_tag: tag.map(str::to_owned) }
}

#[track_caller]
fn refused<T: std::fmt::Debug>(answer: Result<T, Error>, code: &str, message: &str) {
    let error = answer.expect_err("this must be refused");
    assert_eq!((error.code.facts().name, error.message.as_str()), (code, message));
}

#[tokio::test]
async fn a_repository_says_what_it_is() {
    let world = World::new();
    let created = world.create(CreateRepositoryRequest::default()).await.unwrap();
    assert!(created.created_at.unwrap() > NOW);
    let expected = Repository {
        repository_arn: text("arn:aws:ecr:eu-west-1:111122223333:repository/web"),
        registry_id: text("111122223333"),
        repository_name: text("web"),
        repository_uri: text("111122223333.dkr.ecr.eu-west-1.amazonaws.com/web"),
        created_at: created.created_at,
        image_tag_mutability: text("MUTABLE"),
        image_tag_mutability_exclusion_filters: None,
        image_scanning_configuration: Some(ImageScanningConfiguration { scan_on_push: Some(false) }),
        encryption_configuration: Some(EncryptionConfiguration { encryption_type: text("AES256"), kms_key: None }),
    };
    assert_eq!(created, expected);
    let all = world.service.describe_repositories(&world.caller, Default::default()).await.unwrap();
    assert_eq!(all.repositories.unwrap(), std::slice::from_ref(&expected));
    refused(
        world.create(CreateRepositoryRequest::default()).await,
        "RepositoryAlreadyExistsException",
        "The repository with name 'web' already exists in the registry with id '111122223333'",
    );
    let input = DeleteRepositoryRequest { repository_name: text("web"), ..Default::default() };
    let deleted = world.service.delete_repository(&world.caller, input.clone()).await.unwrap();
    assert_eq!(deleted.repository.unwrap(), expected);
    refused(
        world.service.delete_repository(&world.caller, input).await,
        "RepositoryNotFoundException",
        "The repository with name 'web' does not exist in the registry with id '111122223333'",
    );
}

#[tokio::test]
async fn what_the_owner_chose_is_kept() {
    let world = World::new();
    let filter = ImageTagMutabilityExclusionFilter { filter_type: text("WILDCARD"), filter: text("dev*") };
    let created = world
        .create(CreateRepositoryRequest {
            image_tag_mutability: text("IMMUTABLE_WITH_EXCLUSION"),
            image_tag_mutability_exclusion_filters: Some(vec![filter.clone()]),
            image_scanning_configuration: Some(ImageScanningConfiguration { scan_on_push: Some(true) }),
            tags: Some(vec![Tag { key: text("team"), value: text("blue") }]),
            ..Default::default()
        })
        .await
        .unwrap();
    assert_eq!(created.image_tag_mutability, text("IMMUTABLE_WITH_EXCLUSION"));
    assert_eq!(created.image_tag_mutability_exclusion_filters, Some(vec![filter]));
    assert_eq!(created.image_scanning_configuration.unwrap().scan_on_push, Some(true));
    let kept = world.registry.repository(&world.key()).unwrap().settings;
    assert_eq!(kept.tags.get("team").map(String::as_str), Some("blue"));

    // Nothing is scanned, and the images say so.
    world.image("1", 10);
    let image = world.describe(DescribeImagesRequest::default()).await.unwrap().remove(0);
    assert_eq!(image.image_scan_status.unwrap().status, text("UNSUPPORTED_IMAGE"));
}

#[tokio::test]
async fn images_are_listed_by_tag_and_in_pages() {
    let world = World::new();
    world.image("a", 1);
    world.image("b", 1);
    world.image("c", 2);
    world.image("", 3);
    assert_eq!(world.listed(None).await, ["-", "a", "b", "c"]);
    assert_eq!(world.listed(Some("ANY")).await, ["-", "a", "b", "c"]);
    assert_eq!(world.listed(Some("TAGGED")).await, ["a", "b", "c"]);
    assert_eq!(world.listed(Some("UNTAGGED")).await, ["-"]);
    for (status, count) in [("ACTIVE", 4), ("ANY", 4), ("ARCHIVED", 0), ("ACTIVATING", 0)] {
        let filter = ListImagesFilter { image_status: text(status), ..Default::default() };
        let listed = world.list(ListImagesRequest { filter: Some(filter), ..Default::default() }).await;
        assert_eq!(listed.image_ids.unwrap().len(), count, "{status}");
    }

    let (mut seen, mut token) = (Vec::new(), None);
    loop {
        let page =
            world.list(ListImagesRequest { next_token: token, max_results: Some(1), ..Default::default() }).await;
        let ids = page.image_ids.unwrap();
        assert_eq!(ids.len(), 1);
        seen.extend(ids);
        token = page.next_token;
        if token.is_none() {
            break;
        }
    }
    assert_eq!(seen, world.list(ListImagesRequest::default()).await.image_ids.unwrap());
}

#[tokio::test]
async fn an_image_is_described_by_tag_and_digest() {
    let world = World::new();
    let (small, large) = (world.image("small", 5), world.image("large", 70));
    world.image("also-large", 70);
    let index = world.index("multi", &[small, large]);
    let subject = json!({"digest": small, "size": 1});
    let config = json!({"mediaType": "application/vnd.oci.empty.v1+json", "digest": Digest::of(b"{}"), "size": 2,
                        "urls": ["http://elsewhere"]});
    let signature = world.put(
        "",
        MediaType::OciManifest,
        json!({"config": config, "artifactType": "application/vnd.example", "subject": subject}),
    );

    let described = world.described(&[(None, Some("large")), (None, Some("also-large"))]).await.unwrap();
    assert_eq!(described.len(), 1, "an image is described once");
    let image = &described[0];
    assert_eq!(image.image_tags.as_deref().unwrap(), ["also-large", "large"]);
    assert_eq!((image.image_digest.clone(), image.image_size_in_bytes), (Some(large.to_string()), Some(70)));
    assert_eq!(image.image_manifest_media_type, text(MediaType::OciManifest.as_str()));
    assert_eq!(image.artifact_media_type, text("application/vnd.oci.image.config.v1+json"));
    assert_eq!((image.registry_id.clone(), image.repository_name.clone()), (text("111122223333"), text("web")));
    assert_eq!((image.image_status.clone(), image.image_scan_status.clone()), (text("ACTIVE"), None));
    assert!(image.image_pushed_at.unwrap() > NOW);

    let (large, small, index) = (large.to_string(), small.to_string(), index.to_string());
    let both = world.described(&[(Some(&large), Some("large")), (Some(&index), None)]).await.unwrap();
    assert_eq!(both[1].image_size_in_bytes, Some(70), "as large as the largest");
    assert_eq!(both[1].artifact_media_type, None);
    let signature = world.described(&[(Some(&signature.to_string()), None)]).await.unwrap().remove(0);
    assert_eq!(signature.subject_manifest_digest, Some(small.clone()));
    assert_eq!((signature.artifact_media_type, signature.image_tags), (text("application/vnd.example"), None));

    for (digest, tag) in [(None, Some("none")), (Some(large.as_str()), Some("small")), (Some(&large), Some("none"))] {
        refused(
            world.described(&[(Some(&index), None), (digest, tag)]).await,
            "ImageNotFoundException",
            &format!(
                "The image with imageId {{imageDigest:'{}', imageTag:'{}'}} does not exist within the repository with \
                 name 'web' in the registry with id '111122223333'",
                digest.unwrap_or("null"),
                tag.unwrap_or("null")
            ),
        );
    }
    refused(
        world.described(&[(None, None)]).await,
        "InvalidParameterException",
        "Invalid request parameters: both tag and digest cannot be null",
    );
    let paged = DescribeImagesRequest {
        image_ids: Some(ids_of(&[(None, Some("small"))])),
        max_results: Some(1),
        ..Default::default()
    };
    refused(
        world.describe(paged).await,
        "InvalidParameterException",
        "Invalid parameter at 'maxResults' failed to satisfy constraint: 'must be null when imageIds is specified'",
    );
}

#[tokio::test]
async fn the_last_tag_takes_the_image_along() {
    let world = World::new();
    let digest = world.image("a", 1);
    world.image("b", 1);
    assert_eq!(world.delete(&[(None, Some("a"))]).await, (vec![id(digest, Some("a"))], vec![]));
    assert_eq!(world.listed(None).await, ["b"]);
    assert_eq!(world.delete(&[(None, Some("b"))]).await, (vec![id(digest, Some("b"))], vec![]));
    assert_eq!(world.listed(None).await, Vec::<String>::new());
}

#[tokio::test]
async fn a_digest_takes_all_tags_along() {
    let world = World::new();
    let digest = world.image("a", 1);
    world.image("b", 1);
    let untagged = world.image("", 2);
    let (text, other) = (digest.to_string(), untagged.to_string());
    let (gone, failures) = world.delete(&[(Some(&text), None), (Some(&other), None), (Some(&text), None)]).await;
    assert_eq!(gone, [id(digest, Some("a")), id(digest, Some("b")), id(untagged, None)]);
    assert_eq!(failures, ["ImageNotFound"]);
}

#[tokio::test]
async fn what_was_listed_can_be_deleted_whole() {
    let world = World::new();
    for (tag, size) in [("a", 1), ("b", 1), ("c", 2), ("", 3)] {
        world.image(tag, size);
    }
    let ids = world.list(ListImagesRequest::default()).await.image_ids.unwrap();
    let input =
        BatchDeleteImageRequest { repository_name: text("web"), image_ids: Some(ids.clone()), ..Default::default() };
    let answer = world.service.batch_delete_image(&world.caller, input).await.unwrap();
    assert_eq!((answer.image_ids.unwrap(), answer.failures.unwrap()), (ids, vec![]));
    let input = DeleteRepositoryRequest { repository_name: text("web"), ..Default::default() };
    world.service.delete_repository(&world.caller, input).await.unwrap();
}

#[tokio::test]
async fn what_cannot_be_deleted_says_why() {
    let world = World::new();
    let (one, two) = (world.image("1", 1), world.image("2", 2));
    world.image("1-too", 1);
    let index = world.index("multi", &[one, two]);
    let (one_text, index_text) = (one.to_string(), index.to_string());
    let missing = Digest::of(b"missing").to_string();
    for (digest, tag, code) in [
        (None, None, "MissingDigestAndTag"),
        (Some("sha256"), None, "InvalidImageDigest"),
        (None, Some("a/b"), "InvalidImageTag"),
        (None, Some("none"), "ImageNotFound"),
        (Some(missing.as_str()), None, "ImageNotFound"),
        (Some(missing.as_str()), Some("1"), "ImageNotFound"),
        (Some(one_text.as_str()), Some("none"), "ImageNotFound"),
        (Some(one_text.as_str()), Some("2"), "ImageTagDoesNotMatchDigest"),
        (Some(one_text.as_str()), None, "ImageReferencedByManifestList"),
        (None, Some("2"), "ImageReferencedByManifestList"),
    ] {
        assert_eq!(world.delete(&[(digest, tag)]).await, (vec![], vec![code.to_owned()]), "{digest:?} {tag:?}");
    }
    assert_eq!(world.listed(None).await, ["1", "1-too", "2", "multi"]);

    // A tag that is not the last may go, and everything once the list is gone.
    assert_eq!(world.delete(&[(None, Some("1"))]).await, (vec![id(one, Some("1"))], vec![]));
    let (gone, failures) = world.delete(&[(Some(&index_text), None), (Some(&one_text), None), (None, Some("2"))]).await;
    assert_eq!((gone.len(), failures), (3, vec![]));
}

#[tokio::test]
async fn only_force_deletes_images() {
    let world = World::new();
    world.image("1", 1);
    let input = DeleteRepositoryRequest { repository_name: text("web"), ..Default::default() };
    refused(
        world.service.delete_repository(&world.caller, input.clone()).await,
        "RepositoryNotEmptyException",
        "The repository with name 'web' in registry with id '111122223333' cannot be deleted because it still contains \
         images",
    );
    let input = DeleteRepositoryRequest { force: Some(true), ..input };
    world.service.delete_repository(&world.caller, input).await.unwrap();
}

#[tokio::test]
async fn accounts_and_regions_are_apart() {
    let world = World::new();
    world.image("1", 1);
    for caller in [Caller::root("444455556666", "eu-west-1"), Caller::root("111122223333", "us-east-1")] {
        let all = world.service.describe_repositories(&caller, Default::default()).await.unwrap();
        assert_eq!(all.repositories.unwrap(), []);
        let input = ListImagesRequest { repository_name: text("web"), ..Default::default() };
        let refusal = world.service.list_images(&caller, input).await.unwrap_err();
        assert_eq!(refusal.code, ErrorCode::RepositoryNotFoundException);
    }
    let input = DescribeRepositoriesRequest { registry_id: text("444455556666"), ..Default::default() };
    let refusal = world.service.describe_repositories(&world.caller, input).await.unwrap_err();
    assert_eq!(refusal.code, ErrorCode::AccessDeniedException);
}

#[tokio::test]
async fn a_token_is_for_docker_login() {
    let world = World::new();
    let input = GetAuthorizationTokenRequest { registry_ids: Some(vec!["444455556666".into(), "111122223333".into()]) };
    let answer = world.service.get_authorization_token(&world.caller, input).await.unwrap();
    let data = answer.authorization_data.unwrap();
    let endpoints: Vec<_> = data.iter().map(|data| data.proxy_endpoint.as_deref().unwrap()).collect();
    assert_eq!(
        endpoints,
        [
            "https://444455556666.dkr.ecr.eu-west-1.amazonaws.com",
            "https://111122223333.dkr.ecr.eu-west-1.amazonaws.com"
        ]
    );
    assert_eq!(data[0].expires_at, Some(NOW + Duration::from_secs(12 * 3600)));
    let token = STANDARD.decode(data[0].authorization_token.as_deref().unwrap()).unwrap();
    let token = String::from_utf8(token).unwrap();
    let (user, password) = token.split_once(':').unwrap();
    assert_eq!(user, "AWS");
    assert!(!password.contains(':') && !password.contains(char::is_whitespace), "{password}");

    let chinese = Caller::root("111122223333", "cn-north-1");
    let answer = world.service.get_authorization_token(&chinese, Default::default()).await.unwrap();
    let endpoint = answer.authorization_data.unwrap().remove(0).proxy_endpoint;
    assert_eq!(endpoint, text("https://111122223333.dkr.ecr.cn-north-1.amazonaws.com.cn"));
}

#[tokio::test]
async fn a_broken_record_is_our_fault() {
    let world = World::new();
    world.image("1", 1);
    let record = world.directory.path().join("repositories/111122223333/eu-west-1/web/_repository.json");
    std::fs::write(record, "half a rec").unwrap();
    refused(
        world.describe(DescribeImagesRequest::default()).await,
        "ServerException",
        "The service cannot complete the request.",
    );
}
