//! DeleteRepositoryCreationTemplate: answers with what it deleted.

use api_ecr::{DeleteRepositoryCreationTemplateRequest, DeleteRepositoryCreationTemplateResponse, Error};
use registry::{CreationTemplates, Holder};
use shape::Caller;

use crate::cache_rules::normal;
use crate::refusals::required;
use crate::service::EcrService;
use crate::{names, templates};

pub(crate) async fn run(
    service: &EcrService,
    caller: &Caller,
    input: DeleteRepositoryCreationTemplateRequest,
) -> Result<DeleteRepositoryCreationTemplateResponse, Error> {
    let scope = names::scope(caller)?;
    let prefix = normal(&required(input.prefix, "prefix")?);
    let wanted = prefix.clone();
    let deleted = service
        .on_disk(move |registry| {
            registry.change_record(
                Holder::Registry(&scope),
                CreationTemplates::RECORD,
                |kept: Option<CreationTemplates>| {
                    let mut all = kept.unwrap_or_default();
                    let deleted = all.templates.remove(&wanted).ok_or(())?;
                    Ok((Some(all), deleted))
                },
            )
        })
        .await?;
    let deleted = deleted.map_err(|()| templates::not_found(caller, &prefix))?;
    Ok(DeleteRepositoryCreationTemplateResponse {
        registry_id: Some(caller.account.clone()),
        repository_creation_template: Some(templates::view(deleted)),
    })
}
