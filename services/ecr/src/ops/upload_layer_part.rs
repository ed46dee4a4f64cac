//! UploadLayerPart: parts come in order, each after the end of the last.

use api_ecr::{Error, ErrorCode, UploadLayerPartRequest, UploadLayerPartResponse};
use bytes::Bytes;
use registry::{BLOB_BYTES_MAX, Registry, RegistryError, RepositoryKey};
use shape::{Caller, Document};

use crate::limits::LAYER_PART_MIN;
use crate::refusals::{self, required};
use crate::service::EcrService;
use crate::{layers, names};

struct Part {
    id: String,
    first: u64,
    last: u64,
    bytes: Bytes,
}

pub(crate) async fn run(
    service: &EcrService,
    caller: &Caller,
    input: UploadLayerPartRequest,
) -> Result<UploadLayerPartResponse, Error> {
    let (registry_id, name) = (input.registry_id.as_deref(), input.repository_name.as_deref());
    let key = names::repository(caller, registry_id, name, "UploadLayerPart")?;
    let byte = |value: Option<i64>, parameter| Ok(required(value, parameter)?.try_into().unwrap_or_default());
    let part = Part {
        id: required(input.upload_id, "uploadId")?,
        first: byte(input.part_first_byte, "partFirstByte")?,
        last: byte(input.part_last_byte, "partLastByte")?,
        bytes: required(input.layer_part_blob, "layerPartBlob")?,
    };
    service.decide(move |registry| upload(registry, &key, &part)).await
}

fn upload(registry: &Registry, key: &RepositoryKey, part: &Part) -> Result<UploadLayerPartResponse, Error> {
    let id = layers::upload_id(&part.id, key)?;
    let end = registry.parts_end(key, id).map_err(|error| layers::upload(error, &part.id, key))?;
    let announced = part.last.checked_sub(part.first).map(|length| length + 1);
    if announced != Some(part.bytes.len() as u64) {
        let message = format!(
            "The layer part has {} bytes, and does not go from byte {} to byte {}",
            part.bytes.len(),
            part.first,
            part.last
        );
        return Err(invalid_part(key, part, end, message));
    }
    // A part that is too small is found out when another one follows it.
    if part.first == end && (1..LAYER_PART_MIN).contains(&end) {
        let message = format!("Layer parts must be at least {LAYER_PART_MIN} bytes in size, but for the last one");
        return Err(invalid_part(key, part, end, message));
    }
    match registry.append_part(key, id, part.first, &part.bytes) {
        Ok(end) => Ok(UploadLayerPartResponse {
            registry_id: Some(key.scope.account().to_owned()),
            repository_name: Some(key.name.to_string()),
            upload_id: Some(part.id.clone()),
            last_byte_received: Some(last_byte(end)),
        }),
        Err(RegistryError::UploadOutOfOrder { offset }) => {
            let message = format!("The layer part must begin at byte {offset}, and begins at byte {}", part.first);
            Err(invalid_part(key, part, offset, message))
        }
        Err(RegistryError::TooLarge { .. }) => Err(Error::new(
            ErrorCode::LimitExceededException,
            format!("A layer can have no more than {BLOB_BYTES_MAX} bytes"),
        )),
        // Another request writes to the upload right now.
        Err(RegistryError::UploadInvalid { reason }) => Err(invalid_part(key, part, end, reason)),
        Err(error) => Err(layers::upload(error, &part.id, key)),
    }
}

fn last_byte(end: u64) -> i64 {
    i64::try_from(end).unwrap_or(i64::MAX).saturating_sub(1).max(0)
}

fn invalid_part(key: &RepositoryKey, part: &Part, end: u64, message: String) -> Error {
    refusals::refuse(ErrorCode::InvalidLayerPartException, message)
        .with_member("registryId", Document::String(key.scope.account().to_owned()))
        .with_member("repositoryName", Document::String(key.name.to_string()))
        .with_member("uploadId", Document::String(part.id.clone()))
        .with_member("lastValidByteReceived", Document::Integer(last_byte(end)))
}
