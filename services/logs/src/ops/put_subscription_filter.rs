//! PutSubscriptionFilter: kept only when the destination takes a test message.

use api_logs::{Error, ErrorCode, PutSubscriptionFilterRequest, enums::distribution};
use model::SubscriptionFilter;
use shape::Caller;
use state::Changes;

use crate::filters::{destination_kind, group_ref, scope, subscription_filters, test_message};
use crate::limits::SUBSCRIPTION_FILTERS_MAX;
use crate::ops::put_metric_filter::refuse_selection;
use crate::pattern::FilterPattern;
use crate::refusals::{group_not_found, invalid, limit_exceeded, refuse_other_class};
use crate::service::LogsService;
use crate::sinks::{Destination, DestinationKind, NotDelivered};
use crate::{names, records};

pub(crate) async fn run(
    service: &LogsService,
    caller: &Caller,
    input: PutSubscriptionFilterRequest,
) -> Result<(), Error> {
    let key = names::group(caller, input.log_group_name)?;
    let pattern = input.filter_pattern.unwrap_or_default();
    FilterPattern::parse(&pattern).map_err(|_| invalid("Invalid filter pattern"))?;
    refuse_selection(input.field_selection_criteria.as_deref(), input.emit_system_fields.as_deref())?;
    let arn = input.destination_arn.unwrap_or_default();
    let kind = destination_kind(&arn).ok_or_else(|| invalid(format!("The destination ARN is not valid: {arn}")))?;
    refuse_role(kind, input.role_arn.as_deref())?;
    let group = service.store.group(&key).ok_or_else(group_not_found)?;
    refuse_other_class(&group)?;
    let destination = Destination { kind, arn: arn.clone(), role_arn: input.role_arn.clone(), partition_key: None };
    let tested = service.deliveries.test(&scope(&key), &destination, test_message(&group_ref(&group))).await;
    tested.map_err(|NotDelivered| not_delivered(kind))?;

    let name = input.filter_name.unwrap_or_default();
    let by = input.distribution.unwrap_or_else(|| distribution::BY_LOG_STREAM.to_owned());
    records::change(service.ledger.as_ref(), |snapshot| {
        let group = service.store.group(&key).ok_or_else(group_not_found)?;
        let others = subscription_filters(snapshot, &group).filter(|other| other.name != name).count();
        if others >= SUBSCRIPTION_FILTERS_MAX {
            return Err(limit_exceeded("Resource limit exceeded."));
        }
        let record = SubscriptionFilter {
            group: group_ref(&group),
            name: name.clone(),
            pattern: pattern.clone(),
            destination_arn: arn.clone(),
            role_arn: input.role_arn.clone(),
            distribution: by.clone(),
            on_transformed_logs: input.apply_on_transformed_logs.unwrap_or(false),
            created_at: service.now(),
        };
        let mut changes = Changes::new();
        changes.put(snapshot, &record);
        Ok((changes, ()))
    })
    .await
}

/// A stream is written to in a role; a function and a destination say themselves who may come.
fn refuse_role(kind: DestinationKind, role: Option<&str>) -> Result<(), Error> {
    match (kind, role) {
        (DestinationKind::Kinesis, None) => {
            Err(invalid("destinationArn for vendor kinesis cannot be used without roleArn"))
        }
        (DestinationKind::Firehose, None) => {
            Err(invalid("destinationArn for vendor firehose cannot be used without roleArn"))
        }
        (DestinationKind::Lambda, Some(_)) => {
            Err(invalid("destinationArn for vendor lambda cannot be used with roleArn"))
        }
        _ => Ok(()),
    }
}

fn not_delivered(kind: DestinationKind) -> Error {
    match kind {
        DestinationKind::Lambda => invalid(
            "Could not execute the lambda function. Make sure you have given CloudWatch Logs permission to execute \
             your function.",
        ),
        DestinationKind::Kinesis => invalid(
            "Could not deliver test message to specified Kinesis stream. Check if the given kinesis stream is in ACTIVE \
             state. ",
        ),
        DestinationKind::Firehose => invalid(
            "Could not deliver test message to specified Firehose stream. Check if the given Firehose stream is in ACTIVE \
             state. ",
        ),
        DestinationKind::Destination => {
            Error::new(ErrorCode::ResourceNotFoundException, "The specified destination does not exist.")
        }
    }
}
