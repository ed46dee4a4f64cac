//! Berth, driven by a typed client from inside its own network namespace.
//!
//! A launch is measured from the call of RunTask to the first DescribeTasks that says RUNNING: the process runs by then, its
//! agent has reported it, and the report is durable.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant, SystemTime};

use api_ecs::operations::*;
use api_ecs::*;
use client::{Client, Credentials};
use kit::Machine;

use crate::figures::{Launches, Times};
use crate::first_line;

const DEFINITION: &str = r#"
register("bench", [hello(cpu=1, memory=16, logConfiguration={"logDriver": "json-file"})])
register("alone", [hello(cpu=1, memory=16, portMappings=[], logConfiguration={"logDriver": "json-file"})], networkMode="none")
"#;

/// A task definition that [`Bench::launches`] can run.
#[derive(Clone, Copy)]
pub enum Network {
    /// On a bridge, with a dynamic port.
    Bridge,
    /// Of network mode `none`.
    None,
}

/// What the machine's own process does; see [`inside`].
pub struct Bench<'a> {
    machine: &'a Machine,
}

impl<'a> Bench<'a> {
    pub fn new(machine: &'a Machine) -> Bench<'a> {
        machine.python(DEFINITION);
        Bench { machine }
    }

    pub fn launches(&self, network: Network, count: usize, together: usize) -> Launches {
        let definition = match network {
            Network::Bridge => "bench",
            Network::None => "alone",
        };
        let said = self.run(&["launches", definition, &count.to_string(), &together.to_string()]);
        let mut numbers = said.split_whitespace().map(|number| number.parse::<f64>().expect("a number"));
        let per_second = numbers.next().expect("the first number is the rate");
        let numbers: Vec<Duration> = numbers.map(Duration::from_secs_f64).collect();
        let column = |column: usize| Times::new(numbers.chunks(2).map(|launch| launch[column]).collect());
        Launches { times: column(0), first_lines: column(1), per_second }
    }

    fn run(&self, arguments: &[&str]) -> String {
        let own = std::env::current_exe().expect("this program has a path");
        let output = self.machine.command(&own.display().to_string()).arg("inside").args(arguments).output();
        let output = output.expect("this program runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// From `kill -9` of the container of a service's only task to the first answer of its successor.
    pub fn replacements(&self, count: usize) -> Times {
        let script = format!(
            r#"
import os, signal, glob
register("kept", [hello(cpu=1, memory=16)])
ecs.create_service(serviceName="kept", taskDefinition="kept", desiredCount=1)
def only():
    arns = ecs.list_tasks(serviceName="kept")["taskArns"]
    return len(arns) == 1 and (t := task(arns[0]))["lastStatus"] == "RUNNING" and t
for _ in range({count}):
    old = until("it runs", only)
    time.sleep(11)  # A task that ran for ten seconds is replaced without a back-off.
    id = old["taskArn"].split("/")[-1]
    pid = int(open(glob.glob(os.environ["BERTH_DATA_DIR"] + "/node/tasks/" + id + "/containers/*/pid")[0]).read())
    began = time.monotonic()
    os.kill(pid, signal.SIGKILL)
    while True:
        new = only()
        if new and new["taskArn"] != old["taskArn"]:
            get(port(new))
            break
    print(time.monotonic() - began, flush=True)
ecs.delete_service(service="kept", force=True)
"#
        );
        let said = self.machine.python(&script);
        Times::new(said.lines().map(|line| Duration::from_secs_f64(line.parse().expect("a number"))).collect())
    }

    /// Starts idle tasks and leaves them running.
    pub fn run_tasks(&self, count: usize) {
        let script = format!(
            "for _ in range({count} // 10): run('bench', count=10)\nuntil('all run', lambda: ecs.describe_clusters()['clusters'][0]['runningTasksCount'] == {count}, 300)"
        );
        self.machine.python(&script);
    }

    pub fn stop_tasks(&self) {
        self.machine.python("while (arns := ecs.list_tasks()['taskArns']):\n    for a in arns: ecs.stop_task(task=a)\nuntil('all stop', lambda: not ecs.describe_clusters()['clusters'][0]['runningTasksCount'], 300)");
    }
}

/// `bench inside launches DEFINITION COUNT TOGETHER`: the launches a second, then for each the seconds until it was `RUNNING` and
/// until its program's first line.
pub async fn inside(definition: &str, count: usize, together: usize) {
    let credentials = Credentials { access_key: "test".into(), secret: "test".into(), session_token: None };
    let client = Client::new("http://127.0.0.1:4566", credentials, "us-east-1").expect("an endpoint");
    // A connection and every cache are warm before anything is measured.
    // Whoever waits asks; more of them ask less often, or their questions would be what is measured.
    let pause = if together == 1 { Duration::from_micros(500) } else { Duration::from_millis(10) };
    for _ in 0..together {
        stop(&client, launch(&client, definition, pause).await.task).await;
    }
    let left = Arc::new(AtomicUsize::new(count));
    let mut workers = Vec::new();
    let mut busy = Duration::ZERO;
    for _ in 0..together {
        let (client, left, definition) = (client.clone(), left.clone(), definition.to_owned());
        workers.push(tokio::spawn(async move {
            let mut times = Vec::new();
            while left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok() {
                times.push(launch(&client, &definition, pause).await);
            }
            times
        }));
    }
    let mut times = Vec::new();
    let began = Instant::now();
    for worker in workers {
        times.extend(worker.await.expect("a worker ends"));
        busy = began.elapsed();
    }
    println!("{}", times.len() as f64 / busy.as_secs_f64());
    for launched in times {
        println!("{} {}", launched.running.as_secs_f64(), said_first(&launched).await.as_secs_f64());
        stop(&client, launched.task).await;
    }
}

struct Launched {
    task: String,
    called: SystemTime,
    running: Duration,
}

/// From the call to the first line in the task's json-file log, which has the time at which the shim got it.
async fn said_first(launched: &Launched) -> Duration {
    let data_dir = std::env::var_os("BERTH_DATA_DIR").expect("the machine says where its data is");
    let id = launched.task.rsplit('/').next().unwrap_or_default();
    let containers = PathBuf::from(data_dir).join("node/tasks").join(id).join("containers");
    loop {
        let container = std::fs::read_dir(&containers).expect("the task has a folder").next();
        let log = container.and_then(|entry| std::fs::read_to_string(entry.ok()?.path().join("json.log")).ok());
        let line = log.as_deref().and_then(|log| log.split_once('\n')).map(|(line, _)| line);
        let time = line.and_then(|line| line.split("\"time\":\"").nth(1)?.split('"').next());
        match time {
            Some(time) => return first_line::since(launched.called, time),
            None => tokio::time::sleep(Duration::from_millis(5)).await,
        }
    }
}

async fn launch(client: &Client, definition: &str, pause: Duration) -> Launched {
    let (called, began) = (SystemTime::now(), Instant::now());
    let request = RunTaskRequest { task_definition: Some(definition.into()), ..Default::default() };
    let answer = client.call::<RunTask>(request).await.expect("RunTask answers");
    let task = answer.tasks.and_then(|tasks| tasks.into_iter().next()).and_then(|task| task.task_arn);
    let task = task.unwrap_or_else(|| panic!("a task was not placed: {:?}", answer.failures));
    until(client, &task, "RUNNING", pause).await;
    Launched { task, called, running: began.elapsed() }
}

async fn stop(client: &Client, task: String) {
    let request = StopTaskRequest { task: Some(task.clone()), ..Default::default() };
    client.call::<StopTask>(request).await.expect("StopTask answers");
    until(client, &task, "STOPPED", Duration::from_millis(1)).await;
}

async fn until(client: &Client, task: &str, status: &str, pause: Duration) {
    loop {
        let request = DescribeTasksRequest { tasks: Some(vec![task.to_owned()]), ..Default::default() };
        let tasks = client.call::<DescribeTasks>(request).await.expect("DescribeTasks answers").tasks;
        let task = tasks.and_then(|tasks| tasks.into_iter().next()).expect("the task is known");
        match task.last_status.as_deref() {
            Some(known) if known == status => return,
            Some("STOPPED") => panic!("the task stopped: {:?}", task.stopped_reason),
            _ => tokio::time::sleep(pause).await,
        }
    }
}
