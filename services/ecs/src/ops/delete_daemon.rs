use api_ecs::{DeleteDaemonRequest, DeleteDaemonResponse};
use model::{Daemon, DaemonStatus};
use state::Changes;

use crate::ctx::{Applied, Ctx};
use crate::{daemon, lookup};

/// Its tasks stop, and it is gone with the last of them. The deployment that does it brings no new revision.
pub(crate) fn apply(input: &DeleteDaemonRequest, ctx: &mut Ctx<'_>) -> Applied<DeleteDaemonResponse> {
    let known = lookup::daemon(ctx, input.daemon_arn.as_deref().unwrap_or_default())?;
    daemon::active(&known)?;
    let mut record = Daemon::clone(&known);
    record.status = DaemonStatus::DeleteInProgress;
    record.updated_at = ctx.now;
    let mut changes = Changes::new();
    daemon::begin(ctx, &mut record, &mut changes);
    changes.put(ctx.snapshot, &record);
    Ok((
        changes,
        DeleteDaemonResponse {
            daemon_arn: Some(record.arn().to_string()),
            status: Some(record.status.as_str().into()),
            created_at: Some(record.created_at),
            updated_at: Some(record.updated_at),
            deployment_arn: Some(record.deployment_arn().to_string()),
        },
    ))
}
