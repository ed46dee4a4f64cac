use api_ecs::{DescribeDaemonTaskDefinitionRequest, DescribeDaemonTaskDefinitionResponse};

use crate::ctx::{Applied, Ctx, unchanged};
use crate::error::client;
use crate::{lookup, views};

pub(crate) fn apply(
    input: &DescribeDaemonTaskDefinitionRequest,
    ctx: &mut Ctx<'_>,
) -> Applied<DescribeDaemonTaskDefinitionResponse> {
    let definition = lookup::daemon_task_definition(ctx, input.daemon_task_definition.as_deref().unwrap_or_default())
        .ok_or_else(|| client("Unable to describe daemon task definition."))?;
    let shown = views::daemon::task_definition(&definition);
    unchanged(DescribeDaemonTaskDefinitionResponse { daemon_task_definition: Some(shown) })
}
