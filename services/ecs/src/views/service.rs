//! A service, its deployments with their counts, and its events.

use model::{Deployment, DeploymentController, Service, ServiceStatus, Task, TaskDefinitionArn, TaskStatus};
use state::Snapshot;

use super::included;
use crate::convert;

pub(crate) fn service(snapshot: &Snapshot, service: &Service, include: Option<&Vec<String>>) -> api_ecs::Service {
    let tasks: Vec<_> = snapshot
        .tasks
        .by("service", &state::Record::name(service))
        .filter(|task| task.is_live() && task.started_by.starts_with("ecs-svc/"))
        .collect();
    let (running, pending) = counts(tasks.iter().map(|task| &***task));
    let launch_type = service.launch_type.map(|kind| kind.as_str().to_owned());
    let strategy = (!service.capacity_provider_strategy.is_empty())
        .then(|| convert::cluster::strategy_view(&service.capacity_provider_strategy));
    let primary = service.primary();
    api_ecs::Service {
        service_arn: Some(service.arn().to_string()),
        service_name: Some(service.name.clone()),
        cluster_arn: Some(model::ClusterArn::new(&service.scope, &service.cluster).to_string()),
        load_balancers: Some(Vec::new()),
        service_registries: Some(Vec::new()),
        status: Some(service.status.as_str().into()),
        desired_count: Some(service.desired_count as i32),
        running_count: Some(running),
        pending_count: Some(pending),
        launch_type: launch_type.clone(),
        capacity_provider_strategy: strategy.clone(),
        task_definition: primary.map(|primary| definition(service, primary)).or_else(|| {
            let set = service.primary_task_set()?;
            Some(TaskDefinitionArn::new(&service.scope, &set.family, set.revision).to_string())
        }),
        deployment_configuration: Some(convert::service::deployment_configuration_view(
            &service.deployment_configuration,
        )),
        deployments: Some(
            service
                .deployments
                .iter()
                .filter(|_| service.status != ServiceStatus::Inactive)
                .map(|one| {
                    let of_it = tasks.iter().filter(|task| one.has(task)).map(|task| &***task);
                    let failed = reconcilers::service::failed_tasks(snapshot, service, one);
                    deployment(service, one, counts(of_it), failed as i32, launch_type.clone())
                })
                .collect(),
        ),
        current_service_deployment: primary.filter(|primary| !primary.service_deployment.is_empty()).map(|primary| {
            let id = &primary.service_deployment;
            model::ServiceDeploymentArn::new(&service.scope, &service.cluster, &service.name, id).to_string()
        }),
        current_service_revisions: Some(super::service_deployment::current_revisions(snapshot, service)),
        role_arn: service.role_arn.clone(),
        events: Some(
            service
                .events
                .iter()
                .map(|event| api_ecs::ServiceEvent {
                    id: Some(event.id.clone()),
                    created_at: Some(event.created_at),
                    message: Some(event.message.clone()),
                })
                .collect(),
        ),
        created_at: Some(service.created_at),
        created_by: Some(service.created_by.clone()),
        placement_constraints: Some(convert::placement::constraints_view(&service.placement_constraints)),
        placement_strategy: Some(convert::placement::strategies_view(&service.placement_strategy)),
        health_check_grace_period_seconds: service.health_check_grace_period_seconds.map(|seconds| seconds as i32),
        scheduling_strategy: Some(service.scheduling_strategy.as_str().into()),
        deployment_controller: Some(api_ecs::DeploymentController {
            r#type: Some(service.deployment_controller.as_str().into()),
        }),
        task_sets: (service.deployment_controller == DeploymentController::External)
            .then(|| service.task_sets.iter().map(|set| super::task_set(snapshot, service, set, include)).collect()),
        tags: included(include, "TAGS").then(|| convert::tags::view(&service.tags)),
        enable_ecs_managed_tags: Some(service.ecs_managed_tags_enabled),
        propagate_tags: Some(service.propagate_tags.clone().unwrap_or_else(|| "NONE".into())),
        enable_execute_command: Some(service.execute_command_enabled),
        availability_zone_rebalancing: Some(convert::rebalancing::view(service.availability_zone_rebalancing)),
        ..Default::default()
    }
}

fn deployment(
    service: &Service,
    kept: &Deployment,
    (running, pending): (i32, i32),
    failed: i32,
    launch_type: Option<String>,
) -> api_ecs::Deployment {
    let desired = reconcilers::service::blue_green::wanted_of(service, kept) as i32;
    api_ecs::Deployment {
        id: Some(kept.id.clone()),
        status: Some(kept.status.as_str().into()),
        task_definition: Some(definition(service, kept)),
        desired_count: Some(desired),
        pending_count: Some(pending),
        running_count: Some(running),
        failed_tasks: Some(failed),
        created_at: Some(kept.created_at),
        updated_at: Some(kept.updated_at),
        launch_type,
        rollout_state: Some(kept.rollout_state.as_str().into()),
        rollout_state_reason: Some(kept.rollout_state_reason.clone()),
        ..Default::default()
    }
}

fn definition(service: &Service, deployment: &Deployment) -> String {
    TaskDefinitionArn::new(&service.scope, &deployment.family, deployment.revision).to_string()
}

/// Running and pending ones. A task that is asked to stop counts as neither.
pub(super) fn counts<'a>(tasks: impl Iterator<Item = &'a Task>) -> (i32, i32) {
    let mut counts = (0, 0);
    for task in tasks.filter(|task| task.desired_status == TaskStatus::Running) {
        match task.last_status {
            TaskStatus::Running => counts.0 += 1,
            _ => counts.1 += 1,
        }
    }
    counts
}
