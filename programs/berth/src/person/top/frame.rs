//! One picture of a cluster, as text.

use std::cmp::Reverse;

use api_ecs::{ContainerInstance, Deployment, Service, Task};
use shape::Timestamp;

use super::usage::{Usage, Used};
use crate::person::capacity::{Capacity, cpu_units, memory_mib};
use crate::person::paint::{Colour, Paint};
use crate::person::table::{Cell, Table, cut};
use crate::person::words::{age, count, last, moment, short, task_name};

/// What was seen.
pub struct View {
    pub cluster: String,
    pub instances: Vec<ContainerInstance>,
    pub services: Vec<Service>,
    pub tasks: Vec<Task>,
    /// Nothing, where nobody measures.
    pub usage: Option<Usage>,
}

pub fn frame(view: &View, columns: usize, now: Timestamp, paint: Paint) -> String {
    let status = |task: &&Task, status: &str| task.last_status.as_deref() == Some(status);
    let running = view.tasks.iter().filter(|task| status(task, "RUNNING")).count();
    let head = format!(
        "cluster {}, {}: {}, {}, {running} of {} running",
        view.cluster,
        moment(now),
        count(view.instances.len(), "instance"),
        count(view.services.len(), "service"),
        count(view.tasks.len(), "task"),
    );
    let mut text = format!("{}\n", paint.text(&cut(&head, columns), Some(Colour::Bold)));
    let tables = [
        (view.instances.is_empty(), instances(view, now), "No instances: `berth up` has one, `berth agent` adds one."),
        (view.services.is_empty(), services(view), "No services: `aws ecs create-service` makes one."),
        (view.tasks.is_empty(), tasks(view, now), "No tasks: `aws ecs run-task` starts one."),
    ];
    for (is_empty, table, sentence) in tables {
        text.push('\n');
        match is_empty {
            true => text.push_str(&format!("{}\n", cut(sentence, columns))),
            false => text.push_str(&table.render_within(columns, paint)),
        }
    }
    text
}

fn instances(view: &View, now: Timestamp) -> Table {
    let mut table = Table::new(&["INSTANCE", "STATUS", "AGENT", "CPU", "MEMORY MiB", "TASKS", "PENDING", "AGE"]);
    let mut instances: Vec<&ContainerInstance> = view.instances.iter().collect();
    instances.sort_by_key(|instance| (instance.registered_at, &instance.container_instance_arn));
    for instance in instances {
        table.row(vec![
            Cell::new(short(instance.container_instance_arn.as_deref().unwrap_or_default())),
            Cell::status(instance.status.clone().unwrap_or_default()),
            match instance.agent_connected {
                Some(true) => Cell::coloured("connected", Colour::Green),
                _ => Cell::coloured("disconnected", Colour::Red),
            },
            Cell::new(Capacity::of(instance, "CPU").text()),
            Cell::new(Capacity::of(instance, "MEMORY").text()),
            number(instance.running_tasks_count),
            number(instance.pending_tasks_count),
            Cell::new(age(instance.registered_at, now)),
        ]);
    }
    table
}

fn services(view: &View) -> Table {
    let mut table = Table::new(&["SERVICE", "STATUS", "DEFINITION", "DESIRED", "RUNNING", "PENDING", "DEPLOYMENTS"]);
    let mut services: Vec<&Service> = view.services.iter().collect();
    services.sort_by_key(|service| &service.service_name);
    for service in services {
        let is_short = service.running_count < service.desired_count;
        let running = number(service.running_count);
        table.row(vec![
            Cell::new(service.service_name.clone().unwrap_or_default()),
            Cell::status(service.status.clone().unwrap_or_default()),
            Cell::new(last(service.task_definition.as_deref().unwrap_or_default())),
            number(service.desired_count),
            if is_short { running.in_colour(Colour::Yellow) } else { running },
            number(service.pending_count),
            Cell::new(service.deployments.iter().flatten().map(deployment).collect::<Vec<_>>().join(", ")),
        ]);
    }
    table
}

/// `web:3 IN_PROGRESS 1/2`
fn deployment(deployment: &Deployment) -> String {
    format!(
        "{} {} {}/{}",
        last(deployment.task_definition.as_deref().unwrap_or_default()),
        deployment.rollout_state.as_deref().or(deployment.status.as_deref()).unwrap_or_default(),
        deployment.running_count.unwrap_or_default(),
        deployment.desired_count.unwrap_or_default(),
    )
}

/// Who uses most comes first; where nobody measures, by name.
fn tasks(view: &View, now: Timestamp) -> Table {
    let used = |task: &Task| view.usage.as_ref().and_then(|usage| usage.tasks.get(task.task_arn.as_deref()?));
    let mut tasks: Vec<&Task> = view.tasks.iter().collect();
    tasks.sort_by_cached_key(|task| {
        let busy = used(task).map_or(0, |used| (used.cpu_percent * 10.0) as i64);
        (Reverse(busy), task_name(task), Reverse(task.created_at), task.task_arn.clone())
    });
    let mut heads = vec!["TASK", "NAME", "STATUS", "HEALTH"];
    if view.usage.is_some() {
        heads.extend(["CPU%", "MiB USED"]);
    }
    heads.extend(["CPU RESERVED", "MiB RESERVED", "INSTANCE", "AGE"]);
    let mut table = Table::new(&heads);
    for task in tasks {
        let mut row = vec![
            Cell::new(short(task.task_arn.as_deref().unwrap_or_default())),
            Cell::new(task_name(task)),
            Cell::status(task.last_status.clone().unwrap_or_default()),
            Cell::status(task.health_status.clone().filter(|health| health != "UNKNOWN").unwrap_or_default()),
        ];
        if view.usage.is_some() {
            let cell = |text: fn(&Used) -> String| Cell::new(used(task).map(text).unwrap_or_default());
            row.extend([
                cell(|used| format!("{:.1}", used.cpu_percent)),
                cell(|used| format!("{:.0}", used.memory_mib)),
            ]);
        }
        row.extend([
            reserved(cpu_units(task)),
            reserved(memory_mib(task)),
            Cell::new(short(task.container_instance_arn.as_deref().unwrap_or_default())),
            Cell::new(age(task.created_at, now)),
        ]);
        table.row(row);
    }
    table
}

fn number(number: Option<i32>) -> Cell {
    Cell::new(number.unwrap_or_default().to_string())
}

fn reserved(amount: i64) -> Cell {
    Cell::new(if amount == 0 { String::new() } else { amount.to_string() })
}

#[cfg(test)]
mod tests {
    use api_ecs::Resource;
    use expect_test::{Expect, expect};

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    fn minutes_ago(minutes: i64) -> Option<Timestamp> {
        Some(Timestamp::from_millis(NOW.as_millis() - minutes * 60_000))
    }

    fn instance() -> ContainerInstance {
        let resources = |cpu, memory| {
            let one =
                |name: &str, value| Resource { name: some(name), integer_value: Some(value), ..Resource::default() };
            Some(vec![one("CPU", cpu), one("MEMORY", memory)])
        };
        ContainerInstance {
            container_instance_arn: some("container-instance/blue/fedcba9876"),
            status: some("ACTIVE"),
            agent_connected: Some(true),
            registered_resources: resources(4096, 8000),
            remaining_resources: resources(3072, 8000),
            running_tasks_count: Some(2),
            registered_at: minutes_ago(600),
            ..ContainerInstance::default()
        }
    }

    fn service() -> Service {
        let deployment = |definition: &str, state: &str, running| Deployment {
            task_definition: some(definition),
            rollout_state: some(state),
            desired_count: Some(2),
            running_count: Some(running),
            ..Deployment::default()
        };
        Service {
            service_name: some("web"),
            status: some("ACTIVE"),
            task_definition: some("task-definition/web:3"),
            desired_count: Some(2),
            running_count: Some(1),
            pending_count: Some(1),
            deployments: Some(vec![deployment("web:3", "IN_PROGRESS", 1), deployment("web:2", "COMPLETED", 0)]),
            ..Service::default()
        }
    }

    fn task(id: &str, status: &str, group: &str) -> Task {
        Task {
            task_arn: Some(format!("task/blue/{id}")),
            task_definition_arn: some("task-definition/job:1"),
            group: some(group),
            last_status: some(status),
            health_status: some("UNKNOWN"),
            cpu: some("256"),
            memory: some("512"),
            created_at: minutes_ago(5),
            ..Task::default()
        }
    }

    fn check(view: &View, columns: usize, expected: Expect) {
        expected.assert_eq(&frame(view, columns, NOW, Paint::Plain));
    }

    #[test]
    fn a_cluster_at_work() {
        let tasks = vec![task("11111111", "RUNNING", "service:web"), task("22222222", "PENDING", "family:job")];
        let view = View {
            cluster: "blue".to_owned(),
            instances: vec![instance()],
            services: vec![service()],
            tasks,
            usage: None,
        };
        check(
            &view,
            usize::MAX,
            expect![[r#"
            cluster blue, 2023-11-14T22:13:20Z: 1 instance, 1 service, 1 of 2 tasks running

            INSTANCE  STATUS  AGENT      CPU            MEMORY MiB  TASKS  PENDING  AGE
            fedcba98  ACTIVE  connected  1024/4096 25%  0/8000 0%   2      0        10h

            SERVICE  STATUS  DEFINITION  DESIRED  RUNNING  PENDING  DEPLOYMENTS
            web      ACTIVE  web:3       2        1        1        web:3 IN_PROGRESS 1/2, web:2 COMPLETED 0/2

            TASK      NAME   STATUS   HEALTH  CPU RESERVED  MiB RESERVED  INSTANCE  AGE
            22222222  job:1  PENDING  -       256           512           -         5m
            11111111  web    RUNNING  -       256           512           -         5m
        "#]],
        );
        let usage = r#"{"tasks": {"task/blue/11111111": {"cpuPercent": 12.34, "memoryMiB": 45.6}}}"#;
        let measured = View { usage: Some(serde_json::from_str(usage).unwrap()), ..view };
        check(
            &measured,
            usize::MAX,
            expect![[r#"
            cluster blue, 2023-11-14T22:13:20Z: 1 instance, 1 service, 1 of 2 tasks running

            INSTANCE  STATUS  AGENT      CPU            MEMORY MiB  TASKS  PENDING  AGE
            fedcba98  ACTIVE  connected  1024/4096 25%  0/8000 0%   2      0        10h

            SERVICE  STATUS  DEFINITION  DESIRED  RUNNING  PENDING  DEPLOYMENTS
            web      ACTIVE  web:3       2        1        1        web:3 IN_PROGRESS 1/2, web:2 COMPLETED 0/2

            TASK      NAME   STATUS   HEALTH  CPU%  MiB USED  CPU RESERVED  MiB RESERVED  INSTANCE  AGE
            11111111  web    RUNNING  -       12.3  46        256           512           -         5m
            22222222  job:1  PENDING  -       -     -         256           512           -         5m
        "#]],
        );
        check(
            &measured,
            40,
            expect![[r#"
            cluster blue, 2023-11-14T22:13:20Z: 1 i…

            INSTANCE  STATUS  AGENT      CPU
            fedcba98  ACTIVE  connected  1024/4096 …

            SERVICE  STATUS  DEFINITION  DESIRED  R…
            web      ACTIVE  web:3       2        1

            TASK      NAME   STATUS   HEALTH  CPU%
            11111111  web    RUNNING  -       12.3
            22222222  job:1  PENDING  -       -
        "#]],
        );
    }

    #[test]
    fn an_empty_cluster_says_what_to_do() {
        let view = View {
            cluster: "blue".to_owned(),
            instances: Vec::new(),
            services: Vec::new(),
            tasks: Vec::new(),
            usage: None,
        };
        check(
            &view,
            usize::MAX,
            expect![[r#"
            cluster blue, 2023-11-14T22:13:20Z: 0 instances, 0 services, 0 of 0 tasks running

            No instances: `berth up` has one, `berth agent` adds one.

            No services: `aws ecs create-service` makes one.

            No tasks: `aws ecs run-task` starts one.
        "#]],
        );
    }
}
