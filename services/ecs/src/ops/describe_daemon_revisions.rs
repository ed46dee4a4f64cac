use api_ecs::{DescribeDaemonRevisionsRequest, DescribeDaemonRevisionsResponse};

use crate::ctx::{Applied, Ctx, unchanged};
use crate::error::invalid;
use crate::limits::DESCRIBE_DAEMON_DEPLOYMENTS_MAX;
use crate::{lookup, views};

pub(crate) fn apply(
    input: &DescribeDaemonRevisionsRequest,
    ctx: &mut Ctx<'_>,
) -> Applied<DescribeDaemonRevisionsResponse> {
    let wanted = input.daemon_revision_arns.as_deref().unwrap_or_default();
    if wanted.is_empty() {
        return Err(invalid("Daemon revision ARNs cannot be empty."));
    }
    if wanted.len() > DESCRIBE_DAEMON_DEPLOYMENTS_MAX {
        let most = DESCRIBE_DAEMON_DEPLOYMENTS_MAX;
        return Err(invalid(format!("Daemon revision ARNs cannot have more than {most} elements.")));
    }
    let (mut shown, mut failures) = (Vec::new(), Vec::new());
    for text in wanted {
        match lookup::daemon_revision(ctx, text)? {
            Some(kept) => shown.push(views::daemon::revision(&kept)),
            None => failures.push(views::failure(text, "MISSING")),
        }
    }
    unchanged(DescribeDaemonRevisionsResponse { daemon_revisions: Some(shown), failures: Some(failures) })
}
