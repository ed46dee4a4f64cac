//! Which instances begin to pull when a deployment begins.

use std::time::Duration;

use model::container_instance::{DISK_PRESSURE, IMAGE_PREPULL};
use model::{Attribute, ContainerInstance, ContainerInstanceStatus, Service, ServiceStatus};
use reconcilers::prepull;
use stdx::Ids;

mod world;

use world::World;

fn able(id: &str) -> ContainerInstance {
    with(world::instance(id), IMAGE_PREPULL)
}

fn with(mut instance: ContainerInstance, attribute: &str) -> ContainerInstance {
    instance.attributes.push(Attribute { name: attribute.into(), value: None });
    instance
}

/// `i-1` has both tasks of the first definition; the second has a port that only one task of an instance can have.
fn world(more: Vec<ContainerInstance>) -> World {
    let mut world = World::new();
    world.put(&able("i-1"));
    world.define(&world::definition(1));
    world.define(&world::with_port(world::definition(2), 80));
    world.create_service(2, 50, 100);
    let plan = world.plan();
    world.commit(&plan).unwrap();
    world.live().iter().for_each(|task| world.runs(&task.id));
    more.iter().for_each(|instance| world.put(instance));
    world.wait(Duration::from_secs(60));
    world
}

fn named(world: &World) -> Vec<String> {
    let (snapshot, service) = (world.snapshot(), world.service());
    let indexes = reconcilers::Indexes::default();
    let coming = prepull::of_service(&service);
    let of_one = |one| prepull::instances(&snapshot, &indexes, one, world.now, &mut Ids::from_seed(3));
    let named = coming.iter().flat_map(of_one);
    named.map(|name| name.rsplit('/').next().unwrap().to_owned()).collect()
}

#[test]
fn those_with_old_tasks_and_those_that_the_scheduler_would_choose() {
    let mut world = world(vec![able("i-2"), able("i-3"), able("i-4")]);
    assert_eq!(named(&world), [""; 0], "nothing new has begun");
    world.deploy(2);
    let first = named(&world);
    assert_eq!(first.len(), 3, "one has old tasks, and two more are chosen: {first:?}");
    assert!(first.contains(&"i-1".to_owned()));
    world.wait(Duration::from_secs(1));
    assert_eq!(named(&world), first, "it is told from the records alone");
}

#[test]
fn nobody_is_named_who_cannot_or_need_not() {
    let draining = ContainerInstance { status: ContainerInstanceStatus::Draining, ..able("i-2") };
    let away = ContainerInstance { agent_connected: false, ..able("i-3") };
    let full = with(able("i-4"), DISK_PRESSURE);
    let official = world::instance("i-5");
    let mut world = world(vec![draining, away, full, official]);
    world.deploy(2);
    assert_eq!(named(&world), ["i-1"]);
    world.put(&Service { status: ServiceStatus::Draining, ..world.service() });
    assert_eq!(named(&world), [""; 0], "it ends");
}

#[test]
fn a_service_that_starts_names_nobody() {
    let mut world = World::new();
    world.put(&able("i-1"));
    world.define(&world::definition(1));
    world.create_service(2, 50, 100);
    assert_eq!(named(&world), [""; 0]);
    world.define(&world::definition(2));
    world.deploy(2);
    assert_eq!(named(&world), [""; 0], "nothing old runs: all start at once");
}

#[test]
fn a_daemon_comes_to_every_instance() {
    let mut world = World::new();
    ["i-1", "i-2", "i-3"].iter().for_each(|id| world.put(&able(id)));
    (1..=2).for_each(|revision| world.define(&world::definition(revision)));
    world.create_daemon(0, 100);
    let plan = world.plan();
    world.commit(&plan).unwrap();
    world.live().iter().for_each(|task| world.runs(&task.id));
    world.put(&able("i-4"));
    world.deploy(2);
    assert_eq!(named(&world), ["i-1", "i-2", "i-3", "i-4"]);
}

#[test]
fn green_tasks_are_awaited_where_they_will_start() {
    let mut world = World::new();
    ["i-1", "i-2", "i-3"].iter().for_each(|id| world.put(&able(id)));
    world.define(&world::definition(1));
    // Only one of them fits on an instance.
    world.define(&world::with_port(world::definition(2), 80));
    let strategy = model::DeploymentStrategy::BlueGreen;
    world.create_configured(2, model::service::DeploymentConfiguration { strategy, ..Default::default() });
    world.deploy(1);
    for _ in 0..4 {
        let plan = world.plan();
        world.commit(&plan).unwrap();
        world.live().iter().for_each(|task| world.runs(&task.id));
        world.wait(Duration::from_secs(60));
    }
    assert_eq!(named(&world), [""; 0], "the first deployment has nobody before it");
    world.deploy(2);
    assert_eq!(named(&world).len(), 2, "as many as there will be tasks: {:?}", named(&world));
}

#[test]
fn a_task_set_beside_a_primary_one_is_awaited_before_it_is_scaled_up() {
    let mut world = World::new();
    ["i-1", "i-2", "i-3"].iter().for_each(|id| world.put(&able(id)));
    world.define(&world::definition(1));
    world.define(&world::with_port(world::definition(2), 80));
    world.create_external(2);
    world.scale_task_set("ecs-svc/1", 1, 100.0);
    let plan = world.plan();
    world.commit(&plan).unwrap();
    world.live().iter().for_each(|task| world.runs(&task.id));
    assert_eq!(named(&world), [""; 0], "it is the only one");
    let mut service = world.service();
    service.task_sets[0].status = model::TaskSetStatus::Primary;
    world.put(&service);
    world.scale_task_set("ecs-svc/2", 2, 0.0);
    assert_eq!(named(&world).len(), 2, "{:?}", named(&world));
}

#[test]
fn that_an_image_did_not_come_is_said_once() {
    let mut world = world(vec![able("i-2")]);
    world.deploy(2);
    let deployment = world.service().primary().unwrap().id.clone();
    let fail = |world: &World, instance: &str, deployment: &str| {
        let snapshot = world.snapshot();
        let instance = world.instance(instance).unwrap();
        let why = (deployment, "web:2", "CannotPullContainerError: Error response from daemon: nobody is there.");
        let changes = prepull::failed(&snapshot, &instance, why, world.now, "event");
        if changes.is_empty() {
            return None;
        }
        world.commit(&reconcilers::Plan { changes, look_again: None }).unwrap();
        Some(world.service().events[0].message.clone())
    };
    let said = fail(&world, "i-1", &deployment).unwrap();
    assert_eq!(
        said,
        format!(
            "(service web) (deployment {deployment}) the image web:2 could not be pulled in advance on (container-instance \
             i-1): CannotPullContainerError: Error response from daemon: nobody is there."
        )
    );
    assert_eq!(fail(&world, "i-2", &deployment), None, "the second fails as the first did");
    assert_eq!(fail(&world, "i-1", "ecs-svc/none"), None, "it is nobody's any more");
}
