//! Keeps a replica service at its desired count, and brings its tasks from one definition to the next.
//!
//! [`rollout`] decides how many to start and whom to stop; here that becomes tasks, placements and events.

pub(crate) mod backoff;
pub(crate) mod message;
mod rollout;
pub(crate) mod view;

use std::time::Duration;

use model::{DeploymentStatus, RolloutState, Service, ServiceStatus, StopCode, Task, TaskDefinition};
use scheduler::{Explanation, Indexes, Launch, Request, Scheduler, Strategy};
use state::{Changes, Snapshot};
use stdx::{Ids, Timestamp};

use crate::Plan;
pub use backoff::failed_tasks;
use message::Cause;
use rollout::Why;
use view::ServiceView;

/// The most tasks one turn starts. The next turn starts the rest, so that one huge service doesn't hold up the others.
const STARTS_PER_TURN_MAX: u32 = 500;
/// Source: Amazon ECS Developer Guide, "Service event messages": duplicate messages are omitted until either the cause is
/// resolved or six hours pass.
const SAID_AGAIN_AFTER: Duration = Duration::from_secs(6 * 60 * 60);

/// What the service needs next. Nothing to change and no time to look again: it is as it should be, or waits for the world.
///
/// `indexes` decide nothing; they only save the work of looking at every instance again.
pub fn reconcile(snapshot: &Snapshot, indexes: &Indexes, service: &Service, now: Timestamp, ids: &mut Ids) -> Plan {
    if service.status == ServiceStatus::Inactive {
        return Plan::default();
    }
    let view = ServiceView::new(snapshot, service, now);
    let rollout = rollout::decide(&view);
    let mut turn = Turn { snapshot, indexes, now, ids, changes: Changes::new(), service: service.clone() };
    let mut look_again = rollout.look_again;
    for (why, tasks) in &rollout.stop {
        turn.stop(tasks, *why);
    }
    if rollout.is_stalled {
        turn.record_cause(message::stalled(&service.name));
    }
    if rollout.start > 0 {
        let again = match backoff::retry_at(snapshot, &view, now) {
            Some(at) => {
                turn.record_cause(message::keeps_failing(&service.name));
                Some(at)
            }
            None => {
                turn.start(&view, rollout.start.min(STARTS_PER_TURN_MAX));
                (rollout.start > STARTS_PER_TURN_MAX).then_some(now)
            }
        };
        look_again = [look_again, again].into_iter().flatten().min();
    }
    turn.finish(&view);
    if turn.service != *service {
        turn.changes.put(snapshot, &turn.service);
    }
    Plan { changes: turn.changes, look_again }
}

/// One turn's work on one service.
struct Turn<'a> {
    snapshot: &'a Snapshot,
    indexes: &'a Indexes,
    now: Timestamp,
    ids: &'a mut Ids,
    changes: Changes,
    service: Service,
}

impl Turn<'_> {
    fn record(&mut self, message: String) {
        let id = self.ids.uuid();
        self.service.record(id, self.now, message);
    }

    /// What was said since the service was last steady is not said again: a scheduler that waits is silent.
    fn record_cause(&mut self, cause: Cause) {
        let steady = message::steady_state(&self.service.name);
        let mut since_steady = self.service.events.iter().take_while(|event| event.message != steady);
        let said = since_steady.find(|event| cause.is_in(&event.message));
        if said.is_none_or(|said| self.now.since(said.created_at) >= SAID_AGAIN_AFTER) {
            self.record(cause.text);
        }
    }

    fn stop(&mut self, tasks: &[&Task], why: Why) {
        let primary = self.service.primary().map(|primary| primary.id.clone()).unwrap_or_default();
        for task in tasks {
            let mut task = (*task).clone();
            task.request_stop(StopCode::ServiceSchedulerInitiated, &message::stopped_reason(why, &primary), self.now);
            self.changes.put(self.snapshot, &task);
        }
        let name = self.service.name.clone();
        if why == Why::Unhealthy {
            for task in tasks {
                self.record(message::failed_health_checks(&name, &task.id));
            }
        }
        self.record(message::stopped(&name, tasks));
    }

    fn start(&mut self, view: &ServiceView<'_>, count: u32) {
        let service = view.service;
        let Some((definition, request)) = self.request(view) else {
            self.record_cause(message::nothing_to_place(&service.name));
            return;
        };
        let launch = Launch {
            definition: &definition,
            request: &request,
            cluster: &service.cluster,
            launch_type: request.launch_type,
            started_by: view.primary.map(|primary| primary.id.clone()).unwrap_or_default(),
            overrides: None,
            tags: tags(service, &definition),
            execute_command_enabled: service.execute_command_enabled,
        };
        let seed = self.ids.number();
        let mut scheduler = Scheduler::new(self.indexes, self.snapshot, &service.scope, &service.cluster, seed);
        let mut started = Vec::new();
        let mut rejected: Option<Explanation> = None;
        for _ in 0..count {
            match scheduler.place(&request) {
                Some(placement) => {
                    started.push(launch.record(&placement, self.snapshot, &mut self.changes, self.ids, self.now).id);
                }
                None => {
                    rejected = Some(scheduler.explain(&request));
                    break;
                }
            }
        }
        if !started.is_empty() {
            self.record(message::started(&service.name, &started));
        }
        if let Some(explanation) = rejected {
            self.record_cause(message::not_placed(&service.name, &explanation));
        }
    }

    /// What the primary deployment's tasks ask of an instance. Nothing when the definition is gone, or asks for something
    /// that cannot be read: it was checked when it came in, and a guess would place tasks where they must not be.
    fn request(&self, view: &ServiceView<'_>) -> Option<(TaskDefinition, Request)> {
        let service = view.service;
        let primary = view.primary?;
        let name = format!("{}/{}/{:010}", service.scope, primary.family, primary.revision);
        let definition = TaskDefinition::clone(self.snapshot.task_definitions.get(&name)?);
        let launch_type = service.launch_type.unwrap_or(model::LaunchType::Ec2);
        let group = format!("service:{}", service.name);
        let mut request = Request::new(&definition, None, &group, launch_type).ok()?;
        request.constrain(&service.placement_constraints).ok()?;
        request.strategies = service.placement_strategy.iter().filter_map(|one| Strategy::parse(one).ok()).collect();
        Some((definition, request))
    }

    /// Deployments that are through, and states that were reached.
    fn finish(&mut self, view: &ServiceView<'_>) {
        if view.service.status == ServiceStatus::Draining {
            if view.live.is_empty() {
                self.service.status = ServiceStatus::Inactive;
            }
            return;
        }
        self.service.deployments.retain(|one| {
            one.status == DeploymentStatus::Primary || view.live.iter().any(|task| task.started_by == one.id)
        });
        if !view.is_steady() {
            return;
        }
        let name = self.service.name.clone();
        let now = self.now;
        let mut completed = None;
        if let Some(primary) = self.service.deployments.iter_mut().find(|one| one.status == DeploymentStatus::Primary)
            && primary.rollout_state == RolloutState::InProgress
        {
            primary.rollout_state = RolloutState::Completed;
            primary.rollout_state_reason = format!("ECS deployment {} completed.", primary.id);
            primary.updated_at = now;
            completed = Some(primary.id.clone());
        }
        if let Some(id) = completed {
            self.record(message::deployment_completed(&name, &id));
        }
        let steady = message::steady_state(&name);
        if self.service.events.first().is_none_or(|last| last.message != steady) {
            self.record(steady);
        }
    }
}

/// What the tasks of a service carry: the tags of its definition or of the service itself, when it says so.
fn tags(service: &Service, definition: &TaskDefinition) -> Vec<model::Tag> {
    let mut tags = match service.propagate_tags.as_deref() {
        Some("SERVICE") => service.tags.clone(),
        Some("TASK_DEFINITION") => definition.tags.clone(),
        _ => Vec::new(),
    };
    if service.ecs_managed_tags_enabled {
        let managed = |key: &str, value: &str| model::Tag { key: key.into(), value: value.into() };
        tags.push(managed("aws:ecs:clusterName", &service.cluster));
        tags.push(managed("aws:ecs:serviceName", &service.name));
    }
    tags
}
