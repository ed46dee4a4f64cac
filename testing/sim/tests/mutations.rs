//! The checkers see: each bug that is put in on purpose is found, and by the checker whose promise it breaks. The same stories
//! without the bug end well.

use std::time::Duration;

use sim::kind::Kind;
use sim::scenario::{Manner, Placement, SMALL, Shape};
use sim::{Checker, Doom, Options, Sabotage, Scenario, Step};

const ROOMY: Shape = Shape { cpus: 4, memory_mib: 8192, rack: "a" };

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn create(service: usize, kind: Kind, desired: u32, bounds: (u32, u32)) -> Step {
    Step::Create { service, kind, desired, bounds, placement: Placement::Binpack, manner: Manner::Replica }
}

fn create_as(manner: Manner, kind: Kind, desired: u32) -> Step {
    Step::Create { service: 0, kind, desired, bounds: (100, 200), placement: Placement::Anywhere, manner }
}

/// Of some seeds at least one is caught, and none for another reason.
#[track_caller]
fn check(sabotage: Sabotage, checkers: &[Checker], story: impl Fn(u64) -> Scenario) {
    let mut caught = false;
    for seed in 0..20 {
        let story = story(seed);
        let well = sim::run(&story, &Options::default()).violation;
        assert_eq!(
            well,
            None,
            "seed {seed} goes wrong without {sabotage:?}\n{}",
            sim::shrink::story(&story, &Options::default())
        );
        let options = Options { history: false, sabotage: Some(sabotage) };
        if let Some(violation) = sim::run(&story, &options).violation {
            assert!(
                checkers.contains(&violation.checker),
                "{sabotage:?} is seen by another: {violation}\n{}",
                sim::shrink::story(&story, &options)
            );
            caught = true;
            break;
        }
    }
    assert!(caught, "nobody sees {sabotage:?}");
}

fn story(nodes: Vec<Shape>, replicas: usize, steps: Vec<(Duration, Step)>) -> impl Fn(u64) -> Scenario {
    move |seed| Scenario { seed, replicas, nodes: nodes.clone(), steps: steps.clone() }
}

#[test]
fn a_commit_without_fences_overcommits() {
    // Two services want the last room at the same moment.
    let steps = vec![
        (at(0), Step::Lags { replica: 0, lasts: at(120) }),
        (at(0), Step::Lags { replica: 1, lasts: at(120) }),
        (at(10), create(0, Kind::Big, 2, (100, 200))),
        (at(10), create(1, Kind::Big, 2, (100, 200))),
    ];
    check(Sabotage::NoFences, &[Checker::Overcommitted], story(vec![SMALL], 2, steps));
}

#[test]
fn a_commit_without_fences_gives_a_port_twice() {
    let steps = vec![
        (at(0), Step::Lags { replica: 0, lasts: at(120) }),
        (at(0), Step::Lags { replica: 1, lasts: at(120) }),
        (at(10), create(0, Kind::Edge, 1, (100, 200))),
        (at(10), create(1, Kind::Edge, 1, (100, 200))),
    ];
    check(Sabotage::NoFences, &[Checker::PortTwice], story(vec![ROOMY], 2, steps));
}

#[test]
fn one_task_too_many_is_above_the_maximum() {
    let steps = vec![(at(10), create(0, Kind::Web, 4, (50, 100)))];
    check(Sabotage::OneTooMany, &[Checker::AboveMaximum], story(vec![ROOMY], 1, steps));
}

#[test]
fn one_stop_too_many_is_below_the_minimum() {
    let deploy = Step::Deploy { service: 0, kind: Kind::Api, revision: 1 };
    let steps = vec![(at(10), create(0, Kind::Api, 4, (75, 150))), (at(90), deploy)];
    check(Sabotage::StopsOneMore, &[Checker::BelowMinimum], story(vec![ROOMY], 1, steps));
}

/// Blue leaves, and green has not all its tasks any more.
#[test]
fn one_stop_too_many_leaves_no_colour_whole() {
    let steps = vec![
        (at(10), create_as(Manner::BlueGreen { rollback: false }, Kind::Api, 4)),
        (at(90), Step::Deploy { service: 0, kind: Kind::Api, revision: 2 }),
    ];
    check(Sabotage::StopsOneMore, &[Checker::BelowMinimum], story(vec![ROOMY], 1, steps));
}

#[test]
fn a_stopped_task_that_runs_again_went_backwards() {
    let steps = vec![
        (at(1), Step::Lossy { lasts: at(120) }),
        (at(10), create(0, Kind::Web, 4, (100, 200))),
        (at(20), Step::Scale { service: 0, desired: 0 }),
    ];
    check(Sabotage::Resurrection, &[Checker::Backwards], story(vec![ROOMY], 1, steps));
}

#[test]
fn a_task_that_its_agent_forgets_is_lost() {
    let steps = vec![(at(10), create(0, Kind::Web, 4, (100, 200)))];
    check(Sabotage::ForgetfulAgent, &[Checker::Lost], story(vec![ROOMY], 1, steps));
}

#[test]
fn a_task_that_was_never_committed_does_not_run() {
    let steps = vec![
        (at(9), Step::ReplicaDies { replica: 0, down: at(20), doom: None }),
        (at(35), create(0, Kind::Web, 4, (100, 200))),
        (at(60), Step::Scale { service: 0, desired: 5 }),
        (at(60), Step::Redeploy { service: 0 }),
        (at(60), Step::ReplicaDies { replica: 0, down: at(5), doom: Some(Doom::BeforeCommit) }),
        (at(60), Step::Run { kind: Kind::Web, count: 4 }),
        (at(61), Step::Redeploy { service: 0 }),
        (at(61), Step::Lags { replica: 0, lasts: at(20) }),
        (at(61), Step::Lags { replica: 1, lasts: at(20) }),
        (at(65), Step::Redeploy { service: 0 }),
    ];
    check(Sabotage::ToldTooEarly, &[Checker::Doubled], story(vec![ROOMY], 2, steps));
}

#[test]
fn a_container_that_is_started_twice_is_doubled() {
    let steps = vec![(at(10), create(0, Kind::Web, 1, (100, 200)))];
    check(Sabotage::StartsTwice, &[Checker::Doubled], story(vec![ROOMY], 1, steps));
}

#[test]
fn what_nobody_wakes_never_arrives() {
    // A restart looks at everything once: the tasks come, and that they run is never seen.
    let steps = vec![
        (at(10), create(0, Kind::Web, 2, (100, 200))),
        (at(12), Step::ReplicaDies { replica: 0, down: at(1), doom: None }),
    ];
    check(Sabotage::Deaf, &[Checker::NotReached], story(vec![ROOMY], 1, steps));
}

#[test]
fn a_stop_needs_a_reason() {
    let steps = vec![(at(10), create(0, Kind::Web, 2, (100, 200))), (at(40), Step::Scale { service: 0, desired: 1 })];
    check(Sabotage::Silent, &[Checker::WithoutReason], story(vec![ROOMY], 1, steps));
}

#[test]
fn a_service_that_waits_says_why() {
    let steps = vec![(at(10), create(0, Kind::Big, 6, (100, 200))), (at(200), Step::Scale { service: 0, desired: 7 })];
    check(Sabotage::NoEvents, &[Checker::WithoutReason], story(vec![SMALL], 1, steps));
}

#[test]
fn who_looks_again_at_once_and_for_ever_spins() {
    let steps = vec![(at(10), create(0, Kind::Web, 2, (100, 200)))];
    check(Sabotage::Restless, &[Checker::Spins], story(vec![ROOMY], 1, steps));
}

#[test]
fn a_service_at_rest_is_not_written() {
    let steps = vec![(at(10), create(0, Kind::Web, 2, (100, 200)))];
    check(Sabotage::Scribbler, &[Checker::Restless], story(vec![ROOMY], 1, steps));
}

#[test]
fn zones_that_nobody_evens_out_are_seen() {
    let steps = vec![(at(10), create_as(Manner::Replica, Kind::Web, 4))];
    check(Sabotage::Lopsided, &[Checker::NotReached], story(vec![ROOMY], 1, steps));
}

#[test]
fn a_protected_task_is_let_alone() {
    let mut steps = vec![(at(10), create_as(Manner::Replica, Kind::Web, 4))];
    steps.extend((0..4).map(|nth| (at(40), Step::Protect { nth, minutes: 10 })));
    steps.push((at(60), Step::Scale { service: 0, desired: 1 }));
    check(Sabotage::Unprotected, &[Checker::Protected], story(vec![ROOMY], 1, steps));
}

#[test]
fn a_task_is_where_its_provider_is() {
    let steps = vec![(at(10), create_as(Manner::Provided { both: true }, Kind::Web, 4))];
    check(Sabotage::AnyProvider, &[Checker::Elsewhere], story(vec![ROOMY, SMALL], 1, steps));
}

/// The only machine is of the other group, until the operator brings some.
#[test]
fn a_task_that_waits_for_an_instance_gets_one() {
    let steps = vec![(at(10), create_as(Manner::Provided { both: false }, Kind::Web, 4))];
    check(Sabotage::ForgetsWaiting, &[Checker::NotReached], story(vec![SMALL], 1, steps));
}

#[test]
fn a_circuit_breaker_that_never_breaks_is_seen() {
    let steps = vec![
        (at(10), create_as(Manner::Guarded { rollback: false }, Kind::Broken, 4)),
        // Not yet the end of the story.
        (at(200), Step::Activate { node: 0 }),
    ];
    check(Sabotage::NeverFails, &[Checker::GoesOn], story(vec![ROOMY], 1, steps));
}

#[test]
fn a_deployment_that_a_user_stops_ends() {
    let steps = vec![
        (at(10), create_as(Manner::Replica, Kind::Web, 4)),
        (at(40), Step::Deploy { service: 0, kind: Kind::Sickly, revision: 1 }),
        (at(50), Step::StopDeployment { service: 0, abort: false }),
        (at(200), Step::Activate { node: 0 }),
    ];
    check(Sabotage::NeverFails, &[Checker::GoesOn], story(vec![ROOMY], 1, steps));
}

#[test]
fn what_a_deployment_may_go_back_to_is_kept() {
    let steps = vec![
        (at(10), create_as(Manner::Guarded { rollback: false }, Kind::Web, 4)),
        (at(40), Step::Deploy { service: 0, kind: Kind::Broken, revision: 1 }),
        (at(41), Step::Forget { kind: Kind::Web, revision: 3 }),
        (at(200), Step::Activate { node: 0 }),
    ];
    check(Sabotage::Forgetful, &[Checker::Lost], story(vec![ROOMY], 1, steps));
}

#[test]
fn a_task_set_has_all_its_tasks() {
    let steps = vec![
        (at(10), create_as(Manner::External, Kind::Web, 4)),
        (at(12), Step::NewTaskSet { service: 0, kind: Kind::Web, revision: 1, scale: 100 }),
    ];
    check(Sabotage::HalfSets, &[Checker::NotReached], story(vec![ROOMY], 1, steps));
}

#[test]
fn a_daemon_is_on_each_instance_once() {
    let steps = vec![(at(10), create_as(Manner::Daemon, Kind::Web, 0))];
    check(Sabotage::OneTooMany, &[Checker::Twice], story(vec![ROOMY, SMALL], 1, steps));
}

#[test]
fn an_agent_that_dies_with_its_replica_is_missed() {
    let steps = vec![
        (at(10), create(0, Kind::Web, 2, (100, 200))),
        (at(40), Step::BothDie { replica: 0, node: 0, down: at(900) }),
        (at(40), Step::BothDie { replica: 0, node: 1, down: at(900) }),
        (at(800), Step::Activate { node: 2 }),
    ];
    check(Sabotage::Trusting, &[Checker::Absent], story(vec![ROOMY; 4], 2, steps));
}

/// The new tasks run for a moment before they are ready.
#[test]
fn an_old_task_stays_until_the_new_one_is_ready() {
    let steps = vec![
        (at(10), create(0, Kind::Web, 4, (100, 200))),
        (at(60), Step::Deploy { service: 0, kind: Kind::Ready, revision: 1 }),
    ];
    check(Sabotage::Hasty, &[Checker::BelowMinimum], story(vec![ROOMY], 1, steps));
}

#[test]
fn a_task_that_is_never_ready_is_given_up() {
    let steps = vec![
        (at(10), create(0, Kind::Ready, 2, (100, 200))),
        (at(60), Step::Deploy { service: 0, kind: Kind::Unready, revision: 1 }),
        // Not yet the end of the story.
        (at(900), Step::Activate { node: 0 }),
    ];
    check(Sabotage::Patient, &[Checker::NeverReady], story(vec![ROOMY], 1, steps));
}

/// The circuit breaker counts those that were given up.
#[test]
fn a_deployment_that_is_never_ready_fails() {
    let steps = vec![
        (at(10), create_as(Manner::Guarded { rollback: true }, Kind::Ready, 4)),
        (at(60), Step::Deploy { service: 0, kind: Kind::Unready, revision: 1 }),
        (at(1200), Step::Activate { node: 0 }),
    ];
    check(Sabotage::NeverFails, &[Checker::GoesOn], story(vec![ROOMY], 1, steps));
}

fn managed(kind: Kind, drain: u32) -> Vec<(Duration, Step)> {
    let update = Step::UpdateDaemon { daemon: 0, kind, revision: 2, drain, both: true };
    vec![(at(10), Step::CreateDaemon { daemon: 0, kind, drain, both: true }), (at(120), update)]
}

#[test]
fn a_daemon_deployment_takes_so_many_instances_at_a_time() {
    check(Sabotage::DrainsAll, &[Checker::TooManyAtOnce], story(vec![ROOMY; 6], 1, managed(Kind::Api, 25)));
}

#[test]
fn a_managed_daemon_is_on_each_instance_once() {
    check(Sabotage::OneTooMany, &[Checker::Twice], story(vec![ROOMY, SMALL], 1, managed(Kind::Web, 50)));
}

#[test]
fn a_managed_daemon_is_on_each_instance() {
    check(Sabotage::IdleDaemons, &[Checker::NotReached], story(vec![ROOMY, SMALL], 1, managed(Kind::Web, 50)));
}

#[test]
fn bases_and_weights_are_kept_to() {
    let steps = vec![(at(10), create_as(Manner::Provided { both: true }, Kind::Web, 5))];
    check(Sabotage::WrongShares, &[Checker::Shares], story(vec![ROOMY, SMALL, SMALL], 1, steps));
}

#[test]
fn a_deployment_succeeds_with_as_many_tasks_as_its_owner_wants() {
    let steps = vec![
        (at(10), create(0, Kind::Web, 2, (50, 100))),
        (at(60), Step::Deploy { service: 0, kind: Kind::Api, revision: 1 }),
    ];
    check(Sabotage::Rash, &[Checker::TooEarly], story(vec![ROOMY], 1, steps));
}
