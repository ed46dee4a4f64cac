//! A machine that has joined a cluster: its node, its agent, and the socket for those who work on it.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use agent::{Agent, AgentConfig, AgentHandle, MetadataListener};
use anyhow::Context;
use blobs::Blobs;
use client::Credentials;
use images::{ImageStore, LocalRegistry, PullBehavior};
use logs::{CloudWatchSink, Drivers, LogSink};
use node::control::Control;
use node::{ImageCleanup, Machine, MachineConfig};
use objects::Buckets;
use tokio::task::JoinHandle;

use super::dirs::DataDir;
use super::parts;
use super::pressure::DiskPressure;
use super::pulls::Pulls;

/// Which control plane, and as what.
pub struct Membership {
    pub server: String,
    pub cluster: String,
    pub region: String,
    pub external: bool,
    pub attributes: BTreeMap<String, String>,
    pub disk_pressure: DiskPressure,
    /// When the control plane's registry is in this process.
    pub registry: Option<SharedRegistry>,
}

/// A registry whose images run without being copied.
pub struct SharedRegistry {
    pub blobs: Blobs,
    pub names: Arc<dyn LocalRegistry>,
}

pub struct Member {
    machine: Arc<Machine>,
    agent: AgentHandle,
    cleanup: JoinHandle<()>,
    pressure: JoinHandle<()>,
    _socket: Control,
}

impl Member {
    /// Opens the node, takes up what an earlier agent left, and registers.
    pub async fn join(dir: &DataDir, membership: Membership) -> anyhow::Result<Member> {
        let programs = parts::programs(&dir.programs())?;
        let names = dir.node_names();
        let images = images(dir, &membership)?;
        let logs = Arc::new(drivers(&membership)?);
        let endpoint = tokio::net::TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        let endpoint = endpoint.await.context("cannot listen for the task metadata endpoint")?;
        let mut config = MachineConfig::new(dir.node(), &names.run_dir, images.clone(), logs);
        config.shim = programs.shim;
        config.oci_runtime = programs.oci_runtime;
        config.init = programs.init;
        config.task_pids_limit = task_pids_limit();
        config.cgroup_parent = names.cgroup;
        config.network.bridge = names.bridge;
        config.network.table = names.table;
        config.metadata_port = Some(endpoint.local_addr().context("cannot tell the metadata endpoint's port")?.port());
        config.pull_behavior = pull_behavior(std::env::var("ECS_IMAGE_PULL_BEHAVIOR").ok().as_deref());
        let sigv4 = keys();
        config.buckets = Buckets::of(&membership.server, (&sigv4.access_key, &sigv4.secret, None));
        let pulls = Pulls::default();
        config.on_pull = Some(Arc::new(move |image, progress| pulls.note(image, progress)));
        let machine = Machine::open(config).await?;
        let shown = machine.clone();
        let metadata = MetadataListener::serving(endpoint, move |task, index| shown.container_info(task, index));
        let socket = node::control::serve(&dir.socket(), images, Some(machine.clone())).await?;
        let watch = membership.disk_pressure.watch(&membership.server, &membership.region, &membership.cluster)?;
        let variable = |name: &str| std::env::var(name).ok();
        let config = AgentConfig {
            cluster: membership.cluster,
            region: membership.region,
            external: membership.external,
            instance_attributes: membership.attributes,
            ..AgentConfig::new(membership.server, dir.node())
        }
        .with_environment(variable);
        let agent = Agent::start(config, machine.clone(), Some(metadata)).await?;
        // The agent has taken up the tasks of an earlier one, so it is known what they run.
        let cleanup = ImageCleanup::from_environment(variable);
        let cleanup = tokio::spawn(machine.clone().clean_images(cleanup));
        let pressure = tokio::spawn(watch.run(machine.clone(), agent.container_instance_arn().to_owned()));
        Ok(Member { machine, agent, cleanup, pressure, _socket: socket })
    }

    /// The container instance's ARN.
    pub fn arn(&self) -> &str {
        self.agent.container_instance_arn()
    }

    /// Resolves when the agent can be given tasks.
    pub async fn connected(&self) {
        self.agent.connected().await;
    }

    /// Takes in an archive that this program carries.
    pub async fn load_image(&self, archive: &'static [u8]) -> anyhow::Result<()> {
        self.machine.images().load_from(Cursor::new(archive)).await?;
        Ok(())
    }

    /// Stops every task as its stop timeouts have it, waits until that is on record, and takes the network down.
    pub async fn stop_tasks(self) {
        self.cleanup.abort();
        self.pressure.abort();
        self.agent.stop_tasks_and_shutdown().await;
        if let Err(error) = self.machine.close().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "the containers' network stays");
        }
    }

    /// Leaves; every task goes on.
    pub fn detach(self) {
        self.cleanup.abort();
        self.pressure.abort();
        self.agent.detach();
    }
}

/// As the official agent reads it: what is no number of processes is no limit.
fn task_pids_limit() -> Option<u64> {
    let text = std::env::var("ECS_TASK_PIDS_LIMIT").ok()?;
    let limit = text.trim().parse().ok().filter(|limit| (1..=4_194_304).contains(limit));
    if limit.is_none() {
        tracing::warn!(text, "ECS_TASK_PIDS_LIMIT is not understood");
    }
    limit
}

fn images(dir: &DataDir, membership: &Membership) -> anyhow::Result<ImageStore> {
    let blobs = match &membership.registry {
        Some(registry) => registry.blobs.clone(),
        None => Blobs::open(dir.blobs()).context("cannot open the image blobs")?,
    };
    let mut options = images::Options::new(dir.images(), blobs);
    match &membership.registry {
        Some(registry) => options.local = Some(registry.names.clone()),
        None => {
            let host = membership.server.split_once("://").map_or(membership.server.as_str(), |(_, host)| host);
            options.insecure_registries.push(host.to_owned());
            options.ecr_endpoint = Some(membership.server.clone());
        }
    }
    ImageStore::open(options).context("cannot open the images")
}

/// `ECS_IMAGE_PULL_BEHAVIOR`; what it says wrongly is told, and is the default then, which is the official agent's way.
fn pull_behavior(text: Option<&str>) -> PullBehavior {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return PullBehavior::Default };
    PullBehavior::from_name(text).unwrap_or_else(|| {
        tracing::warn!(text, "ECS_IMAGE_PULL_BEHAVIOR is none of default, always, once and prefer-cached");
        PullBehavior::Default
    })
}

/// Logs go where the tasks come from.
fn drivers(membership: &Membership) -> anyhow::Result<Drivers> {
    let server = membership.server.clone();
    let sink = move |region: &str| CloudWatchSink::new(&server, region, keys());
    sink(&membership.region).with_context(|| format!("{} is not a server", membership.server))?;
    Ok(Drivers::by_destination(move |destination| {
        let sink: Arc<dyn LogSink> = Arc::new(sink(&destination.region).expect("only the region is another"));
        Ok(sink)
    }))
}

/// In open mode any keys will do.
pub(super) fn keys() -> Credentials {
    Credentials { access_key: "test".to_owned(), secret: "test".to_owned(), session_token: None }
}
