//! TagResource, on log groups.

use std::collections::BTreeMap;

use api_logs::{Error, ErrorCode, TagResourceRequest};
use log_store::GroupChange;
use shape::{Caller, Document};

use crate::limits::TAGS_MAX;
use crate::names;
use crate::refusals::{change, group_not_found, invalid};
use crate::service::LogsService;

pub(crate) async fn run(service: &LogsService, caller: &Caller, input: TagResourceRequest) -> Result<(), Error> {
    let arn = input.resource_arn.unwrap_or_default();
    let key = names::group_of_arn(caller, &arn)?;
    let tags = input.tags.unwrap_or_default();
    refuse_reserved(&tags)?;
    let known = service.store.group(&key).ok_or_else(group_not_found)?.tags;
    let new = tags.keys().filter(|name| !known.contains_key(*name)).count();
    if known.len() + new > TAGS_MAX {
        let message = format!("A resource can have no more than {TAGS_MAX} tags.");
        return Err(
            Error::new(ErrorCode::TooManyTagsException, message).with_member("resourceName", Document::String(arn))
        );
    }
    service.store.change_group(key, GroupChange::Tag(tags)).await.map_err(change)
}

pub(crate) fn refuse_reserved(tags: &BTreeMap<String, String>) -> Result<(), Error> {
    match tags.keys().any(|name| name.starts_with("aws:")) {
        true => Err(invalid("Tag keys starting with aws: are reserved for AWS use.")),
        false => Ok(()),
    }
}
