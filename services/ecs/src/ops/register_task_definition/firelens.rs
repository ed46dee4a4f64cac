//! What a log router must be.
//!
//! Source: Amazon ECS Developer Guide, "Example Amazon ECS task definition: Route logs to FireLens" and "Amazon ECS task definition
//! parameters", `firelensConfiguration`.

use model::TaskDefinition;
use model::container_definition::{ContainerDefinition, FirelensConfiguration};

use crate::error::{Error, client};

const LOG_DRIVER: &str = "awsfirelens";

pub(super) fn check(definition: &TaskDefinition) -> Result<(), Error> {
    let mut routers = definition.containers.iter().filter(|container| container.firelens_configuration.is_some());
    let router = routers.next();
    if routers.next().is_some() {
        return Err(client("Only one container in a task definition can have a firelensConfiguration."));
    }
    if let Some(configuration) = router.and_then(|router| router.firelens_configuration.as_ref()) {
        options(configuration)?;
    }
    let uses = |container: &&ContainerDefinition| {
        container.log_configuration.as_ref().is_some_and(|logs| logs.driver == LOG_DRIVER)
    };
    for container in definition.containers.iter().filter(uses) {
        match router {
            None => {
                return Err(client(format!(
                    "Container '{}' uses the log driver {LOG_DRIVER}, but no container in the task definition has a \
                     firelensConfiguration.",
                    container.name
                )));
            }
            Some(router) if router.name == container.name => {
                return Err(client(format!(
                    "Container '{}' has a firelensConfiguration and cannot use the log driver {LOG_DRIVER} itself.",
                    container.name
                )));
            }
            Some(_) => {}
        }
    }
    Ok(())
}

fn options(configuration: &FirelensConfiguration) -> Result<(), Error> {
    if !["fluentd", "fluentbit"].contains(&configuration.router.as_str()) {
        return Err(client(format!(
            "Invalid firelensConfiguration type '{}': it must be fluentd or fluentbit.",
            configuration.router
        )));
    }
    for (name, value) in &configuration.options {
        match (name.as_str(), value.as_str()) {
            ("enable-ecs-log-metadata", "true" | "false") | ("config-file-type", "file" | "s3") => {}
            ("config-file-value", value) if !value.is_empty() => {}
            ("enable-ecs-log-metadata" | "config-file-type" | "config-file-value", value) => {
                return Err(client(format!("Invalid value '{value}' for firelensConfiguration option {name}.")));
            }
            _ => return Err(client(format!("Invalid firelensConfiguration option: {name}"))),
        }
    }
    if configuration.option("config-file-type") == Some("s3") {
        let arn = configuration.option("config-file-value").unwrap_or_default();
        let mut parts = arn.splitn(6, ':');
        let is_of_s3 = parts.next() == Some("arn") && parts.nth(1) == Some("s3");
        let place = parts.nth(2).and_then(|place| place.split_once('/'));
        let is_object = is_of_s3 && place.is_some_and(|(bucket, key)| !bucket.is_empty() && !key.is_empty());
        // That there is none is told below.
        if !(arn.is_empty() || is_object) {
            return Err(client(format!("Invalid value '{arn}' for firelensConfiguration option config-file-value.")));
        }
    }
    let given = |name| configuration.option(name).is_some();
    match (given("config-file-type"), given("config-file-value")) {
        (true, false) => Err(client("The firelensConfiguration option config-file-type requires config-file-value.")),
        (false, true) => Err(client("The firelensConfiguration option config-file-value requires config-file-type.")),
        _ => Ok(()),
    }
}
