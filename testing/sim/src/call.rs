//! The calls of the ECS API that clients and agents make, as values.

use api_ecs::*;
use futures::FutureExt;
use service_ecs::EcsService;
use shape::{Caller, ErrorCode as _};

#[derive(Clone)]
pub enum Call {
    CreateCluster(CreateClusterRequest),
    RegisterTaskDefinition(RegisterTaskDefinitionRequest),
    CreateService(CreateServiceRequest),
    UpdateService(UpdateServiceRequest),
    DeleteService(DeleteServiceRequest),
    RunTask(RunTaskRequest),
    StopTask(StopTaskRequest),
    StopServiceDeployment(StopServiceDeploymentRequest),
    ContinueServiceDeployment(ContinueServiceDeploymentRequest),
    CreateTaskSet(CreateTaskSetRequest),
    UpdateTaskSet(UpdateTaskSetRequest),
    UpdateServicePrimaryTaskSet(UpdateServicePrimaryTaskSetRequest),
    DeleteTaskSet(DeleteTaskSetRequest),
    UpdateTaskProtection(UpdateTaskProtectionRequest),
    DeregisterTaskDefinition(DeregisterTaskDefinitionRequest),
    DeleteTaskDefinitions(DeleteTaskDefinitionsRequest),
    CreateCapacityProvider(CreateCapacityProviderRequest),
    RegisterDaemonTaskDefinition(RegisterDaemonTaskDefinitionRequest),
    CreateDaemon(CreateDaemonRequest),
    UpdateDaemon(UpdateDaemonRequest),
    DeleteDaemon(DeleteDaemonRequest),
    PutClusterCapacityProviders(PutClusterCapacityProvidersRequest),
    UpdateContainerInstancesState(UpdateContainerInstancesStateRequest),
    DeregisterContainerInstance(DeregisterContainerInstanceRequest),
    RegisterContainerInstance(RegisterContainerInstanceRequest),
    SubmitTaskStateChange(SubmitTaskStateChangeRequest),
}

/// What a caller does next depends on no more than this.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Done,
    /// The ARN of the container instance.
    Registered(String),
    /// The ARNs of the tasks.
    Started(Vec<String>),
    /// Saying it again does not help.
    Refused {
        code: &'static str,
        message: String,
    },
    /// Come again.
    Unavailable,
}

impl Call {
    pub fn operation(&self) -> &'static str {
        match self {
            Call::CreateCluster(_) => "CreateCluster",
            Call::RegisterTaskDefinition(_) => "RegisterTaskDefinition",
            Call::CreateService(_) => "CreateService",
            Call::UpdateService(_) => "UpdateService",
            Call::DeleteService(_) => "DeleteService",
            Call::RunTask(_) => "RunTask",
            Call::StopTask(_) => "StopTask",
            Call::StopServiceDeployment(_) => "StopServiceDeployment",
            Call::ContinueServiceDeployment(_) => "ContinueServiceDeployment",
            Call::CreateTaskSet(_) => "CreateTaskSet",
            Call::UpdateTaskSet(_) => "UpdateTaskSet",
            Call::UpdateServicePrimaryTaskSet(_) => "UpdateServicePrimaryTaskSet",
            Call::DeleteTaskSet(_) => "DeleteTaskSet",
            Call::UpdateTaskProtection(_) => "UpdateTaskProtection",
            Call::DeregisterTaskDefinition(_) => "DeregisterTaskDefinition",
            Call::DeleteTaskDefinitions(_) => "DeleteTaskDefinitions",
            Call::CreateCapacityProvider(_) => "CreateCapacityProvider",
            Call::RegisterDaemonTaskDefinition(_) => "RegisterDaemonTaskDefinition",
            Call::CreateDaemon(_) => "CreateDaemon",
            Call::UpdateDaemon(_) => "UpdateDaemon",
            Call::DeleteDaemon(_) => "DeleteDaemon",
            Call::PutClusterCapacityProviders(_) => "PutClusterCapacityProviders",
            Call::UpdateContainerInstancesState(_) => "UpdateContainerInstancesState",
            Call::DeregisterContainerInstance(_) => "DeregisterContainerInstance",
            Call::RegisterContainerInstance(_) => "RegisterContainerInstance",
            Call::SubmitTaskStateChange(_) => "SubmitTaskStateChange",
        }
    }

    /// Runs the real operation. A ledger in memory never waits, so neither does this.
    pub fn run(self, ecs: &EcsService, caller: &Caller) -> Answer {
        fn now<O>(answer: impl Future<Output = Result<O, Error>>, read: impl FnOnce(O) -> Answer) -> Answer {
            match answer.now_or_never().expect("a ledger in memory never waits") {
                Ok(output) => read(output),
                Err(error) => match error.code.facts().name {
                    "ServerException" | "ThrottlingException" => Answer::Unavailable,
                    code => Answer::Refused { code, message: error.message.clone() },
                },
            }
        }
        match self {
            Call::CreateCluster(input) => now(ecs.create_cluster(caller, input), |_| Answer::Done),
            Call::RegisterTaskDefinition(input) => now(ecs.register_task_definition(caller, input), |_| Answer::Done),
            Call::CreateService(input) => now(ecs.create_service(caller, input), |_| Answer::Done),
            Call::UpdateService(input) => now(ecs.update_service(caller, input), |_| Answer::Done),
            Call::DeleteService(input) => now(ecs.delete_service(caller, input), |_| Answer::Done),
            Call::RunTask(input) => now(ecs.run_task(caller, input), |output| {
                let tasks = output.tasks.into_iter().flatten();
                Answer::Started(tasks.filter_map(|task| task.task_arn).collect())
            }),
            Call::StopTask(input) => now(ecs.stop_task(caller, input), |_| Answer::Done),
            Call::StopServiceDeployment(input) => now(ecs.stop_service_deployment(caller, input), |_| Answer::Done),
            Call::ContinueServiceDeployment(input) => {
                now(ecs.continue_service_deployment(caller, input), |_| Answer::Done)
            }
            Call::CreateTaskSet(input) => now(ecs.create_task_set(caller, input), |_| Answer::Done),
            Call::UpdateTaskSet(input) => now(ecs.update_task_set(caller, input), |_| Answer::Done),
            Call::UpdateServicePrimaryTaskSet(input) => {
                now(ecs.update_service_primary_task_set(caller, input), |_| Answer::Done)
            }
            Call::DeleteTaskSet(input) => now(ecs.delete_task_set(caller, input), |_| Answer::Done),
            Call::UpdateTaskProtection(input) => now(ecs.update_task_protection(caller, input), |_| Answer::Done),
            Call::DeregisterTaskDefinition(input) => {
                now(ecs.deregister_task_definition(caller, input), |_| Answer::Done)
            }
            Call::DeleteTaskDefinitions(input) => now(ecs.delete_task_definitions(caller, input), |_| Answer::Done),
            Call::CreateCapacityProvider(input) => now(ecs.create_capacity_provider(caller, input), |_| Answer::Done),
            Call::DeleteDaemon(input) => now(ecs.delete_daemon(caller, input), |_| Answer::Done),
            Call::UpdateDaemon(input) => now(ecs.update_daemon(caller, input), |_| Answer::Done),
            Call::CreateDaemon(input) => now(ecs.create_daemon(caller, input), |_| Answer::Done),
            Call::RegisterDaemonTaskDefinition(input) => {
                now(ecs.register_daemon_task_definition(caller, input), |_| Answer::Done)
            }
            Call::PutClusterCapacityProviders(input) => {
                now(ecs.put_cluster_capacity_providers(caller, input), |_| Answer::Done)
            }
            Call::UpdateContainerInstancesState(input) => {
                now(ecs.update_container_instances_state(caller, input), |_| Answer::Done)
            }
            Call::DeregisterContainerInstance(input) => {
                now(ecs.deregister_container_instance(caller, input), |_| Answer::Done)
            }
            Call::RegisterContainerInstance(input) => now(ecs.register_container_instance(caller, input), |output| {
                let instance = output.container_instance.and_then(|instance| instance.container_instance_arn);
                Answer::Registered(instance.unwrap_or_default())
            }),
            Call::SubmitTaskStateChange(input) => now(ecs.submit_task_state_change(caller, input), |_| Answer::Done),
        }
    }
}
