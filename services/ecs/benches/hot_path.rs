//! What the operations of every day cost in a large control plane: `cargo bench -p service-ecs`.
//!
//! 1,000 instances, 100,000 tasks that run, as many that have stopped within the hour, and a service of 1,000. Each line is
//! the median of some runs, commit in memory included.

#[path = "../tests/world/mod.rs"]
mod world;

use std::cell::Cell;
use std::future::Future;
use std::time::{Duration, Instant};

use api_ecs::*;
use model::{StopCode, TaskStatus};
use state::Changes;
use world::{World, registration, text};

const INSTANCES: usize = 1_000;
const TASKS: usize = 100_000;
const OF_SERVICE: usize = 1_000;
const RUNS: usize = 51;
/// How many records one commit of the preparation has.
const BATCH: usize = 2_000;

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let before = resident_kib();
    let world = large_world().await;
    let tasks = world.snapshot().tasks.len();
    println!("{tasks} tasks take {} bytes each", (resident_kib() - before) * 1024 / tasks as u64);

    let live: Vec<String> = world
        .snapshot()
        .tasks
        .iter()
        .filter(|task| task.is_live())
        .step_by(997)
        .map(|task| task.arn().to_string())
        .collect();
    report("RunTask, one task", || async { world.run(|_| {}).await.map(drop) }).await;
    report("RunTask, ten tasks", || async { world.run(|input| input.count = Some(10)).await.map(drop) }).await;
    report("RunTask, ten tasks, spread by zone, then binpack", || async {
        let strategy = |kind: &str, field: &str| PlacementStrategy { r#type: text(kind), field: text(field) };
        let strategies = vec![strategy("spread", "attribute:ecs.availability-zone"), strategy("binpack", "memory")];
        let run = world.run(|input| {
            input.count = Some(10);
            input.placement_strategy = Some(strategies);
        });
        run.await.map(drop)
    })
    .await;
    report("RunTask that no instance fits", || async {
        world.run(|input| input.task_definition = text("large")).await.map(drop)
    })
    .await;
    report("DescribeTasks, a hundred", || async {
        let input = DescribeTasksRequest { tasks: Some(live[..100].to_vec()), ..Default::default() };
        world.ecs.describe_tasks(&world.caller, input).await.map(drop)
    })
    .await;
    let middle = middle_of_the_list(&world).await;
    report("ListTasks, a page in the middle", || async {
        world.list(|input| input.next_token = Some(middle.clone())).await.map(drop)
    })
    .await;
    report("DescribeClusters", || async {
        world.ecs.describe_clusters(&world.caller, Default::default()).await.map(drop)
    })
    .await;
    report("DescribeServices", || async {
        let input = DescribeServicesRequest { services: Some(vec!["s".into()]), ..Default::default() };
        world.ecs.describe_services(&world.caller, input).await.map(drop)
    })
    .await;
    let reports = Cell::new(0);
    report("SubmitTaskStateChange", || async {
        reports.set(reports.get() + 1);
        let input = SubmitTaskStateChangeRequest {
            task: text(&live[0]),
            containers: Some(vec![ContainerStateChange {
                container_name: text("app"),
                runtime_id: Some(reports.get().to_string()),
                ..Default::default()
            }]),
            ..Default::default()
        };
        world.ecs.submit_task_state_change(&world.caller, input).await.map(drop)
    })
    .await;
    report("reconcile a steady service of a thousand", || async {
        world.reconcile("s");
        Ok(())
    })
    .await;
    report("the janitor, with nothing to forget", || async {
        reconcilers::janitor::reconcile(&world.snapshot(), &Default::default(), world.now());
        Ok(())
    })
    .await;
    world.wait(Duration::from_secs(2 * 3600));
    report("the janitor, forgetting a thousand", || async {
        let plan = reconcilers::janitor::reconcile(&world.snapshot(), &Default::default(), world.now());
        world.ledger.commit_now(&plan.changes).unwrap();
        Ok(())
    })
    .await;
}

async fn large_world() -> World {
    let world = World::new().await;
    world.define("web").await;
    world
        .define_with("large", |input| {
            input.container_definitions.as_mut().unwrap()[0].memory = Some(1 << 20);
        })
        .await
        .unwrap();
    for number in 0..INSTANCES {
        let zone = ["us-east-1a", "us-east-1b", "us-east-1c"][number % 3];
        let attributes =
            [("com.amazonaws.ecs.capability.docker-remote-api.1.18", None), ("ecs.availability-zone", Some(zone))];
        let input = registration(1 << 16, 1 << 18, &attributes);
        world.ecs.register_container_instance(&world.caller, input).await.unwrap();
    }
    let mut changes = Changes::new();
    let instances: Vec<_> = world.snapshot().container_instances.iter().cloned().collect();
    for instance in &instances {
        changes.put(&world.snapshot(), &model::ContainerInstance { agent_connected: true, ..(**instance).clone() });
    }
    world.ledger.commit_now(&changes).unwrap();

    // The first task and the service come through the front door; the others are their copies.
    world.service("s", OF_SERVICE as i32).await.unwrap();
    world.reconcile("s");
    world.reconcile("s");
    let mut changes = Changes::new();
    for task in world.snapshot().tasks.iter() {
        let mut task = (**task).clone();
        task.last_status = TaskStatus::Running;
        task.started_at = Some(world.now());
        changes.put(&world.snapshot(), &task);
    }
    world.ledger.commit_now(&changes).unwrap();
    world.wait(Duration::from_secs(60));
    world.reconcile("s");
    assert_eq!(world.snapshot().tasks.len(), OF_SERVICE);

    let pattern = world.kept(&world.one().await);
    let mut changes = Changes::new();
    for number in 0..(TASKS - OF_SERVICE) + TASKS {
        let mut task = (*pattern).clone();
        // Ids are spread as random ones are.
        task.id = format!("{:032x}", (number as u128 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
        task.container_instance = instances[number % INSTANCES].id.clone();
        task.last_status = TaskStatus::Running;
        task.started_at = Some(world.now());
        if number >= TASKS - OF_SERVICE {
            task.stopped(StopCode::UserInitiated, "Task stopped by user", world.now());
        }
        changes.put(&world.snapshot(), &task);
        if changes.len() == BATCH {
            world.ledger.commit_now(&std::mem::take(&mut changes)).unwrap();
        }
    }
    world.ledger.commit_now(&changes).unwrap();
    world
}

async fn middle_of_the_list(world: &World) -> String {
    let mut token = None;
    for _ in 0..TASKS / 200 {
        token = world.list(|input| input.next_token = token).await.unwrap().next_token;
    }
    token.expect("the list goes on")
}

/// Runs it some times, and prints the median.
async fn report<F: Future<Output = Result<(), Error>>>(what: &str, run: impl Fn() -> F) {
    let mut times = Vec::new();
    for _ in 0..RUNS {
        let start = Instant::now();
        run().await.unwrap();
        times.push(start.elapsed());
    }
    times.sort();
    println!("{what}: {:?}", times[RUNS / 2]);
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
