use api_ecs::{DescribeTaskDefinitionRequest, DescribeTaskDefinitionResponse};

use crate::ctx::{Applied, Ctx, unchanged};
use crate::error::client;
use crate::{convert, lookup, views};

pub(crate) fn apply(
    input: &DescribeTaskDefinitionRequest,
    ctx: &mut Ctx<'_>,
) -> Applied<DescribeTaskDefinitionResponse> {
    let definition = lookup::task_definition(ctx, input.task_definition.as_deref().unwrap_or_default())
        .ok_or_else(|| client("Unable to describe task definition."))?;
    let tags = if views::included(input.include.as_ref(), "TAGS") {
        convert::tags::view(&definition.tags)
    } else {
        Vec::new()
    };
    unchanged(DescribeTaskDefinitionResponse {
        task_definition: Some(views::task_definition(&definition)),
        tags: Some(tags),
    })
}
