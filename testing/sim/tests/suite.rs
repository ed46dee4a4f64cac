//! Some hundred seeds. `cargo xtask sim --seeds 10000` plays more of them.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use sim::kind::Kind;
use sim::scenario::{Manner, Placement, Shape};
use sim::{Options, Scenario, Step, shrink};

const SEEDS: u64 = 200;

#[test]
fn some_hundred_stories_end_well() {
    let (next, failed) = (AtomicU64::new(0), Mutex::new(None));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while failed.lock().unwrap().is_none() {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= SEEDS {
                        break;
                    }
                    let violation = sim::run(&Scenario::of(seed), &Options::default()).violation;
                    if let Some(violation) = violation {
                        failed.lock().unwrap().get_or_insert((seed, violation));
                    }
                }
            });
        }
    });
    if let Some((seed, violation)) = failed.into_inner().unwrap() {
        let short = shrink::shrink(&Scenario::of(seed), &Options::default(), violation.checker);
        panic!("seed {seed}: {violation}\n\n{}", shrink::story(&short, &Options::default()));
    }
}

#[test]
fn one_seed_has_one_history() {
    for seed in [1, 7, 42] {
        let tell = || {
            let outcome = sim::run(&Scenario::of(seed), &Options { history: true, sabotage: None });
            (outcome.history.to_string(), outcome.counts)
        };
        let (first, second) = (tell(), tell());
        assert!(first.0.lines().count() > 50, "there is something to compare");
        assert_eq!(first, second);
    }
}

#[test]
fn a_history_that_nobody_reads_goes_the_same_way() {
    let scenario = Scenario::of(3);
    let told = sim::run(&scenario, &Options { history: true, sabotage: None });
    let silent = sim::run(&scenario, &Options::default());
    assert_eq!((told.counts, told.violation), (silent.counts, silent.violation));
}

#[test]
fn a_thousand_instances() {
    let racks = ["a", "b", "c", "d", "e", "f"];
    let nodes =
        (0..1000).map(|number| Shape { cpus: 2, memory_mib: 4096, rack: racks[number % racks.len()] }).collect();
    let at = Duration::from_secs;
    let service = |service, desired, placement| Step::Create {
        service,
        kind: Kind::Web,
        desired,
        bounds: (100, 150),
        placement,
        manner: Manner::Replica,
    };
    let mut steps = vec![
        (at(10), service(0, 300, Placement::SpreadRacks)),
        (at(10), service(1, 200, Placement::Binpack)),
        (at(40), Step::Deploy { service: 0, kind: Kind::Web, revision: 1 }),
        (at(41), Step::ReplicaDies { replica: 0, down: at(10), doom: None }),
    ];
    steps.extend((0..50).map(|node| (at(42), Step::Burns { node: node * 7 })));
    let outcome = sim::run(&Scenario { seed: 1, replicas: 2, nodes, steps }, &Options::default());
    assert_eq!(outcome.violation, None);
    assert!(outcome.counts.tasks_started >= 800, "{:?}", outcome.counts);
}
