//! CreateLogGroup.

use api_logs::{CreateLogGroupRequest, Error};
use log_store::NewGroup;
use shape::Caller;

use crate::names;
use crate::ops::tag_resource;
use crate::refusals::{change, invalid};
use crate::service::LogsService;

pub(crate) async fn run(service: &LogsService, caller: &Caller, input: CreateLogGroupRequest) -> Result<(), Error> {
    let key = names::group(caller, input.log_group_name)?;
    if key.group.starts_with("aws/") {
        return Err(invalid("Log groups starting with AWS/ are reserved for AWS."));
    }
    if input.kms_key_id.is_some() {
        let arn = caller.arn("logs", &format!("log-group:{}", key.group));
        return Err(invalid(format!(
            "The specified KMS key does not exist or is not allowed to be used with LogGroup '{arn}'"
        )));
    }
    if input.deletion_protection_enabled == Some(true) {
        return Err(invalid("Deletion protection is not available."));
    }
    let tags = input.tags.unwrap_or_default();
    tag_resource::refuse_reserved(&tags)?;
    let new = NewGroup { tags, class: input.log_group_class };
    service.store.create_group(key, new, service.now()).await.map_err(change)
}
