//! DescribeImageScanFindings: there never was a scan.

use api_ecr::{DescribeImageScanFindingsRequest, DescribeImageScanFindingsResponse, Error, ErrorCode, ImageIdentifier};
use shape::Caller;

use crate::refusals::{refuse, required};
use crate::service::EcrService;
use crate::{image_ids, names};

pub(crate) async fn run(
    service: &EcrService,
    caller: &Caller,
    input: DescribeImageScanFindingsRequest,
) -> Result<DescribeImageScanFindingsResponse, Error> {
    let (registry_id, name) = (input.registry_id.as_deref(), input.repository_name.as_deref());
    let key = names::repository(caller, registry_id, name, "DescribeImageScanFindings")?;
    let id = required(input.image_id, "imageId")?;
    service
        .decide(move |registry| {
            let (digest, _) = image_ids::require(registry, &key, &id)?;
            let id = ImageIdentifier { image_digest: Some(digest.to_string()), image_tag: id.image_tag };
            let message = format!(
                "Image scan does not exist for the image with '{}' in the repository with name '{}' in the registry \
                 with id '{}'",
                image_ids::text(&id),
                key.name,
                key.scope.account()
            );
            Err(refuse(ErrorCode::ScanNotFoundException, message))
        })
        .await
}
