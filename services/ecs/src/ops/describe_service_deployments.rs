use api_ecs::{DescribeServiceDeploymentsRequest, DescribeServiceDeploymentsResponse};

use crate::ctx::{Applied, Ctx, unchanged};
use crate::error::invalid;
use crate::limits::DESCRIBE_SERVICE_DEPLOYMENTS_MAX;
use crate::{lookup, views};

pub(crate) fn apply(
    input: &DescribeServiceDeploymentsRequest,
    ctx: &mut Ctx<'_>,
) -> Applied<DescribeServiceDeploymentsResponse> {
    let wanted = input.service_deployment_arns.as_deref().unwrap_or_default();
    if wanted.is_empty() {
        return Err(invalid("Service deployment ARNs cannot be empty."));
    }
    if wanted.len() > DESCRIBE_SERVICE_DEPLOYMENTS_MAX {
        let most = DESCRIBE_SERVICE_DEPLOYMENTS_MAX;
        return Err(invalid(format!("Service deployment ARNs cannot have more than {most} elements.")));
    }
    let (mut shown, mut failures) = (Vec::new(), Vec::new());
    for text in wanted {
        match lookup::service_deployment(ctx, text)? {
            Some(kept) => shown.push(views::service_deployment::service_deployment(ctx.snapshot, &kept)),
            None => failures.push(views::failure(text, "MISSING")),
        }
    }
    unchanged(DescribeServiceDeploymentsResponse { service_deployments: Some(shown), failures: Some(failures) })
}
