//! What the janitor forgets, and what it leaves.

mod world;

use std::time::Duration;

use model::{ClientToken, ContainerInstanceStatus, Service, StopCode, TaskDefinitionStatus, TaskStatus};
use reconcilers::janitor::{self, CLIENT_TOKEN_KEPT, EVERY, Retention};
use state::{Changes, PlacementFence, Record};
use stdx::Timestamp;

use world::{World, scope};

const HOUR: Duration = Duration::from_secs(3600);
const SECOND: Duration = Duration::from_secs(1);

fn with_service() -> World {
    let mut world = World::new();
    world.put(&world::instance("a"));
    world.create_service(0, 100, 200);
    world
}

fn running(world: &World, id: &str) {
    world.put(&world::task(id, "a", &world.service().deployments[0], world.now));
}

/// One turn; says when the next one is due.
fn turn(world: &World) -> Option<Timestamp> {
    turn_with(world, &Retention::default())
}

fn turn_with(world: &World, retention: &Retention) -> Option<Timestamp> {
    let plan = janitor::reconcile(&world.snapshot(), retention, world.now);
    world.commit(&plan).expect("nobody came in between");
    plan.look_again
}

#[test]
fn a_stopped_task_is_remembered_for_a_week() {
    let mut world = with_service();
    for id in ["early", "late", "live"] {
        running(&world, id);
    }
    world.exits("early");
    world.wait(SECOND);
    world.exits("late");
    world.wait(7 * 24 * HOUR);
    assert_eq!(turn(&world), Some(world.now + EVERY));
    assert_eq!(world.task("late").last_status, TaskStatus::Stopped);
    assert_eq!(world.task("live").last_status, TaskStatus::Running);
    assert_eq!(world.snapshot().tasks.len(), 2);
    world.wait(SECOND);
    turn(&world);
    assert_eq!(world.snapshot().tasks.len(), 1, "live tasks stay, however old");
}

#[test]
fn a_large_heap_is_cleared_in_turns_that_follow_at_once() {
    let mut world = with_service();
    let mut changes = Changes::new();
    for number in 0..2500 {
        let mut task = world::task(&format!("{number:032}"), "a", &world.service().deployments[0], world.now);
        task.stopped(StopCode::UserInitiated, "", world.now);
        changes.put(&world.snapshot(), &task);
    }
    world.ledger.commit_now(&changes).unwrap();
    world.wait(Retention::default().stopped_tasks_kept + SECOND);
    for left in [1500, 500] {
        assert_eq!(turn(&world), Some(world.now));
        assert_eq!(world.snapshot().tasks.len(), left);
    }
    assert_eq!(turn(&world), Some(world.now + EVERY));
    assert!(world.snapshot().tasks.is_empty());
}

#[test]
fn of_too_many_stopped_tasks_the_oldest_go() {
    let mut world = with_service();
    for id in ["first", "second", "third", "live"] {
        running(&world, id);
    }
    for id in ["second", "first", "third"] {
        world.wait(SECOND);
        world.exits(id);
    }
    let retention = |stopped_tasks_max| Retention { stopped_tasks_kept: HOUR, stopped_tasks_max, ..Default::default() };
    turn_with(&world, &retention(3));
    assert_eq!(world.snapshot().tasks.len(), 4);
    turn_with(&world, &retention(2));
    let left: Vec<String> = world.snapshot().tasks.iter().map(|task| task.id.clone()).collect();
    assert_eq!(left, ["first", "live", "third"]);
    turn_with(&world, &retention(0));
    assert_eq!(world.snapshot().tasks.len(), 1, "live tasks stay, however many");
}

#[test]
fn a_client_token_protects_for_a_day() {
    let mut world = World::new();
    let token = ClientToken {
        scope: scope(),
        operation: "RunTask".into(),
        token: "abc".into(),
        request: String::new(),
        resources: Vec::new(),
        used_at: world.now,
    };
    world.put(&token);
    world.wait(CLIENT_TOKEN_KEPT);
    turn(&world);
    assert_eq!(world.snapshot().client_tokens.len(), 1);
    world.wait(SECOND);
    turn(&world);
    assert!(world.snapshot().client_tokens.is_empty());
}

#[test]
fn a_definition_is_deleted_when_its_last_user_is_gone() {
    let world = with_service();
    let mut definition = world::definition(1);
    definition.status = TaskDefinitionStatus::DeleteInProgress;
    world.define(&definition);
    world.define(&world::definition(2));
    running(&world, "t");
    let is_there = || {
        turn(&world);
        world.snapshot().task_definitions.len() == 2
    };
    assert!(is_there(), "a service and a task have it");
    world.put(&Service { status: model::ServiceStatus::Inactive, ..world.service() });
    assert!(is_there(), "a task has it");
    world.exits("t");
    assert!(!is_there());
    let left: Vec<u32> = world.snapshot().task_definitions.iter().map(|one| one.revision).collect();
    assert_eq!(left, [2], "one that nobody wants to delete stays without any user");
}

#[test]
fn tasks_of_an_instance_that_is_gone_have_stopped() {
    let world = with_service();
    let mut instance = world::instance("a");
    let fence =
        PlacementFence { scope: scope(), cluster: "default".into(), container_instance: "a".into(), placements: 7 };
    world.put(&fence);
    running(&world, "t");
    turn(&world);
    assert_eq!(world.task("t").last_status, TaskStatus::Running);

    instance.status = ContainerInstanceStatus::Inactive;
    instance.ec2_instance_id = Some("i-0123456789abcdef0".into());
    world.put(&instance);
    turn(&world);
    let task = world.task("t");
    assert_eq!((task.last_status, task.stop_code), (TaskStatus::Stopped, Some(StopCode::TerminationNotice)));
    assert_eq!(task.stopped_reason, "Host EC2 (instance i-0123456789abcdef0) terminated.");
    assert!(world.snapshot().placement_fences.is_empty());
    assert_eq!(world.snapshot().load(&instance).tasks(), 0);
    assert!(world.snapshot().container_instances.get(&instance.name()).is_some());
}

/// `a` is away, `b` and `c` are there.
fn with_an_agent_away(daemon: bool) -> World {
    let mut world = World::new();
    for id in ["a", "b", "c"] {
        world.put(&world::instance(id));
    }
    world.define(&world::definition(1));
    world.create_service(1, 100, 200);
    if daemon {
        world.put(&Service { scheduling_strategy: model::SchedulingStrategy::Daemon, ..world.service() });
    }
    running(&world, "web");
    world.put(&model::Task {
        group: "family:web".into(),
        ..world::task("own", "a", &world.service().deployments[0], world.now)
    });
    away(&world, "a");
    world
}

fn away(world: &World, id: &str) {
    let instance = world.instance(id).unwrap();
    world.put(&model::ContainerInstance { agent_connected: false, ..instance });
}

#[test]
fn a_services_tasks_on_a_lost_instance_are_given_up() {
    let mut world = with_an_agent_away(false);
    assert_eq!(turn(&world), Some(world.now + EVERY));
    world.wait(Duration::from_secs(299));
    assert_eq!(turn(&world), Some(world.now + SECOND));
    assert_eq!(world.task("web").last_status, TaskStatus::Running);
    world.wait(SECOND);
    assert_eq!(turn(&world), Some(world.now + EVERY));
    let task = world.task("web");
    assert_eq!((task.last_status, task.stop_code), (TaskStatus::Stopped, Some(StopCode::TerminationNotice)));
    assert_eq!(task.stopped_reason, "The agent of the container instance a is not connected any more.");
    assert_eq!(world.task("own").last_status, TaskStatus::Running, "nobody would replace it");
    assert!(janitor::reconcile(&world.snapshot(), &Retention::default(), world.now).changes.is_empty());
    let plan = world.plan();
    world.commit(&plan).unwrap();
    assert_ne!(world.live()[0].container_instance, "a");
}

#[test]
fn an_agent_that_comes_back_in_time_keeps_its_tasks() {
    let mut world = with_an_agent_away(false);
    turn(&world);
    world.wait(Duration::from_secs(200));
    world.put(&world::instance("a"));
    turn(&world);
    away(&world, "a");
    world.wait(Duration::from_secs(200));
    turn(&world);
    assert_eq!(world.task("web").last_status, TaskStatus::Running);
}

#[test]
fn who_is_cut_off_from_most_of_a_cluster_gives_nothing_up() {
    let mut world = with_an_agent_away(false);
    away(&world, "b");
    turn(&world);
    world.wait(HOUR);
    assert_eq!(turn(&world), Some(world.now + EVERY));
    assert_eq!(world.task("web").last_status, TaskStatus::Running);
    world.put(&world::instance("b"));
    turn(&world);
    assert_eq!(world.task("web").last_status, TaskStatus::Stopped);
}

/// A replica and an agent that was connected to it are gone together: nobody is left to say that the agent is away.
#[test]
fn an_agent_whose_replica_is_gone_is_away() {
    let mut world = with_an_agent_away(false);
    let served = |id: &str, replica: &str| model::ContainerInstance {
        served_by: Some(replica.to_owned()),
        ..world::instance(id)
    };
    world.put(&served("a", "one"));
    world.put(&served("b", "two"));
    let lease = |id: &str, renewed_at| model::Replica { id: id.to_owned(), renewed_at };
    let last = world.now;
    world.put(&lease("one", last));
    world.wait(Duration::from_secs(119));
    world.put(&lease("two", world.now));
    turn(&world);
    assert!(world.instance("a").unwrap().agent_connected);
    world.wait(SECOND);
    turn(&world);
    let away = world.instance("a").unwrap();
    assert_eq!((away.agent_connected, away.disconnected_at), (false, Some(last)));
    assert!(world.instance("b").unwrap().agent_connected, "the lease of its replica holds");
    turn(&world);
    assert!(world.snapshot().replicas.get("one").is_none(), "nobody speaks of it any more");

    world.wait(Duration::from_secs(180));
    world.put(&lease("two", world.now));
    turn(&world);
    assert_eq!(world.task("web").last_status, TaskStatus::Stopped, "five minutes after it was last heard of");
}

#[test]
fn daemons_stay_where_they_are_and_a_bound_of_nothing_is_none() {
    let mut world = with_an_agent_away(true);
    turn(&world);
    world.wait(HOUR);
    turn(&world);
    assert_eq!(world.task("web").last_status, TaskStatus::Running);
    let mut world = with_an_agent_away(false);
    let never = Retention { instance_lost_after: None, ..Default::default() };
    turn_with(&world, &never);
    world.wait(HOUR);
    turn_with(&world, &never);
    assert_eq!(world.task("web").last_status, TaskStatus::Running);
}

#[test]
fn a_services_history_is_remembered_for_ninety_days() {
    let mut world = with_service();
    let counts =
        |revision: &str| model::service_deployment::RevisionCounts { revision: revision.into(), ..Default::default() };
    let mut service = world.service();
    service.deployments[0].service_deployment = "new".into();
    service.deployments[0].service_revision = "2".into();
    world.put(&service);
    for (id, revision) in [("old", "1"), ("other", "2"), ("new", "2")] {
        world.put(&model::ServiceDeployment {
            scope: scope(),
            cluster: "default".into(),
            service: "web".into(),
            id: id.into(),
            status: model::ServiceDeploymentStatus::Successful,
            status_reason: String::new(),
            sources: Vec::new(),
            target: counts(revision),
            configuration: Default::default(),
            rollback: None,
            circuit_breaker: None,
            triggered_alarms: Vec::new(),
            lifecycle: None,
            created_at: world.now,
            started_at: None,
            stopped_at: None,
            finished_at: Some(world.now),
            updated_at: world.now,
        });
        world.put(&model::ServiceRevision {
            scope: scope(),
            cluster: "default".into(),
            service: "web".into(),
            id: revision.into(),
            family: "web".into(),
            revision: 1,
            launch_type: None,
            capacity_provider_strategy: Vec::new(),
            images: Vec::new(),
            created_at: world.now,
        });
    }
    world.wait(90 * 24 * HOUR);
    turn(&world);
    assert_eq!(world.snapshot().service_deployments.len(), 3);
    world.wait(SECOND);
    assert_eq!(turn(&world), Some(world.now + EVERY));
    let left: Vec<_> = world.snapshot().service_deployments.iter().map(|one| one.id.clone()).collect();
    assert_eq!(left, ["new"], "a service keeps the one that it has");
    let left: Vec<_> = world.snapshot().service_revisions.iter().map(|one| one.id.clone()).collect();
    assert_eq!(left, ["2"]);
}
