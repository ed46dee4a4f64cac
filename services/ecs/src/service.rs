//! Runs an operation: decide on the newest snapshot, commit, answer; when something came in between, again, and together with all
//! others to whom that happened.

use std::sync::Arc;

use api_ecs::*;
use async_trait::async_trait;
use model::Scope;
use scheduler::Indexes;
use shape::Caller;
use state::{Changes, CommitError, Ledger, Snapshot, together};
use stdx::{Ids, Timestamp};

use crate::ctx::{Applied, Ctx};
use crate::exec::ExecSessions;
use crate::ops;

/// Where time and fresh ids come from. The simulator has its own.
pub trait Environment: Send + Sync {
    fn now(&self) -> Timestamp;
    fn ids(&self) -> Ids;
}

/// The service behind the front door.
pub struct EcsService {
    ledger: Arc<dyn Ledger>,
    environment: Arc<dyn Environment>,
    indexes: Arc<Indexes>,
    /// Nothing where no agents are reached.
    exec: Option<Arc<dyn ExecSessions>>,
}

/// How an attempt ends when not with an answer: refused by an operation, or by the store.
enum Failed {
    Operation(Error),
    Commit(CommitError),
}

impl From<CommitError> for Failed {
    fn from(error: CommitError) -> Self {
        Failed::Commit(error)
    }
}

impl EcsService {
    pub fn new(ledger: Arc<dyn Ledger>, environment: Arc<dyn Environment>) -> Self {
        EcsService { ledger, environment, indexes: Arc::default(), exec: None }
    }

    /// With a way to the containers that run.
    pub fn with_exec(self, exec: Arc<dyn ExecSessions>) -> Self {
        EcsService { exec: Some(exec), ..self }
    }

    /// Reads, and asks for a session; there is nothing to commit.
    fn execute(&self, caller: &Caller, input: &ExecuteCommandRequest) -> Result<ExecuteCommandResponse, Error> {
        let (snapshot, mut ids) = (self.ledger.snapshot(), self.environment.ids());
        let scope = Scope::new(&caller.account, &caller.region);
        let (now, indexes) = (self.environment.now(), &*self.indexes);
        let mut ctx = Ctx { caller, scope, snapshot: &snapshot, indexes, now, ids: &mut ids };
        let (request, mut answer) = ops::execute_command::apply(input, &mut ctx)?;
        let token = self.exec.as_ref().and_then(|exec| exec.open(request).ok());
        let token = token.ok_or_else(ops::execute_command::not_connected)?;
        if let Some(session) = &mut answer.session {
            session.token_value = Some(token);
        }
        Ok(answer)
    }

    /// Alone at first, and together with others after a collision.
    async fn alone<O: Send + 'static>(&self, caller: &Caller, apply: impl Apply<O>) -> Result<O, Error> {
        let mut decide = self.decision(caller, apply);
        let (changes, output) = decide(&self.ledger.snapshot()).map_err(answer)?;
        if changes.is_empty() && changes.relies_on_nothing() {
            return Ok(output);
        }
        match self.ledger.commit(changes).await {
            Ok(_) => Ok(output),
            Err(CommitError::Conflict) => together(&*self.ledger, decide).await.map_err(answer),
            Err(error) => Err(answer(Failed::Commit(error))),
        }
    }

    /// Together with others from the start: for what moves the fence of an instance, as everybody who wants it does.
    async fn together<O: Send + 'static>(&self, caller: &Caller, apply: impl Apply<O>) -> Result<O, Error> {
        together(&*self.ledger, self.decision(caller, apply)).await.map_err(answer)
    }

    /// An operation as a decision on any snapshot.
    fn decision<O, A: Apply<O>>(
        &self,
        caller: &Caller,
        mut apply: A,
    ) -> impl FnMut(&Snapshot) -> Result<(Changes, O), Failed> + Send + use<O, A> {
        let (caller, environment, indexes) = (caller.clone(), self.environment.clone(), self.indexes.clone());
        let scope = Scope::new(&caller.account, &caller.region);
        move |snapshot| {
            let mut ids = environment.ids();
            let (scope, now) = (scope.clone(), environment.now());
            let mut ctx = Ctx { caller: &caller, scope, snapshot, indexes: &indexes, now, ids: &mut ids };
            apply(&mut ctx).map_err(Failed::Operation)
        }
    }
}

fn answer(failed: Failed) -> Error {
    match failed {
        Failed::Operation(error) => error,
        Failed::Commit(error @ CommitError::Conflict) => {
            Error::new(ErrorCode::ThrottlingException, "Rate exceeded").with_source(error)
        }
        Failed::Commit(error) => {
            Error::new(ErrorCode::ServerException, "Service Unavailable. Please try again later.").with_source(error)
        }
    }
}

/// An operation with its input.
trait Apply<O>: FnMut(&mut Ctx<'_>) -> Applied<O> + Send + 'static {}

impl<O, F: FnMut(&mut Ctx<'_>) -> Applied<O> + Send + 'static> Apply<O> for F {}

/// Each operation alone, or together with others; of `@sure` ones a refusal is checked against the store as a change is.
macro_rules! operations {
    (
        $($alone:ident: $alone_input:ident => $alone_output:ident,)*
        @together
        $($together:ident: $together_input:ident => $together_output:ident,)*
        @sure
        $($sure:ident: $sure_input:ident => $sure_output:ident,)*
    ) => {
        #[async_trait]
        impl Ecs for EcsService {
            async fn execute_command(
                &self,
                caller: &Caller,
                input: ExecuteCommandRequest,
            ) -> Result<ExecuteCommandResponse, Error> {
                self.execute(caller, &input)
            }
            $(
                async fn $alone(&self, caller: &Caller, input: $alone_input) -> Result<$alone_output, Error> {
                    self.alone(caller, move |ctx| ops::$alone::apply(&input, ctx)).await
                }
            )*
            $(
                async fn $together(&self, caller: &Caller, input: $together_input) -> Result<$together_output, Error> {
                    self.together(caller, move |ctx| ops::$together::apply(&input, ctx)).await
                }
            )*
            $(
                async fn $sure(&self, caller: &Caller, input: $sure_input) -> Result<$sure_output, Error> {
                    self.alone(caller, move |ctx| ops::$sure::apply(&input, ctx)).await?
                }
            )*
        }
    };
}

operations! {
    continue_service_deployment: ContinueServiceDeploymentRequest => ContinueServiceDeploymentResponse,
    create_capacity_provider: CreateCapacityProviderRequest => CreateCapacityProviderResponse,
    create_cluster: CreateClusterRequest => CreateClusterResponse,
    create_daemon: CreateDaemonRequest => CreateDaemonResponse,
    create_service: CreateServiceRequest => CreateServiceResponse,
    create_task_set: CreateTaskSetRequest => CreateTaskSetResponse,
    delete_account_setting: DeleteAccountSettingRequest => DeleteAccountSettingResponse,
    delete_attributes: DeleteAttributesRequest => DeleteAttributesResponse,
    delete_capacity_provider: DeleteCapacityProviderRequest => DeleteCapacityProviderResponse,
    delete_cluster: DeleteClusterRequest => DeleteClusterResponse,
    delete_daemon: DeleteDaemonRequest => DeleteDaemonResponse,
    delete_daemon_task_definition: DeleteDaemonTaskDefinitionRequest => DeleteDaemonTaskDefinitionResponse,
    delete_service: DeleteServiceRequest => DeleteServiceResponse,
    delete_task_definitions: DeleteTaskDefinitionsRequest => DeleteTaskDefinitionsResponse,
    delete_task_set: DeleteTaskSetRequest => DeleteTaskSetResponse,
    deregister_container_instance: DeregisterContainerInstanceRequest => DeregisterContainerInstanceResponse,
    deregister_task_definition: DeregisterTaskDefinitionRequest => DeregisterTaskDefinitionResponse,
    describe_capacity_providers: DescribeCapacityProvidersRequest => DescribeCapacityProvidersResponse,
    describe_clusters: DescribeClustersRequest => DescribeClustersResponse,
    describe_container_instances: DescribeContainerInstancesRequest => DescribeContainerInstancesResponse,
    describe_daemon: DescribeDaemonRequest => DescribeDaemonResponse,
    describe_daemon_deployments: DescribeDaemonDeploymentsRequest => DescribeDaemonDeploymentsResponse,
    describe_daemon_revisions: DescribeDaemonRevisionsRequest => DescribeDaemonRevisionsResponse,
    describe_daemon_task_definition: DescribeDaemonTaskDefinitionRequest => DescribeDaemonTaskDefinitionResponse,
    describe_service_deployments: DescribeServiceDeploymentsRequest => DescribeServiceDeploymentsResponse,
    describe_service_revisions: DescribeServiceRevisionsRequest => DescribeServiceRevisionsResponse,
    describe_services: DescribeServicesRequest => DescribeServicesResponse,
    describe_task_definition: DescribeTaskDefinitionRequest => DescribeTaskDefinitionResponse,
    describe_task_sets: DescribeTaskSetsRequest => DescribeTaskSetsResponse,
    describe_tasks: DescribeTasksRequest => DescribeTasksResponse,
    discover_poll_endpoint: DiscoverPollEndpointRequest => DiscoverPollEndpointResponse,
    get_task_protection: GetTaskProtectionRequest => GetTaskProtectionResponse,
    list_account_settings: ListAccountSettingsRequest => ListAccountSettingsResponse,
    list_attributes: ListAttributesRequest => ListAttributesResponse,
    list_clusters: ListClustersRequest => ListClustersResponse,
    list_container_instances: ListContainerInstancesRequest => ListContainerInstancesResponse,
    list_daemon_deployments: ListDaemonDeploymentsRequest => ListDaemonDeploymentsResponse,
    list_daemon_task_definitions: ListDaemonTaskDefinitionsRequest => ListDaemonTaskDefinitionsResponse,
    list_daemons: ListDaemonsRequest => ListDaemonsResponse,
    list_service_deployments: ListServiceDeploymentsRequest => ListServiceDeploymentsResponse,
    list_services: ListServicesRequest => ListServicesResponse,
    list_services_by_namespace: ListServicesByNamespaceRequest => ListServicesByNamespaceResponse,
    list_tags_for_resource: ListTagsForResourceRequest => ListTagsForResourceResponse,
    list_task_definition_families: ListTaskDefinitionFamiliesRequest => ListTaskDefinitionFamiliesResponse,
    list_task_definitions: ListTaskDefinitionsRequest => ListTaskDefinitionsResponse,
    list_tasks: ListTasksRequest => ListTasksResponse,
    put_account_setting: PutAccountSettingRequest => PutAccountSettingResponse,
    put_account_setting_default: PutAccountSettingDefaultRequest => PutAccountSettingDefaultResponse,
    put_attributes: PutAttributesRequest => PutAttributesResponse,
    put_cluster_capacity_providers: PutClusterCapacityProvidersRequest => PutClusterCapacityProvidersResponse,
    register_daemon_task_definition: RegisterDaemonTaskDefinitionRequest => RegisterDaemonTaskDefinitionResponse,
    register_task_definition: RegisterTaskDefinitionRequest => RegisterTaskDefinitionResponse,
    stop_service_deployment: StopServiceDeploymentRequest => StopServiceDeploymentResponse,
    stop_task: StopTaskRequest => StopTaskResponse,
    submit_attachment_state_changes: SubmitAttachmentStateChangesRequest => SubmitAttachmentStateChangesResponse,
    submit_container_state_change: SubmitContainerStateChangeRequest => SubmitContainerStateChangeResponse,
    submit_task_state_change: SubmitTaskStateChangeRequest => SubmitTaskStateChangeResponse,
    tag_resource: TagResourceRequest => TagResourceResponse,
    untag_resource: UntagResourceRequest => UntagResourceResponse,
    update_capacity_provider: UpdateCapacityProviderRequest => UpdateCapacityProviderResponse,
    update_cluster: UpdateClusterRequest => UpdateClusterResponse,
    update_cluster_settings: UpdateClusterSettingsRequest => UpdateClusterSettingsResponse,
    update_container_agent: UpdateContainerAgentRequest => UpdateContainerAgentResponse,
    update_container_instances_state: UpdateContainerInstancesStateRequest => UpdateContainerInstancesStateResponse,
    update_daemon: UpdateDaemonRequest => UpdateDaemonResponse,
    update_service: UpdateServiceRequest => UpdateServiceResponse,
    update_service_primary_task_set: UpdateServicePrimaryTaskSetRequest => UpdateServicePrimaryTaskSetResponse,
    update_task_protection: UpdateTaskProtectionRequest => UpdateTaskProtectionResponse,
    update_task_set: UpdateTaskSetRequest => UpdateTaskSetResponse,
    @together
    run_task: RunTaskRequest => RunTaskResponse,
    start_task: StartTaskRequest => StartTaskResponse,
    @sure
    register_container_instance: RegisterContainerInstanceRequest => RegisterContainerInstanceResponse,
}
