//! What the store keeps, in the shapes of the API.

use api_logs::{FilteredLogEvent, LogGroup, LogStream, OutputLogEvent, enums};
use log_store::{GroupInfo, PageEvent, Position, StreamInfo};
use model::{MetricFilter, QueryDefinition, SubscriptionFilter};
use shape::Caller;

pub(crate) fn group(caller: &Caller, info: GroupInfo, stored_bytes: u64, metric_filters: usize) -> LogGroup {
    let arn = caller.arn("logs", &format!("log-group:{}", info.key.group));
    LogGroup {
        log_group_name: Some(info.key.group),
        creation_time: Some(info.created.as_millis()),
        retention_in_days: info.retention_days.and_then(|days| i32::try_from(days).ok()),
        metric_filter_count: i32::try_from(metric_filters).ok(),
        arn: Some(format!("{arn}:*")),
        stored_bytes: i64::try_from(stored_bytes).ok(),
        log_group_class: Some(info.class.unwrap_or_else(|| enums::log_group_class::STANDARD.to_owned())),
        log_group_arn: Some(arn),
        deletion_protection_enabled: Some(false),
        ..LogGroup::default()
    }
}

pub(crate) fn stream(caller: &Caller, group: &str, info: &StreamInfo) -> LogStream {
    LogStream {
        log_stream_name: Some(info.name.to_string()),
        creation_time: Some(info.created.as_millis()),
        first_event_timestamp: info.first_event.map(|at| at.as_millis()),
        last_event_timestamp: info.last_event.map(|at| at.as_millis()),
        last_ingestion_time: info.last_ingestion.map(|at| at.as_millis()),
        upload_sequence_token: info.last_ingestion.map(|at| sequence_token(at.as_millis())),
        arn: Some(caller.arn("logs", &format!("log-group:{group}:log-stream:{}", info.name))),
        // "As of June 17, 2019, this parameter is no longer supported for log streams, and is always reported as zero."
        stored_bytes: Some(0),
    }
}

/// 56 digits that mean nothing, for clients that read them; see `quirks`.
pub(crate) fn sequence_token(ingestion_ms: i64) -> String {
    Position::start_of(ingestion_ms).to_string()
}

pub(crate) fn output_event(event: PageEvent) -> OutputLogEvent {
    OutputLogEvent {
        timestamp: Some(event.event.timestamp_ms),
        message: Some(event.event.message),
        ingestion_time: Some(event.event.ingestion_ms),
    }
}

pub(crate) fn filtered_event(event: PageEvent) -> FilteredLogEvent {
    FilteredLogEvent {
        log_stream_name: Some(event.stream.to_string()),
        timestamp: Some(event.event.timestamp_ms),
        event_id: Some(event.event.event_id()),
        message: Some(event.event.message),
        ingestion_time: Some(event.event.ingestion_ms),
    }
}

pub(crate) fn metric_filter(filter: &MetricFilter) -> api_logs::MetricFilter {
    let of = &filter.transformation;
    api_logs::MetricFilter {
        filter_name: Some(filter.name.clone()),
        filter_pattern: Some(filter.pattern.clone()),
        metric_transformations: Some(vec![api_logs::MetricTransformation {
            metric_name: Some(of.metric_name.clone()),
            metric_namespace: Some(of.namespace.clone()),
            metric_value: Some(of.value.clone()),
            default_value: of.default_value,
            dimensions: Some(of.dimensions.clone()).filter(|dimensions| !dimensions.is_empty()),
            unit: of.unit.clone(),
        }]),
        creation_time: Some(filter.created_at.as_millis()),
        log_group_name: Some(filter.group.name.clone()),
        apply_on_transformed_logs: Some(filter.on_transformed_logs),
        ..api_logs::MetricFilter::default()
    }
}

pub(crate) fn subscription_filter(filter: &SubscriptionFilter) -> api_logs::SubscriptionFilter {
    api_logs::SubscriptionFilter {
        filter_name: Some(filter.name.clone()),
        log_group_name: Some(filter.group.name.clone()),
        filter_pattern: Some(filter.pattern.clone()),
        destination_arn: Some(filter.destination_arn.clone()),
        role_arn: filter.role_arn.clone(),
        distribution: Some(filter.distribution.clone()),
        apply_on_transformed_logs: Some(filter.on_transformed_logs),
        creation_time: Some(filter.created_at.as_millis()),
        ..api_logs::SubscriptionFilter::default()
    }
}

pub(crate) fn query_definition(definition: &QueryDefinition) -> api_logs::QueryDefinition {
    let parameter = |parameter: &model::QueryParameter| api_logs::QueryParameter {
        name: Some(parameter.name.clone()),
        default_value: parameter.default_value.clone(),
        description: parameter.description.clone(),
    };
    api_logs::QueryDefinition {
        query_language: Some(enums::query_language::CWLI.to_owned()),
        query_definition_id: Some(definition.id.clone()),
        name: Some(definition.name.clone()),
        query_string: Some(definition.query.clone()),
        last_modified: Some(definition.modified_at.as_millis()),
        log_group_names: Some(definition.log_groups.clone()),
        parameters: Some(definition.parameters.iter().map(parameter).collect()),
    }
}
