//! The service as the front door sees it.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use api_ecr::*;
use async_trait::async_trait;
use registry::{Registry, RegistryError};
use shape::{Caller, Service, Timestamp};

use crate::ops;
use crate::refusals::{self, broken};

/// Amazon ECR over one registry. Calls may be concurrent.
pub struct EcrService {
    registry: Arc<Registry>,
    clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

impl EcrService {
    pub fn new(registry: Arc<Registry>) -> EcrService {
        EcrService::with_clock(registry, Arc::new(wall_clock))
    }

    /// The service with a clock of the caller's. It decides when a token expires; the registry has its own.
    pub fn with_clock(registry: Arc<Registry>, clock: Arc<dyn Fn() -> Timestamp + Send + Sync>) -> EcrService {
        EcrService { registry, clock }
    }

    /// What `wire::Gateway` takes.
    pub fn routed(self) -> Arc<dyn Service> {
        Arc::new(Router(Arc::new(self)))
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Runs what blocks on the disk where blocking is allowed.
    pub(crate) async fn on_disk<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Registry) -> Result<T, RegistryError> + Send + 'static,
    ) -> Result<T, Error> {
        let registry = Arc::clone(&self.registry);
        let done = tokio::task::spawn_blocking(move || work(&registry)).await;
        done.map_err(broken)?.map_err(refusals::registry)
    }
}

fn wall_clock() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[async_trait]
impl Ecr for EcrService {
    async fn batch_delete_image(
        &self,
        caller: &Caller,
        input: BatchDeleteImageRequest,
    ) -> Result<BatchDeleteImageResponse, Error> {
        ops::batch_delete_image::run(self, caller, input).await
    }

    async fn create_repository(
        &self,
        caller: &Caller,
        input: CreateRepositoryRequest,
    ) -> Result<CreateRepositoryResponse, Error> {
        ops::create_repository::run(self, caller, input).await
    }

    async fn delete_repository(
        &self,
        caller: &Caller,
        input: DeleteRepositoryRequest,
    ) -> Result<DeleteRepositoryResponse, Error> {
        ops::delete_repository::run(self, caller, input).await
    }

    async fn describe_images(
        &self,
        caller: &Caller,
        input: DescribeImagesRequest,
    ) -> Result<DescribeImagesResponse, Error> {
        ops::describe_images::run(self, caller, input).await
    }

    async fn describe_repositories(
        &self,
        caller: &Caller,
        input: DescribeRepositoriesRequest,
    ) -> Result<DescribeRepositoriesResponse, Error> {
        ops::describe_repositories::run(self, caller, input).await
    }

    async fn get_authorization_token(
        &self,
        caller: &Caller,
        input: GetAuthorizationTokenRequest,
    ) -> Result<GetAuthorizationTokenResponse, Error> {
        ops::get_authorization_token::run(self, caller, input)
    }

    async fn list_images(&self, caller: &Caller, input: ListImagesRequest) -> Result<ListImagesResponse, Error> {
        ops::list_images::run(self, caller, input).await
    }
}
