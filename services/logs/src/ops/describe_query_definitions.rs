//! DescribeQueryDefinitions: in the order of their names.

use std::sync::Arc;

use api_logs::{DescribeQueryDefinitionsRequest, DescribeQueryDefinitionsResponse, Error};
use model::{QueryDefinition, Scope};
use shape::Caller;

use crate::limits::QUERIES_PAGE;
use crate::ops::start_query::refuse_language;
use crate::service::LogsService;
use crate::{records, views};

pub(crate) async fn run(
    service: &LogsService,
    caller: &Caller,
    input: DescribeQueryDefinitionsRequest,
) -> Result<DescribeQueryDefinitionsResponse, Error> {
    refuse_language(input.query_language.as_deref())?;
    let scope = Scope::new(&caller.account, &caller.region);
    let snapshot = service.ledger.snapshot();
    let prefix = input.query_definition_name_prefix.unwrap_or_default();
    let wanted = snapshot.query_definitions.range(&format!("{scope}/")).filter(|one| one.name.starts_with(&prefix));
    // Several may have one name.
    let mut placed: Vec<(String, &Arc<QueryDefinition>)> =
        wanted.map(|one| (format!("{}\0{}", one.name, one.id), one)).collect();
    placed.sort_by(|(a, _), (b, _)| a.cmp(b));
    let size = input.max_results.and_then(|size| usize::try_from(size).ok()).unwrap_or(QUERIES_PAGE);
    let (page, next_token) =
        records::page(placed.into_iter(), |(place, _)| place.as_str(), input.next_token.as_deref(), size);
    let definitions = page.into_iter().map(|(_, one)| views::query_definition(one)).collect();
    Ok(DescribeQueryDefinitionsResponse { query_definitions: Some(definitions), next_token })
}
