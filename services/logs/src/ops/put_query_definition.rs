//! PutQueryDefinition: gives a query a name, or changes one that has an id already.

use api_logs::{Error, PutQueryDefinitionRequest, PutQueryDefinitionResponse};
use model::{QueryDefinition, QueryParameter, Scope};
use shape::Caller;
use state::Changes;

use crate::limits::QUERY_DEFINITIONS_MAX;
use crate::ops::start_query::refuse_language;
use crate::records;
use crate::refusals::{definition_not_found, limit_exceeded};
use crate::service::LogsService;

pub(crate) async fn run(
    service: &LogsService,
    caller: &Caller,
    input: PutQueryDefinitionRequest,
) -> Result<PutQueryDefinitionResponse, Error> {
    refuse_language(input.query_language.as_deref())?;
    let scope = Scope::new(&caller.account, &caller.region);
    let parameter = |parameter: api_logs::QueryParameter| QueryParameter {
        name: parameter.name.unwrap_or_default(),
        default_value: parameter.default_value,
        description: parameter.description,
    };
    let record = QueryDefinition {
        scope: scope.clone(),
        // A request has an id of its own; a repeat with the same token is the same request.
        id: input.query_definition_id.clone().or(input.client_token).unwrap_or_else(|| caller.request_id.clone()),
        name: input.name.unwrap_or_default(),
        query: input.query_string.unwrap_or_default(),
        log_groups: input.log_group_names.unwrap_or_default(),
        parameters: input.parameters.unwrap_or_default().into_iter().map(parameter).collect(),
        modified_at: service.now(),
    };
    records::change(service.ledger.as_ref(), |snapshot| {
        let known = snapshot.query_definitions.get(&format!("{scope}/{}", record.id));
        if input.query_definition_id.is_some() && known.is_none() {
            return Err(definition_not_found());
        }
        let all = snapshot.query_definitions.range(&format!("{scope}/")).count();
        if known.is_none() && all >= QUERY_DEFINITIONS_MAX {
            return Err(limit_exceeded("Resource limit exceeded."));
        }
        let mut changes = Changes::new();
        changes.put(snapshot, &record);
        Ok((changes, ()))
    })
    .await?;
    Ok(PutQueryDefinitionResponse { query_definition_id: Some(record.id) })
}
