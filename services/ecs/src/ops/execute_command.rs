use api_ecs::{Error, ErrorCode, ExecuteCommandRequest, ExecuteCommandResponse, Session};
use model::{Cluster, Container, Task, TaskStatus};

use crate::ctx::Ctx;
use crate::error::{client, invalid};
use crate::exec::{self, ExecBucket, ExecLogs, ExecRequest};
use crate::lookup;

/// Source: the answers of ECS, as they are quoted in public bug reports.
const NOT_ENABLED: &str = "The execute command failed because execute command was not enabled when the task was run or \
    the execute command agent isn’t running. Wait and try again or run a new task with execute command enabled and try again.";
const NOT_CONNECTED: &str = "The execute command failed due to an internal error. Try again later.";

/// Where the data channel is, as Systems Manager has it.
const CHANNEL: &str = "/v1/data-channel/";

/// What to ask for, and the answer, but for the token.
pub(crate) fn apply(
    input: &ExecuteCommandRequest,
    ctx: &mut Ctx<'_>,
) -> Result<(ExecRequest, ExecuteCommandResponse), Error> {
    let cluster = lookup::cluster(ctx, input.cluster.as_deref())?;
    let task = lookup::task(ctx, &cluster, input.task.as_deref().unwrap_or_default())
        .ok_or_else(|| invalid("The referenced task was not found."))?;
    let command = words(input.command.as_deref().unwrap_or_default())?;
    if !task.execute_command_enabled || task.last_status != TaskStatus::Running {
        return Err(invalid(NOT_ENABLED));
    }
    let container = container(&task, input.container.as_deref())?;
    let place = format!("{}/{}/{}", task.scope, task.cluster, task.container_instance);
    let instance = ctx.snapshot.container_instances.get(&place).filter(|instance| instance.agent_connected);
    if !instance.is_some_and(|instance| exec::can_serve(instance)) {
        return Err(not_connected());
    }
    if exec::agent_status(&task, container, true) != "RUNNING" {
        return Err(invalid(NOT_ENABLED));
    }
    let session_id = exec::session_id(ctx.ids);
    let base = ctx.caller.endpoint.as_deref().ok_or_else(|| client("The request has no Host header."))?;
    let interactive = input.interactive.unwrap_or(true);
    let request = ExecRequest {
        session_id: session_id.clone(),
        instance: place,
        task_arn: task.arn().to_string(),
        container: container.name.clone(),
        command,
        interactive,
        logs: logs(ctx, &cluster, &task, container),
        bucket: bucket(ctx, &cluster),
    };
    let answer = ExecuteCommandResponse {
        cluster_arn: Some(cluster.arn().to_string()),
        container_arn: Some(task.container_arn(container).to_string()),
        container_name: Some(container.name.clone()),
        interactive: Some(interactive),
        session: Some(Session {
            stream_url: stream_url(base, &session_id),
            session_id: Some(session_id),
            token_value: None,
        }),
        task_arn: Some(task.arn().to_string()),
    };
    Ok((request, answer))
}

/// No place is kept, so there is nothing to connect to.
pub(crate) fn not_connected() -> Error {
    Error::new(ErrorCode::TargetNotConnectedException, NOT_CONNECTED)
}

/// ECS starts the words and not a shell: `$HOME` stays `$HOME`, and `sh -c '...'` is a shell.
fn words(command: &str) -> Result<Vec<String>, Error> {
    let words = shlex::split(command).ok_or_else(|| invalid("The command has a quote that does not end."))?;
    if words.is_empty() || words.iter().any(|word| word.contains('\0')) {
        return Err(invalid("Command cannot be empty."));
    }
    Ok(words)
}

fn container<'a>(task: &'a Task, name: Option<&str>) -> Result<&'a Container, Error> {
    match (name.filter(|name| !name.is_empty()), &*task.containers) {
        (Some(name), all) => all
            .iter()
            .find(|container| container.name == name)
            .ok_or_else(|| invalid(format!("The container {name} was not found in the task."))),
        (None, [only]) => Ok(only),
        (None, _) => Err(invalid("A container name must be specified for a task with multiple containers.")),
    }
}

/// `http` becomes `ws`, and `https` `wss`.
fn stream_url(base: &str, session_id: &str) -> Option<String> {
    let base = base.strip_prefix("http")?.trim_end_matches('/');
    Some(format!("ws{base}{CHANNEL}{session_id}?role=publish_subscribe"))
}

/// Source: Amazon ECS API Reference, `ExecuteCommandConfiguration.logging`: `DEFAULT` is the container's own `awslogs`.
fn logs(ctx: &Ctx<'_>, cluster: &Cluster, task: &Task, container: &Container) -> Option<ExecLogs> {
    let configuration = cluster.execute_command.as_ref();
    let region = || ctx.scope.region.to_string();
    match configuration.and_then(|one| one.logging.as_deref()).unwrap_or("DEFAULT") {
        "NONE" => None,
        "OVERRIDE" => {
            let group = configuration?.log_configuration.as_ref()?.cloud_watch_log_group_name.clone()?;
            Some(ExecLogs { group, region: region() })
        }
        _ => {
            let name = format!("{}/{}/{:010}", task.scope, task.family, task.revision);
            let definition = ctx.snapshot.task_definitions.get(&name)?;
            let logs = definition.container(&container.name)?.log_configuration.as_ref()?;
            let option = |name: &str| logs.options.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
            if logs.driver != "awslogs" {
                return None;
            }
            Some(ExecLogs { group: option("awslogs-group")?, region: option("awslogs-region").unwrap_or_else(region) })
        }
    }
}

/// Source: Amazon ECS API Reference, `ExecuteCommandLogConfiguration`.
fn bucket(ctx: &Ctx<'_>, cluster: &Cluster) -> Option<ExecBucket> {
    let configuration = cluster.execute_command.as_ref().filter(|one| one.logging.as_deref() == Some("OVERRIDE"))?;
    let logs = configuration.log_configuration.as_ref()?;
    Some(ExecBucket {
        name: logs.s3_bucket_name.clone().filter(|name| !name.is_empty())?,
        key_prefix: logs.s3_key_prefix.clone().unwrap_or_default(),
        is_encrypted: logs.s3_encryption_enabled == Some(true),
        region: ctx.scope.region.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_words() {
        let split = |text: &str| words(text).map(|words| words.join("|")).map_err(|error| error.to_string());
        assert_eq!(split("/bin/sh").unwrap(), "/bin/sh");
        assert_eq!(split("sh -c 'echo \"$HOME\" a b'").unwrap(), "sh|-c|echo \"$HOME\" a b");
        assert!(split("sh -c 'echo").unwrap_err().contains("a quote that does not end"));
        assert!(split("  ").unwrap_err().contains("Command cannot be empty."));
    }

    #[test]
    fn the_stream_is_where_the_client_found_us() {
        let url = |base| stream_url(base, "s").unwrap();
        assert_eq!(url("http://127.0.0.1:4566"), "ws://127.0.0.1:4566/v1/data-channel/s?role=publish_subscribe");
        assert_eq!(url("https://ecs.test/"), "wss://ecs.test/v1/data-channel/s?role=publish_subscribe");
    }
}
