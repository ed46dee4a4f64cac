//! PutMetricFilter: makes a filter, or replaces the one of that name.

use api_logs::{Error, MetricTransformation as Transformation, PutMetricFilterRequest};
use model::{MetricFilter, MetricTransformation};
use shape::Caller;
use state::Changes;

use crate::filters::{group_ref, metric_filters};
use crate::limits::{METRIC_DIMENSIONS_MAX, METRIC_FILTERS_MAX};
use crate::pattern::FilterPattern;
use crate::refusals::{group_not_found, invalid, limit_exceeded, refuse_other_class};
use crate::service::LogsService;
use crate::{names, records};

pub(crate) async fn run(service: &LogsService, caller: &Caller, input: PutMetricFilterRequest) -> Result<(), Error> {
    let key = names::group(caller, input.log_group_name.clone())?;
    let filter = parse(input)?;
    records::change(service.ledger.as_ref(), |snapshot| {
        let group = service.store.group(&key).ok_or_else(group_not_found)?;
        refuse_other_class(&group)?;
        let others = metric_filters(snapshot, &group).filter(|other| other.name != filter.name).count();
        if others >= METRIC_FILTERS_MAX {
            return Err(limit_exceeded("Resource limit exceeded."));
        }
        let record = MetricFilter {
            group: group_ref(&group),
            name: filter.name.clone(),
            pattern: filter.pattern.clone(),
            transformation: filter.transformation.clone(),
            on_transformed_logs: filter.on_transformed_logs,
            created_at: service.now(),
        };
        let mut changes = Changes::new();
        changes.put(snapshot, &record);
        Ok((changes, ()))
    })
    .await
}

/// What was asked for, when it makes sense.
#[derive(Debug)]
struct Asked {
    name: String,
    pattern: String,
    transformation: MetricTransformation,
    on_transformed_logs: bool,
}

fn parse(input: PutMetricFilterRequest) -> Result<Asked, Error> {
    let pattern = input.filter_pattern.unwrap_or_default();
    let understood = FilterPattern::parse(&pattern).map_err(|_| invalid("Invalid filter pattern"))?;
    refuse_selection(input.field_selection_criteria.as_deref(), input.emit_system_field_dimensions.as_deref())?;
    let transformation = input.metric_transformations.unwrap_or_default().into_iter().next();
    let transformation = transformation.ok_or_else(|| invalid("A metric transformation is required."))?;
    Ok(Asked {
        name: input.filter_name.unwrap_or_default(),
        transformation: transform(transformation, &understood)?,
        pattern,
        on_transformed_logs: input.apply_on_transformed_logs.unwrap_or(false),
    })
}

/// Both select among the groups of several accounts, and here is one.
pub(crate) fn refuse_selection(criteria: Option<&str>, fields: Option<&[String]>) -> Result<(), Error> {
    match criteria.is_some_and(|text| !text.is_empty()) || fields.is_some_and(|fields| !fields.is_empty()) {
        true => Err(invalid("Field selection criteria and system fields are not available.")),
        false => Ok(()),
    }
}

fn transform(asked: Transformation, pattern: &FilterPattern) -> Result<MetricTransformation, Error> {
    let refused = |what: &str| invalid(format!("Invalid metric transformation: {what}"));
    let value = asked.metric_value.unwrap_or_default();
    let makes_sense = |token: &str| token.starts_with('$') && pattern.knows(token);
    if !makes_sense(&value) && !value.parse().is_ok_and(f64::is_finite) {
        return Err(refused("metric value must be a number or a field of the filter pattern."));
    }
    let dimensions = asked.dimensions.unwrap_or_default();
    if dimensions.len() > METRIC_DIMENSIONS_MAX {
        return Err(refused("a metric filter can have no more than 3 dimensions."));
    }
    if !dimensions.is_empty() && asked.default_value.is_some() {
        return Err(refused("dimensions and default value are mutually exclusive properties."));
    }
    if dimensions.values().any(|token| !makes_sense(token)) {
        return Err(refused("dimension value must be valid selector"));
    }
    Ok(MetricTransformation {
        metric_name: asked.metric_name.unwrap_or_default(),
        namespace: asked.metric_namespace.unwrap_or_default(),
        value,
        default_value: asked.default_value,
        dimensions,
        unit: asked.unit,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(
        pattern: &str,
        value: &str,
        dimensions: &[(&str, &str)],
        default_value: Option<f64>,
        refused: Option<&str>,
    ) {
        let dimensions = dimensions.iter().map(|(name, token)| ((*name).to_owned(), (*token).to_owned())).collect();
        let transformation = Transformation {
            metric_value: Some(value.to_owned()),
            dimensions: Some(dimensions),
            default_value,
            ..Transformation::default()
        };
        let input = PutMetricFilterRequest {
            filter_pattern: Some(pattern.to_owned()),
            metric_transformations: Some(vec![transformation]),
            ..PutMetricFilterRequest::default()
        };
        let message = parse(input).map_err(|error| error.message).err();
        match (message.as_deref(), refused) {
            (None, None) => {}
            (Some(message), Some(part)) => assert!(message.contains(part), "{message}"),
            (found, _) => panic!("{pattern} {value}: {found:?}"),
        }
    }

    #[test]
    fn transformations() {
        check("ERROR", "1", &[], Some(0.0), None);
        check("{ $.a = 1 }", "$.latency", &[("path", "$.path")], None, None);
        check("[ip, size]", "$size", &[("ip", "$ip")], None, None);
        check("a.b", "1", &[], None, Some("Invalid filter pattern"));
        check("ERROR", "much", &[], None, Some("metric value"));
        check("ERROR", "$latency", &[], None, Some("metric value"));
        check("{ $.a = 1 }", "1", &[("a", "$.a")], Some(0.0), Some("mutually exclusive"));
        check("{ $.a = 1 }", "1", &[("a", "b")], None, Some("valid selector"));
        let four = [("a", "$.a"), ("b", "$.b"), ("c", "$.c"), ("d", "$.d")];
        check("{ $.a = 1 }", "1", &four, None, Some("no more than 3"));
    }
}
