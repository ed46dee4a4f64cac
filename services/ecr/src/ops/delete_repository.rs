//! DeleteRepository: an empty one, or by force with everything in it.

use api_ecr::{DeleteRepositoryRequest, DeleteRepositoryResponse, Error};
use shape::Caller;

use crate::service::EcrService;
use crate::{names, views};

pub(crate) async fn run(
    service: &EcrService,
    caller: &Caller,
    input: DeleteRepositoryRequest,
) -> Result<DeleteRepositoryResponse, Error> {
    let (registry_id, name) = (input.registry_id.as_deref(), input.repository_name.as_deref());
    let key = names::repository(caller, registry_id, name, "DeleteRepository")?;
    let deleted = service.on_disk(move |registry| {
        let deleted = match input.force {
            Some(true) => registry.delete_repository_and_images(&key)?,
            _ => registry.delete_repository(&key)?,
        };
        Ok(views::repository(&key, deleted))
    });
    Ok(DeleteRepositoryResponse { repository: Some(deleted.await?) })
}
