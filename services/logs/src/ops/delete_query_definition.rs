//! DeleteQueryDefinition.

use api_logs::{DeleteQueryDefinitionRequest, DeleteQueryDefinitionResponse, Error};
use model::Scope;
use shape::Caller;
use state::Changes;

use crate::records;
use crate::refusals::definition_not_found;
use crate::service::LogsService;

pub(crate) async fn run(
    service: &LogsService,
    caller: &Caller,
    input: DeleteQueryDefinitionRequest,
) -> Result<DeleteQueryDefinitionResponse, Error> {
    let scope = Scope::new(&caller.account, &caller.region);
    let name = format!("{scope}/{}", input.query_definition_id.unwrap_or_default());
    records::change(service.ledger.as_ref(), |snapshot| {
        let found = snapshot.query_definitions.get(&name).ok_or_else(definition_not_found)?;
        let mut changes = Changes::new();
        changes.delete(snapshot, found.as_ref());
        Ok((changes, ()))
    })
    .await?;
    Ok(DeleteQueryDefinitionResponse { success: Some(true) })
}
