//! Stories that once went wrong, shrunk. Each is named for what it showed.

use std::time::Duration;

use sim::kind::Kind;
use sim::scenario::{Manner, Placement, SMALL, Shape};
use sim::{Options, Scenario, Step};

const ROOMY: Shape = Shape { cpus: 2, memory_mib: 4096, rack: "a" };

fn at(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn create(service: usize, kind: Kind, desired: u32, bounds: (u32, u32)) -> Step {
    Step::Create { service, kind, desired, bounds, placement: Placement::SpreadRacks, manner: Manner::Replica }
}

#[track_caller]
fn ends_well(nodes: &[Shape], replicas: usize, steps: &[(Duration, Step)]) {
    for seed in 0..20 {
        let scenario = Scenario { seed, replicas, nodes: nodes.to_vec(), steps: steps.to_vec() };
        let violation = sim::run(&scenario, &Options::default()).violation;
        assert_eq!(violation, None, "{}", sim::shrink::story(&scenario, &Options::default()));
    }
}

/// It has as many tasks as desired, all of them old: nobody thought that it waited.
#[test]
fn a_deployment_that_waits_for_room_sees_a_new_instance() {
    let one_each = Step::Create {
        service: 0,
        kind: Kind::Web,
        desired: 2,
        bounds: (100, 200),
        placement: Placement::Distinct,
        manner: Manner::Replica,
    };
    ends_well(&[SMALL, SMALL], 1, &[(at(5.0), one_each), (at(20.0), Step::Redeploy { service: 0 })]);
}

/// The report of a task came to a replica that had not heard of the task yet, and was acknowledged as one of an unknown task.
#[test]
fn a_report_waits_for_a_replica_that_is_late() {
    let late = |replica| Step::Lags { replica, lasts: at(120.0) };
    let steps = [
        (at(0.0), late(0)),
        (at(0.0), late(1)),
        (at(10.0), create(0, Kind::Web, 4, (100, 200))),
        (at(30.0), create(1, Kind::Web, 4, (100, 200))),
    ];
    ends_well(&[ROOMY, ROOMY], 2, &steps);
}

/// A replica that starts writes down that no agent is connected. Those of the other replicas are.
#[test]
fn agents_of_other_replicas_stay_connected_when_one_starts() {
    let dies = |replica| Step::ReplicaDies { replica, down: at(1.0), doom: None };
    let steps = [
        (at(10.0), dies(0)),
        (at(20.0), create(0, Kind::Web, 4, (100, 200))),
        (at(30.0), dies(1)),
        (at(40.0), Step::Scale { service: 0, desired: 6 }),
    ];
    ends_well(&[SMALL, SMALL, SMALL], 3, &steps);
}

/// A turn stopped an old task because others worked, one of which had ended before the stop was written down.
#[test]
fn a_late_turn_stops_nobody_on_whom_a_minimum_rests() {
    let steps = [
        (at(11.0), Step::Lags { replica: 0, lasts: at(60.0) }),
        (at(12.0), create(0, Kind::Pair, 6, (75, 125))),
        (at(15.9), Step::Deploy { service: 0, kind: Kind::Crashing, revision: 3 }),
        (at(53.3), Step::Lags { replica: 0, lasts: at(33.0) }),
    ];
    ends_well(&[ROOMY, ROOMY, ROOMY], 1, &steps);
}

/// Two task sets of one service planned on the same free memory in one turn, each as if it were alone.
#[test]
fn task_sets_do_not_share_what_one_of_them_has() {
    let set = |revision| Step::NewTaskSet { service: 0, kind: Kind::Big, revision, scale: 100 };
    let create = Step::Create {
        service: 0,
        kind: Kind::Web,
        desired: 0,
        bounds: (100, 200),
        placement: Placement::SpreadZones,
        manner: Manner::External,
    };
    let scale = Step::Scale { service: 0, desired: 2 };
    let steps = [(at(5.0), create), (at(10.0), set(1)), (at(15.0), set(2)), (at(20.0), scale)];
    ends_well(&[SMALL, SMALL], 1, &steps);
}

fn create_as(manner: Manner, kind: Kind, desired: u32, bounds: (u32, u32)) -> Step {
    Step::Create { service: 0, kind, desired, bounds, placement: Placement::Anywhere, manner }
}

/// Nobody looked when the protection ended that kept an old task from making room for the last new one.
#[test]
fn a_deployment_waits_for_a_protected_task_no_longer_than_it_is() {
    let steps = [
        (at(5.0), create_as(Manner::Replica, Kind::Api, 5, (0, 100))),
        (at(20.0), Step::Protect { nth: 0, minutes: 10 }),
        (at(35.0), Step::Deploy { service: 0, kind: Kind::Web, revision: 2 }),
    ];
    ends_well(&[SMALL], 1, &steps);
}

/// Those of daemons and of task sets were stopped there.
#[test]
fn a_protected_task_stays_on_an_instance_that_drains() {
    let protect = |nth| (at(30.0), Step::Protect { nth, minutes: 3 });
    let rest = [protect(0), protect(1), (at(40.0), Step::Drain { node: 0 }), (at(300.0), Step::Activate { node: 0 })];
    let daemon = [(at(5.0), create_as(Manner::Daemon, Kind::Web, 0, (0, 100)))];
    ends_well(&[SMALL, SMALL], 1, &[&daemon[..], &rest].concat());
    let set = Step::NewTaskSet { service: 0, kind: Kind::Web, revision: 1, scale: 100 };
    let external = [(at(5.0), create_as(Manner::External, Kind::Web, 2, (100, 200))), (at(10.0), set)];
    ends_well(&[SMALL, SMALL], 1, &[&external[..], &rest].concat());
}

/// A replica that had not heard that an instance was deregistered let its agent in, and wrote down that it is connected.
#[test]
fn an_agent_of_a_deregistered_instance_is_not_connected() {
    let late = |replica| Step::Lags { replica, lasts: at(60.0) };
    let steps = [
        (at(20.0), late(0)),
        (at(20.0), late(1)),
        (at(25.0), Step::Deregister { node: 0 }),
        (at(25.0), Step::Deregister { node: 1 }),
        (at(400.0), Step::Activate { node: 2 }),
    ];
    ends_well(&[SMALL, SMALL, SMALL], 2, &steps);
}

/// Where the maximum wants the new task of a daemon beside the old one, and there was room for one of them only, nothing moved.
#[test]
fn a_daemon_rolls_where_one_of_its_tasks_fits() {
    let steps = [
        (at(5.0), create_as(Manner::Daemon, Kind::Web, 0, (50, 200))),
        (
            at(20.0),
            Step::Create {
                service: 1,
                kind: Kind::Web,
                desired: 22,
                bounds: (100, 200),
                placement: Placement::Binpack,
                manner: Manner::Replica,
            },
        ),
        (at(35.0), Step::Deploy { service: 0, kind: Kind::Web, revision: 2 }),
    ];
    ends_well(&[SMALL, SMALL], 1, &steps);
}

/// A task set kept one that was protected and had never run, and stopped one that did its work.
#[test]
fn what_does_not_work_is_protected_from_nothing() {
    let set = Step::NewTaskSet { service: 0, kind: Kind::Edge, revision: 2, scale: 100 };
    let steps = [
        (at(5.0), create_as(Manner::External, Kind::Web, 5, (100, 150))),
        (at(20.0), Step::Burns { node: 0 }),
        (at(35.0), set),
        (at(50.0), Step::Protect { nth: 0, minutes: 1 }),
        (at(50.0), Step::Protect { nth: 1, minutes: 1 }),
        (at(65.0), Step::Scale { service: 0, desired: 1 }),
    ];
    ends_well(&[SMALL, ROOMY], 1, &steps);
}

/// The scheduler had stopped the daemon's old task for a new one that needs more, on an instance that others had filled
/// meanwhile.
#[test]
fn a_daemon_keeps_its_place_when_its_new_task_needs_more() {
    let tall = Shape { cpus: 2, memory_mib: 1024, rack: "b" };
    let daemon = |bounds| Step::Create {
        service: 1,
        kind: Kind::Web,
        desired: 3,
        bounds,
        placement: Placement::Anywhere,
        manner: Manner::Daemon,
    };
    let replaced = (at(40.0), Step::Deploy { service: 1, kind: Kind::Pair, revision: 3 });
    // The instance is full before the new daemon comes, or could be before its task does.
    let full = [(at(5.0), daemon((0, 100))), (at(20.0), create(0, Kind::Api, 7, (50, 100))), replaced];
    ends_well(&[tall], 1, &full);
    let fills = [
        (at(5.0), daemon((50, 150))),
        (at(20.0), create(0, Kind::Api, 3, (50, 100))),
        replaced,
        (at(41.0), Step::Scale { service: 0, desired: 7 }),
    ];
    ends_well(&[tall], 1, &fills);
}

/// Its task could not leave an instance that drained, and nobody told the task set when the instance stayed after all.
#[test]
fn a_task_set_is_steady_when_its_instance_stays_after_all() {
    let set = Step::NewTaskSet { service: 0, kind: Kind::Web, revision: 3, scale: 10 };
    let steps = [
        (at(5.0), create_as(Manner::External, Kind::Edge, 3, (100, 200))),
        (at(35.0), set),
        (at(50.0), Step::Bounds { service: 0, bounds: (75, 125) }),
        (at(65.0), Step::Drain { node: 0 }),
        (at(80.0), Step::Activate { node: 0 }),
    ];
    ends_well(&[SMALL], 1, &steps);
}

/// Its successor elsewhere was never ready either, so the first one, which was on an instance that drains, ran for ever.
#[test]
fn who_is_never_ready_is_given_up_on_an_instance_that_drains_too() {
    let steps = [
        (at(2.0), create(0, Kind::Unready, 1, (50, 200))),
        (at(100.0), Step::Drain { node: 0 }),
        (at(100.0), Step::Drain { node: 1 }),
        // Not yet the end of the story.
        (at(700.0), Step::Activate { node: 2 }),
    ];
    ends_well(&[ROOMY, ROOMY, ROOMY], 1, &steps);
}

/// The circuit breaker forgot the failures of a deployment as soon as another of its tasks had run for ten seconds, although none ever
/// passed its health check: one after the other, that was always so.
#[test]
fn a_deployment_whose_tasks_are_sick_one_after_the_other_fails() {
    let guarded = Step::Create {
        service: 0,
        kind: Kind::Web,
        desired: 4,
        bounds: (100, 200),
        placement: Placement::SpreadRacks,
        manner: Manner::Guarded { rollback: true },
    };
    let steps = [
        (at(2.0), guarded),
        (at(40.0), Step::Deploy { service: 0, kind: Kind::Sickly, revision: 1 }),
        // Not yet the end of the story.
        (at(1500.0), Step::Activate { node: 0 }),
    ];
    ends_well(&[ROOMY, ROOMY], 1, &steps);
}

/// Its instance drained when all others got the new task, and came back when the deployment was over.
#[test]
fn a_managed_daemon_is_replaced_on_an_instance_that_comes_back_late() {
    let steps = [
        (at(5.0), Step::Run { kind: Kind::Web, count: 4 }),
        (at(20.0), Step::CreateDaemon { daemon: 0, kind: Kind::Web, drain: 25, both: true }),
        (at(35.0), Step::Drain { node: 1 }),
        (at(50.0), Step::UpdateDaemon { daemon: 0, kind: Kind::Api, revision: 1, drain: 100, both: true }),
        (at(120.0), Step::Activate { node: 1 }),
    ];
    ends_well(&[ROOMY, SMALL, ROOMY], 1, &steps);
}

/// A task that was protected and not ready counted as one that works, and one that works left for it.
#[test]
fn a_protected_task_that_is_not_ready_does_no_work() {
    let mut steps = vec![
        (at(5.0), create(0, Kind::Web, 2, (100, 200))),
        (at(60.0), Step::Deploy { service: 0, kind: Kind::Unready, revision: 1 }),
    ];
    // Whichever of the four they are, they stay.
    steps.extend((2..4).map(|nth| (at(80.0), Step::Protect { nth, minutes: 3 })));
    steps.push((at(90.0), Step::Deploy { service: 0, kind: Kind::Web, revision: 2 }));
    ends_well(&[ROOMY, ROOMY], 1, &steps);
}
