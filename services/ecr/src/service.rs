//! The service as the front door sees it.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use api_ecr::*;
use async_trait::async_trait;
use registry::{Registry, RegistryError};
use shape::{Caller, Service, Timestamp};
use tokio::sync::Notify;

use crate::lifecycle::{self, Applied};
use crate::ops;
use crate::refusals::{self, broken};

/// Amazon ECR over one registry. Calls may be concurrent; a clone is the same service.
#[derive(Clone)]
pub struct EcrService {
    registry: Arc<Registry>,
    clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    /// Rings when a lifecycle policy was put.
    lifecycles: Arc<Notify>,
}

impl EcrService {
    pub fn new(registry: Arc<Registry>) -> EcrService {
        EcrService::with_clock(registry, Arc::new(wall_clock))
    }

    /// The service with a clock of the caller's. It decides when a token expires; the registry has its own.
    pub fn with_clock(registry: Arc<Registry>, clock: Arc<dyn Fn() -> Timestamp + Send + Sync>) -> EcrService {
        EcrService { registry, clock, lifecycles: Arc::default() }
    }

    /// What `wire::Gateway` takes.
    pub fn routed(self) -> Arc<dyn Service> {
        Arc::new(Router(Arc::new(self)))
    }

    /// Expires the images that lifecycle policies say have had their time.
    pub async fn apply_lifecycle_policies(&self, now: Timestamp) -> Result<Applied, Error> {
        self.on_disk(move |registry| lifecycle::apply_all(registry, now)).await
    }

    /// Waits until a lifecycle policy was put since the last call.
    pub async fn lifecycle_policy_put(&self) {
        self.lifecycles.notified().await;
    }

    pub(crate) fn wake_lifecycles(&self) {
        self.lifecycles.notify_one();
    }

    /// Ends the copying of images that a crash interrupted.
    pub async fn finish_replication(&self) -> Result<(), Error> {
        self.on_disk(Registry::finish_replication).await
    }

    /// For what waits for other registries.
    pub(crate) fn registry(&self) -> &Arc<Registry> {
        &self.registry
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Runs what blocks on the disk, and may refuse, where blocking is allowed.
    pub(crate) async fn decide<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Registry) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let registry = Arc::clone(&self.registry);
        tokio::task::spawn_blocking(move || work(&registry)).await.map_err(broken)?
    }

    /// The same for what only the registry may refuse.
    pub(crate) async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Registry) -> Result<T, RegistryError> + Send + 'static,
    ) -> Result<T, Error> {
        self.decide(|registry| work(registry).map_err(refusals::registry)).await
    }
}

fn wall_clock() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

macro_rules! operations {
    ($($operation:ident: $input:ident => $output:ident,)*) => {
        #[async_trait]
        impl Ecr for EcrService {
            $(
                async fn $operation(&self, caller: &Caller, input: $input) -> Result<$output, Error> {
                    ops::$operation::run(self, caller, input).await
                }
            )*
        }
    };
}

operations! {
    batch_check_layer_availability: BatchCheckLayerAvailabilityRequest => BatchCheckLayerAvailabilityResponse,
    batch_delete_image: BatchDeleteImageRequest => BatchDeleteImageResponse,
    batch_get_image: BatchGetImageRequest => BatchGetImageResponse,
    batch_get_repository_scanning_configuration: BatchGetRepositoryScanningConfigurationRequest => BatchGetRepositoryScanningConfigurationResponse,
    complete_layer_upload: CompleteLayerUploadRequest => CompleteLayerUploadResponse,
    create_pull_through_cache_rule: CreatePullThroughCacheRuleRequest => CreatePullThroughCacheRuleResponse,
    create_repository: CreateRepositoryRequest => CreateRepositoryResponse,
    create_repository_creation_template: CreateRepositoryCreationTemplateRequest => CreateRepositoryCreationTemplateResponse,
    delete_lifecycle_policy: DeleteLifecyclePolicyRequest => DeleteLifecyclePolicyResponse,
    delete_pull_through_cache_rule: DeletePullThroughCacheRuleRequest => DeletePullThroughCacheRuleResponse,
    delete_registry_policy: DeleteRegistryPolicyRequest => DeleteRegistryPolicyResponse,
    delete_repository: DeleteRepositoryRequest => DeleteRepositoryResponse,
    delete_repository_creation_template: DeleteRepositoryCreationTemplateRequest => DeleteRepositoryCreationTemplateResponse,
    delete_repository_policy: DeleteRepositoryPolicyRequest => DeleteRepositoryPolicyResponse,
    describe_image_replication_status: DescribeImageReplicationStatusRequest => DescribeImageReplicationStatusResponse,
    describe_image_scan_findings: DescribeImageScanFindingsRequest => DescribeImageScanFindingsResponse,
    describe_images: DescribeImagesRequest => DescribeImagesResponse,
    describe_pull_through_cache_rules: DescribePullThroughCacheRulesRequest => DescribePullThroughCacheRulesResponse,
    describe_registry: DescribeRegistryRequest => DescribeRegistryResponse,
    describe_repositories: DescribeRepositoriesRequest => DescribeRepositoriesResponse,
    describe_repository_creation_templates: DescribeRepositoryCreationTemplatesRequest => DescribeRepositoryCreationTemplatesResponse,
    get_account_setting: GetAccountSettingRequest => GetAccountSettingResponse,
    get_authorization_token: GetAuthorizationTokenRequest => GetAuthorizationTokenResponse,
    get_download_url_for_layer: GetDownloadUrlForLayerRequest => GetDownloadUrlForLayerResponse,
    get_lifecycle_policy: GetLifecyclePolicyRequest => GetLifecyclePolicyResponse,
    get_lifecycle_policy_preview: GetLifecyclePolicyPreviewRequest => GetLifecyclePolicyPreviewResponse,
    get_registry_policy: GetRegistryPolicyRequest => GetRegistryPolicyResponse,
    get_registry_scanning_configuration: GetRegistryScanningConfigurationRequest => GetRegistryScanningConfigurationResponse,
    get_repository_policy: GetRepositoryPolicyRequest => GetRepositoryPolicyResponse,
    initiate_layer_upload: InitiateLayerUploadRequest => InitiateLayerUploadResponse,
    list_image_referrers: ListImageReferrersRequest => ListImageReferrersResponse,
    list_images: ListImagesRequest => ListImagesResponse,
    list_tags_for_resource: ListTagsForResourceRequest => ListTagsForResourceResponse,
    put_account_setting: PutAccountSettingRequest => PutAccountSettingResponse,
    put_image: PutImageRequest => PutImageResponse,
    put_image_scanning_configuration: PutImageScanningConfigurationRequest => PutImageScanningConfigurationResponse,
    put_image_tag_mutability: PutImageTagMutabilityRequest => PutImageTagMutabilityResponse,
    put_lifecycle_policy: PutLifecyclePolicyRequest => PutLifecyclePolicyResponse,
    put_registry_policy: PutRegistryPolicyRequest => PutRegistryPolicyResponse,
    put_registry_scanning_configuration: PutRegistryScanningConfigurationRequest => PutRegistryScanningConfigurationResponse,
    put_replication_configuration: PutReplicationConfigurationRequest => PutReplicationConfigurationResponse,
    set_repository_policy: SetRepositoryPolicyRequest => SetRepositoryPolicyResponse,
    start_image_scan: StartImageScanRequest => StartImageScanResponse,
    start_lifecycle_policy_preview: StartLifecyclePolicyPreviewRequest => StartLifecyclePolicyPreviewResponse,
    tag_resource: TagResourceRequest => TagResourceResponse,
    untag_resource: UntagResourceRequest => UntagResourceResponse,
    update_pull_through_cache_rule: UpdatePullThroughCacheRuleRequest => UpdatePullThroughCacheRuleResponse,
    update_repository_creation_template: UpdateRepositoryCreationTemplateRequest => UpdateRepositoryCreationTemplateResponse,
    upload_layer_part: UploadLayerPartRequest => UploadLayerPartResponse,
    validate_pull_through_cache_rule: ValidatePullThroughCacheRuleRequest => ValidatePullThroughCacheRuleResponse,
}
