//! One Berth, every case, and then a look for what nobody owns. Needs root.

use std::collections::BTreeSet;
use std::env;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use conformance::world::World;
use kit::{Machine, until};

/// Set for the part that runs on the machine's own network, as a client of it.
const INSIDE: &str = "CONFORMANCE_INSIDE";
/// Set for the server that the agent reads files from.
const OBJECTS: &str = "CONFORMANCE_OBJECTS";

#[test]
fn every_feature() {
    match env::var_os(INSIDE) {
        _ if env::var_os(OBJECTS).is_some() => conformance::objects::serve(),
        Some(dir) => inside(PathBuf::from(dir)),
        None => outside(),
    }
}

/// A server beside Berth, ended with the test.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn outside() {
    let mut machine = Machine::new();
    let mut objects = this_program(&machine);
    objects.env(OBJECTS, "1").stdout(Stdio::null());
    let _objects = Server(objects.spawn().expect("this program starts"));
    until("the S3 server has the bucket", || {
        machine.run(&format!("curl -sf -X PUT http://{}/settings", conformance::S3_SERVER)).ok()
    });
    machine.set("AWS_ENDPOINT_URL_S3", &format!("http://{}", conformance::S3_SERVER));
    machine.set("AWS_ACCESS_KEY_ID", "key");
    machine.set("AWS_SECRET_ACCESS_KEY", "secret");
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
