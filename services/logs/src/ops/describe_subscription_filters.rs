//! DescribeSubscriptionFilters: those of a group, in the order of their names.

use api_logs::{DescribeSubscriptionFiltersRequest, DescribeSubscriptionFiltersResponse, Error};
use shape::Caller;

use crate::filters::subscription_filters;
use crate::limits::DESCRIBE_PAGE;
use crate::refusals::group_not_found;
use crate::service::LogsService;
use crate::{names, records, views};

pub(crate) async fn run(
    service: &LogsService,
    caller: &Caller,
    input: DescribeSubscriptionFiltersRequest,
) -> Result<DescribeSubscriptionFiltersResponse, Error> {
    let key = names::group(caller, input.log_group_name)?;
    let group = service.store.group(&key).ok_or_else(group_not_found)?;
    let snapshot = service.ledger.snapshot();
    let prefix = input.filter_name_prefix.unwrap_or_default();
    let filters = subscription_filters(&snapshot, &group).filter(|filter| filter.name.starts_with(&prefix));
    let size = input.limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(DESCRIBE_PAGE);
    let (page, next_token) = records::page(filters, |filter| filter.name.as_str(), input.next_token.as_deref(), size);
    let filters = page.into_iter().map(|filter| views::subscription_filter(filter)).collect();
    Ok(DescribeSubscriptionFiltersResponse { subscription_filters: Some(filters), next_token })
}
