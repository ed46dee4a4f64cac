//! The sample: its two images, its definition, and a service that keeps it running. Made through the public API, as a
//! person would make it.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use anyhow::Context;
use api_ecs::operations::{
    CreateCluster, CreateService, DescribeServices, DescribeTaskDefinition, DescribeTasks, ListTasks,
    RegisterTaskDefinition,
};
use api_ecs::*;
use client::{Client, Credentials};
use tokio::time::{Instant, sleep};

use super::member::Member;
use super::parts;

const NAME: &str = "sample";
/// Where the sample answers: the first of these that is free when its service is made. A fixed port, so that its
/// replacement after a crash has the same address.
const PORTS: std::ops::Range<u16> = 8080..8100;
const ANSWER_WITHIN: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

pub struct Demo {
    pub service: String,
    pub url: String,
    /// Why it does not answer, if it does not.
    pub trouble: Option<String>,
}

fn client(url: &str, region: &str) -> anyhow::Result<Client> {
    let credentials = Credentials { access_key: "test".to_owned(), secret: "test".to_owned(), session_token: None };
    Ok(Client::new(url, credentials, region)?)
}

/// A cluster that exists stays as it is.
pub async fn ensure_cluster(url: &str, region: &str, name: &str) -> anyhow::Result<()> {
    let input = CreateClusterRequest { cluster_name: Some(name.to_owned()), ..CreateClusterRequest::default() };
    client(url, region)?
        .call::<CreateCluster>(input)
        .await
        .with_context(|| format!("cannot make the cluster {name}"))?;
    Ok(())
}

/// Loads the images, makes the service if there is none, and waits until it answers.
pub async fn run(url: &str, region: &str, member: &Member) -> anyhow::Result<Demo> {
    let samples = parts::samples();
    anyhow::ensure!(!samples.is_empty(), "this berth was built without the sample; build it with `make build`");
    for sample in samples {
        member.load_image(sample).await.context("cannot load the sample's image")?;
    }
    let client = client(url, region)?;
    let port = match port_of_service(&client).await? {
        Some(port) => port,
        None => create(&client, region).await.context("cannot make the sample's service")?,
    };
    let trouble = wait(&client, port).await;
    Ok(Demo { service: NAME.to_owned(), url: format!("http://127.0.0.1:{port}"), trouble })
}

async fn service(client: &Client) -> anyhow::Result<Option<Service>> {
    let input = DescribeServicesRequest { services: Some(vec![NAME.to_owned()]), ..DescribeServicesRequest::default() };
    let found = client.call::<DescribeServices>(input).await?.services.unwrap_or_default();
    Ok(found.into_iter().find(|service| service.status.as_deref() == Some("ACTIVE")))
}

async fn port_of_service(client: &Client) -> anyhow::Result<Option<u16>> {
    let Some(service) = service(client).await? else { return Ok(None) };
    let input = DescribeTaskDefinitionRequest { task_definition: service.task_definition, ..Default::default() };
    let definition = client.call::<DescribeTaskDefinition>(input).await?.task_definition.unwrap_or_default();
    let containers = definition.container_definitions.unwrap_or_default();
    let mut ports = containers.into_iter().flat_map(|container| container.port_mappings.unwrap_or_default());
    Ok(ports.find_map(|mapping| u16::try_from(mapping.host_port?).ok()))
}

/// The port that the new service answers on.
async fn create(client: &Client, region: &str) -> anyhow::Result<u16> {
    let free = |port: &u16| TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port)).is_ok();
    let port = PORTS.into_iter().find(free);
    let port = port.with_context(|| format!("the ports {} to {} are all taken", PORTS.start, PORTS.end - 1))?;
    let definition =
        client.call::<RegisterTaskDefinition>(definition(port, region)).await?.task_definition.unwrap_or_default();
    let input = CreateServiceRequest {
        service_name: Some(NAME.to_owned()),
        task_definition: definition.task_definition_arn,
        desired_count: Some(1),
        // Two versions cannot have the one port at once.
        deployment_configuration: Some(DeploymentConfiguration {
            minimum_healthy_percent: Some(0),
            maximum_percent: Some(100),
            ..Default::default()
        }),
        ..CreateServiceRequest::default()
    };
    client.call::<CreateService>(input).await?;
    Ok(port)
}

fn definition(port: u16, region: &str) -> RegisterTaskDefinitionRequest {
    let option = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let options = [
        option("awslogs-group", "/ecs/sample"),
        option("awslogs-region", region),
        option("awslogs-stream-prefix", "web"),
        option("awslogs-create-group", "true"),
    ];
    let container = ContainerDefinition {
        name: Some("web".to_owned()),
        image: Some("hello-world:1".to_owned()),
        essential: Some(true),
        cpu: Some(64),
        memory: Some(64),
        port_mappings: Some(vec![PortMapping {
            container_port: Some(80),
            host_port: Some(i32::from(port)),
            ..PortMapping::default()
        }]),
        log_configuration: Some(LogConfiguration {
            log_driver: Some("awslogs".to_owned()),
            options: Some(options.into_iter().collect()),
            ..LogConfiguration::default()
        }),
        ..ContainerDefinition::default()
    };
    RegisterTaskDefinitionRequest {
        family: Some(NAME.to_owned()),
        container_definitions: Some(vec![container]),
        ..RegisterTaskDefinitionRequest::default()
    }
}

/// Waits until the sample answers; else says why it does not.
async fn wait(client: &Client, port: u16) -> Option<String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let deadline = Instant::now() + ANSWER_WITHIN;
    while Instant::now() < deadline {
        if running(client).await && tokio::net::TcpStream::connect(address).await.is_ok() {
            return None;
        }
        sleep(POLL).await;
    }
    Some(trouble(client).await)
}

async fn running(client: &Client) -> bool {
    service(client).await.ok().flatten().is_some_and(|service| service.running_count.unwrap_or(0) > 0)
}

/// The last stopped task's reason, or else what the service says.
async fn trouble(client: &Client) -> String {
    let reason = async {
        let input = ListTasksRequest {
            service_name: Some(NAME.to_owned()),
            desired_status: Some("STOPPED".to_owned()),
            ..ListTasksRequest::default()
        };
        let arns = client.call::<ListTasks>(input).await.ok()?.task_arns.filter(|arns| !arns.is_empty())?;
        let input = DescribeTasksRequest { tasks: Some(arns), ..DescribeTasksRequest::default() };
        let tasks = client.call::<DescribeTasks>(input).await.ok()?.tasks?;
        tasks.into_iter().max_by_key(|task| task.stopped_at)?.stopped_reason
    };
    match reason.await {
        Some(reason) => reason,
        None => {
            let events = service(client).await.ok().flatten().and_then(|service| service.events).unwrap_or_default();
            let last = events.into_iter().next().and_then(|event| event.message);
            last.unwrap_or_else(|| "nothing is known yet; look with `berth ps --all`".to_owned())
        }
    }
}
