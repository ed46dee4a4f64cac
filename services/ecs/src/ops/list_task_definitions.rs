use api_ecs::{ListTaskDefinitionsRequest, ListTaskDefinitionsResponse};
use model::TaskDefinition;

use crate::ctx::{Applied, Ctx, unchanged};
use crate::error::invalid;
use crate::limits::PAGE_MAX;
use crate::page::{Order, page};

/// Sorted by family, then by revision as a number; so the token is the padded name and not the ARN.
pub(crate) fn apply(input: &ListTaskDefinitionsRequest, ctx: &mut Ctx<'_>) -> Applied<ListTaskDefinitionsResponse> {
    let status = input.status.as_deref().unwrap_or("ACTIVE");
    let prefix = match input.family_prefix.as_deref().unwrap_or_default() {
        "" => format!("{}/", ctx.scope),
        // Despite its name it is the whole family here.
        family => format!("{}/{family}/", ctx.scope),
    };
    let matching = ctx.snapshot.task_definitions.range(&prefix).filter(|definition| definition.status.as_str() == status);
    let names: Vec<String> = matching.map(|definition| sort_key(definition)).collect();
    let (token, size) = (input.next_token.as_deref(), input.max_results);
    let (names, next_token) = match input.sort.as_deref().unwrap_or("ASC") {
        "ASC" => page(names.into_iter(), token, size, PAGE_MAX, Order::Ascending)?,
        "DESC" => page(names.into_iter().rev(), token, size, PAGE_MAX, Order::Descending)?,
        other => return Err(invalid(format!("Invalid sort order: {other}"))),
    };
    let arns = names.iter().filter_map(|name| ctx.snapshot.task_definitions.get(name)).map(|found| found.arn().to_string());
    unchanged(ListTaskDefinitionsResponse { task_definition_arns: Some(arns.collect()), next_token })
}

fn sort_key(definition: &TaskDefinition) -> String {
    state::Record::name(definition)
}
