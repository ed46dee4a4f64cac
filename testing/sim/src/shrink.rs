//! From a long story that goes wrong to a short one that goes wrong in the same way.

use std::time::Duration;

use crate::scenario::Scenario;
use crate::{Checker, Options, run};

/// Stories that are tried at most.
const TRIES_MAX: u32 = 600;

/// Leaves out steps, machines and replicas for as long as the same checker complains.
pub fn shrink(scenario: &Scenario, options: &Options, checker: Checker) -> Scenario {
    let quiet = Options { history: false, ..*options };
    let mut tries = 0;
    let mut fails = |scenario: &Scenario| {
        tries += 1;
        tries <= TRIES_MAX && run(scenario, &quiet).violation.is_some_and(|violation| violation.checker == checker)
    };
    let mut best = scenario.clone();
    loop {
        let before = best.clone();
        fewer_steps(&mut best, &mut fails);
        while best.replicas > 1 {
            let fewer = Scenario { replicas: best.replicas - 1, ..best.clone() };
            if !fails(&fewer) {
                break;
            }
            best = fewer;
        }
        // The last machine is the one that can go without renaming the others.
        while best.nodes.len() > 1 {
            let mut fewer = best.clone();
            fewer.nodes.pop();
            if !fails(&fewer) {
                break;
            }
            best = fewer;
        }
        if best == before {
            return sooner(best, &mut fails);
        }
    }
}

/// Halves first, then quarters, down to single steps.
fn fewer_steps(best: &mut Scenario, fails: &mut impl FnMut(&Scenario) -> bool) {
    let mut size = best.steps.len().div_ceil(2).max(1);
    loop {
        let mut at = 0;
        while at < best.steps.len() {
            let mut fewer = best.clone();
            fewer.steps.drain(at..(at + size).min(best.steps.len()));
            if fails(&fewer) {
                *best = fewer;
            } else {
                at += size;
            }
        }
        if size == 1 {
            return;
        }
        size = size.div_ceil(2);
    }
}

/// Round times, early on: easier to read, and to reason about.
fn sooner(best: Scenario, fails: &mut impl FnMut(&Scenario) -> bool) -> Scenario {
    let mut even = best.clone();
    for (number, (at, _)) in even.steps.iter_mut().enumerate() {
        *at = Duration::from_secs(5 + 15 * number as u64);
    }
    if fails(&even) { even } else { best }
}

/// A story with all its steps and everything that followed, for a person.
pub fn story(scenario: &Scenario, options: &Options) -> String {
    let outcome = run(scenario, &Options { history: true, ..*options });
    let mut text = format!("seed {}, {} replicas\n", scenario.seed, scenario.replicas);
    for (number, node) in scenario.nodes.iter().enumerate() {
        let (cpus, mib, rack) = (node.cpus, node.memory_mib, node.rack);
        text.push_str(&format!("  node-{number}: {cpus} CPUs, {mib} MiB, rack {rack}\n"));
    }
    for (at, step) in &scenario.steps {
        text.push_str(&format!("  {:>8.3} s  {step}\n", at.as_secs_f64()));
    }
    text.push_str(&format!("\n{}\n", outcome.history));
    match outcome.violation {
        Some(violation) => text.push_str(&format!("{violation}\n")),
        None => text.push_str("all is well\n"),
    }
    text
}
