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
    let reasons = endings || tasks.iter().any(|task| !reason(task).is_empty());
    let mut heads = vec!["TASK", "NAME", "STATUS", "HEALTH", "IMAGE", "PORTS", "INSTANCE", "AGE"];
    heads.extend(endings.then_some("EXIT"));
    heads.extend(reasons.then_some("REASON"));
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
        row.extend(endings.then(|| Cell::new(exits(task))));
        row.extend(reasons.then(|| Cell::new(reason(task))));
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

/// Why it stopped, or what its probes find wanting: the task's own words, and then those of its containers that add something.
fn reason(task: &Task) -> String {
    let mut reasons: Vec<&str> = task.stopped_reason.as_deref().into_iter().collect();
    for reason in task.containers.iter().flatten().filter_map(|container| container.reason.as_deref()) {
        if !reasons.iter().any(|known| known.contains(reason)) {
            reasons.push(reason);
        }
    }
    reasons.join("; ")
}

#[cfg(test)]
mod tests {
    use api_ecs::{NetworkBinding, NetworkInterface};
    use expect_test::{Expect, expect};

    use super::super::paint::Paint;
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000_000);

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    fn task(id: &str, status: &str, minutes: i64, containers: Vec<Container>) -> Task {
        Task {
            task_arn: Some(format!("task/default/{id}")),
            task_definition_arn: some("task-definition/web:3"),
            container_instance_arn: some("container-instance/default/fedcba9876"),
            last_status: some(status),
            health_status: some("UNKNOWN"),
            created_at: Some(Timestamp::from_millis(NOW.as_millis() - minutes * 60_000)),
            containers: Some(containers),
            ..Task::default()
        }
    }

    fn container(name: &str) -> Container {
        Container { name: some(name), image: Some(format!("{name}:1")), ..Container::default() }
    }

    fn check(tasks: Vec<Task>, expected: Expect) {
        expected.assert_eq(&table(tasks, NOW).render(Paint::Plain));
    }

    #[test]
    fn the_newest_of_a_name_comes_first() {
        let port = |ip: &str| NetworkBinding {
            bind_ip: some(ip),
            host_port: Some(32768),
            container_port: Some(80),
            ..NetworkBinding::default()
        };
        let published = Container { network_bindings: Some(vec![port("0.0.0.0"), port("::")]), ..container("web") };
        let address = NetworkInterface { private_ipv4_address: some("10.0.0.7"), ..NetworkInterface::default() };
        let own = |name| Container { network_interfaces: Some(vec![address.clone()]), ..container(name) };
        let older = Task { health_status: some("HEALTHY"), ..task("2222222222", "RUNNING", 300, vec![published]) };
        let of_service =
            Task { group: some("service:api"), ..task("3333333333", "RUNNING", 10, vec![own("api"), own("proxy")]) };
        let waiting = Task { container_instance_arn: None, ..task("1111111111", "PROVISIONING", 3, Vec::new()) };
        check(
            vec![older, waiting, of_service],
            expect![[r#"
            TASK      NAME   STATUS        HEALTH   IMAGE           PORTS                       INSTANCE  AGE
            33333333  api    RUNNING       -        api:1, proxy:1  10.0.0.7                    fedcba98  10m
            11111111  web:3  PROVISIONING  -        -               -                           -         3m
            22222222  web:3  RUNNING       HEALTHY  web:1           http://127.0.0.1:32768->80  fedcba98  5h
        "#]],
        );
    }

    #[test]
    fn probes_are_heard() {
        let not_ready = Container { reason: some("Not ready: GET :80/ready answered 503"), ..container("app") };
        check(
            vec![task("1111111111", "RUNNING", 3, vec![not_ready]), task("2222222222", "RUNNING", 4, Vec::new())],
            expect![[r#"
                TASK      NAME   STATUS   HEALTH  IMAGE  PORTS  INSTANCE  AGE  REASON
                11111111  web:3  RUNNING  -       app:1  -      fedcba98  3m   Not ready: GET :80/ready answered 503
                22222222  web:3  RUNNING  -       -      -      fedcba98  4m   -
            "#]],
        );
    }

    #[test]
    fn the_stopped_come_last_and_say_why() {
        let ended = |name: &str, code| Container { exit_code: Some(code), ..container(name) };
        let reason = "Essential container in task exited";
        let one = Task { stopped_reason: some(reason), ..task("1111111111", "STOPPED", 3, vec![ended("app", 1)]) };
        let killed = Container { reason: some("OutOfMemoryError: too much"), ..ended("app", 137) };
        let two = task("2222222222", "STOPPED", 4, vec![killed, ended("proxy", 0)]);
        let two = Task { stopped_reason: some(reason), ..two };
        let pull = "CannotPullContainerError: no such image";
        let unpulled = Container { reason: some(pull), ..container("app") };
        let three = Task { stopped_reason: some(pull), ..task("3333333333", "STOPPED", 5, vec![unpulled]) };
        check(
            vec![three, two, one, task("4444444444", "RUNNING", 6, Vec::new())],
            expect![[r#"
            TASK      NAME   STATUS   HEALTH  IMAGE           PORTS  INSTANCE  AGE  EXIT             REASON
            44444444  web:3  RUNNING  -       -               -      fedcba98  6m   -                -
            11111111  web:3  STOPPED  -       app:1           -      fedcba98  3m   1                Essential container in task exited
            22222222  web:3  STOPPED  -       app:1, proxy:1  -      fedcba98  4m   app:137 proxy:0  Essential container in task exited; OutOfMemoryError: too much
            33333333  web:3  STOPPED  -       app:1           -      fedcba98  5m   -                CannotPullContainerError: no such image
        "#]],
        );
    }
}
