//! Where a task's containers write, by the options of their log driver.

use std::collections::{BTreeMap, BTreeSet};

use api_ecs::{Container, ContainerDefinition, Task, TaskDefinition};

use crate::person::words::{last, short};

/// What FilterLogEvents is asked for: a log group, and how the names of its streams begin.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    pub group: String,
    pub prefix: Option<String>,
}

/// What to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub sources: BTreeSet<Source>,
    pub wanted: Wanted,
    /// Nothing of it can be older. Milliseconds since 1970.
    pub from: i64,
    pub life: Life,
}

/// Which streams of the sources.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    All,
    /// Other tasks may write under the same prefix, so the streams are named; each has its task's id and container.
    Streams(BTreeMap<String, Label>),
}

/// Who wrote a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    pub task: String,
    pub container: String,
}

/// Whether more can come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Life {
    /// Tasks come and go.
    Endless,
    /// One task, which has not stopped.
    OneTask,
    /// One task, which has.
    OneTaskStopped,
}

impl Plan {
    pub fn groups(&self) -> BTreeSet<&str> {
        self.sources.iter().map(|source| source.group.as_str()).collect()
    }

    pub fn wants(&self, stream: &str) -> bool {
        match &self.wanted {
            Wanted::All => true,
            Wanted::Streams(streams) => streams.contains_key(stream),
        }
    }

    /// What stands before a line. The container's name is said where a task has several, or where it is not known.
    pub fn label(&self, stream: &str) -> String {
        match &self.wanted {
            Wanted::Streams(streams) => streams.get(stream).map_or_else(
                || stream.to_owned(),
                |label| {
                    let task = short(&label.task);
                    if self.has_several_containers() { format!("{task}/{}", label.container) } else { task.to_owned() }
                },
            ),
            Wanted::All => of_any_stream(stream),
        }
    }

    fn has_several_containers(&self) -> bool {
        let Wanted::Streams(streams) = &self.wanted else { return false };
        let mut containers = streams.values().map(|label| &label.container);
        let first = containers.next();
        containers.any(|other| Some(other) != first)
    }
}

/// `prefix/container/task` as ECS names its streams; any other name as it is.
fn of_any_stream(stream: &str) -> String {
    match stream.rsplit('/').collect::<Vec<_>>()[..] {
        [task, container, _, ..] if task.len() == 32 && task.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            format!("{}/{container}", short(task))
        }
        _ => stream.to_owned(),
    }
}

/// The log group of a container that uses `awslogs`, and the prefix of its streams if it has one.
pub fn group_and_prefix(container: &ContainerDefinition) -> Option<(&str, Option<&str>)> {
    let configuration = container.log_configuration.as_ref()?;
    if configuration.log_driver.as_deref() != Some("awslogs") {
        return None;
    }
    let option = |name| configuration.options.as_ref().and_then(|options| options.get(name)).map(String::as_str);
    Some((option("awslogs-group")?, option("awslogs-stream-prefix")))
}

/// The group and the stream of each container of a task that writes to CloudWatch Logs.
///
/// Source: Amazon ECS Developer Guide, "Send Amazon ECS logs to CloudWatch": with `awslogs-stream-prefix` a stream is
/// `prefix-name/container-name/ecs-task-id`; without it, "the container ID that is assigned by the Docker daemon".
pub fn streams(task: &Task, definition: &TaskDefinition) -> Vec<(String, String, Label)> {
    let id = last(task.task_arn.as_deref().unwrap_or_default());
    let stream_of = |container: &ContainerDefinition| {
        let (group, prefix) = group_and_prefix(container)?;
        let name = container.name.clone()?;
        let stream = match prefix {
            Some(prefix) => format!("{prefix}/{name}/{id}"),
            None => runtime_id(task, &name)?,
        };
        Some((group.to_owned(), stream, Label { task: id.to_owned(), container: name }))
    };
    definition.container_definitions.iter().flatten().filter_map(stream_of).collect()
}

fn runtime_id(task: &Task, container: &str) -> Option<String> {
    let of_name = |one: &&Container| one.name.as_deref() == Some(container);
    task.containers.iter().flatten().find(of_name)?.runtime_id.clone()
}

/// The drivers of a definition's containers, for a person who finds no lines.
pub fn drivers(definition: &TaskDefinition) -> String {
    let driver = |container: &ContainerDefinition| {
        let configured = container.log_configuration.as_ref().and_then(|logs| logs.log_driver.clone());
        format!("{}: {}", container.name.as_deref().unwrap_or("?"), configured.as_deref().unwrap_or("none"))
    };
    definition.container_definitions.iter().flatten().map(driver).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use api_ecs::LogConfiguration;

    use super::*;

    const ID: &str = "0123456789abcdef0123456789abcdef";

    fn container(name: &str, driver: &str, options: &[(&str, &str)]) -> ContainerDefinition {
        let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let logs =
            LogConfiguration { log_driver: Some(driver.to_owned()), options: Some(options), ..Default::default() };
        ContainerDefinition { name: Some(name.to_owned()), log_configuration: Some(logs), ..Default::default() }
    }

    fn task() -> Task {
        let written =
            Container { name: Some("bare".to_owned()), runtime_id: Some("feed".to_owned()), ..Container::default() };
        Task {
            task_arn: Some(format!("arn:aws:ecs:us-east-1:000000000000:task/default/{ID}")),
            containers: Some(vec![written]),
            ..Task::default()
        }
    }

    #[test]
    fn streams_have_the_names_of_ecs() {
        let group = ("awslogs-group", "/ecs/web");
        let definition = TaskDefinition {
            container_definitions: Some(vec![
                container("app", "awslogs", &[group, ("awslogs-stream-prefix", "web")]),
                container("bare", "awslogs", &[group]),
                container("not-started", "awslogs", &[group]),
                container("quiet", "json-file", &[group]),
                ContainerDefinition { name: Some("plain".to_owned()), ..Default::default() },
            ]),
            ..TaskDefinition::default()
        };
        let found = streams(&task(), &definition);
        let found: Vec<_> =
            found.iter().map(|(group, stream, label)| (&**group, &**stream, &*label.container)).collect();
        let stream = format!("web/app/{ID}");
        assert_eq!(found, [("/ecs/web", &*stream, "app"), ("/ecs/web", "feed", "bare")]);
        assert_eq!(
            drivers(&definition),
            "app: awslogs, bare: awslogs, not-started: awslogs, quiet: json-file, plain: none"
        );
    }

    #[test]
    fn labels_tell_apart_what_can_be_mixed_up() {
        let label = |container: &str| Label { task: ID.to_owned(), container: container.to_owned() };
        let plan = |streams: &[(&str, &str)]| Plan {
            sources: BTreeSet::new(),
            wanted: Wanted::Streams(
                streams.iter().map(|(stream, container)| ((*stream).to_owned(), label(container))).collect(),
            ),
            from: 0,
            life: Life::Endless,
        };
        assert_eq!(plan(&[("a", "app"), ("b", "app")]).label("a"), "01234567");
        let mixed = plan(&[("a", "app"), ("b", "proxy")]);
        assert_eq!((mixed.label("b"), mixed.wants("b"), mixed.wants("c")), ("01234567/proxy".to_owned(), true, false));
        let all = Plan { wanted: Wanted::All, ..plan(&[]) };
        let check = |stream: &str, expected| assert_eq!(all.label(stream), expected);
        check(&format!("web/app/{ID}"), "01234567/app");
        check("web/app/1", "web/app/1");
        check(ID, ID);
        assert!(all.wants("anything"));
    }
}
