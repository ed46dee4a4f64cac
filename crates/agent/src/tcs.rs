//! The telemetry socket: what containers use, and how healthy they are.

use std::sync::Arc;

use agent_api::extras::Probed;
use agent_api::query::TcsQuery;
use agent_api::tcs::{
    ContainerHealth, ContainerMetric, Frame, FromAgent, HealthMetadata, HealthStatus, InstanceStatus,
    InstanceStatusMetadata, MetricsMetadata, PublishHealth, PublishInstanceStatus, PublishMetrics, RestartStatsSet,
    TASKS_MAX, TaskHealth, TaskMetric, ToAgent,
};
use task_engine::{Phase, Task};

use crate::clock::{self, jitter, new_id, now};
use crate::endpoints::{EndpointCache, socket_url};
use crate::limits::{PUBLISH_EVERY, SAMPLE_EVERY};
use crate::plan::TaskPlan;
use crate::registration::{AGENT_HASH, AGENT_VERSION, ENGINE_VERSION};
use crate::samples::Samples;
use crate::seams::{ControlPlane, Node, Run};
use crate::session::{Due, Ended, Line};
use crate::socket::{Incoming, Socket};
use crate::tasks::Tasks;
use crate::worker::Handle;

pub struct Tcs {
    pub control: Arc<dyn ControlPlane>,
    pub endpoints: Arc<EndpointCache>,
    pub node: Arc<dyn Node>,
    pub tasks: Arc<Tasks>,
    pub cluster: String,
    pub container_instance_arn: String,
}

impl Tcs {
    /// Connects, and connects again, for ever. Nothing else depends on it.
    pub async fn run(self) {
        let mut line = Line::tcs();
        let mut samples = Samples::default();
        loop {
            line.begins(clock::steady());
            let ended = match self.connect().await {
                Some((socket, url)) => self.session(socket, &url, &mut line, &mut samples).await,
                None => Ended::Failed,
            };
            let wait = line.ended(ended, clock::steady(), &mut jitter);
            tokio::time::sleep(wait).await;
        }
    }

    async fn connect(&self) -> Option<(Socket, String)> {
        let endpoint = self.endpoints.get(&*self.control, &self.container_instance_arn).await?.tcs?;
        let query = TcsQuery {
            agent_hash: AGENT_HASH.to_owned(),
            agent_version: AGENT_VERSION.to_owned(),
            cluster: self.cluster.clone(),
            container_instance: self.container_instance_arn.clone(),
            docker_version: ENGINE_VERSION.to_owned(),
        };
        let url = socket_url(&endpoint, &query.encode())?;
        match Socket::connect(&url, self.control.sign(&url, "")).await {
            Ok(socket) => Some((socket, url)),
            Err(error) => {
                self.endpoints.doubt_after(&error).await;
                tracing::debug!(error = &error as &dyn std::error::Error, "no TCS connection");
                None
            }
        }
    }

    async fn session(&self, mut socket: Socket, url: &str, line: &mut Line, samples: &mut Samples) -> Ended {
        line.opened(clock::steady(), &mut jitter);
        let mut publish = tokio::time::interval(PUBLISH_EVERY);
        let mut sample = tokio::time::interval(SAMPLE_EVERY);
        let mut status_told = false;
        loop {
            tokio::select! {
                incoming = socket.next() => match incoming {
                    Incoming::Closed(code) => return Ended::Closed(code),
                    Incoming::Text(text) => if matches!(ToAgent::decode(&text), Ok(agent_api::Decoded::Known(_))) {
                        line.heard(clock::steady(), &mut jitter);
                    },
                },
                _ = publish.tick() => {
                    for message in self.metrics(samples) {
                        self.send(&mut socket, url, &message).await;
                    }
                    if let Some(health) = self.health() {
                        self.send(&mut socket, url, &health).await;
                    }
                    if !std::mem::replace(&mut status_told, true) {
                        self.send(&mut socket, url, &self.instance_status()).await;
                    }
                }
                // The official agent lets a change of health wait for its turn; a sick task is replaced sooner without.
                () = self.tasks.health.notified() => if let Some(health) = self.health() {
                    self.send(&mut socket, url, &health).await;
                },
                _ = sample.tick() => self.sample(samples).await,
                () = clock::until(line.next()) => match line.due(clock::steady()) {
                    Some(Due::Silent) => return Ended::Silent,
                    Some(Due::Expired) => socket.close("connection expired").await,
                    None => {}
                },
            }
        }
    }

    async fn send(&self, socket: &mut Socket, url: &str, message: &FromAgent) {
        let envelope = message.encode();
        let headers = self.control.sign(url, &envelope);
        let headers = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        socket.send(Frame { headers, envelope: &envelope }.encode()).await;
    }

    async fn sample(&self, samples: &mut Samples) {
        let runs: Vec<Run> = self.tasks.all().iter().flat_map(|handle| running(handle)).collect();
        let usages = self.node.usages(&runs).await;
        let at = clock::steady();
        for (run, usage) in runs.iter().zip(usages) {
            if let Some(usage) = usage {
                samples.add(run.task.arn(), &run.task.containers[run.container].name, usage, at);
            }
        }
        samples.retain_tasks(|arn| self.tasks.get(arn).is_some_and(|handle| !handle.is_finished()));
    }

    fn metrics(&self, samples: &mut Samples) -> Vec<FromAgent> {
        let task_metrics: Vec<TaskMetric> =
            self.tasks.all().iter().filter_map(|handle| metric(handle, samples)).collect();
        let timestamp = Some(clock::now().as_seconds_f64());
        let message_id = new_id();
        let message = |task_metrics: Vec<TaskMetric>, fin| {
            FromAgent::PublishMetrics(PublishMetrics {
                metadata: MetricsMetadata {
                    cluster: self.cluster.clone(),
                    container_instance: self.container_instance_arn.clone(),
                    message_id: message_id.clone(),
                    idle: task_metrics.is_empty(),
                    fin,
                },
                instance_metrics: None,
                task_metrics,
                timestamp,
            })
        };
        let chunks = task_metrics.chunks(TASKS_MAX);
        let last = chunks.len().max(1) - 1;
        match task_metrics.is_empty() {
            true => vec![message(Vec::new(), true)],
            false => chunks.enumerate().map(|(at, chunk)| message(chunk.to_vec(), at == last)).collect(),
        }
    }

    /// `None` while no container has a health check.
    fn health(&self) -> Option<FromAgent> {
        let tasks: Vec<TaskHealth> =
            self.tasks.all().iter().filter_map(|handle| task_health(&handle.plan, &handle.state())).collect();
        if tasks.is_empty() {
            return None;
        }
        Some(FromAgent::PublishHealth(PublishHealth {
            metadata: HealthMetadata {
                cluster: self.cluster.clone(),
                container_instance: self.container_instance_arn.clone(),
                message_id: new_id(),
                fin: true,
            },
            tasks,
            timestamp: Some(now().as_seconds_f64()),
        }))
    }

    fn instance_status(&self) -> FromAgent {
        let at = Some(now().as_seconds_f64());
        FromAgent::PublishInstanceStatus(PublishInstanceStatus {
            metadata: InstanceStatusMetadata {
                cluster: self.cluster.clone(),
                container_instance: self.container_instance_arn.clone(),
                request_id: new_id(),
            },
            statuses: vec![InstanceStatus {
                status_type: "ContainerRuntime".to_owned(),
                status: "OK".to_owned(),
                last_updated: at,
                last_status_change: at,
            }],
            timestamp: at,
        })
    }
}

fn running(handle: &Handle) -> Vec<Run> {
    let state = handle.state();
    let lives = |phase: &Phase| matches!(phase, Phase::Running { .. } | Phase::Stopping { .. });
    let containers = state.containers().iter().filter(|container| lives(&container.phase));
    let run = |container: &task_engine::Container| {
        let index = handle.plan.index_of(&container.spec.name)?;
        Some(Run { task: handle.plan.clone(), container: index, number: container.restarts })
    };
    containers.filter_map(run).collect()
}

fn metric(handle: &Handle, samples: &mut Samples) -> Option<TaskMetric> {
    let state = handle.state();
    let arn = handle.plan.arn();
    let one = |container: &task_engine::Container, samples: &mut Samples| {
        let (cpu_stats_set, memory_stats_set) = samples.take(arn, &container.spec.name);
        memory_stats_set?;
        let restarts = RestartStatsSet { restart_count: i64::from(container.restarts) };
        Some(ContainerMetric {
            container_name: container.spec.name.clone(),
            cpu_stats_set,
            memory_stats_set,
            restart_stats_set: container.spec.restart.is_some().then_some(restarts),
            ..ContainerMetric::default()
        })
    };
    let container_metrics: Vec<ContainerMetric> =
        state.containers().iter().filter_map(|container| one(container, samples)).collect();
    (!container_metrics.is_empty()).then(|| TaskMetric {
        task_arn: arn.to_owned(),
        task_definition_family: handle.plan.payload.family.clone(),
        task_definition_version: handle.plan.payload.version.clone(),
        container_metrics,
        ..TaskMetric::default()
    })
}

/// How the last checks failed: of health, of readiness.
pub(crate) fn said(container: &task_engine::Container) -> [&str; 2] {
    [&container.health, &container.readiness].map(|check| check.as_ref().map_or("", |check| check.said.as_str()))
}

/// Nothing of a container that no probe asks: a command's failure is nothing that ECS tells.
fn probed(plan: &TaskPlan, container: &task_engine::Container) -> Option<Probed> {
    let probes = plan.containers.get(plan.index_of(&container.spec.name)?)?.probes()?;
    let [health, ready] = said(container);
    Some(Probed {
        ready: container.is_ready(),
        health_says: if probes.health.is_some() { health.to_owned() } else { String::new() },
        ready_says: ready.to_owned(),
    })
}

/// Nothing when no container that lives has a health check. Pure.
pub fn task_health(plan: &TaskPlan, state: &Task) -> Option<TaskHealth> {
    let one = |container: &task_engine::Container| {
        let (health, ready) = (container.health_status(), container.is_ready());
        if health.is_none() && ready.is_none() {
            return None;
        }
        let health_status = match health.unwrap_or_default() {
            task_engine::HealthStatus::Unknown => HealthStatus::Unknown,
            task_engine::HealthStatus::Healthy => HealthStatus::Healthy,
            task_engine::HealthStatus::Unhealthy => HealthStatus::Unhealthy,
        };
        let status_since = container.health.as_ref().map(|health| clock::to_wall(health.since).as_seconds_f64());
        Some(ContainerHealth {
            container_name: container.spec.name.clone(),
            health_status,
            status_since,
            berth: probed(plan, container),
        })
    };
    let containers: Vec<ContainerHealth> =
        state.containers().iter().filter(|container| !container.stopped()).filter_map(one).collect();
    (!containers.is_empty()).then(|| TaskHealth {
        task_arn: plan.arn().to_owned(),
        task_definition_family: plan.payload.family.clone(),
        task_definition_version: plan.payload.version.clone(),
        containers,
    })
}
