//! Which operation is where.

use api_logs::*;
use async_trait::async_trait;
use shape::{Caller, Streamed};

use crate::ops;
use crate::service::LogsService;

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

    async fn delete_metric_filter(&self, caller: &Caller, input: DeleteMetricFilterRequest) -> Result<(), Error> {
        ops::delete_metric_filter::run(self, caller, input).await
    }

    async fn delete_query_definition(
        &self,
        caller: &Caller,
        input: DeleteQueryDefinitionRequest,
    ) -> Result<DeleteQueryDefinitionResponse, Error> {
        ops::delete_query_definition::run(self, caller, input).await
    }

    async fn delete_retention_policy(&self, caller: &Caller, input: DeleteRetentionPolicyRequest) -> Result<(), Error> {
        ops::delete_retention_policy::run(self, caller, input).await
    }

    async fn delete_subscription_filter(
        &self,
        caller: &Caller,
        input: DeleteSubscriptionFilterRequest,
    ) -> Result<(), Error> {
        ops::delete_subscription_filter::run(self, caller, input).await
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

    async fn describe_metric_filters(
        &self,
        caller: &Caller,
        input: DescribeMetricFiltersRequest,
    ) -> Result<DescribeMetricFiltersResponse, Error> {
        ops::describe_metric_filters::run(self, caller, input).await
    }

    async fn describe_queries(
        &self,
        caller: &Caller,
        input: DescribeQueriesRequest,
    ) -> Result<DescribeQueriesResponse, Error> {
        ops::describe_queries::run(self, caller, input).await
    }

    async fn describe_query_definitions(
        &self,
        caller: &Caller,
        input: DescribeQueryDefinitionsRequest,
    ) -> Result<DescribeQueryDefinitionsResponse, Error> {
        ops::describe_query_definitions::run(self, caller, input).await
    }

    async fn describe_subscription_filters(
        &self,
        caller: &Caller,
        input: DescribeSubscriptionFiltersRequest,
    ) -> Result<DescribeSubscriptionFiltersResponse, Error> {
        ops::describe_subscription_filters::run(self, caller, input).await
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

    async fn get_log_group_fields(
        &self,
        caller: &Caller,
        input: GetLogGroupFieldsRequest,
    ) -> Result<GetLogGroupFieldsResponse, Error> {
        ops::get_log_group_fields::run(self, caller, input).await
    }

    async fn get_log_record(&self, caller: &Caller, input: GetLogRecordRequest) -> Result<GetLogRecordResponse, Error> {
        ops::get_log_record::run(self, caller, input).await
    }

    async fn get_query_results(
        &self,
        caller: &Caller,
        input: GetQueryResultsRequest,
    ) -> Result<GetQueryResultsResponse, Error> {
        ops::get_query_results::run(self, caller, input).await
    }

    async fn list_log_groups_for_query(
        &self,
        caller: &Caller,
        input: ListLogGroupsForQueryRequest,
    ) -> Result<ListLogGroupsForQueryResponse, Error> {
        ops::list_log_groups_for_query::run(self, caller, input).await
    }

    async fn list_tags_for_resource(
        &self,
        caller: &Caller,
        input: ListTagsForResourceRequest,
    ) -> Result<ListTagsForResourceResponse, Error> {
        ops::list_tags_for_resource::run(self, caller, input)
    }

    async fn list_tags_log_group(
        &self,
        caller: &Caller,
        input: ListTagsLogGroupRequest,
    ) -> Result<ListTagsLogGroupResponse, Error> {
        ops::list_tags_log_group::run(self, caller, input).await
    }

    async fn put_log_events(&self, caller: &Caller, input: PutLogEventsRequest) -> Result<PutLogEventsResponse, Error> {
        ops::put_log_events::run(self, caller, input).await
    }

    async fn put_metric_filter(&self, caller: &Caller, input: PutMetricFilterRequest) -> Result<(), Error> {
        ops::put_metric_filter::run(self, caller, input).await
    }

    async fn put_query_definition(
        &self,
        caller: &Caller,
        input: PutQueryDefinitionRequest,
    ) -> Result<PutQueryDefinitionResponse, Error> {
        ops::put_query_definition::run(self, caller, input).await
    }

    async fn put_retention_policy(&self, caller: &Caller, input: PutRetentionPolicyRequest) -> Result<(), Error> {
        ops::put_retention_policy::run(self, caller, input).await
    }

    async fn put_subscription_filter(&self, caller: &Caller, input: PutSubscriptionFilterRequest) -> Result<(), Error> {
        ops::put_subscription_filter::run(self, caller, input).await
    }

    async fn start_live_tail(
        &self,
        caller: &Caller,
        input: StartLiveTailRequest,
    ) -> Result<Streamed<StartLiveTailResponse, StartLiveTailResponseStream>, Error> {
        ops::start_live_tail::run(self, caller, input).await
    }

    async fn start_query(&self, caller: &Caller, input: StartQueryRequest) -> Result<StartQueryResponse, Error> {
        ops::start_query::run(self, caller, input).await
    }

    async fn stop_query(&self, caller: &Caller, input: StopQueryRequest) -> Result<StopQueryResponse, Error> {
        ops::stop_query::run(self, caller, input).await
    }

    async fn tag_log_group(&self, caller: &Caller, input: TagLogGroupRequest) -> Result<(), Error> {
        ops::tag_log_group::run(self, caller, input).await
    }

    async fn tag_resource(&self, caller: &Caller, input: TagResourceRequest) -> Result<(), Error> {
        ops::tag_resource::run(self, caller, input).await
    }

    async fn test_metric_filter(
        &self,
        caller: &Caller,
        input: TestMetricFilterRequest,
    ) -> Result<TestMetricFilterResponse, Error> {
        ops::test_metric_filter::run(self, caller, input).await
    }

    async fn untag_log_group(&self, caller: &Caller, input: UntagLogGroupRequest) -> Result<(), Error> {
        ops::untag_log_group::run(self, caller, input).await
    }

    async fn untag_resource(&self, caller: &Caller, input: UntagResourceRequest) -> Result<(), Error> {
        ops::untag_resource::run(self, caller, input).await
    }
}
