//! DeleteLogGroup: the group, its streams and its events, and what filtered them.

use api_logs::{DeleteLogGroupRequest, Error};
use shape::Caller;
use state::Changes;

use crate::refusals::change;
use crate::service::LogsService;
use crate::{filters, names, records};

pub(crate) async fn run(service: &LogsService, caller: &Caller, input: DeleteLogGroupRequest) -> Result<(), Error> {
    let key = names::group(caller, input.log_group_name)?;
    service.store.delete_group(key.clone()).await.map_err(change)?;
    // Should this fail: a filter of a group that is gone is of no group, whoever takes the name next.
    records::change(service.ledger.as_ref(), |snapshot| {
        let mut changes = Changes::new();
        let prefix = filters::prefix(&key);
        snapshot.metric_filters.range(&prefix).for_each(|filter| changes.delete(snapshot, filter.as_ref()));
        snapshot.subscription_filters.range(&prefix).for_each(|filter| changes.delete(snapshot, filter.as_ref()));
        Ok((changes, ()))
    })
    .await
}
