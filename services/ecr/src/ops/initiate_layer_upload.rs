//! InitiateLayerUpload.

use api_ecr::{Error, InitiateLayerUploadRequest, InitiateLayerUploadResponse};
use shape::Caller;

use crate::limits::LAYER_PART_SIZE;
use crate::names;
use crate::service::EcrService;

pub(crate) async fn run(
    service: &EcrService,
    caller: &Caller,
    input: InitiateLayerUploadRequest,
) -> Result<InitiateLayerUploadResponse, Error> {
    let (registry_id, name) = (input.registry_id.as_deref(), input.repository_name.as_deref());
    let key = names::repository(caller, registry_id, name, "InitiateLayerUpload")?;
    let id = service.on_disk(move |registry| registry.begin_parts(&key)).await?;
    Ok(InitiateLayerUploadResponse { upload_id: Some(id.to_string()), part_size: Some(LAYER_PART_SIZE as i64) })
}
