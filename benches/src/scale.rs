//! The whole control plane at work: a real server on disk, and simulated agents over real sockets.
//!
//! From nothing to many tasks, by RunTask or by services, every transition durable; and many services that have nothing to do.

use std::fs;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use api_ecs::operations::*;
use api_ecs::*;
use client::Client;
use kit::Machine;

use crate::figures::Times;
use crate::fleet::{self, ADDRESS, Board};
use crate::rates::client;

const CLUSTER: &str = "scale";
const DEFINITION: &str = "scale";
/// Callers of RunTask, each of which calls again when it has its answer.
const CALLERS: usize = 32;
/// Source: Amazon ECS API Reference, `RunTask.count`.
const TASKS_PER_CALL: usize = 10;
/// Source: Amazon ECS service quotas, "Tasks per service".
const TASKS_PER_SERVICE: usize = 5_000;
const IDLE_MEASURED: Duration = Duration::from_secs(60);
/// The kernel counts a process's time in hundredths of a second.
const TICKS_PER_SECOND: f64 = 100.0;
/// Thousands of sockets on either side need more than the usual thousand files.
const AS_MANY_FILES_AS_MAY_BE: &str = "ulimit -n $(ulimit -Hn)";

#[derive(Clone, Copy)]
pub struct Size {
    pub instances: usize,
    pub tasks: usize,
    /// By services instead of RunTask.
    pub by_services: bool,
}

impl Size {
    /// `--instances N --tasks N --services`, in any sequence.
    pub fn read(arguments: &[&str]) -> Option<Size> {
        let mut size = Size { instances: 5_000, tasks: 100_000, by_services: false };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match *argument {
                "--instances" => size.instances = arguments.next()?.parse().ok()?,
                "--tasks" => size.tasks = arguments.next()?.parse().ok()?,
                "--services" => size.by_services = true,
                _ => return None,
            }
        }
        Some(size)
    }
}

pub fn run(size: Size) {
    let by = if size.by_services { "services" } else { "calls" };
    with_server(&["scale", &size.instances.to_string(), &size.tasks.to_string(), by]);
}

pub fn idle_services(services: usize) {
    with_server(&["idle-services", &services.to_string()]);
}

/// A server in a network of its own, and this program beside it.
fn with_server(arguments: &[&str]) {
    let mut machine = Machine::new();
    let server = machine.berth(&["server"]);
    let mut limited = machine.command("sh");
    let words: Vec<String> = std::iter::once(server.get_program())
        .chain(server.get_args())
        .map(|word| format!("'{}'", word.to_string_lossy()))
        .collect();
    limited.args(["-c", &format!("{AS_MANY_FILES_AS_MAY_BE}; exec {}", words.join(" "))]);
    limited.stdout(Stdio::null());
    let server = machine.spawn(limited);
    let own = std::env::current_exe().expect("this program has a path");
    let mut inside = machine.command("sh");
    let line = format!("{AS_MANY_FILES_AS_MAY_BE}; exec '{}' inside {} {server}", own.display(), arguments.join(" "));
    let status = inside.args(["-c", &line]).status().expect("this program runs");
    assert!(status.success(), "it ended with {status}");
}

/// `bench inside scale INSTANCES TASKS calls|services SERVER`.
pub async fn inside(size: Size, server: u32) {
    let client = ready().await;
    let began = Instant::now();
    let board = fleet::join(&client, CLUSTER, size.instances).await;
    println!("{} agents joined in {:.1} s", size.instances, began.elapsed().as_secs_f64());
    settle();
    let (memory, cpu, own) = (resident_kib(server), cpu_seconds(server), cpu_seconds(std::process::id()));
    let began = Instant::now();
    let called = match size.by_services {
        true => serve(&client, size.tasks).await,
        false => call(&client, size.tasks).await,
    };
    until_running(&board, size.tasks).await;
    let took = began.elapsed().as_secs_f64();
    let (cpu, own) = (cpu_seconds(server) - cpu, cpu_seconds(std::process::id()) - own);
    settle();
    let memory = resident_kib(server).saturating_sub(memory) as f64 / size.tasks as f64;
    let tasks = size.tasks as f64;
    println!("| 0 → {} running tasks on {} instances | |\n|---|---|", size.tasks, size.instances);
    println!("| took, s | {took:.1} |\n| tasks a second, agents on the same cores | {:.0} |", tasks / took);
    println!("| the server's CPU, s | {cpu:.1} |\n| the agents' CPU, s | {own:.1} |");
    println!("| tasks a second on 2 cores of the server's own | {:.0} |", tasks / (cpu / 2.0));
    if !called.is_empty() {
        let arrived = board.arrived.lock().expect("nobody panics");
        let times = called.iter().map(|(task, at)| arrived.get(task).expect("it has arrived").duration_since(*at));
        let times = Times::new(times.collect());
        println!("| RunTask → payload at the agent, ms: p50 | {} |", times.median());
        println!("| p99 | {} |", times.percentile(99));
    }
    println!("| the server's memory, KiB a task | {memory:.2} |");
}

/// `bench inside idle-services SERVICES SERVER`.
pub async fn inside_idle(services: usize, server: u32) {
    let client = ready().await;
    let board = fleet::join(&client, CLUSTER, 100).await;
    for number in 0..services {
        create_service(&client, number, 1).await;
    }
    until_running(&board, services).await;
    // Until the last of them has proved itself, and the last log is checkpointed.
    tokio::time::sleep(Duration::from_secs(30)).await;
    let before = cpu_seconds(server);
    tokio::time::sleep(IDLE_MEASURED).await;
    let cpu = cpu_seconds(server) - before;
    let share = cpu / IDLE_MEASURED.as_secs_f64() * 100.0;
    println!("{services} idle services, one running task each, on 100 instances:");
    println!("the server's CPU in {} s: {cpu:.2} s, {share:.2} % of a core", IDLE_MEASURED.as_secs());
}

/// A client of a server that answers, a cluster and a definition.
async fn ready() -> Client {
    let began = Instant::now();
    while tokio::net::TcpStream::connect(ADDRESS).await.is_err() {
        assert!(began.elapsed() < Duration::from_secs(60), "the server does not answer");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let client = client(&format!("http://{ADDRESS}")).with_timeout(Duration::from_secs(300));
    let request = CreateClusterRequest { cluster_name: Some(CLUSTER.into()), ..Default::default() };
    client.call::<CreateCluster>(request).await.expect("the cluster is created");
    let container = ContainerDefinition {
        name: Some("web".into()),
        image: Some("hello-world:1".into()),
        cpu: Some(1),
        memory: Some(6),
        ..Default::default()
    };
    let request = RegisterTaskDefinitionRequest {
        family: Some(DEFINITION.into()),
        container_definitions: Some(vec![container]),
        ..Default::default()
    };
    client.call::<RegisterTaskDefinition>(request).await.expect("the definition registers");
    client
}

/// Runs so many tasks; gives when each was called for.
async fn call(client: &Client, tasks: usize) -> Vec<(String, Instant)> {
    let left = Arc::new(AtomicUsize::new(tasks));
    let callers: Vec<_> = (0..CALLERS)
        .map(|_| {
            let (client, left) = (client.clone(), left.clone());
            tokio::spawn(async move {
                let mut called = Vec::new();
                loop {
                    let take = |left: usize| (left > 0).then(|| left.saturating_sub(TASKS_PER_CALL));
                    let Ok(before) = left.fetch_update(Relaxed, Relaxed, take) else { return called };
                    let request = RunTaskRequest {
                        cluster: Some(CLUSTER.into()),
                        task_definition: Some(DEFINITION.into()),
                        count: Some(before.min(TASKS_PER_CALL) as i32),
                        ..Default::default()
                    };
                    let began = Instant::now();
                    let answer = client.call::<RunTask>(request).await.expect("RunTask answers");
                    let arns = answer.tasks.unwrap_or_default().into_iter().filter_map(|task| task.task_arn);
                    called.extend(arns.map(|arn| (arn, began)));
                }
            })
        })
        .collect();
    let mut called = Vec::with_capacity(tasks);
    for caller in callers {
        called.extend(caller.await.expect("a caller ends"));
    }
    assert_eq!(called.len(), tasks, "all have a place");
    called
}

/// The same by services, as many as it takes.
async fn serve(client: &Client, tasks: usize) -> Vec<(String, Instant)> {
    for (number, first) in (0..tasks).step_by(TASKS_PER_SERVICE).enumerate() {
        create_service(client, number, (tasks - first).min(TASKS_PER_SERVICE)).await;
    }
    Vec::new()
}

async fn create_service(client: &Client, number: usize, desired: usize) {
    let request = CreateServiceRequest {
        cluster: Some(CLUSTER.into()),
        service_name: Some(format!("s{number}")),
        task_definition: Some(DEFINITION.into()),
        desired_count: Some(desired as i32),
        ..Default::default()
    };
    client.call::<CreateService>(request).await.expect("the service is created");
}

async fn until_running(board: &Board, tasks: usize) {
    let (mut last, mut moved) = (0, Instant::now());
    loop {
        let running = board.running.load(Relaxed);
        if running >= tasks {
            return;
        }
        if running > last {
            (last, moved) = (running, Instant::now());
        }
        assert!(moved.elapsed() < Duration::from_secs(60), "{running} of {tasks} run, and no more come");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// What is freed is given back, and what is under way is written.
fn settle() {
    std::thread::sleep(Duration::from_secs(2));
}

/// User and system time of a process, all its threads together.
fn cpu_seconds(process: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).expect("the process runs");
    // Its name may have spaces, and ends with the last parenthesis.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |at: usize| fields[at].parse::<f64>().expect("a number");
    (ticks(11) + ticks(12)) / TICKS_PER_SECOND
}

fn resident_kib(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("the process runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("it has memory");
    line.split_whitespace().next().and_then(|number| number.parse().ok()).expect("a number")
}
