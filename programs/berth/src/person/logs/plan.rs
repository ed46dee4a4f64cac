//! From what was meant to the streams to read. Asked again and again while following: tasks come and go.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use api_ecs::{Task, TaskDefinition};
use client::Client;
use thiserror::Error;

use super::source::{Life, Plan, Source, Wanted, drivers, group_and_prefix, streams};
use crate::person::Endpoint;
use crate::person::cluster::{Cluster, Which};
use crate::person::target::{self, Target};
use crate::person::words::last;

#[derive(Debug, Error)]
pub enum PlanError {
    #[error(
        "{definition} writes no logs that can be read here ({drivers}): give its containers a logConfiguration with \
         the log driver awslogs, or ask on the machine that runs it"
    )]
    NoLogs { definition: String, drivers: String },
    #[error(
        "{definition} has no awslogs-stream-prefix, so the names of its streams do not say whose they are: name one of \
         its tasks"
    )]
    NoPrefix { definition: String },
    #[error("{name} is a container instance, and an instance writes no logs: name one of its tasks")]
    Instance { name: String },
}

pub enum Planner {
    Group { client: Client, group: String },
    Tasks { cluster: Cluster, whose: Whose, definitions: HashMap<String, TaskDefinition> },
}

pub enum Whose {
    /// One task, by its ARN.
    Task(String),
    /// All tasks of a service, by its name; the definition is for when it has none.
    Service { name: String, definition: String },
    /// All tasks that ever were of this family, or of this revision.
    Family(String),
}

impl Planner {
    pub async fn find(endpoint: &Endpoint, cluster: Option<&str>, target: &str) -> anyhow::Result<Planner> {
        if target.starts_with('/') {
            return Ok(Planner::Group { client: endpoint.client()?, group: target.to_owned() });
        }
        let (cluster, found) = target::find(endpoint, cluster, target).await?;
        let whose = match found {
            Target::Task(task) => Whose::Task(task.task_arn.unwrap_or_default()),
            Target::Service(service) => Whose::Service {
                name: service.service_name.unwrap_or_default(),
                definition: service.task_definition.unwrap_or_default(),
            },
            Target::Family(name) => Whose::Family(name),
            Target::Instance(_) => return Err(PlanError::Instance { name: target.to_owned() }.into()),
        };
        Ok(Planner::Tasks { cluster, whose, definitions: HashMap::new() })
    }

    pub fn client(&self) -> &Client {
        match self {
            Planner::Group { client, .. } => client,
            Planner::Tasks { cluster, .. } => cluster.client(),
        }
    }

    /// The tasks that are meant and still known.
    pub async fn task_ids(&self) -> anyhow::Result<Vec<String>> {
        let Planner::Tasks { cluster, whose, .. } = self else { return Ok(Vec::new()) };
        let arns = match whose {
            Whose::Task(arn) => vec![arn.clone()],
            Whose::Service { name, .. } => {
                let tasks = cluster.tasks(Which::All, Some(name)).await?.tasks.unwrap_or_default();
                tasks.into_iter().filter_map(|task| task.task_arn).collect()
            }
            Whose::Family(_) => Vec::new(),
        };
        Ok(arns.iter().map(|arn| last(arn).to_owned()).collect())
    }

    /// The one task has stopped; a service never has.
    pub async fn is_over(&self) -> anyhow::Result<bool> {
        let Planner::Tasks { cluster, whose: Whose::Task(arn), .. } = self else { return Ok(false) };
        let tasks = cluster.describe_tasks(std::slice::from_ref(arn)).await?.tasks.unwrap_or_default();
        Ok(tasks.first().is_none_or(|task| task.last_status.as_deref() == Some("STOPPED")))
    }

    /// What to read, as things are now.
    pub async fn plan(&mut self) -> anyhow::Result<Plan> {
        match self {
            Planner::Group { group, .. } => {
                let source = Source { group: group.clone(), prefix: None };
                Ok(Plan { sources: BTreeSet::from([source]), wanted: Wanted::All, from: 0, life: Life::Endless })
            }
            Planner::Tasks { cluster, whose, definitions } => match whose {
                Whose::Task(arn) => of_task(cluster, arn, definitions).await,
                Whose::Service { name, definition } => of_service(cluster, name, definition, definitions).await,
                Whose::Family(name) => of_family(cluster, name).await,
            },
        }
    }
}

type Definitions = HashMap<String, TaskDefinition>;

async fn of_task(cluster: &Cluster, arn: &str, definitions: &mut Definitions) -> anyhow::Result<Plan> {
    let tasks = cluster.describe_tasks(&[arn.to_owned()]).await?.tasks.unwrap_or_default();
    // A task is forgotten some time after its end.
    let is_over = tasks.first().is_none_or(|task| task.last_status.as_deref() == Some("STOPPED"));
    let life = if is_over { Life::OneTaskStopped } else { Life::OneTask };
    let mut plan = of_tasks(cluster, &tasks, definitions).await?;
    if let (Some(task), true) = (tasks.first(), plan.sources.is_empty()) {
        complain_about(cluster, task.task_definition_arn.as_deref().unwrap_or_default()).await?;
    }
    // The stream's whole name is the narrowest prefix.
    if let Wanted::Streams(streams) = &plan.wanted {
        let narrow = |source: &Source| {
            let whole = |stream: &&String| source.prefix.as_ref().is_some_and(|prefix| stream.starts_with(prefix));
            Source { prefix: streams.keys().find(whole).cloned(), ..source.clone() }
        };
        plan.sources = plan.sources.iter().map(narrow).collect();
    }
    Ok(Plan { life, ..plan })
}

async fn of_service(
    cluster: &Cluster,
    name: &str,
    definition: &str,
    definitions: &mut Definitions,
) -> anyhow::Result<Plan> {
    let tasks = cluster.tasks(Which::All, Some(name)).await?.tasks.unwrap_or_default();
    let plan = of_tasks(cluster, &tasks, definitions).await?;
    if plan.sources.is_empty() {
        complain_about(cluster, definition).await?;
    }
    Ok(plan)
}

/// Whoever runs this family writes under its prefixes, also tasks that ECS has forgotten.
async fn of_family(cluster: &Cluster, name: &str) -> anyhow::Result<Plan> {
    let definition = cluster.task_definition(name).await?;
    let mut sources = BTreeSet::new();
    for container in definition.container_definitions.iter().flatten() {
        if let (Some((group, Some(prefix))), Some(name)) = (group_and_prefix(container), &container.name) {
            sources.insert(Source { group: group.to_owned(), prefix: Some(format!("{prefix}/{name}/")) });
        }
    }
    if sources.is_empty() {
        complain_about(cluster, name).await?;
        return Err(PlanError::NoPrefix { definition: name.to_owned() }.into());
    }
    Ok(Plan { sources, wanted: Wanted::All, from: 0, life: Life::Endless })
}

async fn of_tasks(cluster: &Cluster, tasks: &[Task], definitions: &mut Definitions) -> anyhow::Result<Plan> {
    let mut sources = BTreeSet::new();
    let mut wanted = BTreeMap::new();
    for task in tasks {
        let arn = task.task_definition_arn.clone().unwrap_or_default();
        if !definitions.contains_key(&arn) {
            definitions.insert(arn.clone(), cluster.task_definition(&arn).await?);
        }
        for (group, stream, label) in streams(task, &definitions[&arn]) {
            // All tasks of a service share what stands before the id, and one question is for all of them.
            let prefix = stream.strip_suffix(&label.task).unwrap_or(&stream).to_owned();
            sources.insert(Source { group, prefix: Some(prefix) });
            wanted.insert(stream, label);
        }
    }
    let created = tasks.iter().filter_map(|task| task.created_at).min();
    let from = created.map_or(0, |at| at.as_millis());
    Ok(Plan { sources, wanted: Wanted::Streams(wanted), from, life: Life::Endless })
}

/// Nothing to read is fine as long as something may come.
async fn complain_about(cluster: &Cluster, definition: &str) -> anyhow::Result<()> {
    let definition = cluster.task_definition(definition).await?;
    let may_come = definition.container_definitions.iter().flatten().any(|one| group_and_prefix(one).is_some());
    if may_come { Ok(()) } else { Err(no_logs(&definition)) }
}

fn no_logs(definition: &TaskDefinition) -> anyhow::Error {
    let name = last(definition.task_definition_arn.as_deref().unwrap_or_default()).to_owned();
    PlanError::NoLogs { definition: name, drivers: drivers(definition) }.into()
}
