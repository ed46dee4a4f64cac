//! UntagLogGroup: UntagResource by the name of a group.

use api_logs::{Error, UntagLogGroupRequest, UntagResourceRequest};
use shape::Caller;

use crate::names;
use crate::ops::untag_resource;
use crate::service::LogsService;

pub(crate) async fn run(service: &LogsService, caller: &Caller, input: UntagLogGroupRequest) -> Result<(), Error> {
    let resource_arn = Some(names::arn(caller, &input.log_group_name.unwrap_or_default()));
    untag_resource::run(service, caller, UntagResourceRequest { resource_arn, tag_keys: input.tags }).await
}
