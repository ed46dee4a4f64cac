//! A few dozen rounds of each shape, by hand: they are random, and what they find they seldom find again. `cargo xtask crash` does as
//! many as anybody likes. What they found has tests of its own beside what it was in.

use std::time::{SystemTime, UNIX_EPOCH};

use crash::{Options, PATIENCE, Shape};

/// Another seed each time; a failure names it.
fn check(shape: Shape, rounds: u64) {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let seed = since.as_millis() as u64 % 1_000_000_007;
    let options = Options { seed, rounds, shape, patience: PATIENCE, verbose: false };
    let outcome = crash::run(&options).unwrap_or_else(|error| panic!("{error:#}"));
    assert!(outcome.deaths >= rounds, "{outcome:?}");
}

#[test]
#[ignore = "random: run it when nodes, shims or records have changed"]
fn berth_up_loses_nothing() {
    check(Shape::Up, 16);
}

#[test]
#[ignore = "random: run it when nodes, shims or records have changed"]
fn a_server_and_its_agent_lose_nothing() {
    check(Shape::Split, 16);
}
