//! A plan is only as good as what it was made on: what it relied on must still be so when it is committed.

use std::time::Duration;

use state::CommitError;

mod world;

use world::World;

/// Four tasks of the first definition run; the second is deployed, and its first tasks have proved themselves. A minimum of four.
fn a_turn_that_stops() -> (World, reconcilers::Plan) {
    let mut world = World::new();
    world.put(&world::instance("i-1"));
    (1..=2).for_each(|revision| world.define(&world::definition(revision)));
    world.create_service(4, 100, 150);
    let plan = world.plan();
    world.commit(&plan).unwrap();
    world.live().iter().for_each(|task| world.runs(&task.id));
    world.wait(Duration::from_secs(60));
    world.deploy(2);
    let plan = world.plan();
    world.commit(&plan).unwrap();
    for task in world.live().iter().filter(|task| task.revision == 2) {
        world.runs(&task.id);
    }
    world.wait(Duration::from_secs(60));
    let plan = world.plan();
    let stops = world.live().iter().filter(|task| task.revision == 1).count();
    assert_eq!(stops, 4, "none is stopped before the plan is committed");
    (world, plan)
}

#[test]
fn the_plan_is_good_while_nothing_changes() {
    let (world, plan) = a_turn_that_stops();
    world.commit(&plan).unwrap();
    let stopping = |task: &&std::sync::Arc<model::Task>| task.desired_status == model::TaskStatus::Stopped;
    assert!(world.live().iter().filter(stopping).count() > 0);
}

#[test]
fn a_task_that_ends_meanwhile_spares_another() {
    let (world, plan) = a_turn_that_stops();
    let young = world.live().iter().find(|task| task.revision == 2).unwrap().id.clone();
    world.exits(&young);
    assert!(matches!(world.commit(&plan), Err(CommitError::Conflict)));
}
