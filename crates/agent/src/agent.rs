//! From a configuration to a working container instance.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use api_ecs::Attribute;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::acs::Acs;
use crate::clock::{Backoff, new_id};
use crate::config::AgentConfig;
use crate::control::HttpControlPlane;
use crate::endpoints::EndpointCache;
use crate::metadata::{Instance, MetadataListener};
use crate::prepull::Prepulls;
use crate::records::{InstanceRecord, RecordError, Records, VERSION};
use crate::registration::{self, Machine};
use crate::reporter::Reporter;
use crate::seams::{ApiError, ControlPlane, Node};
use crate::tasks::Tasks;
use crate::tcs::Tcs;

#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    #[error("the control plane's URL cannot be used")]
    ServerUrl(#[source] Box<client::ClientError>),
    #[error("the agent's records cannot be used")]
    Records(#[source] RecordError),
    #[error("the control plane does not accept this container instance")]
    Register(#[source] ApiError),
    #[error("the control plane did not return attribute {0} of the registration")]
    AttributeNotEchoed(String),
    #[error("the control plane's answer names no container instance")]
    NoArn,
    #[error(
        "the node's state belongs to cluster {saved}, and the configuration says {configured}; use another data directory, or the old cluster"
    )]
    OtherCluster { saved: String, configured: String },
}

/// How long a registration is tried again when the control plane does not answer. Source: the official agent.
const REGISTER_FOR: Duration = Duration::from_secs(3600);

pub struct Agent;

/// A running agent.
pub struct AgentHandle {
    tasks: Arc<Tasks>,
    container_instance_arn: String,
    connected: watch::Receiver<bool>,
    loops: Vec<JoinHandle<()>>,
}

impl Agent {
    /// [`Agent::start_with`] the control plane at the configuration's `server_url`.
    pub async fn start(
        config: AgentConfig,
        node: Arc<dyn Node>,
        metadata: Option<MetadataListener>,
    ) -> Result<AgentHandle, AgentError> {
        let control = HttpControlPlane::new(&config)?;
        Agent::start_with(config, Arc::new(control), node, metadata).await
    }

    /// Takes up what is there, registers, connects. Returns when the instance is registered; the sockets follow at once.
    pub async fn start_with(
        config: AgentConfig,
        control: Arc<dyn ControlPlane>,
        node: Arc<dyn Node>,
        metadata: Option<MetadataListener>,
    ) -> Result<AgentHandle, AgentError> {
        let records = Records::open(&config.node_dir.join("state")).map_err(AgentError::Records)?;
        let saved = records.instance();
        if let Some(saved) = saved.as_ref().filter(|saved| saved.cluster != config.cluster) {
            let (saved, configured) = (saved.cluster.clone(), config.cluster.clone());
            return Err(AgentError::OtherCluster { saved, configured });
        }
        let reporter = Reporter::new(control.clone(), config.cluster.clone());
        let (stop_timeout, cleanup_wait) = (config.stop_timeout, config.task_cleanup_wait);
        let tasks = Tasks::new(node.clone(), records.clone(), reporter, stop_timeout, cleanup_wait);
        let existing = saved.as_ref().map(|saved| saved.container_instance_arn.as_str());
        let (container_instance_arn, attributes) = register(&config, &*control, node.gpus(), existing).await?;
        let record = InstanceRecord {
            version: VERSION,
            cluster: config.cluster.clone(),
            container_instance_arn: container_instance_arn.clone(),
        };
        if saved.as_ref() != Some(&record) {
            records.save_instance(&record).map_err(AgentError::Records)?;
        }
        // The control plane knows what ended meanwhile before it can ask for anything.
        tasks.recover().await.map_err(AgentError::Records)?;

        let endpoints = Arc::new(EndpointCache::default());
        let (connected, connection) = watch::channel(false);
        let acs = Acs {
            control: control.clone(),
            endpoints: endpoints.clone(),
            tasks: tasks.clone(),
            cluster: config.cluster.clone(),
            container_instance_arn: container_instance_arn.clone(),
            connected,
            prepulls: Prepulls::new(node.clone()),
            sessions: Mutex::default(),
        };
        let tcs = Tcs {
            control: control.clone(),
            endpoints,
            node: node.clone(),
            tasks: tasks.clone(),
            cluster: config.cluster.clone(),
            container_instance_arn: container_instance_arn.clone(),
        };
        let mut loops = vec![tokio::spawn(acs.run()), tokio::spawn(tcs.run())];
        if let Some(listener) = metadata {
            let zone = registration::availability_zone(&attributes);
            let arn = container_instance_arn.clone();
            let instance = Instance { arn, cluster: config.cluster, availability_zone: zone };
            loops.push(tokio::spawn(listener.serve(tasks.clone(), node, control, instance)));
        }
        Ok(AgentHandle { tasks, container_instance_arn, connected: connection, loops })
    }
}

/// The instance's ARN, and its attributes as the control plane has them.
async fn register(
    config: &AgentConfig,
    control: &dyn ControlPlane,
    gpus: Vec<String>,
    existing: Option<&str>,
) -> Result<(String, Vec<Attribute>), AgentError> {
    let request = registration::request(config, &Machine { gpus, ..Machine::detect() }, existing, new_id());
    let mut backoff = Backoff::new(Duration::from_millis(100), 2.0, Duration::from_secs(192), 0.2);
    let deadline = Instant::now() + REGISTER_FOR;
    loop {
        match control.register(request.clone()).await {
            Ok(instance) => {
                let arn = instance.container_instance_arn.ok_or(AgentError::NoArn)?;
                let (sent, echoed) = (request.attributes.unwrap_or_default(), instance.attributes.unwrap_or_default());
                return match registration::missing_attribute(&sent, &echoed) {
                    Some(name) => Err(AgentError::AttributeNotEchoed(name)),
                    None => Ok((arn, echoed)),
                };
            }
            Err(ApiError::Unavailable(why)) if Instant::now() < deadline => {
                tracing::warn!(why, "the control plane does not answer yet; trying again");
                tokio::time::sleep(backoff.next()).await;
            }
            Err(error) => return Err(AgentError::Register(error)),
        }
    }
}

impl AgentHandle {
    pub fn container_instance_arn(&self) -> &str {
        &self.container_instance_arn
    }

    /// Resolves when ACS is open.
    pub async fn connected(&self) {
        let mut connected = self.connected.clone();
        // An error means that the loop ended, which it does only when it is aborted.
        let _ = connected.wait_for(|connected| *connected).await;
    }

    /// Stops every task as its stop timeouts have it, reports that, and leaves.
    pub async fn stop_tasks_and_shutdown(self) {
        self.tasks.stop_all().await;
        self.detach();
    }

    /// Leaves; containers go on, and the next agent finds them.
    pub fn detach(self) {
        drop(self);
    }
}

impl Drop for AgentHandle {
    fn drop(&mut self) {
        self.loops.iter().for_each(JoinHandle::abort);
        self.tasks.abandon();
    }
}
