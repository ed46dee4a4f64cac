//! ECS as a typed caller sees it, over records in memory and a clock that stands still.

#![allow(dead_code, reason = "each test uses its own part of the world")]

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use api_ecs::*;
use model::{ContainerInstance, Task};
use service_ecs::{EcsService, Environment};
use shape::{Caller, ErrorCode as _};
use state::{Changes, CommitError, Ledger, MemoryLedger, Record, Revision, Snapshot};
use stdx::{Ids, Timestamp};

pub const START: i64 = 1_795_384_329_148;

pub struct World {
    pub ecs: EcsService,
    pub caller: Caller,
    pub ledger: Arc<MemoryLedger>,
    clock: Arc<Clock>,
}

struct Clock {
    millis: AtomicI64,
    seeds: AtomicU64,
}

impl Environment for Clock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(self.millis.load(Ordering::Relaxed))
    }

    fn ids(&self) -> Ids {
        Ids::from_seed(self.seeds.fetch_add(1, Ordering::Relaxed).into())
    }
}

/// What a replica sees that hears late: the records as they were, until it collides with what came since.
pub struct Late {
    ledger: Arc<MemoryLedger>,
    seen: Mutex<Arc<Snapshot>>,
}

#[async_trait::async_trait]
impl Ledger for Late {
    fn snapshot(&self) -> Arc<Snapshot> {
        self.seen.lock().unwrap().clone()
    }

    async fn commit(&self, changes: Changes) -> Result<Revision, CommitError> {
        let committed = self.ledger.commit(changes).await;
        *self.seen.lock().unwrap() = self.ledger.snapshot();
        committed
    }
}

impl World {
    /// Another replica, which has seen up to now.
    pub fn late(&self) -> EcsService {
        let late = Late { ledger: self.ledger.clone(), seen: Mutex::new(self.ledger.snapshot()) };
        EcsService::new(Arc::new(late), self.clock.clone())
    }

    /// With the cluster `default`.
    pub async fn new() -> World {
        let ledger = Arc::new(MemoryLedger::default());
        let clock = Arc::new(Clock { millis: START.into(), seeds: AtomicU64::default() });
        let mut caller = Caller::root("123456789012", "us-east-1");
        caller.endpoint = Some("http://127.0.0.1:4566".into());
        let ecs = EcsService::new(ledger.clone(), clock.clone());
        let world = World { ecs, caller, ledger, clock };
        world.cluster("default").await;
        world
    }

    /// With the cluster `default`, one instance and the definition `web:1`.
    pub async fn ready() -> (World, String) {
        let world = World::new().await;
        let instance = world.instance(2048, 4096).await;
        world.define("web").await;
        (world, instance)
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn wait(&self, duration: Duration) {
        self.clock.millis.fetch_add(duration.as_millis() as i64, Ordering::Relaxed);
    }

    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.ledger.snapshot()
    }

    pub fn put<R: Record>(&self, record: &R) {
        let mut changes = Changes::new();
        changes.put(&self.snapshot(), record);
        self.ledger.commit_now(&changes).expect("nobody else writes");
    }

    pub async fn cluster(&self, name: &str) {
        let input = CreateClusterRequest { cluster_name: text(name), ..Default::default() };
        self.ecs.create_cluster(&self.caller, input).await.unwrap();
    }

    /// Registers `family`, one container of 128 MiB and 10 CPU units; gives its ARN.
    pub async fn define(&self, family: &str) -> String {
        self.define_with(family, |_| {}).await.unwrap()
    }

    pub async fn define_with(
        &self,
        family: &str,
        change: impl FnOnce(&mut RegisterTaskDefinitionRequest),
    ) -> Result<String, Error> {
        let mut input = RegisterTaskDefinitionRequest {
            family: text(family),
            container_definitions: Some(vec![container("app")]),
            ..Default::default()
        };
        change(&mut input);
        let answer = self.ecs.register_task_definition(&self.caller, input).await?;
        Ok(answer.task_definition.unwrap().task_definition_arn.unwrap())
    }

    /// Registers an instance in `default`, with its agent connected; gives its ARN.
    pub async fn instance(&self, cpu: i32, memory: i32) -> String {
        self.instance_with(cpu, memory, &CAPABILITIES.map(|name| (name, None))).await
    }

    pub async fn instance_with(&self, cpu: i32, memory: i32, attributes: &[(&str, Option<&str>)]) -> String {
        let input = registration(cpu, memory, attributes);
        let answer = self.ecs.register_container_instance(&self.caller, input).await.unwrap();
        let arn = answer.container_instance.unwrap().container_instance_arn.unwrap();
        self.change_instance(&arn, |instance| instance.agent_connected = true);
        arn
    }

    pub fn change_instance(&self, arn: &str, change: impl FnOnce(&mut ContainerInstance)) {
        let snapshot = self.snapshot();
        let found = snapshot.container_instances.iter().find(|instance| instance.arn().to_string() == arn);
        let mut instance = (**found.expect("there is such an instance")).clone();
        change(&mut instance);
        self.put(&instance);
    }

    pub async fn run(&self, change: impl FnOnce(&mut RunTaskRequest)) -> Result<RunTaskResponse, Error> {
        let mut input = RunTaskRequest { task_definition: text("web"), ..Default::default() };
        change(&mut input);
        self.ecs.run_task(&self.caller, input).await
    }

    /// The reasons for which none of the tasks could be placed.
    pub async fn reasons(&self, change: impl FnOnce(&mut RunTaskRequest)) -> Vec<String> {
        let answer = self.run(change).await.unwrap();
        assert_eq!(answer.tasks.unwrap().len(), 0);
        answer.failures.unwrap().into_iter().map(|failure| failure.reason.unwrap()).collect()
    }

    /// Runs one task of `web`; gives its ARN.
    pub async fn one(&self) -> String {
        let mut tasks = self.run(|_| {}).await.unwrap().tasks.unwrap();
        tasks.remove(0).task_arn.unwrap()
    }

    pub async fn describe(&self, task: &str) -> api_ecs::Task {
        let input = DescribeTasksRequest {
            tasks: Some(vec![task.to_owned()]),
            include: Some(vec!["TAGS".into()]),
            ..Default::default()
        };
        let answer = self.ecs.describe_tasks(&self.caller, input).await.unwrap();
        answer.tasks.unwrap().remove(0)
    }

    pub async fn list(&self, change: impl FnOnce(&mut ListTasksRequest)) -> Result<ListTasksResponse, Error> {
        let mut input = ListTasksRequest::default();
        change(&mut input);
        self.ecs.list_tasks(&self.caller, input).await
    }

    /// An agent's report about a task and its container `app`.
    pub async fn report(&self, task: &str, status: &str, change: impl FnOnce(&mut ContainerStateChange)) {
        let mut container = ContainerStateChange {
            container_name: text("app"),
            status: text(status),
            runtime_id: text("7fc71def126c"),
            ..Default::default()
        };
        change(&mut container);
        let input = SubmitTaskStateChangeRequest {
            cluster: text("default"),
            task: text(task),
            status: text(status),
            containers: Some(vec![container]),
            ..Default::default()
        };
        let answer = self.ecs.submit_task_state_change(&self.caller, input).await.unwrap();
        assert_eq!(answer.acknowledgment, text("ACK"));
    }

    pub fn kept(&self, task: &str) -> Arc<Task> {
        let snapshot = self.snapshot();
        snapshot.tasks.iter().find(|kept| kept.arn().to_string() == task).expect("there is such a task").clone()
    }

    pub async fn service(&self, name: &str, desired: i32) -> Result<Service, Error> {
        let input = CreateServiceRequest {
            service_name: text(name),
            task_definition: text("web"),
            desired_count: Some(desired),
            ..Default::default()
        };
        Ok(self.ecs.create_service(&self.caller, input).await?.service.unwrap())
    }

    /// One turn of the service's reconciler.
    pub fn reconcile(&self, name: &str) {
        let snapshot = self.snapshot();
        let service = snapshot.services.get(&format!("123456789012/us-east-1/default/{name}")).unwrap();
        let plan = reconcilers::reconcile(&snapshot, &Default::default(), service, self.now(), &mut self.clock.ids());
        self.ledger.commit_now(&plan.changes).unwrap();
    }

    /// Turns of a managed daemon of `default` until there is nothing to do at this moment.
    pub fn tend(&self, daemon: &str) {
        let name = format!("123456789012/us-east-1/default/{daemon}");
        loop {
            let (snapshot, now, mut ids) = (self.snapshot(), self.now(), self.clock.ids());
            let Some(known) = snapshot.daemons.get(&name) else { return };
            let plan = reconcilers::managed_daemon::reconcile(&snapshot, &Default::default(), known, now, &mut ids);
            if plan.changes.is_empty() {
                return;
            }
            self.ledger.commit_now(&plan.changes).unwrap();
        }
    }

    /// One turn for the tasks of `default` that wait for an instance.
    pub fn provision(&self) {
        let (snapshot, scope) = (self.snapshot(), model::Scope::new("123456789012", "us-east-1"));
        let (now, mut ids) = (self.now(), self.clock.ids());
        let plan =
            reconcilers::provisioning::reconcile(&snapshot, &Default::default(), (&scope, "default"), now, &mut ids);
        self.ledger.commit_now(&plan.changes).unwrap();
    }
}

/// What every agent can do that tasks without special wishes ask for.
const CAPABILITIES: [&str; 2] =
    ["com.amazonaws.ecs.capability.docker-remote-api.1.18", "com.amazonaws.ecs.capability.logging-driver.json-file"];

pub fn container(name: &str) -> ContainerDefinition {
    ContainerDefinition {
        name: text(name),
        image: text("hello:1"),
        cpu: Some(10),
        memory: Some(128),
        ..Default::default()
    }
}

pub fn registration(cpu: i32, memory: i32, attributes: &[(&str, Option<&str>)]) -> RegisterContainerInstanceRequest {
    let integer = |name: &str, value| Resource {
        name: text(name),
        r#type: text("INTEGER"),
        integer_value: Some(value),
        ..Default::default()
    };
    let ports = |name: &str, ports: &[&str]| Resource {
        name: text(name),
        r#type: text("STRINGSET"),
        string_set_value: Some(ports.iter().map(|port| port.to_string()).collect()),
        ..Default::default()
    };
    RegisterContainerInstanceRequest {
        cluster: text("default"),
        attributes: Some(attributes.iter().map(|(name, value)| attribute(name, *value)).collect()),
        total_resources: Some(vec![
            integer("CPU", cpu),
            integer("MEMORY", memory),
            ports("PORTS", &["22", "51678"]),
            ports("PORTS_UDP", &[]),
        ]),
        ..Default::default()
    }
}

pub fn attribute(name: &str, value: Option<&str>) -> Attribute {
    Attribute { name: text(name), value: value.map(str::to_owned), ..Default::default() }
}

pub fn tag(key: &str, value: &str) -> Tag {
    Tag { key: text(key), value: text(value) }
}

pub fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

pub fn texts(texts: &[&str]) -> Option<Vec<String>> {
    Some(texts.iter().map(|text| text.to_string()).collect())
}

#[track_caller]
pub fn refused<T: std::fmt::Debug>(answer: Result<T, Error>, code: &str, message: &str) {
    let error = answer.expect_err("this must be refused");
    assert_eq!((error.code.facts().name, error.message.as_str()), (code, message));
}

/// Code and reason of one thing of a batch that could not be had.
pub fn failures(failures: Option<Vec<Failure>>) -> Vec<(String, String)> {
    let both = |failure: Failure| (failure.arn.unwrap_or_default(), failure.reason.unwrap_or_default());
    failures.unwrap_or_default().into_iter().map(both).collect()
}
