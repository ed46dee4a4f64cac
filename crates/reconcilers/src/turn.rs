//! One turn's work on one service: what is stopped, what is started, and what is said of it.

use std::time::Duration;

use model::task::Provisioning;
use model::{LaunchType, Service, StopCode, Tag, Task, TaskDefinition};
use scheduler::{Explanation, Indexes, Launch, Placement, Request, Scheduler};
use state::{Changes, Snapshot};
use stdx::{Ids, Timestamp};

use crate::readiness::Patience;
use crate::service::message::{self, Cause};
use crate::{Plan, history, provisioning};

/// The most tasks one turn starts. The next turn starts the rest, so that one huge service doesn't hold up the others.
pub(crate) const STARTS_PER_TURN_MAX: usize = 500;
/// Source: Amazon ECS Developer Guide, "Service event messages": duplicate messages are omitted until either the cause is
/// resolved or six hours pass.
const SAID_AGAIN_AFTER: Duration = Duration::from_secs(6 * 60 * 60);

pub(crate) struct Turn<'a> {
    pub snapshot: &'a Snapshot,
    pub indexes: &'a Indexes,
    pub now: Timestamp,
    pub ids: &'a mut Ids,
    pub changes: Changes,
    /// As it will be. What is said and decided is written here.
    pub service: Service,
}

/// What the tasks of one definition ask of an instance, and what they become.
pub(crate) struct Wanted<'a> {
    pub definition: &'a TaskDefinition,
    pub request: Request,
    pub started_by: String,
}

impl<'a> Turn<'a> {
    pub fn new(
        snapshot: &'a Snapshot,
        indexes: &'a Indexes,
        service: &Service,
        now: Timestamp,
        ids: &'a mut Ids,
    ) -> Self {
        Turn { snapshot, indexes, now, ids, changes: Changes::new(), service: service.clone() }
    }

    /// What is to be committed, `before` being the service as the turn found it.
    pub fn plan(mut self, before: &Service, look_again: Option<Timestamp>) -> Plan {
        history::follow(self.snapshot, &self.service, self.now, &mut self.changes);
        if self.service != *before {
            self.changes.put(self.snapshot, &self.service);
        }
        Plan { changes: self.changes, look_again }
    }

    pub fn record(&mut self, message: String) {
        let id = self.ids.uuid();
        self.service.record(id, self.now, message);
    }

    /// The state that was reached, if it was not the last thing said.
    pub fn record_once(&mut self, message: String) {
        if self.service.events.first().is_none_or(|last| last.message != message) {
            self.record(message);
        }
    }

    /// What was said since `speaker` was last steady is not said again: a scheduler that waits is silent.
    pub fn record_cause(&mut self, speaker: &str, cause: Cause) {
        let steady = message::steady_state(speaker);
        let mut since_steady = self.service.events.iter().take_while(|event| event.message != steady);
        let said = since_steady.find(|event| cause.is_in(&event.message));
        if said.is_none_or(|said| self.now.since(said.created_at) >= SAID_AGAIN_AFTER) {
            self.record(cause.text);
        }
    }

    /// The same of what keeps a steady service from being evened out over its zones: it stays steady.
    pub fn record_obstacle(&mut self, cause: Cause) {
        let name = &self.service.name;
        let mut since_even =
            self.service.events.iter().take_while(|one| !message::ends_rebalancing(name, &one.message));
        let said = since_even.find(|event| cause.is_in(&event.message));
        if said.is_none_or(|said| self.now.since(said.created_at) >= SAID_AGAIN_AFTER) {
            self.record(cause.text);
        }
    }

    /// Somebody protects these tasks, which would have left.
    pub fn record_protected(&mut self, speaker: &str, tasks: &[&Task]) {
        if !tasks.is_empty() {
            self.record_cause(speaker, message::protected(speaker, tasks));
        }
    }

    pub fn stop(&mut self, tasks: &[&Task], reason: &str) {
        for task in tasks {
            let mut task = Task::clone(task);
            task.request_stop(StopCode::ServiceSchedulerInitiated, reason, self.now);
            self.changes.put(self.snapshot, &task);
        }
    }

    /// Those that were never ready in their time.
    pub fn give_up(&mut self, tasks: &[&Task], patience: &Patience<'_>, speaker: &str) {
        for task in tasks {
            self.stop(&[task], &patience.reason(task));
            self.record(patience.event(speaker, task));
        }
        self.record(message::stopped(speaker, tasks));
    }

    /// Nothing when the definition is gone, or asks for something that cannot be read: it was checked when it came in, and a
    /// guess would place tasks where they must not be.
    pub fn wanted(
        &self,
        (family, revision): (&str, u32),
        launch_type: Option<LaunchType>,
        started_by: &str,
    ) -> Option<Wanted<'a>> {
        let (definition, request) = request(self.snapshot, &self.service, (family, revision), launch_type)?;
        Some(Wanted { definition, request, started_by: started_by.to_owned() })
    }

    /// Writes down the task of a placement; gives its id.
    pub fn start(&mut self, wanted: &Wanted<'_>, placement: &Placement) -> String {
        let launch = launch(&self.service, wanted);
        launch.record(placement, self.snapshot, &mut self.changes, self.ids, self.now).id
    }

    /// The same, for a task that may have to wait for its instance.
    pub fn start_at(&mut self, wanted: &Wanted<'_>, spot: &Spot) -> String {
        match spot {
            Spot::On(placement) => self.start(wanted, placement),
            Spot::Waiting(provider) => {
                let how = Provisioning {
                    constraints: self.service.placement_constraints.clone(),
                    strategies: self.service.placement_strategy.clone(),
                };
                let launch = launch(&self.service, wanted);
                launch.wait((provider, how), self.snapshot, &mut self.changes, self.ids, self.now).id
            }
        }
    }
}

/// Where a task goes.
pub(crate) enum Spot {
    On(Placement),
    /// It waits for an instance of that capacity provider.
    Waiting(String),
}

/// Finds one spot after another for tasks that are all alike.
pub(crate) struct Spots {
    /// How many more tasks of the cluster may wait.
    may_wait: usize,
    /// Why the first that found no instance did not.
    pub rejected: Option<Explanation>,
}

impl Spots {
    pub fn new(snapshot: &Snapshot, service: &Service, request: &Request) -> Spots {
        let may_wait = match request.providers.iter().any(|provider| provider.scales) {
            true => {
                let waiting = provisioning::waiting(snapshot, &service.scope, &service.cluster).count();
                provisioning::WAITING_MAX.saturating_sub(waiting)
            }
            false => 0,
        };
        Spots { may_wait, rejected: None }
    }

    /// Nothing when there is no room, and the task may not wait for any.
    pub fn next(&mut self, scheduler: &mut Scheduler<'_>, request: &Request) -> Option<Spot> {
        if let Some(placement) = scheduler.place(request) {
            return Some(Spot::On(placement));
        }
        self.rejected.get_or_insert_with(|| scheduler.explain(request));
        let provider = scheduler.waits_for(request).filter(|_| self.may_wait > 0)?;
        self.may_wait -= 1;
        Some(Spot::Waiting(provider.to_owned()))
    }
}

fn launch<'a>(service: &'a Service, wanted: &'a Wanted<'_>) -> Launch<'a> {
    Launch {
        definition: wanted.definition,
        request: &wanted.request,
        cluster: &service.cluster,
        launch_type: wanted.request.launch_type,
        started_by: wanted.started_by.clone(),
        overrides: None,
        tags: tags(service, wanted.definition),
        execute_command_enabled: service.execute_command_enabled,
    }
}

/// What a task of that definition asks of an instance when the service starts it.
pub(crate) fn request<'a>(
    snapshot: &'a Snapshot,
    service: &Service,
    (family, revision): (&str, u32),
    launch_type: Option<LaunchType>,
) -> Option<(&'a TaskDefinition, Request)> {
    let name = format!("{}/{family}/{revision:010}", service.scope);
    let definition: &TaskDefinition = snapshot.task_definitions.get(&name)?;
    let group = format!("service:{}", service.name);
    let mut request = Request::new(definition, None, &group, launch_type.unwrap_or(LaunchType::Ec2)).ok()?;
    request.constrain(&service.placement_constraints).ok()?;
    Some((definition, request))
}

/// What the tasks of a service carry: the tags of its definition or of the service itself, when it says so.
fn tags(service: &Service, definition: &TaskDefinition) -> Vec<Tag> {
    let mut tags = match service.propagate_tags.as_deref() {
        Some("SERVICE") => service.tags.clone(),
        Some("TASK_DEFINITION") => definition.tags.clone(),
        _ => Vec::new(),
    };
    if service.ecs_managed_tags_enabled {
        let managed = |key: &str, value: &str| Tag { key: key.into(), value: value.into() };
        tags.push(managed("aws:ecs:clusterName", &service.cluster));
        tags.push(managed("aws:ecs:serviceName", &service.name));
    }
    tags
}
