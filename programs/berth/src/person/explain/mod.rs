//! `berth explain`: how a task, a service or a container instance is, why, and what to do about it.
//!
//! Everything said here comes from the public API. The stories are pure: records in, text out.

mod advice;
mod instance;
mod placement;
mod service;
mod story;
mod task;

use api_ecs::{ContainerInstance, Service, Task};

use super::cluster::{Cluster, ClusterError, Which};
use super::output::Output;
use super::target::{self, Target};
use super::words::short;
use super::{Endpoint, now};
use story::Story;

/// So many containers that are not ready are told of.
const NOT_READY_MAX: usize = 5;

/// How many stopped tasks of a service are looked at: the newest say what is wrong now.
const STOPPED_MAX: usize = 3;

#[derive(clap::Args)]
pub struct Args {
    /// The ARN, name or id of a task, service or container instance; an id may be cut short.
    target: String,
    /// The cluster to look in; without it, in all.
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
}

pub async fn run(endpoint: &Endpoint, args: Args) -> anyhow::Result<()> {
    let mut output = Output::new();
    let (cluster, target) = target::find(endpoint, args.cluster.as_deref(), &args.target).await?;
    let story = match target {
        Target::Task(task) => of_task(&cluster, &task).await?,
        Target::Service(service) => of_service(&cluster, &service).await?,
        Target::Instance(instance) => of_instance(&cluster, &instance).await?,
        Target::Family(name) => of_family(&cluster, &name).await?,
    };
    Ok(output.write(&story.render(output.paint))?)
}

async fn of_task(cluster: &Cluster, task: &Task) -> anyhow::Result<Story> {
    let instance = match &task.container_instance_arn {
        Some(arn) => cluster.describe_instances(std::slice::from_ref(arn)).await?.pop(),
        None => None,
    };
    let mut story = task::story(task, instance.as_ref(), now());
    if let Some(provider) = task.capacity_provider_name.as_deref().filter(|_| task::is_waiting(task)) {
        let name = task.group.as_deref().and_then(|group| group.strip_prefix("service:"));
        let service = match name {
            Some(name) => cluster.service(name).await?.unwrap_or_default(),
            None => Service::default(),
        };
        let wanted = placement::Wanted {
            group: task.group.clone().unwrap_or_default(),
            launch_type: task.launch_type.as_deref(),
            constraints: service.placement_constraints.as_deref().unwrap_or_default(),
            instances_of: cluster.auto_scaling_group(provider).await?,
        };
        where_it_fits(cluster, &mut story, &wanted, task.task_definition_arn.as_deref().unwrap_or_default()).await?;
    }
    Ok(story)
}

async fn of_service(cluster: &Cluster, service: &Service) -> anyhow::Result<Story> {
    let name = service.service_name.as_deref().unwrap_or_default();
    let active = service.status.as_deref() != Some("INACTIVE");
    let mut tasks = match active {
        true => cluster.tasks(Which::All, Some(name)).await?.tasks.unwrap_or_default(),
        false => Vec::new(),
    };
    let not_ready: Vec<String> = tasks
        .iter()
        .flat_map(|task| {
            let id = short(task.task_arn.as_deref().unwrap_or_default());
            task::not_ready(task).map(move |said| format!("Task {id}: {said}"))
        })
        .take(NOT_READY_MAX)
        .collect();
    tasks.retain(|task| task.stopped_at.is_some());
    tasks.sort_by_key(|task| std::cmp::Reverse(task.stopped_at));
    tasks.truncate(STOPPED_MAX);
    let mut story = service::story(service, &tasks, now());
    not_ready.into_iter().for_each(|said| story.why(said));
    let number = |number: Option<i32>| number.unwrap_or_default();
    let lacks = number(service.running_count) + number(service.pending_count) < number(service.desired_count);
    if active && lacks {
        let wanted = placement::Wanted {
            group: format!("service:{name}"),
            launch_type: service.launch_type.as_deref(),
            constraints: service.placement_constraints.as_deref().unwrap_or_default(),
            instances_of: None,
        };
        where_it_fits(cluster, &mut story, &wanted, service.task_definition.as_deref().unwrap_or_default()).await?;
    }
    Ok(story)
}

/// What RunTask would meet.
async fn of_family(cluster: &Cluster, name: &str) -> anyhow::Result<Story> {
    let mut story = story::of_family(name);
    let family = name.split(':').next().unwrap_or_default();
    let group = format!("family:{family}");
    let wanted = placement::Wanted { group, launch_type: None, constraints: &[], instances_of: None };
    match where_it_fits(cluster, &mut story, &wanted, name).await {
        // A definition is of no cluster; without one there is nothing more to say.
        Err(error) if matches!(error.downcast_ref(), Some(ClusterError::NoCluster { .. })) => Ok(story),
        answer => answer.map(|()| story),
    }
}

/// Adds what each instance would say to one more task.
async fn where_it_fits(
    cluster: &Cluster,
    story: &mut Story,
    wanted: &placement::Wanted<'_>,
    definition: &str,
) -> anyhow::Result<()> {
    let instances = cluster.instances().await?;
    let tasks = cluster.tasks(Which::Running, None).await?.tasks.unwrap_or_default();
    let definition = cluster.task_definition(definition).await?;
    placement::add(story, wanted, &definition, (&instances, &tasks));
    Ok(())
}

async fn of_instance(cluster: &Cluster, instance: &ContainerInstance) -> anyhow::Result<Story> {
    let tasks = cluster.tasks(Which::Running, None).await?.tasks.unwrap_or_default();
    let here: Vec<Task> =
        tasks.into_iter().filter(|task| task.container_instance_arn == instance.container_instance_arn).collect();
    Ok(instance::story(instance, &here, now()))
}
