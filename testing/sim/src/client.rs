//! Who calls the API: people and their scripts, who say it again when nobody answers; and the operator, who cleans up in the end.

mod daemons;

use std::time::Duration;

use api_ecs::*;
use model::{
    ContainerInstanceStatus, DeploymentController as Controller, RolloutState, Service, ServiceStatus, TaskSetStatus,
};
use state::Snapshot;
use stdx::Ids;

use crate::call::{Answer, Call};
use crate::dice::Dice;
use crate::kind::{Kind, REVISIONS};
use crate::scenario::{Bounds, GROUPS, Manner, Placement, Shape, Step};
use crate::world::{Event, From, World};

/// How often a client says something before it gives up.
const TRIES_MAX: u32 = 20;
/// After the faults have ended, and before the operator looks: what is still on its way arrives until then.
pub const LULL: Duration = Duration::from_secs(15);
/// Nothing of them is left to chance in the end.
const ROOMY: Shape = Shape { cpus: 2, memory_mib: 4096, rack: "z" };

pub struct Client {
    dice: Dice,
    ids: Ids,
    jobs: Vec<Job>,
}

struct Job {
    call: Call,
    tries: u32,
    is_over: bool,
}

impl Client {
    pub fn new(seed: u64) -> Client {
        let mut dice = Dice::new(seed, "client");
        let ids = Ids::from_seed(u128::from(dice.number()) << 64 | u128::from(dice.number()));
        Client { dice, ids, jobs: Vec::new() }
    }

    /// Nobody says anything again.
    pub fn leaves(&mut self) {
        self.jobs.iter_mut().for_each(|job| job.is_over = true);
    }

    /// Everything that was asked for was answered, or given up.
    pub fn is_idle(&self) -> bool {
        self.jobs.iter().all(|job| job.is_over)
    }
}

impl World {
    /// What is there before the story begins.
    pub(crate) fn prepare(&mut self) {
        let definitions = Kind::ALL.iter().flat_map(|kind| (0..REVISIONS).map(|_| kind.definition()));
        let of_daemons = Kind::OF_DAEMONS.iter();
        let of_daemons = of_daemons.flat_map(|kind| (0..REVISIONS).map(|_| kind.daemon_definition()));
        let calls: Vec<Call> = [Call::CreateCluster(CreateClusterRequest::default())]
            .into_iter()
            .chain(definitions.map(Call::RegisterTaskDefinition))
            .chain(of_daemons.map(Call::RegisterDaemonTaskDefinition))
            .chain(GROUPS.map(|group| Call::CreateCapacityProvider(provider(group))))
            .chain([Call::PutClusterCapacityProviders(PutClusterCapacityProvidersRequest {
                cluster: Some("default".to_owned()),
                capacity_providers: Some(GROUPS.map(str::to_owned).into()),
                default_capacity_provider_strategy: Some(Vec::new()),
            })])
            .collect();
        for call in calls {
            let answer = call.run(&self.replicas[0].ecs, &self.caller);
            assert_eq!(answer, Answer::Done, "the world can be prepared");
        }
        for replica in &self.replicas {
            replica.seat.follow(self.engine.revision());
        }
        self.settle();
    }

    /// A client's step.
    pub(crate) fn wish(&mut self, step: Step) {
        let call = match step {
            Step::Create { service, kind, desired, bounds, placement, manner } => {
                let token = self.client.ids.uuid();
                Call::CreateService(create((service, manner), kind, desired, bounds, placement, token))
            }
            Step::Rebalance { service, on } => Call::UpdateService(UpdateServiceRequest {
                availability_zone_rebalancing: Some(if on { "ENABLED" } else { "DISABLED" }.to_owned()),
                ..update(service)
            }),
            Step::StopDeployment { service, abort } => match self.newest_deployment(service) {
                Some(arn) => Call::StopServiceDeployment(StopServiceDeploymentRequest {
                    service_deployment_arn: Some(arn),
                    stop_type: Some(if abort { "ABORT" } else { "ROLLBACK" }.to_owned()),
                }),
                None => return,
            },
            Step::Proceed { service, rollback } => match self.paused_deployment(service) {
                Some((arn, hook)) => Call::ContinueServiceDeployment(ContinueServiceDeploymentRequest {
                    service_deployment_arn: Some(arn),
                    hook_id: Some(hook),
                    action: Some(if rollback { "ROLLBACK" } else { "CONTINUE" }.to_owned()),
                }),
                None => return,
            },
            Step::Protect { nth, minutes } => {
                let snapshot = self.engine.snapshot();
                let live: Vec<_> =
                    snapshot.tasks.iter().filter(|one| one.is_live() && one.service().is_some()).collect();
                if live.is_empty() {
                    return;
                }
                let task = live[(nth % live.len() as u64) as usize].arn().to_string();
                Call::UpdateTaskProtection(UpdateTaskProtectionRequest {
                    cluster: Some("default".to_owned()),
                    tasks: Some(vec![task]),
                    protection_enabled: Some(minutes > 0),
                    expires_in_minutes: (minutes > 0).then_some(minutes as i32),
                })
            }
            Step::NewTaskSet { service, kind, revision, scale } => Call::CreateTaskSet(CreateTaskSetRequest {
                client_token: Some(self.client.ids.uuid()),
                ..task_set(&name(service), &format!("{}:{revision}", kind.family()), scale)
            }),
            Step::ScaleTaskSet { service, nth, scale: percent } => match self.task_set(service, nth) {
                Some(set) => Call::UpdateTaskSet(UpdateTaskSetRequest {
                    cluster: Some("default".to_owned()),
                    service: Some(name(service)),
                    task_set: Some(set),
                    scale: Some(scale(percent)),
                }),
                None => return,
            },
            Step::PromoteTaskSet { service, nth } => match self.task_set(service, nth) {
                Some(set) => Call::UpdateServicePrimaryTaskSet(UpdateServicePrimaryTaskSetRequest {
                    cluster: Some("default".to_owned()),
                    service: Some(name(service)),
                    primary_task_set: Some(set),
                }),
                None => return,
            },
            Step::DeleteTaskSet { service, nth } => match self.task_set(service, nth) {
                Some(set) => Call::DeleteTaskSet(delete_task_set(&name(service), &set)),
                None => return,
            },
            Step::CreateDaemon { .. } | Step::UpdateDaemon { .. } | Step::DeleteDaemon { .. } => {
                let token = self.client.ids.uuid();
                match daemons::call(step, token) {
                    Some(call) => call,
                    None => return,
                }
            }
            Step::Forget { kind, revision } => {
                let definition = format!("{}:{revision}", kind.family());
                self.ask(Call::DeregisterTaskDefinition(DeregisterTaskDefinitionRequest {
                    task_definition: Some(definition.clone()),
                }));
                Call::DeleteTaskDefinitions(DeleteTaskDefinitionsRequest { task_definitions: Some(vec![definition]) })
            }
            Step::Scale { service, desired } => {
                Call::UpdateService(UpdateServiceRequest { desired_count: Some(desired as i32), ..update(service) })
            }
            Step::Deploy { service, kind, revision } => Call::UpdateService(UpdateServiceRequest {
                task_definition: Some(format!("{}:{revision}", kind.family())),
                ..update(service)
            }),
            Step::Redeploy { service } => {
                Call::UpdateService(UpdateServiceRequest { force_new_deployment: Some(true), ..update(service) })
            }
            Step::Bounds { service, bounds } => Call::UpdateService(UpdateServiceRequest {
                deployment_configuration: Some(configuration(bounds)),
                ..update(service)
            }),
            Step::Delete { service } => Call::DeleteService(DeleteServiceRequest {
                service: Some(name(service)),
                force: Some(true),
                ..Default::default()
            }),
            Step::Run { kind, count } => Call::RunTask(RunTaskRequest {
                task_definition: Some(kind.family().to_owned()),
                count: Some(count as i32),
                client_token: Some(self.client.ids.uuid()),
                ..Default::default()
            }),
            Step::Stop { nth } => {
                let snapshot = self.engine.snapshot();
                let live: Vec<_> = snapshot.tasks.iter().filter(|task| task.is_live()).collect();
                if live.is_empty() {
                    return;
                }
                let task = live[(nth % live.len() as u64) as usize].arn().to_string();
                Call::StopTask(StopTaskRequest { task: Some(task), ..Default::default() })
            }
            Step::Drain { node } => match self.arn_of(node) {
                Some(arn) => Call::UpdateContainerInstancesState(state_of(arn, "DRAINING")),
                None => return,
            },
            Step::Activate { node } => match self.arn_of(node) {
                Some(arn) => Call::UpdateContainerInstancesState(state_of(arn, "ACTIVE")),
                None => return,
            },
            Step::Deregister { node } => match self.arn_of(node) {
                Some(arn) => deregister(arn),
                None => return,
            },
            _ => return,
        };
        self.ask(call);
    }

    fn arn_of(&self, node: usize) -> Option<String> {
        self.nodes.get(node)?.arn()
    }

    fn service(&self, number: usize) -> Option<std::sync::Arc<Service>> {
        let snapshot = self.engine.snapshot();
        snapshot.services.iter().find(|service| service.name == name(number)).cloned()
    }

    fn newest_deployment(&self, number: usize) -> Option<String> {
        let service = self.service(number)?;
        let id = service.primary().map(|primary| primary.service_deployment.clone()).filter(|id| !id.is_empty())?;
        let arn = model::ServiceDeploymentArn::new(&service.scope, &service.cluster, &service.name, &id);
        Some(arn.to_string())
    }

    fn paused_deployment(&self, number: usize) -> Option<(String, String)> {
        let service = self.service(number)?;
        let runs = service.primary()?.lifecycle.as_ref()?.runs.iter();
        let open = runs.clone().find(|run| run.is_open())?.id.clone();
        Some((self.newest_deployment(number)?, open))
    }

    fn task_set(&self, number: usize, nth: u64) -> Option<String> {
        let service = self.service(number)?;
        let count = service.task_sets.len() as u64;
        (count > 0).then(|| service.task_sets[(nth % count) as usize].id.clone())
    }

    fn ask(&mut self, call: Call) {
        self.client.jobs.push(Job { call, tries: 0, is_over: false });
        self.say(self.client.jobs.len() - 1);
    }

    fn say(&mut self, job: usize) {
        let replica = self.client.dice.below(self.replicas.len() as u64) as usize;
        let wait = self.client.dice.millis(0, 20);
        let call = self.client.jobs[job].call.clone();
        self.after(wait, Event::Called { replica, from: From::Client { job }, call: Box::new(call) });
    }

    pub(crate) fn answered(&mut self, from: From, answer: Answer) {
        match from {
            From::Registration { node, life } => self.registered(node, life, answer),
            From::Report { node, life, task } => self.reported(node, life, &task, answer),
            From::Client { job } => self.client_is_answered(job, answer),
            From::Echo => {}
        }
    }

    fn client_is_answered(&mut self, number: usize, answer: Answer) {
        let job = &mut self.client.jobs[number];
        if job.is_over {
            return;
        }
        let operation = job.call.operation();
        if answer == Answer::Unavailable {
            job.tries += 1;
            if job.tries < TRIES_MAX {
                return self.say(number);
            }
        }
        job.is_over = true;
        if let Answer::Started(tasks) = &answer {
            self.checks.acknowledged(tasks);
        }
        self.note("client", || match answer {
            Answer::Refused { code, message } => format!("{operation} is refused: {code}: {message}"),
            Answer::Unavailable => format!("{operation} is given up"),
            Answer::Started(tasks) => {
                let tasks: Vec<&str> = tasks.iter().map(|arn| crate::node::short(arn)).collect();
                format!("{operation} is answered: {}", tasks.join(", "))
            }
            _ => format!("{operation} is answered"),
        });
    }

    /// The operator makes possible what is wanted: machines that are lost are taken out, there is room enough, no
    /// service is made of what cannot work or has bounds that cannot move.
    pub(crate) fn clean_up(&mut self) {
        let snapshot = self.engine.snapshot();
        let burnt = |instance: &model::ContainerInstance| {
            let arn = instance.arn().to_string();
            self.nodes.iter().all(|node| node.is_burnt || node.arn().as_deref() != Some(&arn))
        };
        let mut calls = Vec::new();
        for instance in snapshot.container_instances.iter() {
            match instance.status {
                ContainerInstanceStatus::Inactive => {}
                _ if burnt(instance) => calls.push(deregister(instance.arn().to_string())),
                ContainerInstanceStatus::Draining => {
                    calls.push(Call::UpdateContainerInstancesState(state_of(instance.arn().to_string(), "ACTIVE")));
                }
                _ => {}
            }
        }
        let services = || snapshot.services.iter().filter(|service| service.status == ServiceStatus::Active);
        calls.extend(services().flat_map(mended));
        calls.extend(snapshot.daemons.iter().filter_map(|daemon| daemons::mended(&snapshot, daemon)));
        // Twice as much as wanted, for deployments; and a machine for each task that wants one of its own. In each zone, and of
        // each group.
        let tasks: u32 = services().map(|service| reconcilers::desired_tasks(service) * 2 + 1).sum();
        calls.into_iter().for_each(|call| self.ask(call));
        let racks = self.nodes.iter().filter(|node| !node.is_burnt).map(|node| node.shape.rack);
        let racks: std::collections::BTreeSet<&'static str> = racks.chain([ROOMY.rack]).collect();
        let shapes: Vec<Shape> =
            racks.into_iter().flat_map(|rack| [2, 1].map(|cpus| Shape { cpus, rack, ..ROOMY })).collect();
        let needed = if services().any(|one| wants_its_own(one)) { tasks } else { tasks.div_ceil(2) } as usize;
        let split = services().any(|service| !service.capacity_provider_strategy.is_empty());
        let needed = if split { needed * 2 } else { needed };
        shapes.iter().cycle().take(needed).for_each(|shape| self.add_node(*shape));
    }

    /// What has failed is tried again, now that nothing stands against it.
    pub(crate) fn look_after(&mut self) {
        let snapshot: std::sync::Arc<Snapshot> = self.engine.snapshot();
        let failed = |service: &&std::sync::Arc<Service>| {
            service.status == ServiceStatus::Active
                && service.primary().is_some_and(|primary| primary.rollout_state == RolloutState::Failed)
        };
        let services = snapshot.services.iter().filter(failed).flat_map(mended);
        let daemons = snapshot.daemons.iter().filter_map(|daemon| daemons::mended(&snapshot, daemon));
        let calls: Vec<Call> = services.chain(daemons).collect();
        calls.into_iter().for_each(|call| self.ask(call));
    }
}

/// What has to change so that the service can get where it wants to be.
fn mended(service: &std::sync::Arc<Service>) -> Vec<Call> {
    if service.deployment_controller == Controller::External {
        let broken = service.task_sets.iter().filter(|set| {
            set.status != TaskSetStatus::Draining && Kind::of(&set.family).is_none_or(|kind| !kind.works())
        });
        return broken.map(|set| Call::DeleteTaskSet(delete_task_set(&service.name, &set.id))).collect();
    }
    let bounds = &service.deployment_configuration;
    let desired = service.desired_count;
    let evens_out = !service.availability_zone_rebalancing || bounds.tasks_max(desired) > desired;
    let moves = desired == 0 || bounds.tasks_max(desired) > desired || bounds.tasks_min(desired) < desired;
    let Some(primary) = service.primary() else { return Vec::new() };
    let works = Kind::of(&primary.family).is_some_and(Kind::works);
    // A daemon's new task may find no room beside the old one.
    let roomy = if service.is_daemon() { (0, 100) } else { (100, 200) };
    let moves = if service.is_daemon() { bounds.tasks_min(desired) < desired } else { moves };
    // Nobody is to succeed with fewer than have to stay up.
    let never = DeploymentEarlySuccessCriteria { enable: Some(false), ..Default::default() };
    let configuration = (!moves || !evens_out).then(|| DeploymentConfiguration {
        early_success_criteria: bounds.early_success.map(|_| never),
        ..configuration(roomy)
    });
    let task_definition = (!works).then(|| format!("{}:1", Kind::Web.family()));
    let again = (works && primary.rollout_state == RolloutState::Failed).then_some(true);
    let is_mended = configuration.is_some() || task_definition.is_some() || again.is_some();
    let update = UpdateServiceRequest {
        service: Some(service.name.clone()),
        deployment_configuration: configuration,
        task_definition,
        force_new_deployment: again,
        ..Default::default()
    };
    is_mended.then_some(Call::UpdateService(update)).into_iter().collect()
}

fn wants_its_own(service: &Service) -> bool {
    let mut families =
        service.deployments.iter().map(|one| &one.family).chain(service.task_sets.iter().map(|one| &one.family));
    let is_edge = families.any(|family| family == Kind::Edge.family());
    is_edge || service.placement_constraints.iter().any(|one| one.kind == "distinctInstance")
}

pub fn name(service: usize) -> String {
    format!("s{service}")
}

fn update(service: usize) -> UpdateServiceRequest {
    UpdateServiceRequest { service: Some(name(service)), ..Default::default() }
}

fn create(
    (service, manner): (usize, Manner),
    kind: Kind,
    desired: u32,
    bounds: Bounds,
    placement: Placement,
    token: String,
) -> CreateServiceRequest {
    let strategy = |kind: &str, field: &str| {
        Some(vec![PlacementStrategy { r#type: Some(kind.to_owned()), field: Some(field.to_owned()) }])
    };
    let breaker = match manner {
        Manner::Guarded { rollback } | Manner::BlueGreen { rollback } => {
            let wish = |kind: &str, value| ThresholdConfiguration { r#type: Some(kind.to_owned()), value: Some(value) };
            Some(DeploymentCircuitBreaker {
                enable: Some(true),
                rollback: Some(rollback),
                reset_on_healthy_task: desired.is_multiple_of(2).then_some(false),
                threshold_configuration: match desired % 4 {
                    0 => Some(wish("COUNT", 2)),
                    1 => Some(wish("UNBOUNDED_PERCENT", 25)),
                    _ => None,
                },
            })
        }
        _ => None,
    };
    let item = |group: &str, base, weight| CapacityProviderStrategyItem {
        capacity_provider: Some(group.to_owned()),
        base: Some(base),
        weight: Some(weight),
    };
    let is_external = manner == Manner::External;
    let rolls = matches!(manner, Manner::Replica | Manner::Guarded { .. } | Manner::Provided { .. });
    let early = (rolls && desired % 3 == 2).then(|| DeploymentEarlySuccessCriteria {
        enable: Some(true),
        healthy_percent: Some(bounds.0.max(50) as i32),
        source_service_revision_cleanup: Some(if desired == 5 { "BLOCKING" } else { "DEFERRED" }.to_owned()),
    });
    CreateServiceRequest {
        service_name: Some(name(service)),
        task_definition: (!is_external).then(|| kind.family().to_owned()),
        desired_count: (manner != Manner::Daemon).then_some(desired as i32),
        scheduling_strategy: (manner == Manner::Daemon).then(|| "DAEMON".to_owned()),
        deployment_controller: is_external.then(|| DeploymentController { r#type: Some("EXTERNAL".to_owned()) }),
        deployment_configuration: (!is_external).then(|| {
            let bakes = early.is_some() && desired == 5;
            let configured = configured(manner, bounds);
            DeploymentConfiguration {
                deployment_circuit_breaker: breaker,
                bake_time_in_minutes: configured.bake_time_in_minutes.or(bakes.then_some(1)),
                early_success_criteria: early,
                ..configured
            }
        }),
        capacity_provider_strategy: match manner {
            Manner::Provided { both: true } => {
                let (base, weight) = (desired % 4, 1 + desired % 3);
                Some(vec![item(GROUPS[0], base as i32, weight as i32), item(GROUPS[1], 0, 2)])
            }
            Manner::Provided { both: false } => Some(vec![item(GROUPS[1], 0, 1)]),
            _ => None,
        },
        client_token: Some(token),
        placement_strategy: match placement {
            Placement::SpreadRacks => strategy("spread", "attribute:rack"),
            Placement::SpreadZones => strategy("spread", "attribute:ecs.availability-zone"),
            Placement::Binpack => strategy("binpack", "memory"),
            Placement::Anywhere | Placement::Distinct => None,
        },
        placement_constraints: (placement == Placement::Distinct)
            .then(|| vec![PlacementConstraint { r#type: Some("distinctInstance".to_owned()), ..Default::default() }]),
        ..Default::default()
    }
}

fn configured(manner: Manner, bounds: Bounds) -> DeploymentConfiguration {
    let Manner::BlueGreen { rollback } = manner else { return configuration(bounds) };
    let pause = DeploymentLifecycleHook {
        target_type: Some("PAUSE".to_owned()),
        lifecycle_stages: Some(vec!["POST_SCALE_UP".to_owned()]),
        timeout_configuration: Some(DeploymentLifecycleHookTimeoutConfiguration {
            timeout_in_minutes: Some(1),
            action: Some(if rollback { "CONTINUE" } else { "ROLLBACK" }.to_owned()),
        }),
        ..Default::default()
    };
    DeploymentConfiguration {
        strategy: Some("BLUE_GREEN".to_owned()),
        bake_time_in_minutes: Some(1),
        lifecycle_hooks: rollback.then(|| vec![pause]),
        ..configuration(bounds)
    }
}

fn provider(group: &str) -> CreateCapacityProviderRequest {
    let arn =
        format!("arn:aws:autoscaling:us-east-1:123456789012:autoScalingGroup:6d0d2c8a:autoScalingGroupName/{group}");
    CreateCapacityProviderRequest {
        name: Some(group.to_owned()),
        auto_scaling_group_provider: Some(AutoScalingGroupProvider {
            auto_scaling_group_arn: Some(arn),
            // Tasks of one of the groups wait for an instance, those of the other are not started without one.
            managed_scaling: (group == GROUPS[1])
                .then(|| ManagedScaling { status: Some("ENABLED".to_owned()), ..Default::default() }),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn scale(percent: u32) -> Scale {
    Scale { value: Some(percent.into()), unit: Some("PERCENT".to_owned()) }
}

fn task_set(service: &str, definition: &str, percent: u32) -> CreateTaskSetRequest {
    CreateTaskSetRequest {
        cluster: Some("default".to_owned()),
        service: Some(service.to_owned()),
        task_definition: Some(definition.to_owned()),
        scale: Some(scale(percent)),
        ..Default::default()
    }
}

fn delete_task_set(service: &str, set: &str) -> DeleteTaskSetRequest {
    DeleteTaskSetRequest {
        cluster: Some("default".to_owned()),
        service: Some(service.to_owned()),
        task_set: Some(set.to_owned()),
        force: Some(true),
    }
}

fn configuration((minimum, maximum): Bounds) -> DeploymentConfiguration {
    DeploymentConfiguration {
        minimum_healthy_percent: Some(minimum as i32),
        maximum_percent: Some(maximum as i32),
        ..Default::default()
    }
}

fn state_of(arn: String, status: &str) -> UpdateContainerInstancesStateRequest {
    UpdateContainerInstancesStateRequest {
        container_instances: Some(vec![arn]),
        status: Some(status.to_owned()),
        ..Default::default()
    }
}

fn deregister(arn: String) -> Call {
    Call::DeregisterContainerInstance(DeregisterContainerInstanceRequest {
        container_instance: Some(arn),
        force: Some(true),
        ..Default::default()
    })
}
