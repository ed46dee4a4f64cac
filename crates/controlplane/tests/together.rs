//! Many who want the same instance at the same time: each gets an answer of its own, and they share commits.

use std::sync::Arc;

use api_ecs::{
    Attribute, ContainerDefinition, CreateClusterRequest, Ecs, RegisterContainerInstanceRequest,
    RegisterTaskDefinitionRequest, Resource, RunTaskRequest, RunTaskResponse,
};
use controlplane::ControlPlane;
use futures::FutureExt;
use futures::future::join_all;
use model::ContainerInstance;
use service_ecs::{EcsService, Environment};
use shape::Caller;
use state::{Changes, Ledger};
use stdx::{Ids, Timestamp};
use store_embedded::{EmbeddedEngine, Options};
use tempfile::TempDir;
use wire::AuthMode;

struct World {
    _plane: ControlPlane,
    ledger: Arc<dyn Ledger>,
    ecs: EcsService,
    caller: Caller,
    _directory: TempDir,
}

struct Machine;

impl Environment for Machine {
    fn now(&self) -> Timestamp {
        controlplane::now()
    }

    fn ids(&self) -> Ids {
        controlplane::seed()
    }
}

/// One instance with so much memory, and a definition whose tasks take 10 MiB.
async fn world(memory: i32) -> World {
    let directory = TempDir::new().unwrap();
    let engine = EmbeddedEngine::open(directory.path().join("store.db"), Options::default()).unwrap();
    let plane = ControlPlane::start(Arc::new(engine), AuthMode::Open).await.unwrap();
    let ledger = plane.ledger();
    let (ecs, caller) = (EcsService::new(ledger.clone(), Arc::new(Machine)), Caller::root("123456789012", "us-east-1"));
    ecs.create_cluster(&caller, CreateClusterRequest::default()).await.unwrap();
    let room = |name: &str, value| Resource {
        name: Some(name.into()),
        r#type: Some("INTEGER".into()),
        integer_value: Some(value),
        ..Default::default()
    };
    let capability = "com.amazonaws.ecs.capability.docker-remote-api.1.18";
    let registration = RegisterContainerInstanceRequest {
        attributes: Some(vec![Attribute { name: Some(capability.into()), ..Default::default() }]),
        total_resources: Some(vec![room("CPU", 1 << 20), room("MEMORY", memory)]),
        ..Default::default()
    };
    ecs.register_container_instance(&caller, registration).await.unwrap();
    let snapshot = ledger.snapshot();
    let mut instance = ContainerInstance::clone(snapshot.container_instances.iter().next().unwrap());
    instance.agent_connected = true;
    let mut changes = Changes::new();
    changes.put(&snapshot, &instance);
    ledger.commit(changes).await.unwrap();
    let container = ContainerDefinition {
        name: Some("web".into()),
        image: Some("i".into()),
        memory: Some(10),
        ..Default::default()
    };
    let definition = RegisterTaskDefinitionRequest {
        family: Some("web".into()),
        container_definitions: Some(vec![container]),
        ..Default::default()
    };
    ecs.register_task_definition(&caller, definition).await.unwrap();
    World { _plane: plane, ledger, ecs, caller, _directory: directory }
}

impl World {
    async fn run(&self, token: Option<&str>) -> RunTaskResponse {
        let request = RunTaskRequest {
            task_definition: Some("web".into()),
            client_token: token.map(Into::into),
            ..Default::default()
        };
        self.ecs.run_task(&self.caller, request).await.unwrap()
    }

    async fn run_many(&self, count: usize, token: Option<&str>) -> Vec<RunTaskResponse> {
        join_all((0..count).map(|_| self.run(token))).await
    }
}

fn arn(answer: &RunTaskResponse) -> Option<&str> {
    answer.tasks.as_ref()?.first()?.task_arn.as_deref()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_share_commits_and_each_gets_its_own_task() {
    let world = world(100_000).await;
    let before = world.ledger.snapshot().revision;
    let answers = world.run_many(500, None).await;
    let mut arns: Vec<&str> = answers.iter().filter_map(arn).collect();
    arns.sort_unstable();
    arns.dedup();
    assert_eq!(arns.len(), 500);
    let snapshot = world.ledger.snapshot();
    assert_eq!(snapshot.tasks.len(), 500);
    assert_eq!(snapshot.placement_fences.iter().next().unwrap().placements, 500);
    let commits = snapshot.revision.0 - before.0;
    assert!(commits <= 100, "500 tasks in {commits} commits");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_are_placed_than_there_is_room_for() {
    let world = world(100).await;
    let answers = world.run_many(64, None).await;
    let (placed, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| arn(answer).is_some());
    assert_eq!((placed.len(), refused.len()), (10, 54));
    for answer in refused {
        let failures = answer.failures.as_ref().unwrap();
        assert_eq!(failures[0].reason.as_deref(), Some("RESOURCE:MEMORY"));
    }
    assert_eq!(world.ledger.snapshot().tasks.len(), 10);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_makes_one_task_however_many_come_with_it() {
    let world = world(100_000).await;
    let answers = world.run_many(20, Some("once")).await;
    let first = arn(&answers[0]).unwrap();
    assert!(answers.iter().all(|answer| arn(answer) == Some(first)));
    assert_eq!(world.ledger.snapshot().tasks.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_decision_that_panics_is_its_authors_alone() {
    let world = world(100_000).await;
    let panics =
        std::panic::AssertUnwindSafe(world.ledger.decide(Box::new(|_| panic!("as the test wants it")))).catch_unwind();
    let (panicked, answers) = futures::join!(panics, world.run_many(8, None));
    assert!(panicked.is_err());
    assert_eq!(answers.iter().filter_map(arn).count(), 8);
    assert_eq!(world.ledger.snapshot().tasks.len(), 8);
}

/// What changes an instance all the time collides with placements on it; both get through.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_decide_alone_get_through_beside_them() {
    let world = world(100_000).await;
    let change = async {
        for turn in 0..20 {
            let changed = state::transact(&*world.ledger, |snapshot| -> Result<_, state::CommitError> {
                let mut instance = ContainerInstance::clone(snapshot.container_instances.iter().next().unwrap());
                instance.version = 1_000 + turn;
                let mut changes = Changes::new();
                changes.put(snapshot, &instance);
                Ok((changes, ()))
            });
            changed.await.unwrap();
        }
    };
    let ((), answers) = futures::join!(change, world.run_many(200, None));
    assert_eq!(answers.iter().filter_map(arn).count(), 200);
    let snapshot = world.ledger.snapshot();
    assert_eq!(snapshot.container_instances.iter().next().unwrap().version, 1_019);
    assert_eq!(snapshot.tasks.len(), 200);
}
