//! The shortest walk: one service, three machines, nothing goes wrong.

use std::time::Duration;

use sim::kind::Kind;
use sim::scenario::{Manner, Placement, SMALL};
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
