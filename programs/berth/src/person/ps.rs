//! `berth ps`: the tasks of a cluster, one a line.

use api_ecs::operations::DescribeTasks;
use api_ecs::{Container, Task};
use shape::{Call, Timestamp, Value};

use super::cluster::{Cluster, Which};
use super::output::Output;
use super::table::{Cell, Table};
use super::words::{age, binding, short, task_name};
use super::{Endpoint, now};

#[derive(clap::Args)]
pub struct Args {
    /// The cluster to look in.
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// Stopped tasks too, with how they ended.
    #[arg(long, short)]
    all: bool,
    /// Only the tasks of this service.
    #[arg(long, value_name = "NAME")]
    service: Option<String>,
    /// The answer of the API, as it is.
    #[arg(long)]
    json: bool,
}

pub async fn run(endpoint: &Endpoint, args: Args) -> anyhow::Result<()> {
    let mut output = Output::new();
    let cluster = Cluster::new(endpoint.client()?, args.cluster);
    let which = if args.all { Which::All } else { Which::Running };
    let answer = cluster.tasks(which, args.service.as_deref()).await?;
    let text = if args.json {
        let body = wire::json::encode(DescribeTasks::OPERATION.output, &answer.into_document());
        format!("{}\n", String::from_utf8_lossy(&body))
    } else {
        match answer.tasks.unwrap_or_default() {
            tasks if tasks.is_empty() => nothing(cluster.name(), which, args.service.as_deref()),
            tasks => table(tasks, now()).render(output.paint),
        }
    };
    Ok(output.write(&text)?)
}

fn nothing(cluster: &str, which: Which, service: Option<&str>) -> String {
    let of = service.map(|service| format!(" of service {service}")).unwrap_or_default();
    let tail = match (which, service) {
        (Which::Running, None) => "`berth ps --all` shows stopped ones; `aws ecs run-task` starts one.".to_owned(),
        (Which::All, None) => "`aws ecs run-task` starts one.".to_owned(),
        (_, Some(service)) => format!("`berth explain {service}` says why."),
    };
    let runs = if which == Which::Running { "runs" } else { "is known" };
    format!("No task{of} {runs} in cluster {cluster}. {tail}\n")
}

/// Running tasks by name, then stopped ones, the newest of each first.
fn table(mut tasks: Vec<Task>, now: Timestamp) -> Table {
    tasks.sort_by_cached_key(|task| {
        let created = task.created_at.map_or(0, |at| at.as_millis());
        (is_stopped(task), task_name(task), std::cmp::Reverse(created), task.task_arn.clone())
    });
    let endings = tasks.iter().any(is_stopped);
    let mut heads = vec!["TASK", "NAME", "STATUS", "HEALTH", "IMAGE", "PORTS", "INSTANCE", "AGE"];
    if endings {
        heads.extend(["EXIT", "REASON"]);
    }
    let mut table = Table::new(&heads);
    for task in &tasks {
        let mut row = vec![
            Cell::new(short(task.task_arn.as_deref().unwrap_or_default())),
            Cell::new(task_name(task)),
            Cell::status(task.last_status.clone().unwrap_or_default()),
            Cell::status(health(task)),
            Cell::new(joined(task, |container| container.image.iter().cloned().collect())),
            Cell::new(joined(task, ports)),
            Cell::new(short(task.container_instance_arn.as_deref().unwrap_or_default())),
            Cell::new(age(task.created_at, now)),
        ];
        if endings {
            row.extend([Cell::new(exits(task)), Cell::new(reason(task))]);
        }
        table.row(row);
    }
    table
}

fn is_stopped(task: &Task) -> bool {
    task.last_status.as_deref() == Some("STOPPED")
}

/// UNKNOWN means that nobody checks, which is no news.
fn health(task: &Task) -> String {
    task.health_status.clone().filter(|health| health != "UNKNOWN").unwrap_or_default()
}

fn joined(task: &Task, each: impl Fn(&Container) -> Vec<String>) -> String {
    let mut texts: Vec<String> = Vec::new();
    for text in task.containers.iter().flatten().flat_map(each) {
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    texts.join(", ")
}

/// The published ports of a container; with a network interface of its own, its address.
fn ports(container: &Container) -> Vec<String> {
    let bindings: Vec<String> = container.network_bindings.iter().flatten().filter_map(binding).collect();
    if !bindings.is_empty() {
        return bindings;
    }
    container.network_interfaces.iter().flatten().filter_map(|eni| eni.private_ipv4_address.clone()).collect()
}

/// `137`, or `app:137 proxy:0` when there are several containers.
fn exits(task: &Task) -> String {
    let containers = task.containers.as_deref().unwrap_or_default();
    let named = containers.len() > 1;
    let codes = containers.iter().filter_map(|container| {
        let code = container.exit_code?;
        Some(if named { format!("{}:{code}", container.name.as_deref().unwrap_or("?")) } else { code.to_string() })
    });
    codes.collect::<Vec<_>>().join(" ")
}

/// Why it stopped: the task's own words, and then those of its containers that add something.
fn reason(task: &Task) -> String {
    let mut reasons: Vec<&str> = task.stopped_reason.as_deref().into_iter().collect();
    for reason in task.containers.iter().flatten().filter_map(|container| container.reason.as_deref()) {
        if !reasons.iter().any(|known| known.contains(reason)) {
            reasons.push(reason);
        }
    }
    reasons.join("; ")
}
