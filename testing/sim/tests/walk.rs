//! The shortest walk: one service, three machines, nothing goes wrong.

use std::time::Duration;

use sim::kind::Kind;
use sim::scenario::{Manner, Placement, SMALL, Shape};
use sim::{Options, Scenario, Step};

#[test]
fn a_service_is_created_scaled_deployed_and_deleted() {
    let at = Duration::from_secs;
    let scenario = Scenario {
        seed: 1,
        replicas: 1,
        nodes: vec![SMALL; 3],
        steps: vec![
            (
                at(1),
                Step::Create {
                    service: 0,
                    kind: Kind::Web,
                    desired: 4,
                    bounds: (100, 200),
                    placement: Placement::Anywhere,
                    manner: Manner::Replica,
                },
            ),
            (at(30), Step::Scale { service: 0, desired: 6 }),
            (at(60), Step::Deploy { service: 0, kind: Kind::Web, revision: 1 }),
            (at(120), Step::Scale { service: 0, desired: 2 }),
            (at(180), Step::Delete { service: 0 }),
        ],
    };
    let outcome = sim::run(&scenario, &Options { history: true, sabotage: None });
    assert_eq!(outcome.violation, None, "{}", outcome.history);
    let history = outcome.history.to_string();
    for word in
        ["has reached a steady state", "deployment completed", "is placed on node-1", "DeleteService is answered"]
    {
        assert!(history.contains(word), "{word} is missing in\n{history}");
    }
    assert_eq!(outcome.counts.tasks_started, 12, "{history}");
}

/// The control plane dies while tasks wait for an instance, and they go on.
#[test]
fn tasks_that_wait_for_an_instance_outlive_their_replica() {
    let at = Duration::from_secs;
    let create = Step::Create {
        service: 0,
        kind: Kind::Web,
        desired: 4,
        bounds: (100, 200),
        placement: Placement::Anywhere,
        manner: Manner::Provided { both: false },
    };
    let large = Shape { cpus: 2, memory_mib: 2048, rack: "a" };
    for seed in 0..10 {
        let steps = vec![
            (at(1), create),
            (at(10), Step::ReplicaDies { replica: 0, down: at(20), doom: None }),
            (at(60), Step::Scale { service: 0, desired: 6 }),
            (at(70), Step::ReplicaDies { replica: 0, down: at(60), doom: None }),
            (at(75), Step::AddNode { shape: large }),
            (at(200), Step::Scale { service: 0, desired: 5 }),
        ];
        let scenario = Scenario { seed, replicas: 1, nodes: vec![SMALL], steps };
        let outcome = sim::run(&scenario, &Options { history: true, sabotage: None });
        assert_eq!(outcome.violation, None, "{}", outcome.history);
        let history = outcome.history.to_string();
        // Those that waited were placed: nobody waits in their place.
        assert_eq!(history.matches("waits for an instance of large").count(), 6, "{history}");
    }
}
