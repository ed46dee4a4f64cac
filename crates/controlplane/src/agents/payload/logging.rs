//! Where a container's output goes.

use agent_api::docker::LogConfig;
use agent_api::extras::LogConfiguration;
use model::{ContainerDefinition, Task};

/// The definition's log configuration, with the stream's name and region filled in. Without a prefix the stream has
/// the name of the container's runtime id, which only the agent knows.
///
/// Source: Amazon ECS Developer Guide, "Send Amazon ECS logs to CloudWatch", `awslogs-stream-prefix`:
/// `prefix-name/container-name/ecs-task-id`.
pub fn configuration(task: &Task, container: &ContainerDefinition) -> Option<LogConfiguration> {
    let defined = container.log_configuration.as_ref()?;
    let mut options: std::collections::BTreeMap<String, String> = defined.options.iter().cloned().collect();
    if defined.driver == "awslogs" {
        options.entry("awslogs-region".to_owned()).or_insert_with(|| task.scope.region.to_string());
        if let Some(prefix) = options.remove("awslogs-stream-prefix") {
            options.insert("awslogs-stream".to_owned(), format!("{prefix}/{}/{}", container.name, task.id));
        }
    }
    Some(LogConfiguration { log_driver: defined.driver.clone(), options })
}

/// The same for Docker's own driver, which has to be told where CloudWatch Logs is.
pub fn docker(logs: &LogConfiguration, endpoint: &str) -> LogConfig {
    let mut config = logs.options.clone();
    if logs.log_driver == "awslogs" && !endpoint.is_empty() {
        config.entry("awslogs-endpoint".to_owned()).or_insert_with(|| endpoint.to_owned());
    }
    LogConfig { driver: logs.log_driver.clone(), config }
}
