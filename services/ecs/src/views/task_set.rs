//! A task set, with its counts.

use model::{Service, TaskDefinitionArn, TaskSet, TaskSetArn, TaskSetStatus};
use state::{Record, Snapshot};

use super::included;
use super::service::counts;
use crate::convert;

pub(crate) fn task_set(
    snapshot: &Snapshot,
    service: &Service,
    set: &TaskSet,
    include: Option<&Vec<String>>,
) -> api_ecs::TaskSet {
    let tasks = snapshot.tasks.by("service", &service.name()).filter(|task| task.started_by == set.id);
    let (running, pending) = counts(tasks.map(|task| &**task));
    let definition = TaskDefinitionArn::new(&service.scope, &set.family, set.revision);
    let desired = match set.status {
        TaskSetStatus::Draining => 0,
        TaskSetStatus::Primary | TaskSetStatus::Active => set.computed_desired_count(service.desired_count),
    };
    let by_strategy = !set.capacity_provider_strategy.is_empty();
    api_ecs::TaskSet {
        id: Some(set.id.clone()),
        task_set_arn: Some(TaskSetArn::new(&service.scope, &service.cluster, &service.name, &set.id).to_string()),
        service_arn: Some(service.arn().to_string()),
        cluster_arn: Some(model::ClusterArn::new(&service.scope, &service.cluster).to_string()),
        external_id: set.external_id.clone(),
        status: Some(set.status.as_str().into()),
        task_definition: Some(definition.to_string()),
        computed_desired_count: Some(desired as i32),
        pending_count: Some(pending),
        running_count: Some(running),
        created_at: Some(set.created_at),
        updated_at: Some(set.updated_at),
        launch_type: set.launch_type.map(|kind| kind.as_str().into()),
        capacity_provider_strategy: by_strategy
            .then(|| convert::cluster::strategy_view(&set.capacity_provider_strategy)),
        load_balancers: Some(Vec::new()),
        service_registries: Some(Vec::new()),
        scale: Some(api_ecs::Scale { value: Some(set.scale_percent), unit: Some("PERCENT".into()) }),
        stability_status: Some(set.stability.as_str().into()),
        stability_status_at: Some(set.stability_at),
        tags: Some(if included(include, "TAGS") { convert::tags::view(&set.tags) } else { Vec::new() }),
        ..Default::default()
    }
}
