use api_ecs::{UpdateDaemonRequest, UpdateDaemonResponse};
use model::Daemon;
use state::{Changes, Record};

use crate::ctx::{Applied, Ctx};
use crate::daemon::{self, NewRevision};
use crate::{convert, lookup};

/// Always a new deployment. What is optional and not given stays.
pub(crate) fn apply(input: &UpdateDaemonRequest, ctx: &mut Ctx<'_>) -> Applied<UpdateDaemonResponse> {
    let known = lookup::daemon(ctx, input.daemon_arn.as_deref().unwrap_or_default())?;
    daemon::active(&known)?;
    let mut record = Daemon::clone(&known);
    let cluster = lookup::cluster(ctx, Some(&known.cluster))?;
    let definition = daemon::definition(ctx, input.daemon_task_definition_arn.as_deref())?;
    record.capacity_providers = daemon::capacity_providers(ctx, &cluster, input.capacity_provider_arns.as_deref())?;
    record.configuration =
        convert::daemon::configuration(input.deployment_configuration.as_ref(), record.configuration)?;
    record.updated_at = ctx.now;
    let before = ctx.snapshot.daemon_revisions.get(&format!("{}/{}", known.name(), known.revision));
    let stays = |given: Option<bool>, before: Option<bool>| given.or(before).unwrap_or_default();
    let propagates = input.propagate_tags.as_deref().map(|from| from == "DAEMON");
    let revision = NewRevision {
        definition: &definition,
        propagate_tags: stays(propagates, before.map(|one| one.propagate_tags)),
        ecs_managed_tags_enabled: stays(input.enable_ecs_managed_tags, before.map(|one| one.ecs_managed_tags_enabled)),
        execute_command_enabled: stays(input.enable_execute_command, before.map(|one| one.execute_command_enabled)),
        critical: input.critical.or(before.map(|one| one.critical)).unwrap_or(true),
    };
    let mut changes = Changes::new();
    daemon::deploy(ctx, &mut record, revision, &mut changes);
    changes.put(ctx.snapshot, &record);
    Ok((
        changes,
        UpdateDaemonResponse {
            daemon_arn: Some(record.arn().to_string()),
            status: Some(record.status.as_str().into()),
            created_at: Some(record.created_at),
            updated_at: Some(record.updated_at),
            deployment_arn: Some(record.deployment_arn().to_string()),
        },
    ))
}
