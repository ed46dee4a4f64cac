//! Stories that once went wrong, shrunk. Each is named for what it showed.

use std::time::Duration;

use sim::kind::Kind;
use sim::scenario::{Placement, SMALL, Shape};
use sim::{Options, Scenario, Step};

const ROOMY: Shape = Shape { cpus: 2, memory_mib: 4096, rack: "a" };

fn at(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn create(service: usize, kind: Kind, desired: u32, bounds: (u32, u32)) -> Step {
    Step::Create { service, kind, desired, bounds, placement: Placement::SpreadRacks }
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
    let one_each =
        Step::Create { service: 0, kind: Kind::Web, desired: 2, bounds: (100, 200), placement: Placement::Distinct };
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
