//! What a person means by a word: a task, a service, a container instance or a family.

use api_ecs::{ContainerInstance, Service, Task};
use client::{Client, ClientError};
use thiserror::Error;

use super::Endpoint;
use super::cluster::{self, Cluster, ClusterError, Which};
use super::words::{last, short};

/// How many are named when a word may mean many.
const CANDIDATES_MAX: usize = 5;

/// What was meant. It was there a moment ago.
pub enum Target {
    Task(Box<Task>),
    Service(Box<Service>),
    Instance(Box<ContainerInstance>),
    /// `family` or `family:revision`.
    Family(String),
}

#[derive(Debug, Error)]
pub enum TargetError {
    #[error(
        "there is no task, service, container instance or task definition called {text} here: \
         `berth ps --all` and `berth top` show what there is"
    )]
    Nothing { text: String },
    #[error("{text} may mean {}: say more of the id", candidates.join(", "))]
    Ambiguous { text: String, candidates: Vec<String> },
}

/// Finds it by ARN, name, id or the beginning of an id.
///
/// Shape: in the cluster that the ARN or `cluster` names; with neither, in `default` and then in all others.
/// A service goes before a task, a task before an instance, and a family comes last.
pub async fn find(endpoint: &Endpoint, cluster: Option<&str>, text: &str) -> anyhow::Result<(Cluster, Target)> {
    let client = endpoint.client_for(text)?;
    let named = cluster_of(text).or(cluster);
    let clusters = match named {
        Some(name) => vec![Some(name.to_owned())],
        None => everywhere(&client).await?,
    };
    let kind = Kind::of(text);
    for name in clusters {
        let cluster = Cluster::new(client.clone(), name);
        match in_cluster(&cluster, kind, last(text)).await {
            Ok(Some(target)) => return Ok((cluster, target)),
            Ok(None) => {}
            // Nobody asked for this cluster by its name.
            Err(error) if named.is_none() && is_no_cluster(&error) => {}
            Err(error) => return Err(error),
        }
    }
    let cluster = Cluster::new(client, named.map(str::to_owned));
    if matches!(kind, Kind::Any | Kind::TaskDefinition) && cluster.task_definition_exists(last(text)).await? {
        return Ok((cluster, Target::Family(last(text).to_owned())));
    }
    Err(TargetError::Nothing { text: text.to_owned() }.into())
}

/// The cluster in an ARN such as `arn:aws:ecs:us-east-1:000000000000:task/default/0123`.
pub fn cluster_of(text: &str) -> Option<&str> {
    let resource = text.strip_prefix("arn:")?.splitn(5, ':').nth(4)?;
    match resource.split('/').collect::<Vec<_>>()[..] {
        ["task" | "service" | "container-instance", cluster, _] => Some(cluster),
        _ => None,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Task,
    Service,
    Instance,
    TaskDefinition,
    Any,
}

impl Kind {
    fn of(text: &str) -> Kind {
        let resource = text.strip_prefix("arn:").and_then(|rest| rest.splitn(5, ':').nth(4)).unwrap_or_default();
        match resource.split('/').next() {
            Some("task") => Kind::Task,
            Some("service") => Kind::Service,
            Some("container-instance") => Kind::Instance,
            Some("task-definition") => Kind::TaskDefinition,
            _ => Kind::Any,
        }
    }

    fn may_be(self, kind: Kind) -> bool {
        self == kind || self == Kind::Any
    }
}

async fn in_cluster(cluster: &Cluster, kind: Kind, text: &str) -> anyhow::Result<Option<Target>> {
    if kind.may_be(Kind::Service)
        && is_name(text)
        && let Some(service) = cluster.service(text).await?
    {
        return Ok(Some(Target::Service(Box::new(service))));
    }
    if kind.may_be(Kind::Task)
        && let Some(task) = task(cluster, text).await?
    {
        return Ok(Some(Target::Task(Box::new(task))));
    }
    if kind.may_be(Kind::Instance)
        && let Some(instance) = instance(cluster, text).await?
    {
        return Ok(Some(Target::Instance(Box::new(instance))));
    }
    Ok(None)
}

async fn task(cluster: &Cluster, text: &str) -> anyhow::Result<Option<Task>> {
    let id = match text {
        _ if is_whole_id(text) => Some(text.to_owned()),
        _ if is_hex(text) => one(cluster.task_arns(Which::All, None).await?, text)?,
        _ => None,
    };
    match id {
        Some(id) => Ok(cluster.describe_tasks(&[id]).await?.tasks.unwrap_or_default().pop()),
        None => Ok(None),
    }
}

async fn instance(cluster: &Cluster, text: &str) -> anyhow::Result<Option<ContainerInstance>> {
    if is_whole_id(text) {
        // Lists do not have those that were deregistered.
        return Ok(cluster.describe_instances(&[text.to_owned()]).await?.pop());
    }
    if !is_hex(text) && !text.starts_with("i-") && !text.starts_with("mi-") {
        return Ok(None);
    }
    let instances = cluster.instances().await?;
    if let Some(found) = instances.iter().find(|instance| instance.ec2_instance_id.as_deref() == Some(text)) {
        return Ok(Some(found.clone()));
    }
    let arns = instances.iter().filter_map(|instance| instance.container_instance_arn.clone()).collect();
    let arn = one(arns, text)?;
    Ok(instances.into_iter().find(|instance| arn.is_some() && instance.container_instance_arn == arn))
}

/// The one whose id begins so.
fn one(arns: Vec<String>, text: &str) -> Result<Option<String>, TargetError> {
    let mut found: Vec<String> = arns.into_iter().filter(|arn| last(arn).starts_with(text)).collect();
    if found.len() > 1 {
        found.truncate(CANDIDATES_MAX);
        let mut candidates: Vec<String> = found.iter().map(|arn| short(arn).to_owned()).collect();
        candidates.dedup();
        if candidates.len() < found.len() {
            candidates = found.iter().map(|arn| last(arn).to_owned()).collect();
        }
        return Err(TargetError::Ambiguous { text: text.to_owned(), candidates });
    }
    Ok(found.pop())
}

/// `default` first, since most have no other.
async fn everywhere(client: &Client) -> Result<Vec<Option<String>>, ClientError> {
    let others = cluster::names(client).await?.into_iter().filter(|name| name != "default");
    Ok(std::iter::once(None).chain(others.map(Some)).collect())
}

fn is_no_cluster(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(ClusterError::NoCluster { .. }))
}

fn is_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// The id of a task or of an instance, all of it.
fn is_whole_id(text: &str) -> bool {
    text.len() == 32 && is_hex(text)
}

/// What may be the name of a service; `family:revision` may not.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    const TASK: &str = "arn:aws:ecs:us-east-1:000000000000:task/blue/0123";

    #[test]
    fn an_arn_says_what_and_where() {
        assert_eq!((Kind::of(TASK), cluster_of(TASK)), (Kind::Task, Some("blue")));
        let service = "arn:aws:ecs:us-east-1:000000000000:service/blue/web";
        assert_eq!((Kind::of(service), cluster_of(service)), (Kind::Service, Some("blue")));
        let definition = "arn:aws:ecs:us-east-1:000000000000:task-definition/web:3";
        assert_eq!((Kind::of(definition), cluster_of(definition)), (Kind::TaskDefinition, None));
        for text in ["web", "arn:", "arn:aws", "0123", "task/blue/0123", "/ecs/web"] {
            assert_eq!((Kind::of(text), cluster_of(text)), (Kind::Any, None), "{text}");
        }
    }

    #[test]
    fn beginnings_must_be_of_one() {
        let arns = ["0123aaaa0000", "0123aaaa1111", "4567"];
        let arns = || arns.map(|id| format!("arn:aws:ecs:us-east-1:000000000000:task/blue/{id}")).to_vec();
        assert_eq!(one(arns(), "45").unwrap(), Some(arns()[2].clone()));
        assert_eq!(one(arns(), "9").unwrap(), None);
        let error = one(arns(), "0123").unwrap_err().to_string();
        assert_eq!(error, "0123 may mean 0123aaaa0000, 0123aaaa1111: say more of the id");
        let error = one(arns(), "").unwrap_err().to_string();
        assert_eq!(error, " may mean 0123aaaa0000, 0123aaaa1111, 4567: say more of the id");
    }
}
