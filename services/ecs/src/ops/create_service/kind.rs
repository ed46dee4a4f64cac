//! What kind of service it is: how many tasks it has, and who deploys it.

use api_ecs::{CreateServiceRequest, UpdateServiceRequest};
use model::service::DeploymentConfiguration;
use model::{DeploymentController, SchedulingStrategy, Service};

use crate::error::{Error, invalid, unsupported};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    pub scheduling_strategy: SchedulingStrategy,
    pub deployment_controller: DeploymentController,
}

impl Kind {
    /// What is asked for, if the rest of the request agrees with it.
    pub fn of(input: &CreateServiceRequest) -> Result<Kind, Error> {
        let scheduling_strategy = match input.scheduling_strategy.as_deref() {
            None | Some("REPLICA") => SchedulingStrategy::Replica,
            Some("DAEMON") => SchedulingStrategy::Daemon,
            Some(other) => return Err(invalid(format!("Invalid scheduling strategy: {other}."))),
        };
        let controller = input.deployment_controller.as_ref().and_then(|controller| controller.r#type.as_deref());
        let deployment_controller = match controller {
            None | Some("ECS") => DeploymentController::Ecs,
            Some("EXTERNAL") => DeploymentController::External,
            Some("CODE_DEPLOY") => return Err(unsupported("The deployment controller CODE_DEPLOY")),
            Some(other) => return Err(invalid(format!("Invalid deployment controller type: {other}."))),
        };
        let kind = Kind { scheduling_strategy, deployment_controller };
        if kind.is_daemon() {
            if kind.is_external() {
                return Err(invalid(
                    "The daemon scheduling strategy does not support the EXTERNAL deployment controller.",
                ));
            }
            refuse_for_daemon(input.desired_count.is_some(), input.placement_strategy.as_deref())?;
            if input.launch_type.as_deref() == Some("FARGATE") {
                return Err(invalid("The daemon scheduling strategy is not supported by the launch type FARGATE."));
            }
            if input.capacity_provider_strategy.as_ref().is_some_and(|strategy| !strategy.is_empty()) {
                return Err(invalid("The daemon scheduling strategy does not support a capacity provider strategy."));
            }
        }
        if kind.is_external() {
            // Everything that its task sets say.
            let given = [
                ("taskDefinition", input.task_definition.is_some()),
                ("launchType", input.launch_type.is_some()),
                ("capacityProviderStrategy", input.capacity_provider_strategy.is_some()),
                ("platformVersion", input.platform_version.is_some()),
                ("networkConfiguration", input.network_configuration.is_some()),
                ("loadBalancers", input.load_balancers.as_ref().is_some_and(|list| !list.is_empty())),
                ("serviceRegistries", input.service_registries.as_ref().is_some_and(|list| !list.is_empty())),
            ];
            refuse_for_external(&given)?;
        }
        Ok(kind)
    }

    pub fn of_service(service: &Service) -> Kind {
        let (scheduling_strategy, deployment_controller) = (service.scheduling_strategy, service.deployment_controller);
        Kind { scheduling_strategy, deployment_controller }
    }

    /// Source: Amazon ECS API Reference, `DeploymentConfiguration.strategy`: a way of the ECS controller to deploy replicas.
    pub fn check_strategy(self, configuration: &DeploymentConfiguration) -> Result<(), Error> {
        let strategy = configuration.strategy;
        let name = strategy.as_str();
        if strategy.is_rolling() {
            let is_early = configuration.early_success.is_some_and(|early| early.enable);
            return match is_early && (self.is_daemon() || self.is_external()) {
                true => Err(unsupported("earlySuccessCriteria of a DAEMON service or an EXTERNAL deployment")),
                false => Ok(()),
            };
        }
        if self.is_daemon() {
            return Err(invalid(format!(
                "The daemon scheduling strategy does not support the deployment strategy {name}."
            )));
        }
        if self.is_external() {
            return Err(invalid(format!(
                "The EXTERNAL deployment controller does not support the deployment strategy {name}."
            )));
        }
        Ok(())
    }

    pub fn is_daemon(self) -> bool {
        self.scheduling_strategy == SchedulingStrategy::Daemon
    }

    pub fn is_external(self) -> bool {
        self.deployment_controller == DeploymentController::External
    }

    /// Source: Amazon ECS API Reference, `DeploymentConfiguration`: a daemon's old task goes before the new one comes, and
    /// all may go at once.
    pub fn deployment_configuration(self) -> DeploymentConfiguration {
        let replica = DeploymentConfiguration::default();
        match self.scheduling_strategy {
            SchedulingStrategy::Replica => replica,
            SchedulingStrategy::Daemon => {
                DeploymentConfiguration { maximum_percent: 100, minimum_healthy_percent: 0, ..replica }
            }
        }
    }
}

/// What this kind of service cannot be given at an update.
///
/// Source: Amazon ECS API Reference, `UpdateService`.
pub(crate) fn check_update(input: &UpdateServiceRequest, service: &Service) -> Result<(), Error> {
    if service.is_daemon() {
        refuse_for_daemon(input.desired_count.is_some(), input.placement_strategy.as_deref())?;
    }
    if service.deployment_controller == DeploymentController::External {
        if input.task_definition.is_some() {
            return Err(invalid(
                "Unable to update task definition on services with an EXTERNAL deployment controller. Use CreateTaskSet to \
                 create a new task set.",
            ));
        }
        if input.force_new_deployment == Some(true) {
            return Err(invalid(
                "Cannot force a new deployment on services with an EXTERNAL deployment controller. Use CreateTaskSet to \
                 create a new task set.",
            ));
        }
        let given = [
            ("capacityProviderStrategy", input.capacity_provider_strategy.is_some()),
            ("platformVersion", input.platform_version.is_some()),
            ("networkConfiguration", input.network_configuration.is_some()),
            ("loadBalancers", input.load_balancers.is_some()),
            ("serviceRegistries", input.service_registries.is_some()),
        ];
        refuse_for_external(&given)?;
    }
    Ok(())
}

fn refuse_for_daemon(desired: bool, strategies: Option<&[api_ecs::PlacementStrategy]>) -> Result<(), Error> {
    if desired {
        return Err(invalid(
            "The daemon scheduling strategy does not support a desired count for services. Remove the desired count value and \
             try again.",
        ));
    }
    if strategies.is_some_and(|strategies| !strategies.is_empty()) {
        return Err(invalid(
            "The daemon scheduling strategy does not support placement strategies. Remove the placement strategies and try \
             again.",
        ));
    }
    Ok(())
}

fn refuse_for_external(given: &[(&str, bool)]) -> Result<(), Error> {
    match given.iter().find(|(_, given)| *given) {
        Some((what, _)) => Err(invalid(format!(
            "{what} cannot be specified for a service with an EXTERNAL deployment controller. Specify it in the task set."
        ))),
        None => Ok(()),
    }
}
