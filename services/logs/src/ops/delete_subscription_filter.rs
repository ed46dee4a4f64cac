//! DeleteSubscriptionFilter.

use api_logs::{DeleteSubscriptionFilterRequest, Error};
use shape::Caller;
use state::Changes;

use crate::filters::subscription_filters;
use crate::refusals::{group_not_found, subscription_filter_not_found};
use crate::service::LogsService;
use crate::{names, records};

pub(crate) async fn run(
    service: &LogsService,
    caller: &Caller,
    input: DeleteSubscriptionFilterRequest,
) -> Result<(), Error> {
    let key = names::group(caller, input.log_group_name)?;
    let name = input.filter_name.unwrap_or_default();
    records::change(service.ledger.as_ref(), |snapshot| {
        let group = service.store.group(&key).ok_or_else(group_not_found)?;
        let found = subscription_filters(snapshot, &group).find(|filter| filter.name == name);
        let mut changes = Changes::new();
        changes.delete(snapshot, found.ok_or_else(subscription_filter_not_found)?.as_ref());
        Ok((changes, ()))
    })
    .await
}
