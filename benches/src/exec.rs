//! A command in a container that runs: how soon it speaks, and how fast its output arrives. Against `docker exec`.
//!
//! Both are measured as a person has them, from the start of the client's process: so the client, the session and the start
//! of the program are all in it.

use std::io::Read;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kit::{Docker, Machine};

use crate::docker;
use crate::figures::Times;

const SESSIONS: usize = 50;
/// One that prints until its end.
const LINES: u64 = 1_000_000;
/// The sample's program in its image.
const PROGRAM: &str = "/berth-sample";

struct Executed {
    first_output: Times,
    bytes_per_second: f64,
}

pub fn run(machine: &Machine) {
    let said = machine.python(
        r#"
register("shell", [hello(cpu=1, memory=64, command=["idle"], portMappings=[], logConfiguration={"logDriver": "json-file"})])
print(running(run("shell", enableExecuteCommand=True)[0])["taskArn"].split("/")[-1])
"#,
    );
    let task = said.trim();
    let ours = measure(|words| {
        let mut command = machine.client(&kit::berth().display().to_string());
        command.args(["exec", task, "--", PROGRAM]).args(words);
        command
    });
    let engine = Docker::start(machine);
    let peer = docker::Bench::new(machine, &engine);
    let container = engine.run(machine, &["run", "-d", "--memory", "64m", "hello-world:1", "idle"]);
    let theirs = measure(|words| {
        let mut command = engine.command(machine, &["exec", &container, PROGRAM]);
        command.args(words);
        command
    });
    peer.clear();

    println!(
        "| a command in a container that runs | start → first output, p50 ms | p99 ms | of | output, MB a second |"
    );
    println!("|---|---|---|---|---|");
    for (who, it) in [("`berth exec`", &ours), ("`docker exec`", &theirs)] {
        let (p50, p99, of) = (it.first_output.median(), it.first_output.percentile(99), it.first_output.len());
        println!("| {who} | {p50} | {p99} | {of} | {:.1} |", it.bytes_per_second / 1e6);
    }
}

/// Each command that `of` gives runs the sample's program with these words.
fn measure(of: impl Fn(&[&str]) -> Command) -> Executed {
    // The first one warms what is kept.
    let times: Vec<Duration> = (0..=SESSIONS).map(|_| first_output(of(&["lines", "1"]))).skip(1).collect();
    let (began, mut child) = (Instant::now(), start(of(&["lines", &LINES.to_string()])));
    let mut output = child.stdout.take().expect("it is a pipe");
    let bytes = std::io::copy(&mut output, &mut std::io::sink()).expect("a pipe can be read");
    let took = began.elapsed();
    assert!(child.wait().expect("it ends").success(), "the command failed");
    assert!(bytes > LINES * 10, "only {bytes} bytes have come");
    Executed { first_output: Times::new(times), bytes_per_second: bytes as f64 / took.as_secs_f64() }
}

fn first_output(command: Command) -> Duration {
    let (began, mut child) = (Instant::now(), start(command));
    let mut output = child.stdout.take().expect("it is a pipe");
    output.read_exact(&mut [0]).expect("something is printed");
    let took = began.elapsed();
    let _ = std::io::copy(&mut output, &mut std::io::sink());
    assert!(child.wait().expect("it ends").success(), "the command failed");
    took
}

fn start(mut command: Command) -> std::process::Child {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("the client starts")
}
