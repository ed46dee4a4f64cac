//! The service as the front door sees it.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use api_logs::*;
use async_trait::async_trait;
use log_store::{ChangeError, LogStore, Page, Query, ReadError};
use shape::{Caller, Service, Timestamp};

use crate::ops;
use crate::refusals::{self, broken};

/// CloudWatch Logs over one log store. Calls may be concurrent.
pub struct LogsService {
    pub(crate) store: Arc<LogStore>,
    clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

impl LogsService {
    pub fn new(store: Arc<LogStore>) -> LogsService {
        LogsService::with_clock(store, Arc::new(wall_clock))
    }

    /// The service with a clock of the caller's.
    pub fn with_clock(store: Arc<LogStore>, clock: Arc<dyn Fn() -> Timestamp + Send + Sync>) -> LogsService {
        LogsService { store, clock }
    }

    /// What `wire::Gateway` takes.
    pub fn routed(self) -> Arc<dyn Service> {
        Arc::new(Router(Arc::new(self)))
    }

    /// Gives back the space of events that retention has outlived. They are invisible long before; once an hour will do.
    pub async fn expire(&self) -> Result<(), ChangeError> {
        self.store.expire(self.now()).await
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Reads where blocking is allowed.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        read: impl FnOnce(&LogStore) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, Error> {
        let store = self.store.clone();
        let done = tokio::task::spawn_blocking(move || read(&store)).await;
        done.map_err(broken)?.map_err(refusals::read)
    }

    pub(crate) async fn page(
        &self,
        query: Query,
        accept: impl Fn(&str) -> bool + Send + 'static,
    ) -> Result<Page, Error> {
        self.blocking(move |store| store.read(&query, &accept)).await
    }
}

fn wall_clock() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

#[async_trait]
impl Logs for LogsService {
    async fn create_log_group(&self, caller: &Caller, input: CreateLogGroupRequest) -> Result<(), Error> {
        ops::create_log_group::run(self, caller, input).await
    }

    async fn create_log_stream(&self, caller: &Caller, input: CreateLogStreamRequest) -> Result<(), Error> {
        ops::create_log_stream::run(self, caller, input).await
    }

    async fn delete_log_group(&self, caller: &Caller, input: DeleteLogGroupRequest) -> Result<(), Error> {
        ops::delete_log_group::run(self, caller, input).await
    }

    async fn delete_log_stream(&self, caller: &Caller, input: DeleteLogStreamRequest) -> Result<(), Error> {
        ops::delete_log_stream::run(self, caller, input).await
    }

    async fn delete_retention_policy(&self, caller: &Caller, input: DeleteRetentionPolicyRequest) -> Result<(), Error> {
        ops::delete_retention_policy::run(self, caller, input).await
    }

    async fn describe_log_groups(
        &self,
        caller: &Caller,
        input: DescribeLogGroupsRequest,
    ) -> Result<DescribeLogGroupsResponse, Error> {
        ops::describe_log_groups::run(self, caller, input).await
    }

    async fn describe_log_streams(
        &self,
        caller: &Caller,
        input: DescribeLogStreamsRequest,
    ) -> Result<DescribeLogStreamsResponse, Error> {
        ops::describe_log_streams::run(self, caller, input).await
    }

    async fn filter_log_events(
        &self,
        caller: &Caller,
        input: FilterLogEventsRequest,
    ) -> Result<FilterLogEventsResponse, Error> {
        ops::filter_log_events::run(self, caller, input).await
    }

    async fn get_log_events(&self, caller: &Caller, input: GetLogEventsRequest) -> Result<GetLogEventsResponse, Error> {
        ops::get_log_events::run(self, caller, input).await
    }

    async fn list_tags_for_resource(
        &self,
        caller: &Caller,
        input: ListTagsForResourceRequest,
    ) -> Result<ListTagsForResourceResponse, Error> {
        ops::list_tags_for_resource::run(self, caller, input)
    }

    async fn put_log_events(&self, caller: &Caller, input: PutLogEventsRequest) -> Result<PutLogEventsResponse, Error> {
        ops::put_log_events::run(self, caller, input).await
    }

    async fn put_retention_policy(&self, caller: &Caller, input: PutRetentionPolicyRequest) -> Result<(), Error> {
        ops::put_retention_policy::run(self, caller, input).await
    }

    async fn tag_resource(&self, caller: &Caller, input: TagResourceRequest) -> Result<(), Error> {
        ops::tag_resource::run(self, caller, input).await
    }

    async fn untag_resource(&self, caller: &Caller, input: UntagResourceRequest) -> Result<(), Error> {
        ops::untag_resource::run(self, caller, input).await
    }
}
