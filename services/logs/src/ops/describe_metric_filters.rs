//! DescribeMetricFilters: of a group, or of all groups; in the order of their names.

use std::sync::Arc;

use api_logs::{DescribeMetricFiltersRequest, DescribeMetricFiltersResponse, Error};
use model::{MetricFilter, Scope};
use shape::Caller;
use state::Record;

use crate::filters::metric_filters;
use crate::limits::DESCRIBE_PAGE;
use crate::refusals::{group_not_found, invalid};
use crate::service::LogsService;
use crate::{names, records, views};

pub(crate) async fn run(
    service: &LogsService,
    caller: &Caller,
    input: DescribeMetricFiltersRequest,
) -> Result<DescribeMetricFiltersResponse, Error> {
    if input.metric_name.is_some() != input.metric_namespace.is_some() {
        return Err(invalid("Both metricName and metricNamespace must be specified, or neither."));
    }
    let snapshot = service.ledger.snapshot();
    let mut filters: Vec<(String, &Arc<MetricFilter>)> = match input.log_group_name {
        Some(name) => {
            let group = service.store.group(&names::group_key(caller, name)).ok_or_else(group_not_found)?;
            metric_filters(&snapshot, &group).map(|filter| (filter.name.clone(), filter)).collect()
        }
        None => {
            let scope = Scope::new(&caller.account, &caller.region);
            let lives = |filter: &&Arc<MetricFilter>| {
                let group = service.store.group(&names::group_key(caller, filter.group.name.as_str()));
                group.is_some_and(|group| group.created == filter.group.created_at)
            };
            let all = snapshot.metric_filters.range(&format!("{scope}/")).filter(lives);
            all.map(|filter| (format!("{}\0{}", filter.name, Record::name(filter.as_ref())), filter)).collect()
        }
    };
    filters.retain(|(_, filter)| {
        let of = &filter.transformation;
        input.filter_name_prefix.as_ref().is_none_or(|prefix| filter.name.starts_with(prefix.as_str()))
            && input.metric_name.as_ref().is_none_or(|name| of.metric_name == *name)
            && input.metric_namespace.as_ref().is_none_or(|namespace| of.namespace == *namespace)
    });
    filters.sort_by(|(a, _), (b, _)| a.cmp(b));
    let size = input.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(DESCRIBE_PAGE);
    let (page, next_token) =
        records::page(filters.into_iter(), |(place, _)| place.as_str(), input.next_token.as_deref(), size);
    let filters = page.into_iter().map(|(_, filter)| views::metric_filter(filter)).collect();
    Ok(DescribeMetricFiltersResponse { metric_filters: Some(filters), next_token })
}
