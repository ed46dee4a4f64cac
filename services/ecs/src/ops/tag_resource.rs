use api_ecs::{Error, ErrorCode, TagResourceRequest, TagResourceResponse};
use model::{
    CapacityProvider, Cluster, ContainerInstance, ContainerInstanceStatus, Daemon, Service, Tag, Task, TaskDefinition,
    tag,
};
use state::Changes;

use crate::ctx::{Applied, Ctx};
use crate::error::{cluster_not_found, invalid};
use crate::{convert, lookup};

pub(crate) fn apply(input: &TagResourceRequest, ctx: &mut Ctx<'_>) -> Applied<TagResourceResponse> {
    let more = convert::tags::parse(input.tags.as_ref())?;
    let mut tagged = Tagged::find(ctx, input.resource_arn.as_deref().unwrap_or_default())?;
    let all = tag::merged(tagged.tags(), &more);
    convert::tags::within_limit(&all)?;
    tagged.set(all);
    let mut changes = Changes::new();
    tagged.put(ctx, &mut changes);
    Ok((changes, TagResourceResponse {}))
}

/// Anything that has tags.
pub(crate) enum Tagged {
    CapacityProvider(CapacityProvider),
    Cluster(Cluster),
    ContainerInstance(ContainerInstance),
    Daemon(Box<Daemon>),
    Service(Service),
    Task(Task),
    TaskDefinition(TaskDefinition),
    /// Of its service, the one at that place.
    TaskSet(Service, usize),
}

impl Tagged {
    pub fn find(ctx: &Ctx<'_>, arn: &str) -> Result<Tagged, Error> {
        let resource = arn.splitn(6, ':').nth(5).unwrap_or_default();
        let kind = resource.split('/').next().unwrap_or_default();
        let malformed = || invalid("The specified ARN is not valid. Check the ARN and try again.");
        let mine = |scope: &model::Scope| *scope == ctx.scope;
        let name = |scope: &model::Scope, rest: String| mine(scope).then(|| format!("{scope}/{rest}"));
        let snapshot = ctx.snapshot;
        match kind {
            "capacity-provider" => {
                let arn: model::CapacityProviderArn = arn.parse().map_err(|_| malformed())?;
                let found = name(&arn.scope, arn.name).and_then(|name| snapshot.capacity_providers.get(&name));
                found
                    .map(|found| Tagged::CapacityProvider((**found).clone()))
                    .ok_or_else(|| invalid("The specified capacity provider does not exist."))
            }
            "task-set" => {
                let arn: model::TaskSetArn = arn.parse().map_err(|_| malformed())?;
                let service = name(&arn.scope, format!("{}/{}", arn.cluster, arn.service))
                    .and_then(|name| snapshot.services.get(&name));
                let place = service.and_then(|service| service.task_sets.iter().position(|set| set.id == arn.id));
                service
                    .zip(place)
                    .map(|(service, place)| Tagged::TaskSet((**service).clone(), place))
                    .ok_or_else(|| invalid("The specified task set does not exist."))
            }
            "cluster" => {
                let arn: model::ClusterArn = arn.parse().map_err(|_| malformed())?;
                let found = name(&arn.scope, arn.name).and_then(|name| snapshot.clusters.get(&name));
                found.map(|found| Tagged::Cluster((**found).clone())).ok_or_else(cluster_not_found)
            }
            "container-instance" => {
                let arn: model::ContainerInstanceArn = arn.parse().map_err(|_| malformed())?;
                let found = name(&arn.scope, format!("{}/{}", arn.cluster, arn.id))
                    .and_then(|name| snapshot.container_instances.get(&name))
                    .filter(|instance| instance.status != ContainerInstanceStatus::Inactive);
                found
                    .map(|found| Tagged::ContainerInstance((**found).clone()))
                    .ok_or_else(|| invalid("The specified container instance does not exist."))
            }
            "service" => {
                let arn: model::ServiceArn = arn.parse().map_err(|_| malformed())?;
                let found = name(&arn.scope, format!("{}/{}", arn.cluster, arn.name))
                    .and_then(|name| snapshot.services.get(&name));
                found
                    .map(|found| Tagged::Service((**found).clone()))
                    .ok_or_else(|| Error::new(ErrorCode::ServiceNotFoundException, "Service not found."))
            }
            "task" => {
                let arn: model::TaskArn = arn.parse().map_err(|_| malformed())?;
                let found =
                    name(&arn.scope, format!("{}/{}", arn.cluster, arn.id)).and_then(|name| snapshot.tasks.get(&name));
                found
                    .map(|found| Tagged::Task((**found).clone()))
                    .ok_or_else(|| invalid("The specified task does not exist."))
            }
            "daemon" => Ok(Tagged::Daemon(Box::new((*lookup::daemon(ctx, arn)?).clone()))),
            "task-definition" | "daemon-task-definition" => {
                let arn: model::TaskDefinitionArn = arn.parse().map_err(|_| malformed())?;
                let found = name(&arn.scope, format!("{}/{:010}", arn.family, arn.revision))
                    .and_then(|name| snapshot.task_definitions.get(&name));
                found
                    .map(|found| Tagged::TaskDefinition((**found).clone()))
                    .ok_or_else(|| invalid("The specified task definition does not exist."))
            }
            _ => Err(malformed()),
        }
    }

    pub fn tags(&self) -> &[Tag] {
        match self {
            Tagged::CapacityProvider(it) => &it.tags,
            Tagged::TaskSet(it, place) => &it.task_sets[*place].tags,
            Tagged::Cluster(it) => &it.tags,
            Tagged::ContainerInstance(it) => &it.tags,
            Tagged::Daemon(it) => &it.tags,
            Tagged::Service(it) => &it.tags,
            Tagged::Task(it) => &it.tags,
            Tagged::TaskDefinition(it) => &it.tags,
        }
    }

    pub fn set(&mut self, tags: Vec<Tag>) {
        match self {
            Tagged::CapacityProvider(it) => it.tags = tags,
            Tagged::TaskSet(it, place) => it.task_sets[*place].tags = tags,
            Tagged::Cluster(it) => it.tags = tags,
            Tagged::ContainerInstance(it) => it.tags = tags,
            Tagged::Daemon(it) => it.tags = tags,
            Tagged::Service(it) => it.tags = tags,
            Tagged::Task(it) => it.tags = tags,
            Tagged::TaskDefinition(it) => it.tags = tags,
        }
    }

    pub fn put(&self, ctx: &Ctx<'_>, changes: &mut Changes) {
        match self {
            Tagged::CapacityProvider(it) => changes.put(ctx.snapshot, it),
            Tagged::TaskSet(it, _) => changes.put(ctx.snapshot, it),
            Tagged::Cluster(it) => changes.put(ctx.snapshot, it),
            Tagged::ContainerInstance(it) => changes.put(ctx.snapshot, it),
            Tagged::Daemon(it) => changes.put(ctx.snapshot, &**it),
            Tagged::Service(it) => changes.put(ctx.snapshot, it),
            Tagged::Task(it) => changes.put(ctx.snapshot, it),
            Tagged::TaskDefinition(it) => changes.put(ctx.snapshot, it),
        }
    }
}
