use api_ecs::{DescribeDaemonRequest, DescribeDaemonResponse};

use crate::ctx::{Applied, Ctx, unchanged};
use crate::{lookup, views};

pub(crate) fn apply(input: &DescribeDaemonRequest, ctx: &mut Ctx<'_>) -> Applied<DescribeDaemonResponse> {
    let daemon = lookup::daemon(ctx, input.daemon_arn.as_deref().unwrap_or_default())?;
    unchanged(DescribeDaemonResponse { daemon: Some(views::daemon::daemon(ctx.snapshot, &daemon)) })
}
