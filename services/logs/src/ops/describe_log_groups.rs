//! DescribeLogGroups: in the order of their names, by prefix or by a part of the name.

use api_logs::{DescribeLogGroupsRequest, DescribeLogGroupsResponse, Error};
use log_store::GroupInfo;
use shape::Caller;

use crate::filters::metric_filters;
use crate::limits::DESCRIBE_PAGE;
use crate::refusals::invalid;
use crate::service::LogsService;
use crate::{names, views};

pub(crate) async fn run(
    service: &LogsService,
    caller: &Caller,
    input: DescribeLogGroupsRequest,
) -> Result<DescribeLogGroupsResponse, Error> {
    if input.log_group_name_prefix.is_some() && input.log_group_name_pattern.is_some() {
        return Err(invalid("LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters."));
    }
    let identified = match &input.log_group_identifiers {
        Some(all) => Some(all.iter().map(|one| names::identified(caller, one)).collect::<Result<Vec<_>, _>>()?),
        None => None,
    };
    let prefix = input.log_group_name_prefix.as_deref().unwrap_or_default();
    let mut groups = service.store.groups(&caller.account, &caller.region, prefix);
    groups.retain(|group| {
        let name = &group.key.group;
        input.log_group_name_pattern.as_ref().is_none_or(|part| name.contains(part.as_str()))
            && identified.as_ref().is_none_or(|keys| keys.contains(&group.key))
            && input
                .log_group_class
                .as_deref()
                .is_none_or(|class| group.class.as_deref().unwrap_or("STANDARD") == class)
            && input.next_token.as_ref().is_none_or(|last| name > last)
    });
    let (groups, next_token) = page(groups, input.limit);
    let sized = service.blocking(move |store| {
        // A group that was deleted meanwhile takes nothing.
        Ok(groups.into_iter().map(|group| (store.stored_bytes(&group.key).unwrap_or(0), group)).collect::<Vec<_>>())
    });
    let snapshot = service.ledger.snapshot();
    let view = |(bytes, group): (u64, GroupInfo)| {
        let filters = metric_filters(&snapshot, &group).count();
        views::group(caller, group, bytes, filters)
    };
    let groups = sized.await?.into_iter().map(view).collect();
    Ok(DescribeLogGroupsResponse { log_groups: Some(groups), next_token })
}

/// The next page begins behind the last name of this one.
fn page(mut groups: Vec<GroupInfo>, limit: Option<i32>) -> (Vec<GroupInfo>, Option<String>) {
    let limit = limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(DESCRIBE_PAGE);
    let more = groups.len() > limit;
    groups.truncate(limit);
    let next = groups.last().filter(|_| more).map(|last| last.key.group.clone());
    (groups, next)
}
