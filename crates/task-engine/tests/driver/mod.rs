//! Short words for tests: specs, times, and actions as one line of text.

#![allow(dead_code)]

use stdx::Timestamp;
use task_engine::{Action, Condition, ContainerReport, ContainerSpec, Dependency, Purpose};

pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

pub fn spec(name: &str) -> ContainerSpec {
    ContainerSpec::new(name)
}

pub fn dependency(mut spec: ContainerSpec, container: &str, condition: Condition) -> ContainerSpec {
    spec.depends_on.push(Dependency { container: container.into(), condition });
    spec
}

/// `stop web; look at 15`.
pub fn brief(actions: &[Action]) -> String {
    actions.iter().map(one).collect::<Vec<_>>().join("; ")
}

fn one(action: &Action) -> String {
    match action {
        Action::Pull { container } => format!("pull {container}"),
        Action::Start { container } => format!("start {container}"),
        Action::Stop { container } => format!("stop {container}"),
        Action::Kill { container } => format!("kill {container}"),
        Action::CheckHealth { container, purpose: Purpose::Health, check } => format!("check {container} {check}"),
        Action::CheckHealth { container, check, .. } => format!("ask whether {container} is ready {check}"),
        Action::Release => "release".into(),
        Action::LookAgain { at } => format!("look at {}", at.as_millis() / 1000),
        Action::Report(report) => {
            let reason = if report.reason.is_empty() { String::new() } else { format!(" ({})", report.reason) };
            let containers: Vec<String> = report.containers.iter().map(container).collect();
            format!("report {}{reason} [{}]", report.status.name(), containers.join(", "))
        }
    }
}

fn container(report: &ContainerReport) -> String {
    let mut text = format!("{} {}", report.name, report.status.name());
    if let Some(code) = report.exit_code {
        text += &format!(" {code}");
    }
    if let Some(reason) = &report.reason {
        text += &format!(" {reason}");
    }
    text
}
