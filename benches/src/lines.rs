//! What a container prints: from its first line to the last one that a reader gets, what that costs, and what it takes
//! on the disk. Against Docker's json-file.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use kit::{Docker, Machine};

/// Jiffies a second, on every Linux there is.
const TICKS: f64 = 100.0;

pub struct Printed {
    pub lines: u64,
    /// How many of them a reader gets.
    pub arrived: u64,
    /// From the start of the container to the last line in a reader's hands.
    pub took: Duration,
    /// What the processes that carry lines have computed meanwhile.
    pub cpu: Duration,
    pub disk_bytes: u64,
}

impl Printed {
    pub fn per_second(&self) -> f64 {
        self.arrived as f64 / self.took.as_secs_f64()
    }

    pub fn per_core(&self) -> f64 {
        self.arrived as f64 / self.cpu.as_secs_f64()
    }

    pub fn disk_bytes_per_line(&self) -> f64 {
        self.disk_bytes as f64 / self.arrived as f64
    }
}

/// RunTask to the first GetLogEvents that has the last line. Agent, shim, server and store are all in it.
pub fn berth(machine: &Machine, lines: u64) -> Printed {
    let logs = machine.data_dir().join("logs");
    let (before, meter) = (size(&logs), Meter::start(&["berth up", "berth-shim"], &machine.data_dir()));
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
print(time.monotonic() - began, stream)
"#,
        last = lines - 1
    );
    let said = machine.python(&script);
    let (took, stream) = said.trim().split_once(' ').expect("a time and a stream");
    let (cpu, disk_bytes) = (meter.stop(), size(&logs) - before);
    let count = format!(
        r#"
count, more = 0, {{"startFromHead": True}}
while True:
    page = logs.get_log_events(logGroupName="bench", logStreamName="{stream}", **more)
    count += len(page["events"])
    if page["nextForwardToken"] == more.get("nextToken"): break
    more["nextToken"] = page["nextForwardToken"]
print(count)
"#
    );
    let arrived = machine.python(&count).trim().parse().expect("a number");
    Printed { lines, arrived, took: seconds(took), cpu, disk_bytes }
}

/// `docker run` to the end of `docker logs --tail 1`.
pub fn docker(machine: &Machine, docker: &Docker, lines: u64) -> Printed {
    let data = machine.dir().join("docker");
    let (meter, began) = (Meter::start(&["dockerd", "containerd"], &data), Instant::now());
    docker.run(machine, &["run", "-d", "--name", "printer", "hello-world:1", "lines", &lines.to_string()]);
    docker.run(machine, &["wait", "printer"]);
    let tail = docker.run(machine, &["logs", "--tail", "1", "printer"]);
    let took = began.elapsed();
    assert!(tail.starts_with(&format!("line {} ", lines - 1)), "{tail}");
    let (cpu, disk_bytes) = (meter.stop(), json_files(&data.join("data/containers")));
    let arrived = docker.run(machine, &["logs", "printer"]).lines().count() as u64;
    docker.run(machine, &["rm", "printer"]);
    Printed { lines, arrived, took, cpu, disk_bytes }
}

fn seconds(text: &str) -> Duration {
    Duration::from_secs_f64(text.trim().parse().expect("a number of seconds"))
}

/// Adds up what some processes compute. It looks all the time, because some end meanwhile.
struct Meter {
    ends: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl Meter {
    /// Of the processes that are named so and belong to a place.
    fn start(names: &[&'static str], place: &Path) -> Meter {
        let (names, place) = (names.to_vec(), place.display().to_string());
        let ends = Arc::new(AtomicBool::new(false));
        let until = ends.clone();
        let before = ticks(&names, &place);
        let thread = std::thread::spawn(move || {
            let mut latest = before.clone();
            loop {
                let last = until.load(Ordering::Relaxed);
                latest.extend(ticks(&names, &place));
                if last {
                    break;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            latest.iter().map(|(process, ticks)| ticks - before.get(process).unwrap_or(&0)).sum()
        });
        Meter { ends, thread }
    }

    fn stop(self) -> Duration {
        self.ends.store(true, Ordering::Relaxed);
        Duration::from_secs_f64(self.thread.join().expect("a meter ends") as f64 / TICKS)
    }
}

/// What each process has computed.
fn ticks(names: &[&str], place: &str) -> BTreeMap<String, u64> {
    let mut all = BTreeMap::new();
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let bytes = |name: &str| fs::read(process.path().join(name)).unwrap_or_default();
        let text = |name: &str| String::from_utf8_lossy(&bytes(name)).replace('\0', " ");
        let line = text("cmdline");
        if names.iter().any(|name| line.contains(name)) && (line.contains(place) || text("environ").contains(place)) {
            let stat = text("stat");
            // Behind the name of the program, which may contain anything.
            let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
            let ticks = fields.iter().skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
            all.insert(process.file_name().to_string_lossy().into_owned(), ticks);
        }
    }
    all
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
