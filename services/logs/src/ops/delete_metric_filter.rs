//! DeleteMetricFilter.

use api_logs::{DeleteMetricFilterRequest, Error};
use shape::Caller;
use state::Changes;

use crate::filters::metric_filters;
use crate::refusals::{group_not_found, metric_filter_not_found};
use crate::service::LogsService;
use crate::{names, records};

pub(crate) async fn run(service: &LogsService, caller: &Caller, input: DeleteMetricFilterRequest) -> Result<(), Error> {
    let key = names::group(caller, input.log_group_name)?;
    let name = input.filter_name.unwrap_or_default();
    records::change(service.ledger.as_ref(), |snapshot| {
        let group = service.store.group(&key).ok_or_else(group_not_found)?;
        let found = metric_filters(snapshot, &group).find(|filter| filter.name == name);
        let mut changes = Changes::new();
        changes.delete(snapshot, found.ok_or_else(metric_filter_not_found)?.as_ref());
        Ok((changes, ()))
    })
    .await
}
