//! Who calls the API: people and their scripts, who say it again when nobody answers; and the operator, who cleans up in the end.

use std::time::Duration;

use api_ecs::*;
use model::{ContainerInstanceStatus, Service, ServiceStatus};
use stdx::Ids;

use crate::call::{Answer, Call};
use crate::dice::Dice;
use crate::kind::{Kind, REVISIONS};
use crate::scenario::{Bounds, Placement, Shape, Step};
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
        let calls: Vec<Call> = [Call::CreateCluster(CreateClusterRequest::default())]
            .into_iter()
            .chain(definitions.map(Call::RegisterTaskDefinition))
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
            Step::Create { service, kind, desired, bounds, placement } => {
                Call::CreateService(self.create(service, kind, desired, bounds, placement))
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

    fn create(
        &mut self,
        service: usize,
        kind: Kind,
        desired: u32,
        bounds: Bounds,
        placement: Placement,
    ) -> CreateServiceRequest {
        let strategy = |kind: &str, field: &str| {
            Some(vec![PlacementStrategy { r#type: Some(kind.to_owned()), field: Some(field.to_owned()) }])
        };
        CreateServiceRequest {
            service_name: Some(name(service)),
            task_definition: Some(kind.family().to_owned()),
            desired_count: Some(desired as i32),
            deployment_configuration: Some(configuration(bounds)),
            client_token: Some(self.client.ids.uuid()),
            placement_strategy: match placement {
                Placement::SpreadRacks => strategy("spread", "attribute:rack"),
                Placement::Binpack => strategy("binpack", "memory"),
                Placement::Anywhere | Placement::Distinct => None,
            },
            placement_constraints: (placement == Placement::Distinct).then(|| {
                vec![PlacementConstraint { r#type: Some("distinctInstance".to_owned()), ..Default::default() }]
            }),
            ..Default::default()
        }
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
        calls.extend(services().filter_map(|service| mended(service)).map(Call::UpdateService));
        // Twice as much as wanted, for deployments; and a machine for each task that wants one of its own.
        let tasks: u32 = services().map(|service| service.desired_count * 2 + 1).sum();
        calls.into_iter().for_each(|call| self.ask(call));
        for _ in 0..tasks.div_ceil(2).max(if services().any(|one| wants_its_own(one)) { tasks } else { 0 }) {
            self.add_node(ROOMY);
        }
    }
}

/// What has to change so that the service can get where it wants to be.
fn mended(service: &Service) -> Option<UpdateServiceRequest> {
    let bounds = &service.deployment_configuration;
    let desired = service.desired_count;
    let moves = desired == 0 || bounds.tasks_max(desired) > desired || bounds.tasks_min(desired) < desired;
    let kind = Kind::of(&service.primary()?.family)?;
    let configuration = (!moves).then(|| configuration((100, 200)));
    let task_definition = (!kind.works()).then(|| format!("{}:1", Kind::Web.family()));
    (configuration.is_some() || task_definition.is_some()).then(|| UpdateServiceRequest {
        service: Some(service.name.clone()),
        deployment_configuration: configuration,
        task_definition,
        ..Default::default()
    })
}

fn wants_its_own(service: &Service) -> bool {
    let is_edge = service.deployments.iter().any(|one| one.family == Kind::Edge.family());
    is_edge || service.placement_constraints.iter().any(|one| one.kind == "distinctInstance")
}

pub fn name(service: usize) -> String {
    format!("s{service}")
}

fn update(service: usize) -> UpdateServiceRequest {
    UpdateServiceRequest { service: Some(name(service)), ..Default::default() }
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
