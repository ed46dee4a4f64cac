//! A world with real services: ECS over records in memory, CloudWatch Logs over a folder, behind the real front door.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use api_ecs::operations::{
    CreateCluster, CreateService, RegisterContainerInstance, RegisterTaskDefinition, RunTask, SubmitTaskStateChange,
};
use api_ecs::*;
use api_logs::operations::{CreateLogGroup, CreateLogStream, PutLogEvents};
use api_logs::{CreateLogGroupRequest, CreateLogStreamRequest, InputLogEvent, PutLogEventsRequest};
use axum::Router;
use axum::extract::Request;
use client::{Client, Credentials};
use log_store::LogStore;
use service_ecs::{EcsService, Environment};
use service_logs::LogsService;
use shape::Service;
use state::{Changes, Ledger, MemoryLedger};
use stdx::{Ids, Timestamp};
use tempfile::TempDir;
use tokio::net::TcpListener;
use wire::{AuthMode, Gateway};

pub struct World {
    pub url: String,
    pub client: Client,
    pub ledger: Arc<MemoryLedger>,
    _directory: TempDir,
}

/// The wall clock, and ids that no two runs have the same.
struct Wall(AtomicU64);

impl Environment for Wall {
    fn now(&self) -> Timestamp {
        now()
    }

    fn ids(&self) -> Ids {
        let turn = self.0.fetch_add(1, Ordering::Relaxed);
        Ids::from_seed((u128::from(turn) << 64) | now().as_millis() as u128)
    }
}

pub fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_millis(since.as_millis() as i64)
}

pub fn some(text: &str) -> Option<String> {
    Some(text.to_owned())
}

/// Serves services on a port of its own and gives its URL.
pub async fn serve(services: Vec<Arc<dyn Service>>, also: Router) -> String {
    let gateway = Arc::new(Gateway::new(services, AuthMode::Open));
    let app = also.fallback(move |request: Request| {
        let gateway = gateway.clone();
        async move { gateway.handle(request).await }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

pub fn client(url: &str) -> Client {
    let credentials = Credentials { access_key: "test".to_owned(), secret: "test".to_owned(), session_token: None };
    Client::new(url, credentials, "us-east-1").unwrap()
}

impl World {
    pub async fn new() -> World {
        World::with(Router::new()).await
    }

    pub async fn with(also: Router) -> World {
        let directory = TempDir::new().unwrap();
        let ledger = Arc::new(MemoryLedger::default());
        let ecs = EcsService::new(ledger.clone(), Arc::new(Wall(AtomicU64::new(0))));
        let log_store = Arc::new(LogStore::open(directory.path()).unwrap());
        let logs = Arc::new(LogsService::new(log_store, ledger.clone()));
        let url = serve(vec![Arc::new(api_ecs::Router(Arc::new(ecs))), logs.routed()], also).await;
        World { client: client(&url), url, ledger, _directory: directory }
    }

    /// With a cluster `default` that has one instance.
    pub async fn with_instance(also: Router) -> World {
        let world = World::with(also).await;
        world.cluster("default").await;
        world.instance("default").await;
        world
    }

    pub async fn cluster(&self, name: &str) {
        let input = CreateClusterRequest { cluster_name: some(name), ..Default::default() };
        self.client.call::<CreateCluster>(input).await.unwrap();
    }

    /// An instance of 2 vCPU and 4000 MiB, whose agent is connected. Gives its ARN.
    pub async fn instance(&self, cluster: &str) -> String {
        let resource = |name: &str, value| Resource {
            name: some(name),
            r#type: some("INTEGER"),
            integer_value: Some(value),
            ..Default::default()
        };
        let capability =
            |name: &str| Attribute { name: Some(format!("com.amazonaws.ecs.capability.{name}")), ..Default::default() };
        let capabilities = [
            "docker-remote-api.1.19",
            "docker-remote-api.1.18",
            "docker-remote-api.1.17",
            "logging-driver.awslogs",
            "logging-driver.json-file",
        ];
        let input = RegisterContainerInstanceRequest {
            cluster: some(cluster),
            total_resources: Some(vec![resource("CPU", 2048), resource("MEMORY", 4000)]),
            attributes: Some(capabilities.map(capability).to_vec()),
            ..Default::default()
        };
        let answer = self.client.call::<RegisterContainerInstance>(input).await.unwrap();
        let arn = answer.container_instance.unwrap().container_instance_arn.unwrap();
        self.change_instance(&arn, |instance| instance.agent_connected = true);
        arn
    }

    pub fn change_instance(&self, arn: &str, change: impl Fn(&mut model::ContainerInstance)) {
        let snapshot = self.ledger.snapshot();
        let found = snapshot.container_instances.iter().find(|one| one.arn().to_string() == arn).unwrap();
        let mut instance = (**found).clone();
        change(&mut instance);
        let mut changes = Changes::new();
        changes.put(&snapshot, &instance);
        self.ledger.commit_now(&changes).unwrap();
    }

    pub fn change_task(&self, arn: &str, change: impl Fn(&mut model::Task)) {
        let snapshot = self.ledger.snapshot();
        let found = snapshot.tasks.iter().find(|one| one.arn().to_string() == arn).unwrap();
        let mut task = (**found).clone();
        change(&mut task);
        let mut changes = Changes::new();
        changes.put(&snapshot, &task);
        self.ledger.commit_now(&changes).unwrap();
    }

    /// Registers a family of one container, `app`, with these options of `awslogs`.
    pub async fn family(&self, name: &str, logs: &[(&str, &str)]) {
        self.family_of(name, &["app"], logs).await;
    }

    pub async fn family_of(&self, name: &str, containers: &[&str], logs: &[(&str, &str)]) {
        let options = logs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let driver = LogConfiguration { log_driver: some("awslogs"), options: Some(options), ..Default::default() };
        let container = |container: &&str| ContainerDefinition {
            name: some(container),
            image: Some(format!("{name}:1")),
            memory: Some(64),
            cpu: Some(128),
            log_configuration: (!logs.is_empty()).then(|| driver.clone()),
            ..Default::default()
        };
        let input = RegisterTaskDefinitionRequest {
            family: some(name),
            container_definitions: Some(containers.iter().map(container).collect()),
            ..Default::default()
        };
        self.client.call::<RegisterTaskDefinition>(input).await.unwrap();
    }

    /// A task of a family, which is PENDING. Gives its ARN.
    pub async fn task(&self, cluster: &str, family: &str) -> String {
        let input = RunTaskRequest { cluster: some(cluster), task_definition: some(family), ..Default::default() };
        let answer = self.client.call::<RunTask>(input).await.unwrap();
        assert_eq!(answer.failures.unwrap_or_default(), []);
        answer.tasks.unwrap().pop().unwrap().task_arn.unwrap()
    }

    /// A task that a service started.
    pub async fn task_of_service(&self, service: &str, family: &str) -> String {
        let arn = self.task("default", family).await;
        self.change_task(&arn, |task| {
            task.group = format!("service:{service}");
            task.started_by = "ecs-svc/0000000000000000000".to_owned();
        });
        arn
    }

    pub async fn service(&self, name: &str, family: &str, desired: i32) {
        let input = CreateServiceRequest {
            service_name: some(name),
            task_definition: some(family),
            desired_count: Some(desired),
            ..Default::default()
        };
        self.client.call::<CreateService>(input).await.unwrap();
    }

    /// What an agent says: the task runs, and its container answers on a port.
    pub async fn runs(&self, task: &str, host_port: i32) {
        let binding = NetworkBinding {
            bind_ip: some("0.0.0.0"),
            container_port: Some(80),
            host_port: Some(host_port),
            protocol: some("tcp"),
            ..Default::default()
        };
        let container = ContainerStateChange {
            container_name: some("app"),
            status: some("RUNNING"),
            network_bindings: Some(vec![binding]),
            ..Default::default()
        };
        self.report(task, "RUNNING", container).await;
    }

    /// What an agent says: the task has stopped, because its container ended so.
    pub async fn stops(&self, task: &str, exit_code: Option<i32>, reason: &str) {
        let container = ContainerStateChange {
            container_name: some("app"),
            status: some("STOPPED"),
            exit_code,
            reason: some(reason).filter(|reason| !reason.is_empty()),
            ..Default::default()
        };
        self.report(task, "STOPPED", container).await;
    }

    async fn report(&self, task: &str, status: &str, container: ContainerStateChange) {
        let cluster = task.rsplit('/').nth(1).unwrap();
        let input = SubmitTaskStateChangeRequest {
            cluster: some(cluster),
            task: some(task),
            status: some(status),
            containers: Some(vec![container]),
            ..Default::default()
        };
        self.client.call::<SubmitTaskStateChange>(input).await.unwrap();
    }

    pub async fn log_group(&self, group: &str) {
        let input = CreateLogGroupRequest { log_group_name: some(group), ..Default::default() };
        self.client.call::<CreateLogGroup>(input).await.unwrap();
    }

    pub async fn log_stream(&self, group: &str, stream: &str) {
        let input = CreateLogStreamRequest { log_group_name: some(group), log_stream_name: some(stream) };
        self.client.call::<CreateLogStream>(input).await.unwrap();
    }

    /// Lines, each with how many milliseconds ago it was written.
    pub async fn write(&self, group: &str, stream: &str, lines: &[(i64, &str)]) {
        let now = now().as_millis();
        let event = |(ago, message): &(i64, &str)| InputLogEvent { timestamp: Some(now - ago), message: some(message) };
        let input = PutLogEventsRequest {
            log_group_name: some(group),
            log_stream_name: some(stream),
            log_events: Some(lines.iter().map(event).collect()),
            ..Default::default()
        };
        let answer = self.client.call::<PutLogEvents>(input).await.unwrap();
        assert_eq!(answer.rejected_log_events_info, None);
    }
}

/// The id in an ARN, and its beginning.
pub fn id(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap()
}

pub fn short(arn: &str) -> &str {
    &id(arn)[..8]
}
