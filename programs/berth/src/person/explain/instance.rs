//! How one container instance is.

use api_ecs::{ContainerInstance, Task};
use shape::Timestamp;

use super::story::Story;
use super::task::sentence;
use crate::person::capacity::Capacity;
use crate::person::words::{age, count, short};

/// `tasks` are those that should run on it.
pub fn story(instance: &ContainerInstance, tasks: &[Task], now: Timestamp) -> Story {
    let arn = instance.container_instance_arn.as_deref().unwrap_or_default();
    let status = instance.status.as_deref().unwrap_or_default();
    let connected = instance.agent_connected.unwrap_or_default();
    let mut story = Story::new(format!("container instance {}", short(arn)), status);
    story.fact("arn", arn);
    story.fact("machine", instance.ec2_instance_id.clone().unwrap_or_default());
    story.fact("agent", agent(instance));
    story
        .fact("registered", instance.registered_at.map(|at| format!("{} ago", age(Some(at), now))).unwrap_or_default());
    story.fact("cpu", reserved(Capacity::of(instance, "CPU"), "units"));
    story.fact("memory", reserved(Capacity::of(instance, "MEMORY"), "MiB"));
    let ids: Vec<&str> = tasks.iter().filter_map(|task| task.task_arn.as_deref()).map(short).collect();
    story.fact("tasks", if ids.is_empty() { "none".to_owned() } else { ids.join(" ") });

    story.why(sentence(instance.status_reason.as_deref().unwrap_or_default()));
    match status {
        "DRAINING" => {
            story.why("It takes no new tasks, and services move theirs elsewhere.");
            let left = count(tasks.len(), "task");
            story.next(match tasks.len() {
                0 => "It is empty and may be deregistered: `aws ecs deregister-container-instance`.".to_owned(),
                _ => format!("Wait for {left} to end; tasks that no service started must be stopped by hand."),
            });
        }
        "INACTIVE" => {
            story.why("It was deregistered.");
            story.next("Start its agent again to register it anew.");
        }
        _ if !connected => {
            story.why("Its agent is not connected: it takes no new tasks, and what runs on it runs on unseen.");
            story.next(
                "Start `berth agent` (or the ECS agent) on that machine again; its tasks are taken up as they are.",
            );
        }
        "ACTIVE" => {
            story.why("It takes tasks.");
            story.next("Nothing needs to be done. `berth top` shows all instances side by side.");
        }
        _ => story.next("Wait a moment and ask again."),
    }
    story
}

fn agent(instance: &ContainerInstance) -> String {
    let version = instance.version_info.as_ref().and_then(|info| info.agent_version.clone()).unwrap_or_default();
    let connected = if instance.agent_connected == Some(true) { "connected" } else { "not connected" };
    if version.is_empty() { connected.to_owned() } else { format!("{connected}, version {version}") }
}

fn reserved(capacity: Capacity, unit: &str) -> String {
    match capacity.percent() {
        Some(percent) => format!("{} of {} {unit} reserved ({percent}%)", capacity.reserved, capacity.registered),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use api_ecs::{Resource, VersionInfo};
    use expect_test::{Expect, expect};

    use super::*;
    use crate::person::paint::Paint;

    fn check(status: &str, connected: bool, tasks: usize, expected: Expect) {
        let resources = |cpu, memory| {
            let one = |name: &str, value| Resource {
                name: Some(name.to_owned()),
                integer_value: Some(value),
                ..Resource::default()
            };
            Some(vec![one("CPU", cpu), one("MEMORY", memory)])
        };
        let instance = ContainerInstance {
            container_instance_arn: Some(
                "arn:aws:ecs:us-east-1:000000000000:container-instance/blue/0123456789".into(),
            ),
            ec2_instance_id: Some("i-0123".into()),
            status: Some(status.into()),
            agent_connected: Some(connected),
            registered_resources: resources(2048, 4000),
            remaining_resources: resources(1024, 3000),
            registered_at: Some(Timestamp::from_millis(0)),
            version_info: Some(VersionInfo { agent_version: Some("0.1.0".into()), ..VersionInfo::default() }),
            ..ContainerInstance::default()
        };
        let task = Task { task_arn: Some("task/blue/abcdef0123456789".into()), ..Task::default() };
        let text = story(&instance, &vec![task; tasks], Timestamp::from_millis(600_000)).render(Paint::Plain);
        expected.assert_eq(&text);
    }

    #[test]
    fn one_that_takes_tasks() {
        check(
            "ACTIVE",
            true,
            2,
            expect![[r#"
                container instance 01234567: ACTIVE
                  arn         arn:aws:ecs:us-east-1:000000000000:container-instance/blue/0123456789
                  machine     i-0123
                  agent       connected, version 0.1.0
                  registered  10m ago
                  cpu         1024 of 2048 units reserved (50%)
                  memory      1000 of 4000 MiB reserved (25%)
                  tasks       abcdef01 abcdef01

                Why
                  It takes tasks.

                Next
                  Nothing needs to be done. `berth top` shows all instances side by side.
            "#]],
        );
    }

    #[test]
    fn one_that_does_not() {
        check(
            "ACTIVE",
            false,
            0,
            expect![[r#"
                container instance 01234567: ACTIVE
                  arn         arn:aws:ecs:us-east-1:000000000000:container-instance/blue/0123456789
                  machine     i-0123
                  agent       not connected, version 0.1.0
                  registered  10m ago
                  cpu         1024 of 2048 units reserved (50%)
                  memory      1000 of 4000 MiB reserved (25%)
                  tasks       none

                Why
                  Its agent is not connected: it takes no new tasks, and what runs on it runs on unseen.

                Next
                  Start `berth agent` (or the ECS agent) on that machine again; its tasks are taken up as they are.
            "#]],
        );
        check(
            "DRAINING",
            true,
            1,
            expect![[r#"
                container instance 01234567: DRAINING
                  arn         arn:aws:ecs:us-east-1:000000000000:container-instance/blue/0123456789
                  machine     i-0123
                  agent       connected, version 0.1.0
                  registered  10m ago
                  cpu         1024 of 2048 units reserved (50%)
                  memory      1000 of 4000 MiB reserved (25%)
                  tasks       abcdef01

                Why
                  It takes no new tasks, and services move theirs elsewhere.

                Next
                  Wait for 1 task to end; tasks that no service started must be stopped by hand.
            "#]],
        );
        check(
            "DRAINING",
            true,
            0,
            expect![[r#"
                container instance 01234567: DRAINING
                  arn         arn:aws:ecs:us-east-1:000000000000:container-instance/blue/0123456789
                  machine     i-0123
                  agent       connected, version 0.1.0
                  registered  10m ago
                  cpu         1024 of 2048 units reserved (50%)
                  memory      1000 of 4000 MiB reserved (25%)
                  tasks       none

                Why
                  It takes no new tasks, and services move theirs elsewhere.

                Next
                  It is empty and may be deregistered: `aws ecs deregister-container-instance`.
            "#]],
        );
        check(
            "INACTIVE",
            false,
            0,
            expect![[r#"
                container instance 01234567: INACTIVE
                  arn         arn:aws:ecs:us-east-1:000000000000:container-instance/blue/0123456789
                  machine     i-0123
                  agent       not connected, version 0.1.0
                  registered  10m ago
                  cpu         1024 of 2048 units reserved (50%)
                  memory      1000 of 4000 MiB reserved (25%)
                  tasks       none

                Why
                  It was deregistered.

                Next
                  Start its agent again to register it anew.
            "#]],
        );
    }
}
