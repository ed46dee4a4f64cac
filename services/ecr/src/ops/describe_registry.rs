//! DescribeRegistry.

use api_ecr::{DescribeRegistryRequest, DescribeRegistryResponse, Error};
use shape::Caller;

use super::put_replication_configuration::view;
use crate::names;
use crate::service::EcrService;

pub(crate) async fn run(
    service: &EcrService,
    caller: &Caller,
    _input: DescribeRegistryRequest,
) -> Result<DescribeRegistryResponse, Error> {
    let scope = names::scope(caller)?;
    let replication = service.on_disk(move |registry| registry.replication(&scope)).await?;
    Ok(DescribeRegistryResponse {
        registry_id: Some(caller.account.clone()),
        replication_configuration: Some(view(replication)),
    })
}
