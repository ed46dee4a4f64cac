//! Rolling updates as histories: what the scheduler does between one wait for the world and the next, on a cluster that has
//! room for so many tasks. While it waits, the world does everything it was told: tasks stop, tasks start and prove themselves.

mod world;

use std::time::Duration;

use model::{MemoryMib, TaskStatus};
use state::Snapshot;

use world::World;

/// Memory of one task, in MiB.
const TASK: u32 = 128;
/// A history that is not at its end by then will never be.
const STEPS_MAX: u32 = 60;

/// Six tasks of the first revision, and then the second.
fn rolling(minimum: u32, maximum: u32, room: u32) -> History {
    let mut history = History::new(6, minimum, maximum, room);
    history.go_on();
    history.text.clear();
    history.world.deploy(2);
    history
}

struct History {
    world: World,
    text: Vec<String>,
    /// Tasks of this revision end when they should start.
    broken: Option<u32>,
}

impl History {
    fn new(desired: u32, minimum: u32, maximum: u32, room: u32) -> History {
        let mut world = World::new();
        for revision in [1, 2, 3] {
            world.define(&world::definition(revision));
        }
        let mut instance = world::instance("a");
        instance.registered.memory = MemoryMib(room * TASK);
        world.put(&instance);
        world.create_service(desired, minimum, maximum);
        History { world, text: Vec::new(), broken: None }
    }

    /// One wait of the scheduler: it acts until it has nothing more to do, then the world does its part. False at the end.
    fn step(&mut self) -> bool {
        let before = self.world.snapshot();
        let mut look_again = None;
        loop {
            let plan = self.world.plan();
            if plan.changes.is_empty() {
                look_again = plan.look_again.or(look_again);
                break;
            }
            self.world.commit(&plan).expect("nobody came in between");
        }
        let acted = self.write_down(&before);
        let moved = self.world_does_its_part();
        acted || moved || look_again.is_some()
    }

    fn write_down(&mut self, before: &Snapshot) -> bool {
        let (mut started, mut stopped) = (0, 0);
        for task in self.world.snapshot().tasks.iter() {
            match before.tasks.get(&state::Record::name(&**task)) {
                None => started += 1,
                Some(known) if known.desired_status != task.desired_status => stopped += 1,
                Some(_) => {}
            }
        }
        for (what, count) in [("stop", stopped), ("start", started)] {
            if count > 0 {
                self.text.push(format!("{what} {count}"));
            }
        }
        started + stopped > 0
    }

    fn world_does_its_part(&mut self) -> bool {
        let mut moved = false;
        for task in self.world.live() {
            match (task.desired_status, task.last_status) {
                (TaskStatus::Stopped, _) => self.world.exits(&task.id),
                (_, TaskStatus::Pending) if self.broken == Some(task.revision) => self.world.fails_to_start(&task.id),
                (_, TaskStatus::Pending) => self.world.runs(&task.id),
                _ => continue,
            }
            moved = true;
        }
        self.world.wait(Duration::from_secs(10));
        moved
    }

    fn steps(&mut self, count: u32) -> &mut Self {
        for _ in 0..count {
            self.step();
        }
        self
    }

    fn go_on(&mut self) -> &mut Self {
        for _ in 0..STEPS_MAX {
            if !self.step() {
                return self;
            }
        }
        panic!("it does not come to its end: {}", self.text.join(", "));
    }

    #[track_caller]
    fn check(&self, expected: &str) {
        assert_eq!(self.text.join(", "), expected);
    }

    fn running(&self, revision: u32) -> usize {
        let runs = |task: &&std::sync::Arc<model::Task>| task.shown_status() == TaskStatus::Running;
        self.world.live().iter().filter(runs).filter(|task| task.revision == revision).count()
    }
}

#[track_caller]
fn check(minimum: u32, maximum: u32, room: u32, expected: &str) {
    let mut history = rolling(minimum, maximum, room);
    history.go_on().check(expected);
    assert_eq!(history.running(2), 6);
    assert_eq!(history.world.live().len(), 6);
}

#[test]
fn room_is_what_the_cluster_leaves() {
    check(100, 200, 8, "start 2, stop 2, start 2, stop 2, start 2, stop 2");
    check(50, 200, 8, "stop 3, start 5, stop 3, start 1");
    check(50, 200, 10, "stop 3, start 6, stop 3");
    check(50, 200, 12, "start 6, stop 6");
    check(100, 200, 12, "start 6, stop 6");
    check(100, 200, 7, &["start 1, stop 1"; 6].join(", "));
    check(0, 200, 6, "stop 6, start 6");
    check(0, 200, 9, "stop 6, start 6");
}

#[test]
fn room_is_what_the_maximum_leaves() {
    check(100, 150, 20, "start 3, stop 3, start 3, stop 3");
    check(50, 100, 20, "stop 3, start 3, stop 3, start 3");
    check(0, 100, 20, "stop 6, start 6");
    check(50, 150, 20, "stop 3, start 6, stop 3");
    // 41 % of 6 is 2.46, of which three must stay; 124 % is 7.44, of which seven may run.
    check(41, 124, 20, "stop 3, start 4, stop 3, start 2");
    check(99, 124, 20, &["start 1, stop 1"; 6].join(", "));
}

#[test]
fn nothing_moves_where_the_bounds_leave_no_room() {
    let mut history = rolling(100, 100, 20);
    history.go_on().check("");
    let said = &history.world.service().events[0].message;
    assert!(said.contains("because of the service deployment configuration"), "{said}");
    let mut history = rolling(100, 200, 6);
    history.go_on().check("");
    let said = &history.world.service().events[0].message;
    assert!(said.contains("has insufficient memory available"), "{said}");
}

#[test]
fn the_desired_count_changes_in_the_middle() {
    let mut history = rolling(100, 200, 8);
    history.steps(2).check("start 2, stop 2");
    history.world.scale(3);
    history.go_on().check("start 2, stop 2, stop 3, start 1, stop 1");
    assert_eq!((history.running(1), history.running(2)), (0, 3));

    let mut history = rolling(50, 200, 10);
    history.steps(1).check("stop 3");
    history.world.scale(8);
    history.go_on().check("stop 3, start 7, stop 3, start 1");
    assert_eq!((history.running(1), history.running(2)), (0, 8));
}

#[test]
fn a_second_deployment_drains_the_oldest_first() {
    let mut history = rolling(100, 200, 8);
    history.steps(2).check("start 2, stop 2");
    history.world.deploy(3);
    history.steps(2).check("start 2, stop 2, start 2, stop 2");
    assert_eq!((history.running(1), history.running(2), history.running(3)), (2, 2, 2));
    let statuses: Vec<_> = history.world.service().deployments.iter().map(|one| one.status.as_str()).collect();
    assert_eq!(statuses, ["PRIMARY", "ACTIVE", "ACTIVE"]);
    history.go_on().check(&["start 2, stop 2"; 4].join(", "));
    assert_eq!(history.running(3), 6);
    assert_eq!(history.world.service().deployments.len(), 1);
}

/// Only what the first step needed has left, however often the new revision is tried.
#[test]
fn a_broken_revision_costs_no_more_tasks_than_its_first_step() {
    for (minimum, maximum, room, stay) in [(100, 200, 8, 6), (50, 200, 8, 3), (50, 200, 12, 6), (50, 100, 12, 3)] {
        let mut history = rolling(minimum, maximum, room);
        history.broken = Some(2);
        history.steps(30);
        assert_eq!(history.running(1), stay, "{minimum} {maximum} {room}: {}", history.text.join(", "));
        // The way back is short.
        history.world.deploy(1);
        history.go_on();
        assert_eq!((history.running(1), history.running(2)), (6, 0));
    }
}

/// A task that takes long to stop does not hold up what fits beside it.
#[test]
fn room_is_not_awaited_for_ever() {
    let mut history = rolling(50, 200, 8);
    let plan = history.world.plan();
    history.world.commit(&plan).unwrap();
    let plan = history.world.plan();
    assert!(plan.changes.is_empty(), "two would fit, and wait for the rest of the room");
    history.world.now = plan.look_again.expect("it does not wait for ever");
    let before = history.world.snapshot();
    let plan = history.world.plan();
    history.world.commit(&plan).unwrap();
    history.write_down(&before);
    history.check("start 2");
}
