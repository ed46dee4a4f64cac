//! Tasks of several containers, and a thousand containers that do nothing.

use std::fs;
use std::path::Path;
use std::time::Duration;

use kit::{Machine, workspace};

use crate::figures::Times;
use crate::footprint;

/// Containers of one task.
const TOGETHER: [usize; 3] = [1, 3, 10];
const LAUNCHES: usize = 20;
const IDLE: usize = 1000;
/// How long the agent of idle containers is watched.
const WATCHED: Duration = Duration::from_secs(60);

/// From the call of RunTask to the DescribeTasks that says of the task, and so of all its containers, that it is `RUNNING`.
pub fn starts(machine: &Machine) {
    println!("| containers of a task | RunTask → all run, p50 ms | worst ms | of |\n|---|---|---|---|");
    for count in TOGETHER {
        let script = format!(
            r#"
containers = [hello(name="c%d" % n, cpu=1, memory=16, command=["idle"], portMappings=[]) for n in range({count})]
register("several", containers)
for launch in range({LAUNCHES} + 1):
    began = time.monotonic()
    arn = run("several")[0]
    while task(arn)["lastStatus"] != "RUNNING": time.sleep(0.001)
    took = time.monotonic() - began
    # The first one warms what is kept.
    if launch: print(took, flush=True)
    ecs.stop_task(task=arn)
    stopped(arn)
"#
        );
        let said = machine.python(&script);
        let seconds = said.lines().map(|line| Duration::from_secs_f64(line.parse().expect("a number")));
        let times = Times::new(seconds.collect());
        println!("| {count} | {} | {} | {} |", times.median(), times.worst(), times.len());
    }
}

/// What containers that do nothing take, when there are a thousand: of the machine's memory with their shims and the kernel's
/// share, of their agent's memory, and of a core.
pub fn idle() {
    let mut machine = Machine::new();
    let server_dir = machine.dir().join("server").display().to_string();
    let server = machine.berth(&["server", "--data-dir", &server_dir]);
    machine.spawn(server);
    kit::until("the server answers", || machine.run("curl -fs http://127.0.0.1:4566/_berth/health").ok());
    machine.python("ecs.create_cluster(clusterName='default')");
    let agent = machine.berth(&["agent"]);
    let agent = machine.spawn(agent);
    machine.python("until('it has joined', lambda: ecs.list_container_instances()['containerInstanceArns'])");
    let image = workspace().join("target/sample/hello-world-1");
    machine.person(&format!("image load {}", image.display())).expect("the image is loaded");
    machine.python(
        r#"
register("idle", [hello(cpu=1, memory=16, command=["idle"], logConfiguration={"logDriver": "json-file"})])
ecs.stop_task(task=running(run("idle")[0])["taskArn"])
"#,
    );

    footprint::settle();
    let (used, resident) = (footprint::used_kib(), resident_mib(agent));
    machine.python(&format!(
        r#"
for _ in range({IDLE} // 10): run("idle", count=10)
until("all run", lambda: ecs.describe_clusters()["clusters"][0]["runningTasksCount"] == {IDLE}, 300)
"#
    ));
    footprint::settle();
    let each = (footprint::used_kib() - used) as f64 / IDLE as f64;
    let spent = cpu_seconds(agent);
    std::thread::sleep(WATCHED);
    let share = 100.0 * (cpu_seconds(agent) - spent) / WATCHED.as_secs_f64();
    println!("| {IDLE} idle containers | |\n|---|---|");
    println!("| memory of the machine for each, KiB | {each:.0} |");
    println!("| agent, resident, MiB (before: {resident:.0}) | {:.0} |", resident_mib(agent));
    println!("| agent, % of a core | {share:.1} |");

    machine.python(
        r#"
while arns := ecs.list_tasks()["taskArns"]:
    for arn in arns: ecs.stop_task(task=arn)
until("all stop", lambda: not ecs.describe_clusters()["clusters"][0]["runningTasksCount"], 300)
"#,
    );
}

fn resident_mib(process: u32) -> f64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("the kernel says");
    line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") / 1024.0
}

/// Of all threads, in user and system mode.
fn cpu_seconds(process: u32) -> f64 {
    let stat = fs::read_to_string(Path::new("/proc").join(process.to_string()).join("stat")).expect("the process runs");
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    // Fields 14 and 15 of proc(5), of which two are gone; in hundredths of a second on every Linux.
    fields.skip(11).take(2).map(|ticks| ticks.parse::<f64>().expect("a number")).sum::<f64>() / 100.0
}
