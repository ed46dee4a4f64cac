//! One picture of a deployment, as text.

use api_ecs::{Deployment, Task};
use shape::Timestamp;

use super::bars::{Counts, STAGES, row, tasks_per_sign};
use super::stages;
use super::view::{Stage, View, positive};
use super::waits::waits;
use crate::person::events;
use crate::person::paint::{Colour, Paint, of_status};
use crate::person::table::cut;
use crate::person::words::{age, last};

/// How many events stand below the picture.
const EVENTS_MAX: usize = 5;

pub fn frame(view: &View, columns: usize, now: Timestamp, paint: Paint) -> String {
    let mut text = head(view, columns, now, paint);
    let bounds = view.bounds();
    let all = counts(view, view.live());
    let most = bounds.as_ref().map_or(0, |bounds| bounds.most).max(all.total()).max(view.desired());
    let per_sign = tasks_per_sign(most);
    let width = most.div_ceil(per_sign) as usize + STAGES.len();

    text.push('\n');
    let names: Vec<String> = view.deployments().iter().map(name).collect();
    let name_width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max("working".len());
    for (deployment, name) in view.deployments().iter().zip(&names) {
        let of = counts(view, view.tasks_of(deployment));
        let bar = row(&of, per_sign, None, width, paint);
        let wanted = match deployment.status.as_deref() {
            _ if view.detail.is_some() && deployment.desired_count > Some(0) => format!(" of {}", view.desired()),
            Some("PRIMARY") => format!(" of {}", view.desired()),
            _ => String::new(),
        };
        text.push_str(&format!("  {name:name_width$}  {bar}  {}{wanted}\n", of.words()));
    }
    if let Some(detail) = &view.detail {
        let rows = stages::rows(detail);
        text.push_str(if rows.is_empty() { "" } else { "\n" });
        rows.iter().for_each(|(name, row)| text.push_str(&format!("  {name:name_width$}  {row}\n")));
    } else if let Some(bounds) = bounds.filter(|_| view.deployments().len() > 1 || !view.is_over()) {
        let working = Counts::of((0..all.get(Stage::Working)).map(|_| Stage::Working));
        let least = row(&working, per_sign, Some(bounds.least), width, paint);
        let most = row(&all, per_sign, Some(bounds.most), width, paint);
        text.push_str(&format!(
            "\n  {:name_width$}  {least}  {}, not fewer than {} ({} %)\n",
            "working",
            working.total(),
            bounds.least,
            bounds.least_percent
        ));
        text.push_str(&format!(
            "  {:name_width$}  {most}  {}, not more than {} ({} %)\n",
            "all",
            all.total(),
            bounds.most,
            bounds.most_percent
        ));
    }
    if per_sign > 1 {
        text.push_str(&format!("\n  A sign is {per_sign} tasks.\n"));
    }
    let waits = waits(view, now);
    if !waits.is_empty() {
        text.push_str(&format!("\n{}\n", paint.text("Waits for", Some(Colour::Bold))));
        waits.iter().for_each(|wait| text.push_str(&format!("  {}\n", cut(wait, columns.saturating_sub(2)))));
    }
    let commands = stages::commands(view);
    if !commands.is_empty() {
        text.push_str(&format!("\n{}\n", paint.text("To go on, or back", Some(Colour::Bold))));
        // They are for copying, and never cut.
        commands.iter().for_each(|command| text.push_str(&format!("  {command}\n")));
    }
    let newest: Vec<_> = view.service.events.iter().flatten().take(EVENTS_MAX).collect();
    if !newest.is_empty() {
        text.push_str(&format!("\n{}\n", paint.text("Events", Some(Colour::Bold))));
        // A time takes 20 columns and two spaces.
        let room = columns.saturating_sub(24);
        for event in newest.into_iter().rev() {
            let message = cut(event.message.as_deref().unwrap_or_default(), room).into_owned();
            text.push_str(&format!("  {}", events::line_of(event.created_at, &message, paint)));
        }
    }
    text
}

/// The same for a log: what changed fits on a line.
pub fn line(view: &View, paint: Paint) -> String {
    let deployments: Vec<String> = view
        .deployments()
        .iter()
        .map(|deployment| {
            let state = state(deployment);
            let state = paint.text(&state, of_status(&state));
            let failed = match positive(deployment.failed_tasks) {
                0 => String::new(),
                failed => format!(", {failed} failed"),
            };
            let stage = match (deployment.status.as_deref(), &view.detail) {
                (Some("PRIMARY"), Some(detail)) => Some(stages::words(detail)).filter(|words| !words.is_empty()),
                _ => None,
            };
            let stage = stage.map(|words| format!(" at {words}")).unwrap_or_default();
            format!("{} {state}{stage}: {}{failed}", name(deployment), counts(view, view.tasks_of(deployment)).words())
        })
        .collect();
    let failure = view.failure().map(|failure| format!(". {failure}")).unwrap_or_default();
    match deployments.is_empty() {
        true => format!("{}\n", view.service.status.as_deref().unwrap_or_default()),
        false => format!("{}{failure}\n", deployments.join("; ")),
    }
}

fn head(view: &View, columns: usize, now: Timestamp, paint: Paint) -> String {
    let service = view.service.service_name.as_deref().unwrap_or_default();
    let cluster = last(view.service.cluster_arn.as_deref().unwrap_or_default());
    let (state, since, reason) = match view.primary() {
        Some(primary) => {
            let state = state(primary);
            let since = if state == "IN_PROGRESS" { primary.created_at } else { primary.updated_at };
            (state, since, primary.rollout_state_reason.clone().unwrap_or_default())
        }
        None => (view.service.status.clone().unwrap_or_default(), None, String::new()),
    };
    let since = if since.is_some() { format!(" for {}", age(since, now)) } else { String::new() };
    let title = format!("service {service} in cluster {cluster}: {state}{since}");
    let mut text = format!("{}\n", paint.text(&cut(&title, columns), of_status(&state).or(Some(Colour::Bold))));
    if !reason.is_empty() {
        text.push_str(&format!("{}\n", cut(&reason, columns)));
    }
    if let Some(failure) = view.failure() {
        text.push_str(&format!("{}\n", paint.text(&cut(&failure, columns), Some(Colour::Red))));
    }
    text
}

fn state(deployment: &Deployment) -> String {
    deployment.rollout_state.clone().or(deployment.status.clone()).unwrap_or_default()
}

fn name(deployment: &Deployment) -> String {
    last(deployment.task_definition.as_deref().unwrap_or_default()).to_owned()
}

fn counts<'a>(view: &View, tasks: impl Iterator<Item = &'a Task>) -> Counts {
    Counts::of(tasks.map(|task| view.stage(task)))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use api_ecs::{Container, DeploymentConfiguration, Service, ServiceDeploymentBrief, ServiceEvent, Tag};
    use expect_test::{Expect, expect};

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    fn ago(seconds: i64) -> Option<Timestamp> {
        Some(Timestamp::from_millis(NOW.as_millis() - seconds * 1000))
    }

    fn deployment(definition: &str, status: &str, state: &str) -> Deployment {
        Deployment {
            id: Some(format!("ecs-svc/{definition}")),
            status: some(status),
            rollout_state: some(state),
            task_definition: Some(format!("arn:aws:ecs:us-east-1:000000000000:task-definition/{definition}")),
            created_at: ago(12),
            updated_at: ago(3),
            ..Deployment::default()
        }
    }

    fn view(desired: i32, bounds: (i32, i32), deployments: Vec<Deployment>, tasks: Vec<Task>) -> View {
        let configuration = DeploymentConfiguration {
            minimum_healthy_percent: Some(bounds.0),
            maximum_percent: Some(bounds.1),
            ..DeploymentConfiguration::default()
        };
        let service = Service {
            service_name: some("web"),
            cluster_arn: some("arn:aws:ecs:us-east-1:000000000000:cluster/default"),
            status: some("ACTIVE"),
            desired_count: Some(desired),
            deployments: Some(deployments),
            deployment_configuration: Some(configuration),
            ..Service::default()
        };
        View {
            service,
            tasks,
            checked: BTreeSet::new(),
            begins: BTreeMap::new(),
            newest: None,
            detail: None,
            baking_since: None,
        }
    }

    fn task(id: u32, definition: &str, status: &str, desired: &str) -> Task {
        Task {
            task_arn: Some(format!("arn:aws:ecs:us-east-1:000000000000:task/default/{id:032}")),
            started_by: Some(format!("ecs-svc/{definition}")),
            task_definition_arn: Some(format!("arn:aws:ecs:us-east-1:000000000000:task-definition/{definition}")),
            last_status: some(status),
            desired_status: some(desired),
            health_status: some("UNKNOWN"),
            created_at: ago(4),
            started_at: ago(2),
            stopping_at: ago(1),
            ..Task::default()
        }
    }

    fn tasks(count: u32, definition: &str, status: &str, desired: &str) -> Vec<Task> {
        (0..count).map(|id| task(id, definition, status, desired)).collect()
    }

    fn check(view: &View, expected: Expect) {
        expected.assert_eq(&frame(view, 100, NOW, Paint::Plain));
    }

    #[test]
    fn in_the_middle() {
        let deployments =
            vec![deployment("web:2", "PRIMARY", "IN_PROGRESS"), deployment("web:1", "ACTIVE", "COMPLETED")];
        let all = [
            tasks(2, "web:2", "RUNNING", "RUNNING"),
            tasks(1, "web:2", "PENDING", "RUNNING"),
            tasks(3, "web:1", "RUNNING", "RUNNING"),
            tasks(1, "web:1", "RUNNING", "STOPPED"),
        ];
        let mut view = view(6, (50, 200), deployments, all.concat());
        let event =
            |seconds, message: &str| ServiceEvent { id: None, created_at: ago(seconds), message: some(message) };
        view.service.events = Some(vec![
            event(1, "(service web) has stopped 1 running tasks: (task 0)."),
            event(4, "(service web) has started 3 tasks."),
        ]);
        check(
            &view,
            expect![[r#"
            service web in cluster default: IN_PROGRESS for 12s

              web:2    ●●○                2 working, 1 starting of 6
              web:1    ●●●◌               3 working, 1 stopping

              working  ●●●│●●             5, not fewer than 3 (50 %)
              all      ●●●●●○◌·····│      7, not more than 12 (200 %)

            Waits for
              1 task of web:2 to start, for 4s.
              1 task of web:1 to stop, for 1s.

            Events
              2023-11-14T22:13:16Z  (service web) has started 3 tasks.
              2023-11-14T22:13:19Z  (service web) has stopped 1 running tasks: (task 0).
        "#]],
        );
        expect![[r#"
            web:2 IN_PROGRESS: 2 working, 1 starting; web:1 COMPLETED: 3 working, 1 stopping
        "#]]
        .assert_eq(&line(&view, Paint::Plain));
    }

    #[test]
    fn a_broken_one() {
        let mut broken = deployment("web:2", "PRIMARY", "IN_PROGRESS");
        broken.failed_tasks = Some(3);
        let mut ended = task(9, "web:2", "STOPPED", "STOPPED");
        ended.stopped_at = ago(1);
        ended.stop_code = some("TaskFailedToStart");
        ended.stopped_reason = some("CannotPullContainerError: there is no image web:2");
        let old = tasks(2, "web:1", "RUNNING", "RUNNING");
        let view =
            view(2, (100, 200), vec![broken, deployment("web:1", "ACTIVE", "COMPLETED")], [old, vec![ended]].concat());
        assert!(!view.is_over());
        check(
            &view,
            expect![[r#"
            service web in cluster default: IN_PROGRESS for 12s

              web:2               none of 2
              web:1    ●●         2 working

              working  ●●│        2, not fewer than 2 (100 %)
              all      ●●··│      2, not more than 4 (200 %)

            Waits for
              3 tasks of web:2 failed to start or to stay. The last, 00000000: CannotPullContainerError: there …
        "#]],
        );
    }

    #[test]
    fn at_rest() {
        let all = tasks(100, "web:2", "RUNNING", "RUNNING");
        let view = view(100, (100, 200), vec![deployment("web:2", "PRIMARY", "COMPLETED")], all);
        assert!(view.is_over() && view.failure().is_none());
        check(
            &view,
            expect![[r#"
            service web in cluster default: COMPLETED for 3s

              web:2    ●●●●●●●●●●●●●●●●●●●●                           100 working of 100

              A sign is 5 tasks.
        "#]],
        );
    }

    #[test]
    fn those_that_wait_for_their_health_check() {
        let deployments =
            vec![deployment("web:2", "PRIMARY", "IN_PROGRESS"), deployment("web:1", "ACTIVE", "COMPLETED")];
        let mut sick = task(7, "web:1", "RUNNING", "RUNNING");
        sick.health_status = some("UNHEALTHY");
        let all = [tasks(1, "web:2", "RUNNING", "RUNNING"), vec![sick]].concat();
        let mut view = view(1, (100, 200), deployments, all);
        view.checked.insert("web:2".to_owned());
        check(
            &view,
            expect![[r#"
            service web in cluster default: IN_PROGRESS for 12s

              web:2    ◐        1 not yet healthy of 1
              web:1    ✕        1 unhealthy

              working  ·│       0, not fewer than 1 (100 %)
              all      ◐✕│      2, not more than 2 (200 %)

            Waits for
              1 task of web:2 to pass the health check, running for 2s.
              1 task of web:1 to be replaced: the health check fails. The first has run for 4s.
        "#]],
        );
    }

    #[test]
    fn those_that_are_not_ready() {
        let deployments =
            vec![deployment("web:2", "PRIMARY", "IN_PROGRESS"), deployment("web:1", "ACTIVE", "COMPLETED")];
        let reason = some("Not ready: GET :80/ready answered 503");
        let container = Container { reason, last_status: some("RUNNING"), ..Container::default() };
        let unready = Task { containers: Some(vec![container]), ..task(7, "web:2", "RUNNING", "RUNNING") };
        let mut view =
            view(1, (100, 200), deployments, [vec![unready], tasks(1, "web:1", "RUNNING", "RUNNING")].concat());
        view.begins.insert("web:2".to_owned(), std::time::Duration::from_secs(20));
        let tag = |value: &str| Some(vec![Tag { key: some("berth:ready-within"), value: some(value) }]);
        let waits = |view: &View| super::super::waits::waits(view, NOW).join("\n");
        expect![[r#"
            1 task of web:2 to be ready, running for 2s.
            00000000: Not ready: GET :80/ready answered 503. It is given up 320s after its start."#]]
        .assert_eq(&waits(&view));
        view.service.tags = tag("60");
        assert!(waits(&view).ends_with("given up 80s after its start."), "{}", waits(&view));
        view.service.tags = tag("off");
        assert!(waits(&view).ends_with("answered 503."), "{}", waits(&view));
    }

    #[test]
    fn back_at_what_was_before() {
        let mut back = deployment("web:1", "PRIMARY", "COMPLETED");
        back.id = some("ecs-svc/back");
        let mut view = view(2, (100, 200), vec![back], tasks(2, "web:1", "RUNNING", "RUNNING"));
        view.newest = Some(ServiceDeploymentBrief {
            status: some("ROLLBACK_SUCCESSFUL"),
            status_reason: some("ECS deployment circuit breaker: rolling back to deploymentId ecs-svc/web:1."),
            ..ServiceDeploymentBrief::default()
        });
        assert!(view.is_over());
        check(
            &view,
            expect![[r#"
            service web in cluster default: COMPLETED for 3s
            The last deployment ended as ROLLBACK_SUCCESSFUL. ECS deployment circuit breaker: rolling back to d…

              web:1    ●●         2 working of 2
        "#]],
        );
        expect![[r#"
            web:1 COMPLETED: 2 working. The last deployment ended as ROLLBACK_SUCCESSFUL. ECS deployment circuit breaker: rolling back to deploymentId ecs-svc/web:1.
        "#]].assert_eq(&line(&view, Paint::Plain));
    }

    #[test]
    fn on_its_way_back() {
        let mut back = deployment("web:1", "PRIMARY", "COMPLETED");
        back.id = some("ecs-svc/back");
        let mut view = view(2, (100, 200), vec![back], tasks(2, "web:1", "RUNNING", "RUNNING"));
        for (status, is_over) in [
            ("ROLLBACK_REQUESTED", false),
            ("ROLLBACK_IN_PROGRESS", false),
            ("ROLLBACK_SUCCESSFUL", true),
            ("ROLLBACK_FAILED", true),
            ("STOP_REQUESTED", false),
            ("STOPPED", true),
        ] {
            view.newest = Some(ServiceDeploymentBrief { status: some(status), ..ServiceDeploymentBrief::default() });
            assert_eq!(view.is_over(), is_over, "{status}");
            assert_eq!(view.failure().expect("it has failed").contains("ended as"), is_over, "{status}");
        }
        view.newest = Some(ServiceDeploymentBrief {
            status: some("ROLLBACK_IN_PROGRESS"),
            status_reason: some("ECS deployment circuit breaker."),
            ..ServiceDeploymentBrief::default()
        });
        expect![[r#"
            web:1 COMPLETED: 2 working. The last deployment rolls back: ROLLBACK_IN_PROGRESS. ECS deployment circuit breaker.
        "#]].assert_eq(&line(&view, Paint::Plain));
    }
}
