//! Managed daemons, their deployments, revisions and definitions.

use std::collections::BTreeMap;

use model::daemon::DAEMON_FAMILY;
use model::{Daemon, DaemonDeployment, DaemonRevision, TaskDefinition, TaskDefinitionStatus};
use reconcilers::managed_daemon::{leaving, running};
use state::Snapshot;

use crate::convert;

type Counts = BTreeMap<(String, String), i32>;

pub(crate) fn daemon(snapshot: &Snapshot, kept: &Daemon) -> api_ecs::DaemonDetail {
    let running = running(snapshot, kept);
    // The newest first, whether it runs anywhere or not.
    let others = running.keys().map(|(revision, _)| revision.as_str()).filter(|one| *one != kept.revision);
    let mut revisions: Vec<&str> = others.collect();
    revisions.dedup();
    revisions.insert(0, &kept.revision);
    let detail = |revision: &str| {
        let count = |name: &String| running.get(&(revision.to_owned(), name.clone())).copied().unwrap_or_default();
        let provider = |name: &String| api_ecs::DaemonCapacityProvider {
            arn: Some(kept.capacity_provider_arn(name).to_string()),
            running_count: Some(count(name)),
            without_daemon_count: None,
        };
        api_ecs::DaemonRevisionDetail {
            arn: Some(kept.revision_arn(revision).to_string()),
            capacity_providers: Some(kept.capacity_providers.iter().map(provider).collect()),
            total_running_count: Some(total(&running, revision)),
            total_without_daemon_count: None,
        }
    };
    api_ecs::DaemonDetail {
        daemon_arn: Some(kept.arn().to_string()),
        cluster_arn: Some(kept.cluster_arn().to_string()),
        status: Some(kept.status.as_str().into()),
        current_revisions: Some(revisions.into_iter().map(detail).collect()),
        deployment_arn: Some(kept.deployment_arn().to_string()),
        created_at: Some(kept.created_at),
        updated_at: Some(kept.updated_at),
    }
}

fn total(counts: &Counts, revision: &str) -> i32 {
    counts.iter().filter(|((of, _), _)| of == revision).map(|(_, count)| count).sum()
}

pub(crate) fn summary(kept: &Daemon) -> api_ecs::DaemonSummary {
    api_ecs::DaemonSummary {
        daemon_arn: Some(kept.arn().to_string()),
        status: Some(kept.status.as_str().into()),
        created_at: Some(kept.created_at),
        updated_at: Some(kept.updated_at),
    }
}

pub(crate) fn deployment(snapshot: &Snapshot, kept: &DaemonDeployment) -> api_ecs::DaemonDeployment {
    let name = format!("{}/{}/{}", kept.scope, kept.cluster, kept.daemon);
    let daemon = snapshot.daemons.get(&name);
    let counts = |of: fn(&Snapshot, &Daemon) -> Counts| daemon.map(|one| of(snapshot, one)).unwrap_or_default();
    let (running, draining) = (counts(running), counts(leaving));
    let detail = |revision: &String| {
        let count = |counts: &Counts, name: &String| counts.get(&(revision.clone(), name.clone())).copied();
        let provider = |name: &String| api_ecs::DaemonDeploymentCapacityProvider {
            arn: Some(model::CapacityProviderArn::new(&kept.scope, name).to_string()),
            running_instance_count: Some(count(&running, name).unwrap_or_default()),
            draining_instance_count: Some(count(&draining, name).unwrap_or_default()),
            without_daemon_instance_count: None,
        };
        api_ecs::DaemonDeploymentRevisionDetail {
            arn: Some(kept.revision_arn(revision).to_string()),
            capacity_providers: Some(kept.capacity_providers.iter().map(provider).collect()),
            total_running_instance_count: Some(total(&running, revision)),
            total_draining_instance_count: Some(total(&draining, revision)),
            total_without_daemon_instance_count: None,
        }
    };
    let arn = |name: &String| model::CapacityProviderArn::new(&kept.scope, name).to_string();
    api_ecs::DaemonDeployment {
        daemon_deployment_arn: Some(kept.arn().to_string()),
        cluster_arn: Some(kept.daemon_cluster_arn()),
        status: Some(kept.status.as_str().into()),
        status_reason: Some(kept.status_reason.clone()).filter(|reason| !reason.is_empty()),
        target_daemon_revision: Some(detail(&kept.target)),
        source_daemon_revisions: Some(kept.sources.iter().map(detail).collect()),
        circuit_breaker: Some(api_ecs::DaemonCircuitBreaker {
            failure_count: Some(kept.circuit_breaker.failures as i32),
            status: Some(kept.circuit_breaker.status.as_str().into()),
            threshold: Some(kept.circuit_breaker.threshold as i32),
        }),
        alarms: Some(api_ecs::DaemonDeploymentAlarms { status: Some("DISABLED".into()), ..Default::default() }),
        rollback: kept.rollback.as_ref().map(|rollback| api_ecs::DaemonRollback {
            reason: Some(rollback.reason.clone()),
            started_at: Some(rollback.started_at),
            rollback_target_daemon_revision_arn: Some(kept.revision_arn(&rollback.revision).to_string()),
            rollback_capacity_providers: Some(kept.capacity_providers.iter().map(arn).collect()),
        }),
        deployment_configuration: Some(convert::daemon::configuration_view(&kept.configuration)),
        created_at: Some(kept.created_at),
        started_at: kept.started_at,
        stopped_at: kept.stopped_at,
        finished_at: kept.finished_at,
    }
}

pub(crate) fn deployment_summary(kept: &DaemonDeployment) -> api_ecs::DaemonDeploymentSummary {
    api_ecs::DaemonDeploymentSummary {
        daemon_deployment_arn: Some(kept.arn().to_string()),
        daemon_arn: Some(kept.daemon_arn().to_string()),
        cluster_arn: Some(kept.daemon_cluster_arn()),
        status: Some(kept.status.as_str().into()),
        status_reason: Some(kept.status_reason.clone()).filter(|reason| !reason.is_empty()),
        target_daemon_revision_arn: Some(kept.revision_arn(&kept.target).to_string()),
        created_at: Some(kept.created_at),
        started_at: kept.started_at,
        stopped_at: kept.stopped_at,
        finished_at: kept.finished_at,
    }
}

pub(crate) fn revision(kept: &DaemonRevision) -> api_ecs::DaemonRevision {
    let image = |one: &model::service_deployment::RevisionImage| api_ecs::DaemonContainerImage {
        container_name: Some(one.container.clone()),
        image: Some(one.image.clone()),
        image_digest: None,
    };
    let definition = model::TaskDefinitionArn::new(&kept.scope, &kept.family, kept.revision);
    api_ecs::DaemonRevision {
        daemon_revision_arn: Some(kept.arn().to_string()),
        cluster_arn: Some(model::ClusterArn::new(&kept.scope, &kept.cluster).to_string()),
        daemon_arn: Some(model::DaemonArn::new(&kept.scope, &kept.cluster, &kept.daemon).to_string()),
        daemon_task_definition_arn: Some(definition.to_string()),
        created_at: Some(kept.created_at),
        container_images: Some(kept.images.iter().map(image).collect()),
        propagate_tags: Some(if kept.propagate_tags { "DAEMON".into() } else { "NONE".into() }),
        enable_ecs_managed_tags: Some(kept.ecs_managed_tags_enabled),
        enable_execute_command: Some(kept.execute_command_enabled),
        critical: Some(kept.critical),
    }
}

pub(crate) fn task_definition(kept: &TaskDefinition) -> api_ecs::DaemonTaskDefinition {
    let shown = super::task_definition(kept);
    let containers = shown.container_definitions.unwrap_or_default();
    let volumes = shown.volumes.unwrap_or_default();
    api_ecs::DaemonTaskDefinition {
        daemon_task_definition_arn: shown.task_definition_arn,
        family: Some(kept.family.trim_start_matches(DAEMON_FAMILY).to_owned()),
        revision: shown.revision,
        task_role_arn: shown.task_role_arn,
        execution_role_arn: shown.execution_role_arn,
        container_definitions: Some(containers.into_iter().map(convert::daemon::container_view).collect()),
        volumes: Some(volumes.into_iter().map(convert::daemon::volume_view).collect()),
        cpu: shown.cpu,
        memory: shown.memory,
        status: shown.status,
        registered_at: shown.registered_at,
        delete_requested_at: shown.delete_requested_at,
        registered_by: shown.registered_by,
        pid_mode: Some(convert::daemon::shared(shown.pid_mode)),
        ipc_mode: Some(convert::daemon::shared(shown.ipc_mode)),
    }
}

pub(crate) fn task_definition_summary(kept: &TaskDefinition) -> api_ecs::DaemonTaskDefinitionSummary {
    api_ecs::DaemonTaskDefinitionSummary {
        arn: Some(kept.arn().to_string()),
        registered_at: Some(kept.registered_at),
        registered_by: Some(kept.registered_by.clone()),
        delete_requested_at: kept.deregistered_at.filter(|_| kept.status == TaskDefinitionStatus::DeleteInProgress),
        status: Some(kept.status.as_str().into()),
    }
}
