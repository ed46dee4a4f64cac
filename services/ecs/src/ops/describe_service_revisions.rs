use api_ecs::{DescribeServiceRevisionsRequest, DescribeServiceRevisionsResponse};

use crate::ctx::{Applied, Ctx, unchanged};
use crate::error::invalid;
use crate::limits::DESCRIBE_SERVICE_DEPLOYMENTS_MAX;
use crate::{lookup, views};

pub(crate) fn apply(
    input: &DescribeServiceRevisionsRequest,
    ctx: &mut Ctx<'_>,
) -> Applied<DescribeServiceRevisionsResponse> {
    let wanted = input.service_revision_arns.as_deref().unwrap_or_default();
    if wanted.is_empty() {
        return Err(invalid("Service revision ARNs cannot be empty."));
    }
    if wanted.len() > DESCRIBE_SERVICE_DEPLOYMENTS_MAX {
        let most = DESCRIBE_SERVICE_DEPLOYMENTS_MAX;
        return Err(invalid(format!("Service revision ARNs cannot have more than {most} elements.")));
    }
    let (mut shown, mut failures) = (Vec::new(), Vec::new());
    for text in wanted {
        match lookup::service_revision(ctx, text)? {
            Some(kept) => shown.push(views::service_deployment::service_revision(&kept)),
            None => failures.push(views::failure(text, "MISSING")),
        }
    }
    unchanged(DescribeServiceRevisionsResponse { service_revisions: Some(shown), failures: Some(failures) })
}
