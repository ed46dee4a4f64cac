//! Several cases at a time, and what became of them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::world::{Bench, World};
use crate::{Case, groups};

/// Most of a case is waiting for a container.
const AT_ONCE: usize = 8;

/// Runs the cases whose names have `filter` in them; returns how many there were, and those that failed, each with its reason.
pub fn run_all(world: &World, filter: &str) -> (usize, Vec<String>) {
    let cases: Vec<Case> = groups().into_iter().flat_map(|(_, cases)| cases).collect();
    let cases: Vec<Case> = cases.into_iter().filter(|case| case.name.contains(filter)).collect();
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    let times = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let began = Instant::now();
                    let outcome = catch_unwind(AssertUnwindSafe(|| (case.check)(&Bench::new(world, case.name))));
                    let took = began.elapsed();
                    times.lock().expect("nobody panics with it").push((took, case.name));
                    let verdict = if outcome.is_ok() { "PASS" } else { "FAIL" };
                    println!("conformance: {verdict} {}, {}", case.name, short(took));
                    if let Err(panic) = outcome {
                        let reason = format!("{}: {}", case.name, said(&*panic));
                        failed.lock().expect("nobody panics with it").push(reason);
                    }
                }
            });
        }
    });
    let mut times = times.into_inner().expect("nobody panics with it");
    times.sort();
    let slowest: Vec<String> =
        times.iter().rev().take(8).map(|(time, name)| format!("{name} {}", short(*time))).collect();
    println!("{} cases; the slowest: {}", cases.len(), slowest.join(", "));
    (cases.len(), failed.into_inner().expect("nobody panics with it"))
}

fn short(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

fn said(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default()
}
