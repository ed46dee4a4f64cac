use api_ecs::{CreateDaemonRequest, CreateDaemonResponse};
use model::{Daemon, DaemonStatus};
use state::{Changes, Record};

use super::create_cluster::valid_name;
use crate::ctx::{Applied, Ctx, unchanged};
use crate::daemon::{self, NewRevision};
use crate::error::invalid;
use crate::idempotency::{Token, Used};
use crate::limits::DAEMON_TOKEN_CHARS_MAX;
use crate::{convert, lookup};

pub(crate) fn apply(input: &CreateDaemonRequest, ctx: &mut Ctx<'_>) -> Applied<CreateDaemonResponse> {
    let name = input.daemon_name.clone().unwrap_or_default();
    if !valid_name(&name) {
        return Err(invalid(
            "Daemon name is invalid. Up to 255 letters (uppercase and lowercase), numbers, underscores, and hyphens are allowed.",
        ));
    }
    let cluster = lookup::cluster(ctx, input.cluster_arn.as_deref())?;
    let given = (input.client_token.as_deref(), DAEMON_TOKEN_CHARS_MAX);
    let token = Token::read(ctx, ("CreateDaemon", &cluster.name), given, input)?;
    let used = token.as_ref().map(|token| token.used(ctx));
    if let Some(known) = ctx.snapshot.daemons.get(&format!("{}/{}/{name}", ctx.scope, cluster.name)) {
        // The same request twice makes the daemon once; another request for the same name is refused.
        if let Some(Used::Before(_)) = used {
            return unchanged(answer(known));
        }
        return Err(match known.status {
            DaemonStatus::Active => invalid("Creation of daemon was not idempotent."),
            DaemonStatus::DeleteInProgress => invalid("Unable to create a daemon that is still being deleted."),
        });
    }
    let definition = daemon::definition(ctx, input.daemon_task_definition_arn.as_deref())?;
    let mut record = Daemon {
        scope: ctx.scope.clone(),
        cluster: cluster.name.clone(),
        name,
        status: DaemonStatus::Active,
        capacity_providers: daemon::capacity_providers(ctx, &cluster, input.capacity_provider_arns.as_deref())?,
        revision: String::new(),
        deployment: String::new(),
        last_completed: None,
        configuration: convert::daemon::configuration(input.deployment_configuration.as_ref(), Default::default())?,
        tags: convert::tags::parse(input.tags.as_ref())?,
        created_at: ctx.now,
        updated_at: ctx.now,
    };
    let mut changes = Changes::new();
    let revision = NewRevision {
        definition: &definition,
        propagate_tags: input.propagate_tags.as_deref() == Some("DAEMON"),
        ecs_managed_tags_enabled: input.enable_ecs_managed_tags.unwrap_or_default(),
        execute_command_enabled: input.enable_execute_command.unwrap_or_default(),
        critical: input.critical.unwrap_or(true),
    };
    daemon::deploy(ctx, &mut record, revision, &mut changes);
    changes.put(ctx.snapshot, &record);
    if let Some(token) = token {
        token.remember(ctx, &mut changes, vec![record.name()]);
    }
    Ok((changes, answer(&record)))
}

fn answer(daemon: &Daemon) -> CreateDaemonResponse {
    CreateDaemonResponse {
        daemon_arn: Some(daemon.arn().to_string()),
        status: Some(daemon.status.as_str().into()),
        created_at: Some(daemon.created_at),
        deployment_arn: Some(daemon.deployment_arn().to_string()),
    }
}
