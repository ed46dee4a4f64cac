//! A task payload, understood: what the engine must know, and what the machine must know.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use agent_api::docker::{ContainerConfig, Healthcheck, HostConfig};
use agent_api::extras::{LogConfiguration, Probe, Probes};
use agent_api::payload;
use serde::{Deserialize, Serialize};
use task_engine::{Condition, ContainerSpec, Dependency, HealthCheck, RestartPolicy, TaskSpec};

/// One task as it was accepted. Never changes afterwards.
#[derive(Clone, Debug)]
pub struct TaskPlan {
    /// The last part of the ARN: names directories, cgroups and namespaces.
    pub id: String,
    /// Without its containers, which are below.
    pub payload: payload::Task,
    pub containers: Vec<ContainerPlan>,
    pub identity: Identity,
}

#[derive(Clone, Debug)]
pub struct ContainerPlan {
    pub name: String,
    /// `ecs-<family>-<revision>-<name>-<hex>`.
    pub docker_name: String,
    /// Names the container in the metadata endpoint's paths.
    pub metadata_id: String,
    /// Without its docker settings and overrides, which have been read.
    pub payload: payload::Container,
    pub config: ContainerConfig,
    pub host: HostConfig,
    pub logs: Option<LogConfiguration>,
    pub labels: BTreeMap<String, String>,
}

/// What was drawn at random when the task was accepted, and must be the same after a restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// 20 hex digits for each container's name.
    pub name_suffixes: BTreeMap<String, String>,
    pub metadata_ids: BTreeMap<String, String>,
}

/// Why a task cannot be built.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    #[error("task {0:?} does not end in an id")]
    TaskId(String),
    #[error("the docker settings of container {container} are not valid")]
    DockerConfig {
        container: String,
        #[source]
        source: serde_json::Error,
    },
    #[error("the overrides of container {container} are not valid")]
    Overrides {
        container: String,
        #[source]
        source: serde_json::Error,
    },
    #[error("a volume has no name")]
    VolumeWithoutName,
    #[error("volume {name} has the unknown type {volume_type}")]
    VolumeType { name: String, volume_type: String },
    #[error("network mode {0} is not available on this container instance")]
    NetworkMode(String),
    #[error(transparent)]
    Spec(#[from] task_engine::InvalidTask),
}

impl PlanError {
    /// For the task's report.
    pub fn reason(&self) -> String {
        let mut text = format!("{}: {self}", task_engine::words::UNREADABLE_TASK);
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(&format!(": {error}"));
            cause = error.source();
        }
        text
    }
}

/// The only key the official agent understands; anything else rejects the task.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Overrides {
    command: Option<Vec<String>>,
}

impl Identity {
    pub fn new(task: &payload::Task, mut fresh: impl FnMut() -> String) -> Identity {
        let names = || task.containers.iter().map(|container| container.name.clone());
        let hex = |id: String| id.replace('-', "").chars().take(20).collect();
        let name_suffixes = names().map(|name| (name, hex(fresh()))).collect();
        Identity { name_suffixes, metadata_ids: names().map(|name| (name, fresh())).collect() }
    }
}

impl TaskPlan {
    /// Also answers what the engine must know.
    pub fn new(
        mut payload: payload::Task,
        identity: Identity,
        stop_timeout: Duration,
    ) -> Result<(Arc<TaskPlan>, TaskSpec), PlanError> {
        let id = payload.arn.rsplit('/').next().unwrap_or_default();
        if id.is_empty() || !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') || id.len() > 64 {
            return Err(PlanError::TaskId(payload.arn.clone()));
        }
        check_volumes(&payload)?;
        match payload.network_mode.as_deref().unwrap_or_default() {
            "" | "bridge" | "host" | "none" => {}
            other => return Err(PlanError::NetworkMode(other.to_owned())),
        }
        let containers: Vec<ContainerPlan> = std::mem::take(&mut payload.containers)
            .into_iter()
            .map(|container| container_plan(&payload, container, &identity))
            .collect::<Result<_, _>>()?;
        let mut spec =
            TaskSpec { containers: containers.iter().map(|container| spec(container, stop_timeout)).collect() };
        route_logs(&containers, &mut spec);
        let id = id.to_owned();
        Ok((Arc::new(TaskPlan { id, payload, containers, identity }), spec))
    }

    pub fn arn(&self) -> &str {
        &self.payload.arn
    }

    /// Where it was started, if its ARN says so.
    pub fn region(&self) -> Option<&str> {
        self.arn().split(':').nth(3).filter(|region| !region.is_empty())
    }

    /// The container that others write their logs to.
    pub fn log_router(&self) -> Option<usize> {
        self.containers.iter().position(|plan| plan.payload.firelens_configuration.is_some())
    }

    pub fn index_of(&self, container: &str) -> Option<usize> {
        self.containers.iter().position(|plan| plan.name == container)
    }

    /// What container `index` has of a kind, such as `gpu`.
    pub fn associations(&self, index: usize, kind: &str) -> impl Iterator<Item = &payload::Association> {
        let name = &self.containers[index].name;
        let own = move |one: &&payload::Association| one.containers.iter().any(|container| container == name);
        self.payload.associations.iter().filter(move |one| one.kind == kind).filter(own)
    }
}

fn check_volumes(task: &payload::Task) -> Result<(), PlanError> {
    for volume in &task.volumes {
        if volume.name.is_empty() {
            return Err(PlanError::VolumeWithoutName);
        }
        match volume.volume_type.as_deref() {
            None | Some("" | "host" | "docker") => {}
            Some(other) => {
                return Err(PlanError::VolumeType { name: volume.name.clone(), volume_type: other.to_owned() });
            }
        }
    }
    Ok(())
}

fn container_plan(
    task: &payload::Task,
    mut payload: payload::Container,
    identity: &Identity,
) -> Result<ContainerPlan, PlanError> {
    let name = payload.name.clone();
    let settings = |source| PlanError::DockerConfig { container: name.clone(), source };
    let docker = payload.docker_config.take().unwrap_or_default();
    let (config, host) = (docker.container_config().map_err(settings)?, docker.host_config().map_err(settings)?);
    if let Some(text) = payload.overrides.take().filter(|text| !text.is_empty()) {
        let overrides: Overrides =
            serde_json::from_str(&text).map_err(|source| PlanError::Overrides { container: name.clone(), source })?;
        if let Some(command) = overrides.command {
            payload.command = command;
        }
    }
    let extra = payload.berth.as_ref().and_then(|berth| berth.log_configuration.clone());
    let docker_logs = host.log_config.as_ref().filter(|logs| !logs.driver.is_empty());
    let logs = extra.or_else(|| {
        docker_logs.map(|logs| LogConfiguration { log_driver: logs.driver.clone(), options: logs.config.clone() })
    });
    let drawn = |ids: &BTreeMap<String, String>| ids.get(&name).cloned().unwrap_or_default();
    let docker_name = format!("ecs-{}-{}-{}-{}", task.family, task.version, name, drawn(&identity.name_suffixes));
    let mut labels = config.labels.clone();
    for (label, value) in [
        ("cluster", &task.task_cluster_arn),
        ("container-name", &name),
        ("task-arn", &task.arn),
        ("task-definition-family", &task.family),
        ("task-definition-version", &task.version),
    ] {
        labels.insert(format!("com.amazonaws.ecs.{label}"), value.clone());
    }
    let metadata_id = drawn(&identity.metadata_ids);
    Ok(ContainerPlan { name, docker_name, metadata_id, payload, config, host, logs, labels })
}

fn spec(container: &ContainerPlan, stop_timeout: Duration) -> ContainerSpec {
    let payload = &container.payload;
    let depends = |container: &str, condition| Dependency { container: container.to_owned(), condition };
    let own = payload.depends_on.iter().map(|on| depends(&on.container_name, condition(on.condition)));
    let links = payload.links.iter().map(|link| link.split(':').next().unwrap_or(link));
    let sources = payload.volumes_from.iter().map(|from| from.source_container.as_str());
    let implied = links.chain(sources).map(|name| depends(name, Condition::Start));
    let health = container.config.healthcheck.as_ref().filter(|_| payload.health_check_type.is_some());
    let probes = container.probes();
    ContainerSpec {
        name: container.name.clone(),
        essential: payload.essential,
        depends_on: own.chain(implied).collect(),
        start_timeout: payload.start_timeout.and_then(seconds).filter(|timeout| !timeout.is_zero()),
        stop_timeout: payload
            .stop_timeout
            .and_then(seconds)
            .filter(|timeout| !timeout.is_zero())
            .unwrap_or(stop_timeout),
        restart: payload.restart_policy.as_ref().filter(|policy| policy.enabled).map(|policy| RestartPolicy {
            ignored_exit_codes: policy.ignored_exit_codes.iter().filter_map(|code| i32::try_from(*code).ok()).collect(),
            // Source: the ECS developer guide, "Restart individual containers": 300 seconds.
            attempt_period: policy.restart_attempt_period.and_then(seconds).unwrap_or(Duration::from_secs(300)),
        }),
        // By what it is asked is the node's affair; when, and what it means, is the same.
        health: probes.and_then(|probes| probes.health.as_ref()).map(probe).or_else(|| health.and_then(health_check)),
        readiness: probes.and_then(|probes| probes.ready.as_ref()).map(probe),
    }
}

impl ContainerPlan {
    /// What the agent itself asks it.
    pub fn probes(&self) -> Option<&Probes> {
        self.payload.berth.as_ref()?.probes.as_ref()
    }

    /// Its log goes to the task's log router.
    pub fn is_routed(&self) -> bool {
        self.logs.as_ref().is_some_and(|logs| logs.log_driver == "awsfirelens")
    }
}

/// The log router starts before the containers that write to it, and stops after them; unless it waits for them itself.
fn route_logs(containers: &[ContainerPlan], spec: &mut TaskSpec) {
    let router = containers.iter().find(|plan| plan.payload.firelens_configuration.is_some());
    let Some(router) = router.map(|plan| plan.name.clone()) else { return };
    let mut awaited = BTreeSet::from([router.clone()]);
    loop {
        let of_awaited = spec.containers.iter().filter(|one| awaited.contains(&one.name));
        let more: Vec<String> = of_awaited.flat_map(|one| &one.depends_on).map(|on| on.container.clone()).collect();
        let known = awaited.len();
        awaited.extend(more);
        if awaited.len() == known {
            break;
        }
    }
    for (plan, one) in containers.iter().zip(&mut spec.containers) {
        let waits = one.depends_on.iter().any(|on| on.container == router);
        if plan.is_routed() && !waits && !awaited.contains(&one.name) {
            one.depends_on.push(Dependency { container: router.clone(), condition: Condition::Start });
        }
    }
}

fn condition(condition: payload::DependencyCondition) -> Condition {
    match condition {
        payload::DependencyCondition::Start => Condition::Start,
        payload::DependencyCondition::Complete => Condition::Complete,
        payload::DependencyCondition::Success => Condition::Success,
        payload::DependencyCondition::Healthy => Condition::Healthy,
    }
}

fn seconds(seconds: i64) -> Option<Duration> {
    u64::try_from(seconds).ok().map(Duration::from_secs)
}

fn probe(probe: &Probe) -> HealthCheck {
    let seconds = |seconds: u32| Duration::from_secs(seconds.into());
    HealthCheck {
        interval: seconds(probe.interval),
        timeout: seconds(probe.timeout),
        retries: probe.retries,
        start_period: seconds(probe.start_period),
    }
}

/// `None` for a check that is switched off. Defaults are Docker's: 30 s, 30 s, 3, none.
fn health_check(check: &Healthcheck) -> Option<HealthCheck> {
    if check.test.first().is_none_or(|kind| kind == "NONE") {
        return None;
    }
    let nanos = |value: Option<i64>, default: u64| {
        let given = value.and_then(|value| u64::try_from(value).ok()).filter(|value| *value > 0);
        given.map_or(Duration::from_secs(default), Duration::from_nanos)
    };
    let retries = check.retries.and_then(|retries| u32::try_from(retries).ok()).filter(|retries| *retries > 0);
    Some(HealthCheck {
        interval: nanos(check.interval, 30),
        timeout: nanos(check.timeout, 30),
        retries: retries.unwrap_or(3),
        start_period: nanos(check.start_period, 0),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(json: &str) -> Result<(Arc<TaskPlan>, TaskSpec), PlanError> {
        let task: payload::Task = serde_json::from_str(json).unwrap();
        let mut drawn = 0;
        let identity = Identity::new(&task, || {
            drawn += 1;
            format!("{drawn:032x}")
        });
        TaskPlan::new(task, identity, Duration::from_secs(30))
    }

    #[test]
    fn a_payload_becomes_a_plan_and_a_spec() {
        let (plan, spec) = plan(
            r#"{"arn":"arn:aws:ecs:r:1:task/default/db90","taskClusterArn":"C","family":"fam","version":"7","desiredStatus":"RUNNING",
            "containers":[{"name":"web","image":"i","essential":true,"stopTimeout":5,"links":["db:database"],"overrides":"{\"command\":[\"x\"]}",
              "healthCheckType":"docker","dockerConfig":{"config":"{\"Healthcheck\":{\"Test\":[\"CMD\",\"t\"],\"Interval\":5000000000}}",
              "hostConfig":"{\"LogConfig\":{\"Type\":\"awslogs\",\"Config\":{\"awslogs-group\":\"g\"}}}"}},
            {"name":"db","image":"i","restartPolicy":{"enabled":true,"ignoredExitCodes":[3]}}]}"#,
        )
        .unwrap();
        assert_eq!(plan.id, "db90");
        let web = &plan.containers[0];
        assert_eq!(web.docker_name, "ecs-fam-7-web-00000000000000000000");
        assert_eq!(web.payload.command, ["x"]);
        assert_eq!(web.logs.as_ref().unwrap().options["awslogs-group"], "g");
        assert_eq!(web.labels["com.amazonaws.ecs.task-definition-version"], "7");
        assert_eq!(spec.containers[0].stop_timeout, Duration::from_secs(5));
        assert_eq!(spec.containers[0].depends_on, [Dependency { container: "db".into(), condition: Condition::Start }]);
        let health = spec.containers[0].health.as_ref().unwrap();
        assert_eq!((health.interval.as_secs(), health.timeout.as_secs(), health.retries), (5, 30, 3));
        assert_eq!(spec.containers[1].restart.as_ref().unwrap().attempt_period, Duration::from_secs(300));
        assert_eq!(spec.containers[1].stop_timeout, Duration::from_secs(30));
    }

    #[test]
    fn a_log_router_starts_before_those_who_write_to_it() {
        let routed = |name: &str, more: &str| {
            format!(
                r#"{{"name":"{name}","image":"i"{more},"dockerConfig":{{"hostConfig":"{{\"LogConfig\":{{\"Type\":\"awsfirelens\"}}}}"}}}}"#
            )
        };
        let router = r#"{"name":"router","image":"i","firelensConfiguration":{"type":"fluentbit"},
            "dependsOn":[{"containerName":"init","condition":"COMPLETE"}]}"#;
        let own = r#","dependsOn":[{"containerName":"router","condition":"COMPLETE"}]"#;
        let json = format!(
            r#"{{"arn":"a/b","desiredStatus":"RUNNING","containers":[{},{},{router},{},{{"name":"mute","image":"i"}}]}}"#,
            routed("app", ""),
            routed("waits", own),
            routed("init", ""),
        );
        let (plan, spec) = plan(&json).unwrap();
        assert_eq!(plan.log_router(), Some(2));
        let conditions: Vec<_> = spec
            .containers
            .iter()
            .map(|one| one.depends_on.iter().map(|on| (on.container.as_str(), on.condition)).collect::<Vec<_>>())
            .collect();
        let router = |condition| vec![("router", condition)];
        let init = vec![("init", Condition::Complete)];
        // Whom the router waits for cannot wait for the router.
        assert_eq!(conditions, [router(Condition::Start), router(Condition::Complete), init, vec![], vec![]]);
    }

    #[test]
    fn what_cannot_be_built_says_why() {
        let reason = |json: &str| plan(json).unwrap_err().reason();
        let container = r#""containers":[{"name":"a","image":"i"}]"#;
        for (json, words) in [
            (format!(r#"{{"arn":"a/../b/","desiredStatus":"RUNNING",{container}}}"#), "does not end in an id"),
            (
                format!(r#"{{"arn":"a/b","desiredStatus":"RUNNING","networkMode":"awsvpc",{container}}}"#),
                "network mode awsvpc",
            ),
            (format!(r#"{{"arn":"a/b","desiredStatus":"RUNNING","volumes":[{{"name":""}}],{container}}}"#), "no name"),
            (
                format!(
                    r#"{{"arn":"a/b","desiredStatus":"RUNNING","volumes":[{{"name":"v","type":"tape"}}],{container}}}"#
                ),
                "tape",
            ),
            (
                r#"{"arn":"a/b","desiredStatus":"RUNNING","containers":[{"name":"a","overrides":"{\"cpu\":1}"}]}"#
                    .into(),
                "cpu",
            ),
            (
                r#"{"arn":"a/b","desiredStatus":"RUNNING","containers":[{"name":"a","dockerConfig":{"config":"{"}}]}"#
                    .into(),
                "docker settings",
            ),
        ] {
            let reason = reason(&json);
            assert!(
                reason.starts_with("UnrecogniedTaskError: Error loading task") && reason.contains(words),
                "{reason}"
            );
        }
    }
}
