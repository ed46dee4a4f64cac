//! One Berth, every case, and then a look for what nobody owns. Needs root.

use std::collections::BTreeSet;
use std::env;
use std::path::PathBuf;
use std::process::Command;

use conformance::world::World;
use kit::{Machine, until};

/// Set for the part that runs on the machine's own network, as a client of it.
const INSIDE: &str = "CONFORMANCE_INSIDE";

#[test]
fn every_feature() {
    match env::var_os(INSIDE) {
        Some(dir) => inside(PathBuf::from(dir)),
        None => outside(),
    }
}

fn outside() {
    let mut machine = Machine::new();
    machine.set("ECS_TASK_PIDS_LIMIT", &conformance::PIDS_LIMIT.to_string());
    machine.start(&[]);
    let program = conformance::program();
    let layout = conformance::write_image(machine.dir(), &program);
    machine.person(&format!("image load {}", layout.display())).expect("the image is taken in");
    let mut client = this_program(&machine);
    client.env(INSIDE, machine.dir()).env("RUST_BACKTRACE", "0");
    let passed = client.status().expect("this program starts").success();
    if passed {
        until("nothing is left of the tasks", || machine.unowned(&BTreeSet::new()).is_empty().then_some(()));
    }
    assert!(passed, "some cases failed: their names and reasons are above");
    // Dropping the machine looks for what is left of the node itself.
    assert!(machine.stop().success());
}

fn this_program(machine: &Machine) -> Command {
    let mut command = machine.command(&env::current_exe().expect("this program").display().to_string());
    command.args(["--exact", "every_feature", "--nocapture"]);
    command
}

fn inside(dir: PathBuf) {
    let shared = dir.join("shared");
    std::fs::create_dir_all(&shared).expect("the folder can be made");
    let world = World::new("http://127.0.0.1:4566", dir.join("data"), shared);
    let filter = env::var("CONFORMANCE").unwrap_or_default();
    let (cases, failed) = conformance::run_all(&world, &filter);
    assert!(cases > 0, "no case has {filter:?} in its name");
    for (number, reason) in failed.iter().enumerate() {
        println!("\n{}. {reason}", number + 1);
    }
    assert!(failed.is_empty(), "{} of {cases} cases failed", failed.len());
}
