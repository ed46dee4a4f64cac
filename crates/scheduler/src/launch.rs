//! From a placement to the record of a task.

use std::collections::BTreeSet;

use model::task::{LaunchType, Provisioning, TaskOverride};
use model::task_definition::NetworkMode;
use model::{Container, HealthStatus, Probed, Tag, Task, TaskDefinition, TaskStatus};
use state::{AnyRecord, Changes, Op, PlacementFence, Record, Snapshot};
use stdx::{Ids, Timestamp};

use crate::{Placement, Request, request};

/// What all tasks of one launch have in common.
#[derive(Clone, Debug)]
pub struct Launch<'a> {
    pub definition: &'a TaskDefinition,
    pub request: &'a Request,
    pub cluster: &'a str,
    pub launch_type: LaunchType,
    pub started_by: String,
    pub overrides: Option<TaskOverride>,
    pub tags: Vec<Tag>,
    pub execute_command_enabled: bool,
}

impl Launch<'_> {
    /// Writes down the task that a placement stands for. The instance's fence moves, so that nobody else's plan on the
    /// same free resources can be committed too.
    pub fn record(
        &self,
        placement: &Placement,
        snapshot: &Snapshot,
        changes: &mut Changes,
        ids: &mut Ids,
        now: Timestamp,
    ) -> Task {
        let mut task = self.task(ids, now);
        settle(&mut task, self.definition, placement);
        give_gpus(&mut task, self.definition, placement, snapshot, changes);
        rely_on_instance(placement, snapshot, changes);
        changes.put(snapshot, &task);
        task
    }

    /// Writes down a task for which there is no room yet: it waits in `PROVISIONING` for an instance of that provider.
    pub fn wait(
        &self,
        (provider, how): (&str, Provisioning),
        snapshot: &Snapshot,
        changes: &mut Changes,
        ids: &mut Ids,
        now: Timestamp,
    ) -> Task {
        let mut task = self.task(ids, now);
        task.capacity_provider = Some(provider.to_owned());
        task.provisioning = Some(Box::new(how));
        changes.put(snapshot, &task);
        task
    }

    fn task(&self, ids: &mut Ids, now: Timestamp) -> Task {
        let definition = self.definition;
        let containers = definition
            .containers
            .iter()
            .map(|container| Container {
                name: container.name.clone(),
                id: ids.uuid(),
                image: container.image.clone(),
                last_status: TaskStatus::Pending,
                image_digest: None,
                runtime_id: None,
                exit_code: None,
                reason: String::new(),
                network_bindings: Vec::new(),
                health: HealthStatus::Unknown,
                // It is not ready before its agent has said that it is.
                probed: container
                    .probes()
                    .ready
                    .map(|_| Box::new(Probed { ready: Some(false), awaited: true, ..Probed::default() })),
                gpus: Vec::new(),
            })
            .collect();
        Task {
            scope: definition.scope.clone(),
            cluster: self.cluster.to_owned(),
            id: ids.hex(),
            family: definition.family.clone(),
            revision: definition.revision,
            container_instance: String::new(),
            launch_type: self.launch_type,
            capacity_provider: None,
            last_status: TaskStatus::Provisioning,
            desired_status: TaskStatus::Running,
            health: HealthStatus::Unknown,
            containers,
            reserved: self.request.reservation.clone(),
            group: self.request.group.clone(),
            started_by: self.started_by.clone(),
            overrides: self.overrides.clone().map(Box::new),
            cpu: Some(self.request.reservation.cpu),
            memory: Some(self.request.reservation.memory),
            tags: self.tags.clone(),
            execute_command_enabled: self.execute_command_enabled,
            created_at: now,
            connectivity_at: None,
            pull_started_at: None,
            pull_stopped_at: None,
            started_at: None,
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
}

/// Gives a place to a task that has waited for one.
pub fn place_waiting(
    task: &Task,
    definition: &TaskDefinition,
    placement: &Placement,
    snapshot: &Snapshot,
    changes: &mut Changes,
) {
    let mut task = task.clone();
    settle(&mut task, definition, placement);
    give_gpus(&mut task, definition, placement, snapshot, changes);
    task.version += 1;
    rely_on_instance(placement, snapshot, changes);
    changes.put(snapshot, &task);
}

fn settle(task: &mut Task, definition: &TaskDefinition, placement: &Placement) {
    // A task with its own network interface waits for it first.
    task.last_status = match definition.effective_network_mode() {
        NetworkMode::Awsvpc => TaskStatus::Provisioning,
        NetworkMode::Bridge | NetworkMode::Host | NetworkMode::None => TaskStatus::Pending,
    };
    task.container_instance.clone_from(&placement.instance.id);
    task.capacity_provider.clone_from(&placement.capacity_provider);
    task.provisioning = None;
}

/// Each container gets as many of the instance's free GPUs as it asks for, in the order of their ids. The fence keeps
/// everybody else's plan from giving them away too.
fn give_gpus(
    task: &mut Task,
    definition: &TaskDefinition,
    placement: &Placement,
    snapshot: &Snapshot,
    changes: &Changes,
) {
    if task.reserved.gpus == 0 {
        return;
    }
    let arn = &placement.instance;
    let name = format!("{}/{}/{}", arn.scope, arn.cluster, arn.id);
    // One that has gone meanwhile is what the commit finds out.
    let Some(instance) = snapshot.container_instances.get(&name) else { return };
    let held = &snapshot.load(instance).gpu_ids;
    let planned: BTreeSet<&String> = changes
        .ops()
        .filter_map(|op| match op {
            Op::Put { record: Some(AnyRecord::Task(planned)), .. } => Some(planned),
            _ => None,
        })
        .filter(|planned| planned.container_instance == arn.id && planned.cluster == arn.cluster)
        .flat_map(|planned| planned.containers.iter().flat_map(|container| &container.gpus))
        .collect();
    let all = instance.registered.gpus.iter();
    let mut free = all.filter(|gpu| !held.contains_key(*gpu) && !planned.contains(gpu));
    let overrides = task.overrides.as_deref();
    for (container, defined) in task.containers.iter_mut().zip(&definition.containers) {
        let wanted = request::gpus(defined, overrides) as usize;
        container.gpus = free.by_ref().take(wanted).cloned().collect();
    }
}

/// The instance must still be there, still take tasks, and have the room that it was chosen for.
fn rely_on_instance(placement: &Placement, snapshot: &Snapshot, changes: &mut Changes) {
    changes.put(snapshot, &moved_fence(snapshot, placement));
    let instance = &placement.instance;
    changes.rely_on::<model::ContainerInstance>(
        snapshot,
        &format!("{}/{}/{}", instance.scope, instance.cluster, instance.id),
    );
}

fn moved_fence(snapshot: &Snapshot, placement: &Placement) -> PlacementFence {
    let instance = &placement.instance;
    let mut fence = PlacementFence {
        scope: instance.scope.clone(),
        cluster: instance.cluster.clone(),
        container_instance: instance.id.clone(),
        placements: 0,
    };
    if let Some(known) = snapshot.placement_fences.get(&fence.name()) {
        fence.placements = known.placements;
    }
    fence.placements += 1;
    fence
}
