//! A small control plane in memory: one cluster, one service, a few instances, and an agent that does as it is told.

#![allow(dead_code, reason = "each test uses its own part of the world")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use model::container_definition::{HealthCheck, PortMapping};
use model::lifecycle::{HookAction, HookStatus, Lifecycle, Router};
use model::service::{DeploymentConfiguration, PlacementStrategy, StopType};
use model::task_definition::PlacementConstraint;
use model::{
    Attribute, Cluster, ContainerDefinition, ContainerInstance, ContainerInstanceStatus, CpuUnits, Deployment,
    DeploymentController, DeploymentStatus, HealthStatus, LaunchType, MemoryMib, Probed, Reservation, Resources,
    RolloutState, SchedulingStrategy, Scope, Service, ServiceStatus, StabilityStatus, StopCode, Task, TaskDefinition,
    TaskDefinitionStatus, TaskSet, TaskSetStatus, TaskStatus,
};
use reconcilers::Plan;
use reconcilers::alarms::AlarmState;
use reconcilers::service::blue_green;
use state::{Changes, CommitError, Ledger, MemoryLedger, Record, Snapshot};
use stdx::{Ids, Timestamp};

pub const START: Timestamp = Timestamp::from_millis(1_795_384_329_148);

pub struct World {
    pub ledger: MemoryLedger,
    pub now: Timestamp,
    /// Who routes the traffic of the service.
    pub router: Router,
    pub alarms: BTreeMap<String, AlarmState>,
    indexes: reconcilers::Indexes,
    ids: Ids,
    deployments: u32,
}

pub fn scope() -> Scope {
    Scope::new("123456789012", "us-east-1")
}

impl World {
    pub fn new() -> World {
        let world = World {
            ledger: MemoryLedger::default(),
            now: START,
            router: Router::Nobody,
            alarms: BTreeMap::new(),
            indexes: Default::default(),
            ids: Ids::from_seed(7),
            deployments: 0,
        };
        world.put(&Cluster::new(&scope(), "default", START));
        world
    }

    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.ledger.snapshot()
    }

    pub fn put<R: Record>(&self, record: &R) {
        let mut changes = Changes::new();
        changes.put(&self.snapshot(), record);
        self.ledger.commit_now(&changes).expect("nobody else writes");
    }

    pub fn wait(&mut self, duration: Duration) {
        self.now = self.now + duration;
    }

    /// What the reconciler wants now, not yet committed.
    pub fn plan(&mut self) -> Plan {
        let snapshot = self.snapshot();
        let (indexes, alarms) = (&self.indexes, &self.alarms);
        reconcilers::reconcile_with_alarms(&snapshot, indexes, alarms, &self.service(), self.now, &mut self.ids)
    }

    pub fn commit(&self, plan: &Plan) -> Result<(), CommitError> {
        self.ledger.commit_now(&plan.changes).map(drop)
    }

    pub fn define(&self, definition: &TaskDefinition) {
        self.put(definition);
    }

    pub fn service(&self) -> Service {
        Service::clone(self.snapshot().services.get("123456789012/us-east-1/default/web").expect("there is a service"))
    }

    pub fn create_service(&mut self, desired_count: u32, minimum_healthy_percent: u32, maximum_percent: u32) {
        let deployment = self.deployment(1);
        self.put(&Service {
            scope: scope(),
            cluster: "default".into(),
            name: "web".into(),
            status: ServiceStatus::Active,
            scheduling_strategy: Default::default(),
            deployment_controller: Default::default(),
            desired_count,
            deployments: vec![deployment],
            last_completed: None,
            task_sets: Vec::new(),
            deployment_configuration: DeploymentConfiguration {
                maximum_percent,
                minimum_healthy_percent,
                ..Default::default()
            },
            launch_type: Some(LaunchType::Ec2),
            capacity_provider_strategy: Vec::new(),
            placement_constraints: Vec::<PlacementConstraint>::new(),
            placement_strategy: Vec::<PlacementStrategy>::new(),
            role_arn: None,
            health_check_grace_period_seconds: None,
            propagate_tags: None,
            ecs_managed_tags_enabled: false,
            execute_command_enabled: false,
            availability_zone_rebalancing: false,
            events: Vec::new(),
            tags: Vec::new(),
            created_at: START,
            created_by: String::new(),
        });
    }

    pub fn create_daemon(&mut self, minimum_healthy_percent: u32, maximum_percent: u32) {
        self.create_service(0, minimum_healthy_percent, maximum_percent);
        self.put(&Service { scheduling_strategy: SchedulingStrategy::Daemon, ..self.service() });
    }

    /// A service that somebody else deploys.
    pub fn create_external(&mut self, desired_count: u32) {
        self.create_service(desired_count, 100, 200);
        let deployment_controller = DeploymentController::External;
        self.put(&Service { deployment_controller, deployments: Vec::new(), ..self.service() });
    }

    /// As CreateTaskSet and UpdateTaskSet do.
    pub fn scale_task_set(&self, id: &str, revision: u32, scale_percent: f64) {
        let mut service = self.service();
        let set = TaskSet {
            id: id.into(),
            external_id: None,
            status: TaskSetStatus::Active,
            family: "web".into(),
            revision,
            launch_type: Some(LaunchType::Ec2),
            capacity_provider_strategy: Vec::new(),
            scale_percent,
            stability: StabilityStatus::Stabilizing,
            stability_at: self.now,
            created_at: self.now,
            updated_at: self.now,
            tags: Vec::new(),
        };
        match service.task_sets.iter_mut().find(|known| known.id == id) {
            Some(known) => known.scale_percent = scale_percent,
            None => service.task_sets.push(set),
        }
        self.put(&service);
    }

    /// As DeleteTaskSet does.
    pub fn delete_task_set(&self, id: &str) {
        let mut service = self.service();
        for set in service.task_sets.iter_mut().filter(|set| set.id == id) {
            set.status = TaskSetStatus::Draining;
        }
        self.put(&service);
    }

    fn deployment(&mut self, revision: u32) -> Deployment {
        self.deployments += 1;
        Deployment {
            id: format!("ecs-svc/{}", self.deployments),
            status: DeploymentStatus::Primary,
            family: "web".into(),
            revision,
            rollout_state: RolloutState::InProgress,
            rollout_state_reason: String::new(),
            service_deployment: String::new(),
            service_revision: String::new(),
            adopted: Vec::new(),
            stop_requested: None,
            lifecycle: None,
            alarms_watched: None,
            baking_since: None,
            triggered_alarms: Vec::new(),
            created_at: self.now,
            updated_at: self.now,
        }
    }

    /// As UpdateService does.
    pub fn deploy(&mut self, revision: u32) {
        let mut service = self.service();
        let lifecycle = blue_green::begin(&service, self.router, self.now).map(Box::new);
        for old in &mut service.deployments {
            old.status = DeploymentStatus::Active;
        }
        service.deployments.insert(0, Deployment { lifecycle, ..self.deployment(revision) });
        self.put(&service);
    }

    /// A service without a deployment, as CreateService has it for a moment.
    pub fn create_configured(&mut self, desired_count: u32, deployment_configuration: DeploymentConfiguration) {
        self.create_service(desired_count, 100, 200);
        self.put(&Service { deployment_configuration, deployments: Vec::new(), ..self.service() });
    }

    /// As StopServiceDeployment does.
    pub fn stop_deployment(&self, how: StopType) {
        self.change_primary(|primary| primary.stop_requested = Some(how));
    }

    /// As ContinueServiceDeployment does, with every hook that waits.
    pub fn continue_deployment(&self, action: HookAction) {
        self.change_lifecycle(|lifecycle| {
            for run in lifecycle.runs.iter_mut().filter(|run| run.status == HookStatus::AwaitingAction) {
                run.act(action);
            }
        });
    }

    /// Whoever routes the traffic does what is wanted.
    pub fn shift_traffic(&self) {
        self.change_lifecycle(|lifecycle| {
            for shift in [&mut lifecycle.production, &mut lifecycle.test] {
                shift.applied = Some(shift.desired);
            }
        });
    }

    pub fn change_lifecycle(&self, change: impl FnOnce(&mut Lifecycle)) {
        self.change_primary(|primary| {
            if let Some(lifecycle) = &mut primary.lifecycle {
                change(lifecycle);
            }
        });
    }

    fn change_primary(&self, change: impl FnOnce(&mut Deployment)) {
        let mut service = self.service();
        if let Some(primary) = service.deployments.iter_mut().find(|one| one.status == DeploymentStatus::Primary) {
            change(primary);
        }
        if service != self.service() {
            self.put(&service);
        }
    }

    /// As UpdateService does.
    pub fn scale(&self, desired_count: u32) {
        self.put(&Service { desired_count, ..self.service() });
    }

    /// As DeleteService does.
    pub fn delete_service(&self) {
        self.put(&Service { status: ServiceStatus::Draining, desired_count: 0, ..self.service() });
    }

    pub fn instance(&self, id: &str) -> Option<ContainerInstance> {
        let snapshot = self.snapshot();
        snapshot.container_instances.get(&format!("123456789012/us-east-1/default/{id}")).map(|one| (**one).clone())
    }

    pub fn task(&self, id: &str) -> Task {
        let snapshot = self.snapshot();
        let task = snapshot.tasks.get(&format!("123456789012/us-east-1/default/{id}"));
        Task::clone(task.unwrap_or_else(|| panic!("there is no task {id}")))
    }

    /// The tasks of the service that have not stopped.
    pub fn live(&self) -> Vec<Arc<Task>> {
        self.snapshot().tasks.by("service", "123456789012/us-east-1/default/web").cloned().collect()
    }

    /// Changes a task as a report of its agent does.
    pub fn report(&self, id: &str, change: impl FnOnce(&mut Task)) {
        let mut task = self.task(id);
        change(&mut task);
        self.put(&task);
    }

    pub fn runs(&self, id: &str) {
        self.report(id, |task| {
            task.last_status = TaskStatus::Running;
            task.started_at = Some(self.now);
        });
    }

    pub fn exits(&self, id: &str) {
        self.report(id, |task| {
            task.stopped(StopCode::EssentialContainerExited, "Essential container in task exited", self.now);
        });
    }

    pub fn fails_to_start(&self, id: &str) {
        self.report(id, |task| task.stopped(StopCode::TaskFailedToStart, "CannotPullContainerError", self.now));
    }

    /// The readiness probe of its only container says so.
    pub fn readiness(&self, id: &str, ready: bool) {
        self.report(id, |task| {
            for container in &mut task.containers {
                let was_awaited = container.probed.as_ref().is_some_and(|probed| probed.awaited);
                let probed = Probed { ready: Some(ready), awaited: was_awaited && !ready, ..Probed::default() };
                container.probed = Some(Box::new(probed));
            }
        });
    }

    pub fn health(&self, id: &str, health: HealthStatus) {
        self.report(id, |task| task.health = health);
    }
}

pub fn instance(id: &str) -> ContainerInstance {
    ContainerInstance {
        scope: scope(),
        cluster: "default".into(),
        id: id.into(),
        status: ContainerInstanceStatus::Active,
        status_reason: None,
        ec2_instance_id: None,
        agent_connected: true,
        disconnected_at: None,
        served_by: None,
        version_info: Default::default(),
        registered: Resources { cpu: CpuUnits(4096), memory: MemoryMib(8192), ..Default::default() },
        attributes: Vec::<Attribute>::new(),
        tags: Vec::new(),
        health: Vec::new(),
        registered_at: START,
        version: 1,
    }
}

/// `web:REVISION`, one container.
pub fn definition(revision: u32) -> TaskDefinition {
    TaskDefinition {
        scope: scope(),
        family: "web".into(),
        revision,
        status: TaskDefinitionStatus::Active,
        containers: vec![ContainerDefinition {
            name: "app".into(),
            image: "web:1".into(),
            memory: Some(MemoryMib(128)),
            essential: true,
            ..Default::default()
        }],
        volumes: Vec::new(),
        network_mode: None,
        task_role_arn: None,
        execution_role_arn: None,
        placement_constraints: Vec::new(),
        requires_compatibilities: Vec::new(),
        compatibilities: Vec::new(),
        requires_attributes: Vec::new(),
        cpu: None,
        memory: None,
        pid_mode: None,
        ipc_mode: None,
        runtime_platform: None,
        enable_fault_injection: None,
        registered_at: START,
        registered_by: String::new(),
        deregistered_at: None,
        tags: Vec::new(),
    }
}

pub fn with_check(mut definition: TaskDefinition) -> TaskDefinition {
    definition.containers[0].health_check =
        Some(HealthCheck { command: vec!["CMD-SHELL".into(), "true".into()], ..Default::default() });
    definition
}

pub fn with_readiness(mut definition: TaskDefinition) -> TaskDefinition {
    definition.containers[0].docker_labels.push(("berth.ready.http".into(), "80/ready".into()));
    definition
}

pub fn with_port(mut definition: TaskDefinition, port: u16) -> TaskDefinition {
    let mapping = PortMapping { container_port: Some(port), host_port: Some(port), ..Default::default() };
    definition.containers[0].port_mappings.push(mapping);
    definition
}

/// A task of the service that has run for an hour.
pub fn task(id: &str, instance: &str, deployment: &Deployment, now: Timestamp) -> Task {
    let began = now - Duration::from_secs(3600);
    Task {
        scope: scope(),
        cluster: "default".into(),
        id: id.into(),
        family: deployment.family.clone(),
        revision: deployment.revision,
        container_instance: instance.into(),
        launch_type: LaunchType::Ec2,
        capacity_provider: None,
        last_status: TaskStatus::Running,
        desired_status: TaskStatus::Running,
        health: HealthStatus::Unknown,
        containers: Vec::new(),
        reserved: Reservation { memory: MemoryMib(128), ..Default::default() },
        group: "service:web".into(),
        started_by: deployment.id.clone(),
        overrides: None,
        cpu: None,
        memory: None,
        tags: Vec::new(),
        execute_command_enabled: false,
        created_at: began,
        connectivity_at: None,
        pull_started_at: None,
        pull_stopped_at: None,
        started_at: Some(began),
        stopping_at: None,
        execution_stopped_at: None,
        stopped_at: None,
        stop_code: None,
        stopped_reason: String::new(),
        protected_until: None,
        provisioning: None,
        version: 1,
    }
}
