//! Lifecycle policies as they act, with the time as an argument.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use api_ecr::*;
use blobs::{Blobs, Digest};
use registry::{Config, MediaType, Registry, RepositoryKey, RepositorySettings, Scope, Target};
use serde_json::{Value, json};
use service_ecr::{Applied, EcrService};
use shape::{Caller, ErrorCode as _, Timestamp};
use tempfile::TempDir;

const DAY: Duration = Duration::from_secs(24 * 3600);

struct World {
    service: EcrService,
    registry: Arc<Registry>,
    caller: Caller,
    directory: TempDir,
}

/// The registry notes pushes by the wall clock.
fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    Timestamp::from_millis(i64::try_from(since).unwrap())
}

impl World {
    fn new() -> World {
        World::open(TempDir::new().unwrap(), now())
    }

    fn open(directory: TempDir, now: Timestamp) -> World {
        let blobs = Blobs::open(directory.path().join("blobs")).unwrap();
        let registry = Arc::new(Registry::open(directory.path(), blobs, Config::default()).unwrap());
        let service = EcrService::with_clock(registry.clone(), Arc::new(move || now));
        World { service, registry, caller: Caller::root("111122223333", "eu-west-1"), directory }
    }

    /// The same files under another time.
    fn later(self, now: Timestamp) -> World {
        World::open(self.directory, now)
    }

    fn key(&self, name: &str) -> RepositoryKey {
        RepositoryKey::new(&Scope::new("111122223333", "eu-west-1").unwrap(), name.parse().unwrap())
    }

    /// Stores an image whose parts lie elsewhere, so nothing else need be pushed.
    fn image(&self, name: &str, target: &str, size: u64) -> Digest {
        let elsewhere = json!({"mediaType": "application/vnd.oci.image.config.v1+json", "digest": Digest::of(b""),
                               "size": size, "urls": ["http://elsewhere"]});
        self.put(name, target, MediaType::OciManifest, json!({"config": elsewhere}))
    }

    fn index(&self, name: &str, target: &str, manifests: &[Digest]) -> Digest {
        let manifests: Vec<_> = manifests.iter().map(|digest| json!({"digest": digest, "size": 1})).collect();
        self.put(name, target, MediaType::OciIndex, json!({"manifests": manifests}))
    }

    fn put(&self, name: &str, target: &str, media_type: MediaType, mut manifest: Value) -> Digest {
        manifest["schemaVersion"] = json!(2);
        manifest["mediaType"] = json!(media_type.as_str());
        let bytes = manifest.to_string().into_bytes();
        let target = if target.is_empty() { Target::Digest(Digest::of(&bytes)) } else { target.parse().unwrap() };
        self.registry.put_manifest(&self.key(name), &target, None, &bytes).unwrap().0
    }

    async fn policy(&self, name: &str, rules: Value) {
        let input = PutLifecyclePolicyRequest {
            repository_name: Some(name.to_owned()),
            lifecycle_policy_text: Some(json!({ "rules": rules }).to_string()),
            ..Default::default()
        };
        self.service.put_lifecycle_policy(&self.caller, input).await.unwrap();
    }

    async fn evaluated(&self, name: &str) -> Timestamp {
        let input = GetLifecyclePolicyRequest { repository_name: Some(name.to_owned()), ..Default::default() };
        self.service.get_lifecycle_policy(&self.caller, input).await.unwrap().last_evaluated_at.unwrap()
    }

    async fn preview(&self, name: &str) -> GetLifecyclePolicyPreviewResponse {
        let input = GetLifecyclePolicyPreviewRequest { repository_name: Some(name.to_owned()), ..Default::default() };
        self.service.get_lifecycle_policy_preview(&self.caller, input).await.unwrap()
    }

    async fn start_preview(&self, name: &str) -> Result<StartLifecyclePolicyPreviewResponse, Error> {
        let input = StartLifecyclePolicyPreviewRequest { repository_name: Some(name.to_owned()), ..Default::default() };
        self.service.start_lifecycle_policy_preview(&self.caller, input).await
    }

    fn digests(&self, name: &str) -> Vec<Digest> {
        self.registry.images(&self.key(name)).unwrap().into_iter().map(|image| image.digest).collect()
    }
}

fn older_than_days(priority: u32, status: &str, days: u32) -> Value {
    let selection =
        json!({"tagStatus": status, "countType": "sinceImagePushed", "countUnit": "days", "countNumber": days});
    json!({"rulePriority": priority, "selection": selection, "action": {"type": "expire"}})
}

#[tokio::test]
async fn images_go_when_their_time_has_come() {
    let world = World::new();
    world.image("web", "1", 1);
    world.image("web", "", 2);
    world.image("other", "1", 1);
    world.policy("web", json!([older_than_days(1, "untagged", 7)])).await;
    assert_eq!(world.evaluated("web").await.as_millis(), 0);

    let soon = now() + DAY;
    let applied = world.service.apply_lifecycle_policies(soon).await.unwrap();
    assert_eq!(applied, Applied { repositories: 1, expired: 0 });
    assert_eq!(world.evaluated("web").await, soon);
    let applied = world.service.apply_lifecycle_policies(now() + 8 * DAY).await.unwrap();
    assert_eq!(applied, Applied { repositories: 1, expired: 1 });
    assert_eq!(world.registry.tags(&world.key("web")).unwrap().len(), 1);
    assert_eq!((world.digests("web").len(), world.digests("other").len()), (1, 1));
}

#[tokio::test]
async fn what_an_index_lists_goes_after_it_and_not_before() {
    let world = World::new();
    let (amd64, arm64) = (world.image("web", "", 1), world.image("web", "", 2));
    let index = world.index("web", "multi", &[amd64, arm64]);
    world.policy("web", json!([older_than_days(1, "untagged", 1)])).await;
    world.service.apply_lifecycle_policies(now() + 9 * DAY).await.unwrap();
    assert_eq!(world.digests("web").len(), 3, "a tagged index keeps them");

    // Another image takes the tag, so the index is untagged; then all of it goes.
    let new = world.image("web", "multi", 3);
    let applied = world.service.apply_lifecycle_policies(now() + 9 * DAY).await.unwrap();
    assert_eq!(applied.expired, 3);
    assert_eq!(world.digests("web"), [new]);
    assert!(world.registry.resolve(&world.key("web"), &Target::Digest(index)).is_err());
}

#[tokio::test]
async fn a_broken_record_keeps_no_other_repository_from_its_policy() {
    let world = World::new();
    world.image("a", "", 1);
    world.image("b", "", 1);
    for name in ["a", "b"] {
        world.policy(name, json!([older_than_days(1, "any", 1)])).await;
    }
    let record = "repositories/111122223333/eu-west-1/a/_records/lifecycle-policy.json";
    std::fs::write(world.directory.path().join(record), "half a rec").unwrap();
    let applied = world.service.apply_lifecycle_policies(now() + 2 * DAY).await.unwrap();
    assert_eq!(applied, Applied { repositories: 1, expired: 1 });
    assert_eq!((world.digests("a").len(), world.digests("b").len()), (1, 0));
}

#[tokio::test]
async fn a_preview_is_of_the_policy_that_acts_and_ends_after_a_day() {
    let world = World::new();
    world.registry.create_repository(&world.key("web"), RepositorySettings::default()).unwrap();
    let refused = world.start_preview("web").await.unwrap_err();
    assert_eq!(refused.code.facts().name, "LifecyclePolicyNotFoundException");
    let digest = world.image("web", "1", 1);
    world.policy("web", json!([older_than_days(4, "any", 1)])).await;
    let world = world.later(now() + 2 * DAY);
    world.start_preview("web").await.unwrap();
    let preview = world.preview("web").await;
    assert_eq!(preview.status.as_deref(), Some("COMPLETE"));
    assert_eq!(preview.summary.unwrap().expiring_image_total_count, Some(1));
    let image = preview.preview_results.unwrap().remove(0);
    assert_eq!((image.image_digest, image.applied_rule_priority), (Some(digest.to_string()), Some(4)));
    assert_eq!(image.image_tags, Some(vec!["1".to_owned()]));

    let world = world.later(now() + 4 * DAY);
    let preview = world.preview("web").await;
    assert_eq!((preview.status.as_deref(), preview.preview_results), (Some("EXPIRED"), Some(vec![])));
    assert_eq!(world.digests("web"), [digest]);
}

#[tokio::test]
async fn whoever_waits_for_policies_hears_of_one() {
    let world = World::new();
    world.image("web", "1", 1);
    world.policy("web", json!([older_than_days(1, "any", 1)])).await;
    // It was put before anybody waited, and is heard of all the same.
    tokio::time::timeout(Duration::from_secs(60), world.service.lifecycle_policy_put()).await.unwrap();
}

#[tokio::test]
async fn many_images_go_at_once() {
    let world = World::new();
    for size in 0..250 {
        world.image("web", &format!("v{size}"), size);
    }
    let keep_ten = json!([{"rulePriority": 1, "action": {"type": "expire"},
                           "selection": {"tagStatus": "tagged", "tagPatternList": ["v*"],
                                         "countType": "imageCountMoreThan", "countNumber": 10}}]);
    world.policy("web", keep_ten).await;
    let applied = world.service.apply_lifecycle_policies(now()).await.unwrap();
    assert_eq!((applied.expired, world.digests("web").len()), (240, 10));
}
