//! PutRetentionPolicy: how many days events are kept.

use api_logs::{Error, PutRetentionPolicyRequest};
use log_store::GroupChange;
use shape::Caller;

use crate::limits::RETENTION_DAYS;
use crate::names;
use crate::refusals::{change, invalid};
use crate::service::LogsService;

pub(crate) async fn run(service: &LogsService, caller: &Caller, input: PutRetentionPolicyRequest) -> Result<(), Error> {
    let key = names::group(caller, input.log_group_name)?;
    let days = parse(input.retention_in_days.unwrap_or_default())?;
    service.store.change_group(key, GroupChange::Retention(Some(days))).await.map_err(change)
}

fn parse(days: i32) -> Result<u32, Error> {
    let allowed = u32::try_from(days).ok().filter(|days| RETENTION_DAYS.contains(days));
    allowed.ok_or_else(|| {
        invalid(format!(
            "1 validation error detected: Value '{days}' at 'retentionInDays' failed to satisfy constraint: \
             Member must satisfy enum value set: {RETENTION_DAYS:?}"
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_days_of_the_list() {
        for days in [1, 7, 365, 3653] {
            assert_eq!(parse(days).unwrap(), days as u32);
        }
        for days in [0, 2, -1, 366, 4000] {
            let refused = parse(days).unwrap_err();
            assert!(refused.message.contains(&format!("Value '{days}' at 'retentionInDays'")), "{}", refused.message);
        }
    }
}
