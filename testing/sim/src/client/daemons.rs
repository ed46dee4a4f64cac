//! What clients and the operator ask of managed daemons.

use api_ecs::*;
use model::{DaemonDeploymentStatus, DaemonStatus};
use state::{Record, Snapshot};

use crate::call::Call;
use crate::kind::Kind;
use crate::scenario::{GROUPS, Step};

/// A client's step that is about one.
pub(super) fn call(step: Step, token: String) -> Option<Call> {
    Some(match step {
        Step::CreateDaemon { daemon, kind, drain, both } => Call::CreateDaemon(CreateDaemonRequest {
            daemon_name: Some(name(daemon)),
            cluster_arn: Some("default".to_owned()),
            daemon_task_definition_arn: Some(kind.family().to_owned()),
            capacity_provider_arns: Some(providers(both)),
            deployment_configuration: Some(drains(drain)),
            client_token: Some(token),
            ..Default::default()
        }),
        Step::UpdateDaemon { daemon, kind, revision, drain, both } => {
            let definition = format!("{}:{revision}", kind.family());
            Call::UpdateDaemon(update(arn(&name(daemon)), definition, drain, both))
        }
        Step::DeleteDaemon { daemon } => {
            Call::DeleteDaemon(DeleteDaemonRequest { daemon_arn: Some(arn(&name(daemon))) })
        }
        _ => return None,
    })
}

/// A daemon that cannot work, or whose deployment has failed, is made of what works.
pub(super) fn mended(snapshot: &Snapshot, daemon: &model::Daemon) -> Option<Call> {
    let of = |id: &str| snapshot.daemon_revisions.get(&format!("{}/{id}", daemon.name()));
    let deployment = snapshot.daemon_deployments.get(&format!("{}/{}", daemon.name(), daemon.deployment));
    let works = of(&daemon.revision).and_then(|revision| Kind::of(&revision.family)).is_some_and(Kind::works);
    let has_failed = deployment.is_some_and(|one| {
        matches!(one.status, DaemonDeploymentStatus::Stopped | DaemonDeploymentStatus::RollbackFailed)
    });
    if daemon.status != DaemonStatus::Active || works && !has_failed {
        return None;
    }
    let arn = daemon.arn().to_string();
    Some(Call::UpdateDaemon(update(arn, format!("{}:1", Kind::Web.family()), 100, true)))
}

fn name(daemon: usize) -> String {
    format!("d{daemon}")
}

fn arn(name: &str) -> String {
    format!("arn:aws:ecs:us-east-1:123456789012:daemon/default/{name}")
}

fn providers(both: bool) -> Vec<String> {
    GROUPS.iter().take(if both { 2 } else { 1 }).map(|group| (*group).to_owned()).collect()
}

fn drains(percent: u32) -> DaemonDeploymentConfiguration {
    DaemonDeploymentConfiguration { drain_percent: Some(percent.into()), ..Default::default() }
}

fn update(arn: String, definition: String, drain: u32, both: bool) -> UpdateDaemonRequest {
    UpdateDaemonRequest {
        daemon_arn: Some(arn),
        daemon_task_definition_arn: Some(definition),
        capacity_provider_arns: Some(providers(both)),
        deployment_configuration: Some(drains(drain)),
        ..Default::default()
    }
}
