//! TagLogGroup: what TagResource was before 2022, by the name of a group. Terraform modules and old SDKs still ask so.

use api_logs::{Error, TagLogGroupRequest, TagResourceRequest};
use shape::Caller;

use crate::names;
use crate::ops::tag_resource;
use crate::service::LogsService;

pub(crate) async fn run(service: &LogsService, caller: &Caller, input: TagLogGroupRequest) -> Result<(), Error> {
    let resource_arn = Some(names::arn(caller, &input.log_group_name.unwrap_or_default()));
    tag_resource::run(service, caller, TagResourceRequest { resource_arn, tags: input.tags }).await
}
