//! What a container prints: from its first line to the last one that a reader gets, what that costs, and what it takes
//! on the disk. Against Docker's json-file.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use kit::{Docker, Machine};

/// Jiffies a second, on every Linux there is.
const TICKS: f64 = 100.0;

pub struct Printed {
    pub lines: u64,
    /// From the start of the container to the last line in a reader's hands.
    pub took: Duration,
    /// What the processes that carry lines have computed meanwhile.
    pub cpu: Duration,
    pub disk_bytes: u64,
}

impl Printed {
    pub fn per_second(&self) -> f64 {
        self.lines as f64 / self.took.as_secs_f64()
    }

    pub fn per_core(&self) -> f64 {
        self.lines as f64 / self.cpu.as_secs_f64()
    }

    pub fn disk_bytes_per_line(&self) -> f64 {
        self.disk_bytes as f64 / self.lines as f64
    }
}

/// RunTask to the first GetLogEvents that has the last line. Agent, shim, server and store are all in it.
pub fn berth(machine: &Machine, lines: u64) -> Printed {
    let logs = machine.data_dir().join("logs");
    let (before, cpu) = (size(&logs), || cpu(&["berth up", "berth-shim"], &machine.data_dir()));
    let spent = cpu();
    let script = format!(
        r#"
register("printer", [hello(cpu=1, memory=16, command=["lines", "{lines}"], logConfiguration={{"logDriver": "awslogs", "options": {{
    "awslogs-group": "bench", "awslogs-region": "us-east-1", "awslogs-stream-prefix": "p", "awslogs-create-group": "true"}}}})])
began = time.monotonic()
arn = ecs.run_task(taskDefinition="printer")["tasks"][0]["taskArn"]
stream = "p/web/" + arn.split("/")[-1]
def last():
    try:
        events = logs.get_log_events(logGroupName="bench", logStreamName=stream, limit=1)["events"]
    except logs.exceptions.ResourceNotFoundException:
        return False
    return bool(events) and events[0]["message"].startswith("line {last} ")
while not last():
    time.sleep(0.05)
print(time.monotonic() - began)
"#,
        last = lines - 1
    );
    let took = seconds(&machine.python(&script));
    Printed { lines, took, cpu: cpu() - spent, disk_bytes: size(&logs) - before }
}

/// `docker run` to the end of `docker logs --tail 1`.
pub fn docker(machine: &Machine, docker: &Docker, lines: u64) -> Printed {
    let data = machine.dir().join("docker");
    let cpu = || cpu(&["dockerd", "containerd"], &data);
    let (spent, began) = (cpu(), Instant::now());
    docker.run(machine, &["run", "-d", "--name", "printer", "hello-world:1", "lines", &lines.to_string()]);
    docker.run(machine, &["wait", "printer"]);
    let tail = docker.run(machine, &["logs", "--tail", "1", "printer"]);
    let took = began.elapsed();
    assert!(tail.starts_with(&format!("line {} ", lines - 1)), "{tail}");
    let printed = Printed { lines, took, cpu: cpu() - spent, disk_bytes: json_files(&data.join("data/containers")) };
    docker.run(machine, &["rm", "printer"]);
    printed
}

fn seconds(text: &str) -> Duration {
    Duration::from_secs_f64(text.trim().parse().expect("a number of seconds"))
}

/// What the living processes have computed, and those they waited for, that are named so and belong to a place.
fn cpu(names: &[&str], place: &Path) -> Duration {
    let place = place.display().to_string();
    let mut ticks = 0;
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let text = |name: &str| {
            fs::read(process.path().join(name)).map(|bytes| String::from_utf8_lossy(&bytes).replace('\0', " "))
        };
        let (line, environment) = (text("cmdline").unwrap_or_default(), text("environ").unwrap_or_default());
        let is_one = names.iter().any(|name| line.contains(name));
        if is_one && (line.contains(&place) || environment.contains(&place)) {
            let stat = text("stat").unwrap_or_default();
            // Behind the name of the program, which may contain anything.
            let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
            ticks += fields.iter().skip(11).take(4).filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>();
        }
    }
    Duration::from_secs_f64(ticks as f64 / TICKS)
}

fn size(path: &Path) -> u64 {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries
        .map(
            |entry| if entry.path().is_dir() { size(&entry.path()) } else { entry.metadata().map_or(0, |it| it.len()) },
        )
        .sum()
}

fn json_files(containers: &Path) -> u64 {
    let logs = fs::read_dir(containers)
        .into_iter()
        .flatten()
        .flatten()
        .flat_map(|entry| fs::read_dir(entry.path()).into_iter().flatten().flatten());
    logs.filter(|log| log.path().to_string_lossy().contains("-json.log"))
        .map(|log| log.metadata().map_or(0, |it| it.len()))
        .sum()
}
