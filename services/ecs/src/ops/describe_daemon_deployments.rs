use api_ecs::{DescribeDaemonDeploymentsRequest, DescribeDaemonDeploymentsResponse};

use crate::ctx::{Applied, Ctx, unchanged};
use crate::error::invalid;
use crate::limits::DESCRIBE_DAEMON_DEPLOYMENTS_MAX;
use crate::{lookup, views};

pub(crate) fn apply(
    input: &DescribeDaemonDeploymentsRequest,
    ctx: &mut Ctx<'_>,
) -> Applied<DescribeDaemonDeploymentsResponse> {
    let wanted = input.daemon_deployment_arns.as_deref().unwrap_or_default();
    if wanted.is_empty() {
        return Err(invalid("Daemon deployment ARNs cannot be empty."));
    }
    if wanted.len() > DESCRIBE_DAEMON_DEPLOYMENTS_MAX {
        let most = DESCRIBE_DAEMON_DEPLOYMENTS_MAX;
        return Err(invalid(format!("Daemon deployment ARNs cannot have more than {most} elements.")));
    }
    let (mut shown, mut failures) = (Vec::new(), Vec::new());
    for text in wanted {
        match lookup::daemon_deployment(ctx, text)? {
            Some(kept) => shown.push(views::daemon::deployment(ctx.snapshot, &kept)),
            None => failures.push(views::failure(text, "MISSING")),
        }
    }
    unchanged(DescribeDaemonDeploymentsResponse { daemon_deployments: Some(shown), failures: Some(failures) })
}
