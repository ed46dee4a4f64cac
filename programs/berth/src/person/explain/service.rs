//! How one service is.

use api_ecs::{Deployment, Service, Task};
use shape::Timestamp;

use super::advice;
use super::story::Story;
use super::task::{container_ends, sentence};
use crate::person::words::{age, count, last, short};

/// How many events are read for reasons. Older ones have been overtaken.
const EVENTS_MAX: usize = 10;

/// `stopped` are the newest of its tasks that have stopped.
pub fn story(service: &Service, stopped: &[Task], now: Timestamp) -> Story {
    let name = service.service_name.as_deref().unwrap_or_default();
    let mut story = Story::new(format!("service {name}"), service.status.as_deref().unwrap_or_default());
    facts(&mut story, service, now);
    match service.status.as_deref() {
        Some("INACTIVE") => {
            story.why("It was deleted.");
            story.next(format!("`aws ecs create-service --service-name {name}` makes a new one of that name."));
        }
        Some("DRAINING") => {
            story.why("It was deleted, and its last tasks are ending.");
            story.next("Wait until they have stopped.");
        }
        _ => active(&mut story, service, stopped, now),
    }
    story
}

fn facts(story: &mut Story, service: &Service, now: Timestamp) {
    let number = |number: Option<i32>| number.unwrap_or_default();
    story.fact("arn", service.service_arn.clone().unwrap_or_default());
    story.fact("definition", last(service.task_definition.as_deref().unwrap_or_default()));
    story.fact("cluster", last(service.cluster_arn.as_deref().unwrap_or_default()));
    story.fact(
        "tasks",
        format!(
            "{} wanted, {} running, {} pending",
            number(service.desired_count),
            number(service.running_count),
            number(service.pending_count)
        ),
    );
    for deployment in service.deployments.iter().flatten() {
        story.fact("deployment", deployment_fact(deployment, now));
    }
}

/// `PRIMARY web:3, IN_PROGRESS for 3m, 1 of 2 running, 4 failed`
fn deployment_fact(deployment: &Deployment, now: Timestamp) -> String {
    let number = |number: Option<i32>| number.unwrap_or_default();
    let mut parts = vec![format!(
        "{} {}",
        deployment.status.as_deref().unwrap_or_default(),
        last(deployment.task_definition.as_deref().unwrap_or_default())
    )];
    if let Some(state) = &deployment.rollout_state {
        let since = if state == "IN_PROGRESS" { deployment.created_at } else { deployment.updated_at };
        parts.push(format!("{state} for {}", age(since.or(deployment.created_at), now)));
    }
    parts.push(format!("{} of {} running", number(deployment.running_count), number(deployment.desired_count)));
    match number(deployment.failed_tasks) {
        0 => {}
        failed => parts.push(format!("{failed} failed")),
    }
    parts.join(", ")
}

fn active(story: &mut Story, service: &Service, stopped: &[Task], now: Timestamp) {
    let name = service.service_name.as_deref().unwrap_or_default();
    let (desired, running) = (service.desired_count.unwrap_or_default(), service.running_count.unwrap_or_default());
    let settled = service.deployments.iter().flatten().count() <= 1 && running == desired;
    if settled && !service.deployments.iter().flatten().any(is_unfinished) {
        story.why(if desired == 0 { "It wants no tasks." } else { "It has all the tasks that it wants." });
        story.next(match desired {
            0 => format!("`aws ecs update-service --service {name} --desired-count 1` starts one."),
            _ => format!("Nothing needs to be done. `berth logs --follow {name}` shows what its tasks write."),
        });
        return;
    }
    if running != desired {
        story.why(format!("{running} of the {} that it wants run.", count(desired.max(0) as usize, "task")));
    }
    let cluster = last(service.cluster_arn.as_deref().unwrap_or("default"));
    for deployment in service.deployments.iter().flatten() {
        story.why(sentence(deployment.rollout_state_reason.as_deref().unwrap_or_default()));
        if deployment.rollout_state.as_deref() == Some("FAILED") {
            story.next(format!(
                "Mend the task definition, register it, and `aws ecs update-service --service {name} --task-definition ...`."
            ));
        }
    }
    // Since the last steady state; what was before is over.
    let steady = |message: &str| message.contains("has reached a steady state");
    let events = service.events.iter().flatten().take(EVENTS_MAX);
    let events = events.take_while(|event| !steady(event.message.as_deref().unwrap_or_default()));
    let placement =
        events.filter_map(|event| Some((event, advice::for_placement(event.message.as_deref()?, cluster)?))).next();
    if let Some((event, advice)) = placement {
        story.why(format!("{} ago: {}", age(event.created_at, now), event.message.as_deref().unwrap_or_default()));
        story.next(advice);
    }
    for task in stopped {
        ending(story, task, now);
    }
    if let Some(worst) = stopped.iter().find(|task| is_failure(task)) {
        story.next.extend(advice::for_stopped(worst));
    }
    if story.next.is_empty() {
        story.next(format!("Wait a moment and ask again; `berth events {name}` shows what has happened."));
    }
}

fn is_unfinished(deployment: &Deployment) -> bool {
    matches!(deployment.rollout_state.as_deref(), Some("IN_PROGRESS" | "FAILED"))
}

/// Ended by itself, and not because somebody asked.
fn is_failure(task: &Task) -> bool {
    !matches!(task.stop_code.as_deref(), Some("UserInitiated" | "ServiceSchedulerInitiated"))
        || task.stopped_reason.as_deref().is_some_and(|reason| reason.contains("health check"))
}

fn ending(story: &mut Story, task: &Task, now: Timestamp) {
    if !is_failure(task) {
        return;
    }
    let id = short(task.task_arn.as_deref().unwrap_or_default());
    let reason = sentence(task.stopped_reason.as_deref().unwrap_or("It has not said why"));
    let ends = container_ends(task, &reason).collect::<Vec<_>>().join(" ");
    let said = format!("Task {id} stopped {} ago: {reason} {ends}", age(task.stopped_at, now));
    story.why(said.trim_end());
}

#[cfg(test)]
mod tests {
    use api_ecs::{Container, ServiceEvent};
    use expect_test::{Expect, expect};

    use super::*;
    use crate::person::paint::Paint;

    const NOW: Timestamp = Timestamp::from_millis(1_000_000_000);

    fn ago(seconds: i64) -> Option<Timestamp> {
        Some(Timestamp::from_millis(NOW.as_millis() - seconds * 1000))
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    fn service(desired: i32, running: i32, rollout: &str) -> Service {
        let deployment = Deployment {
            status: some("PRIMARY"),
            task_definition: some("arn:aws:ecs:us-east-1:000000000000:task-definition/web:3"),
            rollout_state: some(rollout),
            desired_count: Some(desired),
            running_count: Some(running),
            created_at: ago(180),
            updated_at: ago(30),
            ..Deployment::default()
        };
        Service {
            service_arn: some("arn:aws:ecs:us-east-1:000000000000:service/blue/web"),
            service_name: some("web"),
            cluster_arn: some("arn:aws:ecs:us-east-1:000000000000:cluster/blue"),
            task_definition: deployment.task_definition.clone(),
            status: some("ACTIVE"),
            desired_count: Some(desired),
            running_count: Some(running),
            pending_count: Some(0),
            deployments: Some(vec![deployment]),
            ..Service::default()
        }
    }

    fn event(seconds: i64, message: &str) -> ServiceEvent {
        ServiceEvent { id: None, created_at: ago(seconds), message: some(&format!("(service web) {message}")) }
    }

    fn check(service: &Service, stopped: &[Task], expected: Expect) {
        expected.assert_eq(&story(service, stopped, NOW).render(Paint::Plain));
    }

    #[test]
    fn one_that_has_what_it_wants() {
        check(
            &service(2, 2, "COMPLETED"),
            &[],
            expect![[r#"
            service web: ACTIVE
              arn         arn:aws:ecs:us-east-1:000000000000:service/blue/web
              definition  web:3
              cluster     blue
              tasks       2 wanted, 2 running, 0 pending
              deployment  PRIMARY web:3, COMPLETED for 30s, 2 of 2 running

            Why
              It has all the tasks that it wants.

            Next
              Nothing needs to be done. `berth logs --follow web` shows what its tasks write.
        "#]],
        );
    }

    #[test]
    fn one_that_wants_nothing() {
        check(
            &service(0, 0, "COMPLETED"),
            &[],
            expect![[r#"
            service web: ACTIVE
              arn         arn:aws:ecs:us-east-1:000000000000:service/blue/web
              definition  web:3
              cluster     blue
              tasks       0 wanted, 0 running, 0 pending
              deployment  PRIMARY web:3, COMPLETED for 30s, 0 of 0 running

            Why
              It wants no tasks.

            Next
              `aws ecs update-service --service web --desired-count 1` starts one.
        "#]],
        );
    }

    #[test]
    fn one_whose_tasks_find_no_place() {
        let not_placed = "was unable to place a task because no container instance met all of its requirements. The \
                          closest matching (container-instance 0123) has insufficient memory available.";
        let events = vec![
            event(5, not_placed),
            event(100, "has reached a steady state."),
            event(200, "was unable to place a task."),
        ];
        check(
            &Service { events: Some(events), ..service(2, 1, "IN_PROGRESS") },
            &[],
            expect![[r#"
                service web: ACTIVE
                  arn         arn:aws:ecs:us-east-1:000000000000:service/blue/web
                  definition  web:3
                  cluster     blue
                  tasks       2 wanted, 1 running, 0 pending
                  deployment  PRIMARY web:3, IN_PROGRESS for 3m, 1 of 2 running

                Why
                  1 of the 2 tasks that it wants run.
                  5s ago: (service web) was unable to place a task because no container instance met all of its requirements. The closest matching (container-instance 0123) has insufficient memory available.

                Next
                  Lower `memory` in the task definition, stop other tasks, or add an instance; `berth top` shows who has what.
            "#]],
        );
    }

    #[test]
    fn one_whose_tasks_fail() {
        let ended = Container { name: some("app"), exit_code: Some(127), ..Container::default() };
        let failed = Task {
            task_arn: some("arn:aws:ecs:us-east-1:000000000000:task/blue/0123456789abcdef"),
            stop_code: some("EssentialContainerExited"),
            stopped_reason: some("Essential container in task exited"),
            stopped_at: ago(4),
            containers: Some(vec![ended]),
            ..Task::default()
        };
        let mut service = service(2, 0, "FAILED");
        let deployment = &mut service.deployments.as_mut().unwrap()[0];
        deployment.failed_tasks = Some(12);
        deployment.rollout_state_reason = some("ECS deployment circuit breaker: tasks failed to start.");
        let scaled = Task { stop_code: some("ServiceSchedulerInitiated"), ..failed.clone() };
        check(
            &service,
            &[scaled, failed],
            expect![[r#"
                service web: ACTIVE
                  arn         arn:aws:ecs:us-east-1:000000000000:service/blue/web
                  definition  web:3
                  cluster     blue
                  tasks       2 wanted, 0 running, 0 pending
                  deployment  PRIMARY web:3, FAILED for 30s, 0 of 2 running, 12 failed

                Why
                  0 of the 2 tasks that it wants run.
                  ECS deployment circuit breaker: tasks failed to start.
                  Task 01234567 stopped 4s ago: Essential container in task exited. Container app: exit code 127, its command was not found.

                Next
                  Mend the task definition, register it, and `aws ecs update-service --service web --task-definition ...`.
                  Check `command` and `entryPoint` in the task definition: the program must be in the image and executable. `berth logs 01234567` shows what it wrote last.
            "#]],
        );
    }

    #[test]
    fn one_that_is_being_replaced_and_says_nothing() {
        check(
            &service(2, 1, "IN_PROGRESS"),
            &[],
            expect![[r#"
                service web: ACTIVE
                  arn         arn:aws:ecs:us-east-1:000000000000:service/blue/web
                  definition  web:3
                  cluster     blue
                  tasks       2 wanted, 1 running, 0 pending
                  deployment  PRIMARY web:3, IN_PROGRESS for 3m, 1 of 2 running

                Why
                  1 of the 2 tasks that it wants run.

                Next
                  Wait a moment and ask again; `berth events web` shows what has happened.
            "#]],
        );
    }

    #[test]
    fn one_that_was_deleted() {
        check(
            &Service { status: some("INACTIVE"), deployments: None, ..service(0, 0, "") },
            &[],
            expect![[r#"
            service web: INACTIVE
              arn         arn:aws:ecs:us-east-1:000000000000:service/blue/web
              definition  web:3
              cluster     blue
              tasks       0 wanted, 0 running, 0 pending

            Why
              It was deleted.

            Next
              `aws ecs create-service --service-name web` makes a new one of that name.
        "#]],
        );
        check(
            &Service { status: some("DRAINING"), deployments: None, ..service(0, 1, "") },
            &[],
            expect![[r#"
            service web: DRAINING
              arn         arn:aws:ecs:us-east-1:000000000000:service/blue/web
              definition  web:3
              cluster     blue
              tasks       0 wanted, 1 running, 0 pending

            Why
              It was deleted, and its last tasks are ending.

            Next
              Wait until they have stopped.
        "#]],
        );
    }
}
