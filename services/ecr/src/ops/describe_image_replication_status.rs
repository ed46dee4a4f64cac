//! DescribeImageReplicationStatus: what became of an image's copies.

use api_ecr::enums::replication_status;
use api_ecr::{
    DescribeImageReplicationStatusRequest, DescribeImageReplicationStatusResponse, Error, ImageIdentifier,
    ImageReplicationStatus,
};
use registry::{Replica, ReplicaStatus};
use shape::Caller;

use crate::refusals::{self, required};
use crate::service::EcrService;
use crate::{image_ids, names};

pub(crate) async fn run(
    service: &EcrService,
    caller: &Caller,
    input: DescribeImageReplicationStatusRequest,
) -> Result<DescribeImageReplicationStatusResponse, Error> {
    let (registry_id, name) = (input.registry_id.as_deref(), input.repository_name.as_deref());
    let key = names::repository(caller, registry_id, name, "DescribeImageReplicationStatus")?;
    let id = required(input.image_id, "imageId")?;
    service
        .decide(move |registry| {
            let (digest, _) = image_ids::require(registry, &key, &id)?;
            let replicas = registry.replicas(&key, &digest).map_err(refusals::registry)?;
            Ok(DescribeImageReplicationStatusResponse {
                repository_name: Some(key.name.to_string()),
                image_id: Some(ImageIdentifier { image_digest: Some(digest.to_string()), image_tag: id.image_tag }),
                replication_statuses: Some(replicas.into_iter().map(view).collect()),
            })
        })
        .await
}

fn view(replica: Replica) -> ImageReplicationStatus {
    let status = match replica.status {
        ReplicaStatus::InProgress => replication_status::IN_PROGRESS,
        ReplicaStatus::Complete => replication_status::COMPLETE,
        ReplicaStatus::Failed => replication_status::FAILED,
    };
    ImageReplicationStatus {
        region: Some(replica.destination.region),
        registry_id: Some(replica.destination.account),
        status: Some(status.to_owned()),
        failure_code: replica.failure,
    }
}
