//! From what ECS says to what a person can do.

use api_ecs::{Container, Task};

use crate::person::words::short;

/// What an exit code means, where it means more than its number.
///
/// Source: the convention of shells and container runtimes: 125 to 127 are the runtime's, 128 and more are signals.
pub fn exit_code(code: i32) -> &'static str {
    match code {
        0 => "it ended without an error",
        125 => "the runtime could not start it",
        126 => "its command cannot be executed",
        127 => "its command was not found",
        130 => "interrupted (SIGINT)",
        134 => "it aborted (SIGABRT)",
        137 => "killed (SIGKILL)",
        139 => "it touched memory that is not its own (SIGSEGV)",
        143 => "it was asked to end (SIGTERM)",
        _ => "",
    }
}

/// What to do about a task that has stopped.
pub fn for_stopped(task: &Task) -> Vec<String> {
    let id = short(task.task_arn.as_deref().unwrap_or_default());
    let said = everything_said(task);
    let containers = task.containers.as_deref().unwrap_or_default();
    let failed = containers.iter().find(|container| container.exit_code.is_some_and(|code| code != 0));
    let code = failed.and_then(|container| container.exit_code);
    let logs = format!("`berth logs {id}` shows what it wrote last.");
    if said.contains("CannotPull") {
        return pull(&said, containers);
    }
    if said.contains("ResourceInitializationError") || said.contains("CannotStartContainerError") {
        return vec![format!(
            "Mend what the reason names in the task definition, register it, and start a task again. {logs}"
        )];
    }
    if said.contains("OutOfMemory") {
        return vec![format!(
            "Give the container more `memory` in its task definition, or make the program need less. {logs}"
        )];
    }
    if said.contains("health check") {
        return vec![format!(
            "Run the health check's command in the container by hand; if it is right but early, raise `startPeriod` \
             or `healthCheckGracePeriodSeconds`. {logs}"
        )];
    }
    match (task.stop_code.as_deref(), code) {
        (Some("UserInitiated"), _) => vec!["Somebody asked for it with StopTask; there is nothing to mend.".to_owned()],
        (Some("ServiceSchedulerInitiated"), _) => {
            vec!["Its service replaced it or needs fewer; `berth events` of the service says when.".to_owned()]
        }
        (_, Some(126 | 127)) => vec![format!(
            "Check `command` and `entryPoint` in the task definition: the program must be in the image and executable. {logs}"
        )],
        (_, Some(137)) => vec![format!(
            "It did not end within its `stopTimeout`, or the machine ran out of memory: handle SIGTERM, or give it \
             more `memory`. {logs}"
        )],
        (_, Some(_)) => vec![logs],
        (_, None) if containers.iter().any(|container| container.exit_code == Some(0)) => vec![format!(
            "An essential container that ends takes its task along. If it should go on, run the program in the \
             foreground; if it may end, mark it `essential: false`. {logs}"
        )],
        _ => vec![logs],
    }
}

fn pull(said: &str, containers: &[Container]) -> Vec<String> {
    let image = containers
        .iter()
        .find(|container| container.reason.as_deref().is_some_and(|reason| reason.contains("CannotPull")))
        .or(containers.first())
        .and_then(|container| container.image.as_deref())
        .unwrap_or("the image");
    let mut next = vec![format!(
        "Check the name and tag of {image}. `berth image ls` shows what this node has; `docker save {image} -o FILE` and \
         `berth image load FILE` bring it without a registry."
    )];
    if said.contains("CannotPullContainerAuth") || said.contains("denied") || said.contains("authorized") {
        next.push("The registry wants to know who asks: set `repositoryCredentials`, or an execution role.".to_owned());
    }
    next
}

/// All reasons in one text, to look for words in.
fn everything_said(task: &Task) -> String {
    let containers = task.containers.iter().flatten().filter_map(|container| container.reason.as_deref());
    task.stopped_reason.as_deref().into_iter().chain(containers).collect::<Vec<_>>().join("\n")
}

/// What to do about an event that says that a task could not be placed.
pub fn for_placement(message: &str, cluster: &str) -> Option<String> {
    if !message.contains("unable to place") {
        return None;
    }
    let message = message.to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| message.contains(word));
    Some(if has(&["no container instances were found"]) {
        format!(
            "Add an instance: `berth up` has one of its own, `berth agent --cluster {cluster}` makes this machine one."
        )
    } else if has(&["insufficient memory", "resource:memory"]) {
        "Lower `memory` in the task definition, stop other tasks, or add an instance; `berth top` shows who has what."
            .to_owned()
    } else if has(&["insufficient cpu", "resource:cpu"]) {
        "Lower `cpu` in the task definition, stop other tasks, or add an instance; `berth top` shows who has what."
            .to_owned()
    } else if has(&["port"]) {
        "Publish with `hostPort: 0`, so that each task gets a port of its own, or stop what holds the port.".to_owned()
    } else if has(&["agent"]) {
        "Start the agent of the instance again; `berth top` shows which one is disconnected.".to_owned()
    } else if has(&["attribute"]) {
        "An instance lacks what the task definition asks for: compare its `requiresAttributes` with \
         `aws ecs list-attributes --target-type container-instance`."
            .to_owned()
    } else if has(&["constraint"]) {
        "Loosen the placement constraints of the service, or add an instance that meets them.".to_owned()
    } else if has(&["draining", "inactive"]) {
        "Set an instance ACTIVE again with `aws ecs update-container-instances-state`, or add one.".to_owned()
    } else {
        "`berth top` shows the instances; `berth explain` of one says why it takes no tasks.".to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(stop_code: &str, reason: &str, container: (Option<i32>, &str), expected: &str) {
        let one = Container {
            image: Some("web:1".to_owned()),
            exit_code: container.0,
            reason: Some(container.1.to_owned()).filter(|reason| !reason.is_empty()),
            ..Container::default()
        };
        let task = Task {
            task_arn: Some("task/default/0123456789".to_owned()),
            stop_code: Some(stop_code.to_owned()),
            stopped_reason: Some(reason.to_owned()),
            containers: Some(vec![one]),
            ..Task::default()
        };
        let advice = for_stopped(&task).join(" ");
        assert!(advice.contains(expected), "{advice}");
    }

    #[test]
    fn a_stopped_task_has_a_next_step() {
        let essential = "Essential container in task exited";
        check(
            "TaskFailedToStart",
            "CannotPullContainerError: no such image",
            (None, ""),
            "tag of web:1. `berth image ls`",
        );
        check("TaskFailedToStart", "CannotPullContainerAuthError: no", (None, ""), "`repositoryCredentials`");
        check(
            "EssentialContainerExited",
            essential,
            (Some(137), "OutOfMemoryError: Container killed"),
            "more `memory`",
        );
        check("EssentialContainerExited", essential, (Some(137), ""), "`stopTimeout`");
        check("EssentialContainerExited", essential, (Some(127), ""), "`entryPoint`");
        check("EssentialContainerExited", essential, (Some(1), ""), "`berth logs 01234567`");
        check("EssentialContainerExited", essential, (Some(0), ""), "foreground");
        check("UserInitiated", "Task stopped by user", (Some(137), ""), "nothing to mend");
        check("ServiceSchedulerInitiated", "Task failed container health checks", (Some(143), ""), "startPeriod");
        check(
            "ServiceSchedulerInitiated",
            "Scaling activity initiated by (deployment x)",
            (Some(0), ""),
            "needs fewer",
        );
    }

    #[test]
    fn a_placement_failure_has_a_next_step() {
        let closest = "(service web) was unable to place a task because no container instance met all of its \
                       requirements. The closest matching (container-instance 0123)";
        let check = |tail: &str, expected: &str| {
            let advice = for_placement(&format!("{closest} {tail}"), "blue").unwrap();
            assert!(advice.contains(expected), "{advice}");
        };
        check("has insufficient memory available.", "Lower `memory`");
        check("has insufficient CPU units available.", "Lower `cpu`");
        check("is already using a port required by your task.", "hostPort: 0");
        check("encountered error \"AGENT\".", "Start the agent");
        check("is missing an attribute required by your task.", "list-attributes");
        check("does not meet the placement constraints.", "Loosen");
        check("is DRAINING and takes no new tasks.", "update-container-instances-state");
        check("fell into the sea.", "`berth top`");
        check("Reason: No Container Instances were found in your cluster.", "`berth agent --cluster blue`");
        assert_eq!(for_placement("(service web) has reached a steady state.", "blue"), None);
    }
}
