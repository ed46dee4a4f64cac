//! Bugs that are put in on purpose, one for each thing that the checkers must see. A checker that cannot fail is worth nothing.

use std::sync::Arc;
use std::time::Duration;

use model::{ContainerInstance, ContainerInstanceStatus, Daemon, RolloutState, Service, StopCode, Task, TaskStatus};
use reconcilers::Plan;
use state::{Changes, Op, Record, Snapshot, Table, decode, encode};
use stdx::{Ids, Timestamp};

use crate::call::Call;
use crate::engine::{Author, Engine};

const SCRIBBLES_EVERY: Duration = Duration::from_secs(60);

/// What is broken. Everything else is as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sabotage {
    /// A commit does not look whether somebody else has placed on the same instance meanwhile.
    NoFences,
    /// A turn that starts tasks starts one too many.
    OneTooMany,
    /// A turn that stops tasks stops one too many.
    StopsOneMore,
    /// A task that has stopped runs again when a late report says so.
    Resurrection,
    /// The agent forgets a task that it has acknowledged.
    ForgetfulAgent,
    /// Agents are told of placements before they are committed, and of those that never are.
    ToldTooEarly,
    /// An agent starts a container twice.
    StartsTwice,
    /// The services' loops are never woken by changes.
    Deaf,
    /// Whoever stops a task does not say why.
    Silent,
    /// A service that cannot place a task does not say so.
    NoEvents,
    /// A service that has nothing to do wants to look again at once.
    Restless,
    /// Once a minute the service is written down, changed or not.
    Scribbler,
    /// Zones are never evened out.
    Lopsided,
    /// Nobody looks whether a task is protected.
    Unprotected,
    /// Tasks go anywhere, whatever their capacity provider offers.
    AnyProvider,
    /// A deployment never fails.
    NeverFails,
    /// Definitions are forgotten as soon as somebody deletes them.
    Forgetful,
    /// Task sets never get to all their tasks.
    HalfSets,
    /// What waits for an instance is never looked at again.
    ForgetsWaiting,
    /// The janitor believes that whoever was connected still is.
    Trusting,
    /// Nobody looks whether a task is ready.
    Hasty,
    /// Nobody gives up a task that is never ready.
    Patient,
    /// Daemon deployments drain all instances at a time.
    DrainsAll,
    /// Managed daemons are never looked at.
    IdleDaemons,
    /// No task is needed for a deployment to have succeeded.
    Rash,
    /// The bases and weights of a strategy are those of its other capacity provider.
    WrongShares,
}

impl Sabotage {
    pub const ALL: [Sabotage; 26] = [
        Sabotage::NoFences,
        Sabotage::OneTooMany,
        Sabotage::StopsOneMore,
        Sabotage::Resurrection,
        Sabotage::ForgetfulAgent,
        Sabotage::ToldTooEarly,
        Sabotage::StartsTwice,
        Sabotage::Deaf,
        Sabotage::Silent,
        Sabotage::NoEvents,
        Sabotage::Restless,
        Sabotage::Scribbler,
        Sabotage::Lopsided,
        Sabotage::Unprotected,
        Sabotage::AnyProvider,
        Sabotage::NeverFails,
        Sabotage::Forgetful,
        Sabotage::HalfSets,
        Sabotage::ForgetsWaiting,
        Sabotage::Trusting,
        Sabotage::Hasty,
        Sabotage::Patient,
        Sabotage::DrainsAll,
        Sabotage::IdleDaemons,
        Sabotage::WrongShares,
        Sabotage::Rash,
    ];
}

/// What a turn has decided, made worse.
pub(crate) fn plan(
    sabotage: Option<Sabotage>,
    mut plan: Plan,
    snapshot: &Snapshot,
    service: &str,
    now: Timestamp,
    ids: &mut Ids,
) -> Plan {
    match sabotage {
        Some(Sabotage::OneTooMany) => one_too_many(&mut plan, snapshot, ids),
        Some(Sabotage::StopsOneMore) => stops_one_more(&mut plan, snapshot, service, now),
        Some(Sabotage::Silent) => {
            rewrite::<Task>(&mut plan, snapshot, |task| {
                task.stop_code = None;
                task.stopped_reason = String::new();
            });
        }
        Some(Sabotage::NoEvents) if written::<Task>(&plan).is_empty() => plan.changes = Changes::new(),
        Some(Sabotage::NoEvents) => rewrite::<Service>(&mut plan, snapshot, |service| service.events.clear()),
        Some(Sabotage::Restless) if plan.changes.is_empty() => plan.look_again = Some(now),
        Some(Sabotage::Scribbler) if plan.changes.is_empty() => {
            plan.look_again = Some(now + SCRIBBLES_EVERY);
            if let Some(known) =
                snapshot.services.get(service).filter(|one| now.since(one.created_at) >= SCRIBBLES_EVERY)
            {
                plan.changes.put(snapshot, &Service { created_at: now, ..Service::clone(known) });
            }
        }
        Some(Sabotage::Lopsided) => {
            let moves = |service: &Service| {
                service.events.first().is_some_and(|event| event.message.contains("to AZ Rebalance"))
            };
            if written::<Service>(&plan).iter().any(moves) {
                (plan.changes, plan.look_again) = (Changes::new(), None);
            }
        }
        Some(Sabotage::AnyProvider) => any_provider(&mut plan, snapshot),
        Some(Sabotage::NeverFails) => {
            let fails =
                |service: &Service| service.deployments.iter().any(|one| one.rollout_state == RolloutState::Failed);
            if written::<Service>(&plan).iter().any(fails) {
                (plan.changes, plan.look_again) = (Changes::new(), Some(now + SCRIBBLES_EVERY));
            }
        }
        Some(Sabotage::HalfSets) if snapshot.services.get(service).is_some_and(|one| !one.task_sets.is_empty()) => {
            if let Some(task) = written::<Task>(&plan).iter().find(|task| snapshot.tasks.get(&task.name()).is_none()) {
                let only = task.clone();
                let has_one = snapshot.tasks.by("service", service).next().is_some();
                (plan.changes, plan.look_again) = (Changes::new(), None);
                if !has_one {
                    plan.changes.put(snapshot, &only);
                }
            }
        }
        Some(Sabotage::ForgetsWaiting) => {
            let waits = |task: &Task| snapshot.tasks.get(&task.name()).is_some_and(|known| known.is_waiting());
            if written::<Task>(&plan).iter().any(waits) {
                (plan.changes, plan.look_again) = (Changes::new(), None);
            }
        }
        Some(Sabotage::Patient) => {
            let gives_up = |task: &Task| task.stopped_reason.starts_with("Task was not ready");
            if written::<Task>(&plan).iter().any(gives_up) {
                (plan.changes, plan.look_again) = (Changes::new(), None);
            }
        }
        Some(Sabotage::IdleDaemons) if snapshot.daemons.get(service).is_some() => {
            (plan.changes, plan.look_again) = (Changes::new(), None);
        }
        _ => {}
    }
    plan
}

/// What is seen by those who see it wrong.
pub(crate) fn view(sabotage: Option<Sabotage>, snapshot: &Arc<Snapshot>) -> Arc<Snapshot> {
    match sabotage {
        Some(Sabotage::Unprotected) => {
            seen::<Task>(snapshot, &snapshot.tasks, |task| task.protected_until.take().is_some())
        }
        Some(Sabotage::Hasty) => seen::<Task>(snapshot, &snapshot.tasks, |task| {
            let unready = task.containers.iter_mut().filter_map(|container| container.probed.as_mut());
            unready.map(|probed| probed.ready = Some(true)).count() > 0
        }),
        Some(Sabotage::DrainsAll) => seen::<Daemon>(snapshot, &snapshot.daemons, |daemon| {
            daemon.configuration.drain_percent = 100.0;
            true
        }),
        Some(Sabotage::Rash) => seen::<Service>(snapshot, &snapshot.services, |service| {
            let early = service.deployment_configuration.early_success.as_mut();
            early.map(|early| early.healthy_percent = 0).is_some()
        }),
        Some(Sabotage::WrongShares) => seen::<Service>(snapshot, &snapshot.services, |service| {
            let numbers: Vec<(u32, u32)> =
                service.capacity_provider_strategy.iter().rev().map(|item| (item.base, item.weight)).collect();
            for (item, (base, weight)) in service.capacity_provider_strategy.iter_mut().zip(numbers) {
                (item.base, item.weight) = (base, weight);
            }
            true
        }),
        _ => snapshot.clone(),
    }
}

/// The snapshot with those records changed that `change` says it has changed.
fn seen<R: Record + Clone>(
    snapshot: &Arc<Snapshot>,
    table: &Table<R>,
    change: impl Fn(&mut R) -> bool,
) -> Arc<Snapshot> {
    let mut seen = Snapshot::clone(snapshot);
    for record in table.iter() {
        let mut record = R::clone(record);
        let key = Table::<R>::key(&record.name());
        let Some(revision) = snapshot.revision_of(&key).filter(|_| change(&mut record)) else { continue };
        seen.absorb(&key, Some(&encode(&record)), revision).expect("what is written can be read");
    }
    Arc::new(seen)
}

/// What a janitor forgets, and more.
pub(crate) fn janitor(sabotage: Option<Sabotage>, plan: &mut Plan, snapshot: &Snapshot) {
    if sabotage == Some(Sabotage::Trusting) && !written::<ContainerInstance>(plan).is_empty() {
        plan.changes = Changes::new();
    }
    if sabotage == Some(Sabotage::Forgetful) {
        for definition in snapshot.task_definitions.under("deleting", "") {
            plan.changes.delete(snapshot, &**definition);
        }
    }
}

/// The first new task goes to an instance of another group.
fn any_provider(plan: &mut Plan, snapshot: &Snapshot) {
    let is_new = |task: &Task| snapshot.tasks.get(&task.name()).is_none() && task.capacity_provider.is_some();
    let Some(mut task) = written::<Task>(plan).into_iter().find(is_new) else { return };
    let elsewhere = |one: &&Arc<ContainerInstance>| {
        one.attribute(model::capacity_provider::GROUP_ATTRIBUTE) != task.capacity_provider.as_deref()
            && one.status == ContainerInstanceStatus::Active
    };
    let Some(other) = snapshot.container_instances.iter().find(elsewhere) else { return };
    task.container_instance.clone_from(&other.id);
    plan.changes.put(snapshot, &task);
}

/// The records of one kind among the changes.
fn written<R: Record>(plan: &Plan) -> Vec<R> {
    let prefix = format!("{}/", R::KIND);
    let puts = plan.changes.ops().filter_map(|op| match op {
        Op::Put { key, value, .. } if key.starts_with(&prefix) => decode(value).ok(),
        _ => None,
    });
    puts.collect()
}

fn rewrite<R: Record>(plan: &mut Plan, snapshot: &Snapshot, change: impl Fn(&mut R)) {
    for mut record in written::<R>(plan) {
        change(&mut record);
        plan.changes.put(snapshot, &record);
    }
}

fn one_too_many(plan: &mut Plan, snapshot: &Snapshot, ids: &mut Ids) {
    let started = |task: &Task| snapshot.tasks.get(&task.name()).is_none();
    if let Some(mut task) = written::<Task>(plan).into_iter().find(started) {
        task.id = ids.hex();
        plan.changes.put(snapshot, &task);
    }
}

fn stops_one_more(plan: &mut Plan, snapshot: &Snapshot, service: &str, now: Timestamp) {
    let stopped = written::<Task>(plan);
    let stops = stopped.iter().any(|task| task.desired_status == TaskStatus::Stopped);
    let spared = |task: &&Arc<Task>| {
        task.desired_status == TaskStatus::Running
            && task.last_status == TaskStatus::Running
            && !stopped.iter().any(|one| one.id == task.id)
    };
    if let Some(task) = snapshot.tasks.by("service", service).find(spared).filter(|_| stops) {
        let mut task = Task::clone(task);
        task.request_stop(StopCode::ServiceSchedulerInitiated, "Scaling activity", now);
        plan.changes.put(snapshot, &task);
    }
}

/// A request arrives, and does harm.
pub(crate) fn called(sabotage: Option<Sabotage>, engine: &Engine, call: &Call) {
    let Call::SubmitTaskStateChange(report) = call else { return };
    if sabotage != Some(Sabotage::Resurrection) || report.status.as_deref() != Some("RUNNING") {
        return;
    }
    let snapshot = engine.snapshot();
    let arn = report.task.as_deref().unwrap_or_default();
    let Some(task) = snapshot.tasks.iter().find(|task| task.arn().to_string() == arn && !task.is_live()) else {
        return;
    };
    let mut changes = Changes::new();
    changes.put(&snapshot, &Task { last_status: TaskStatus::Running, ..Task::clone(task) });
    // Nobody came in between.
    let _ = engine.commit(&changes, Author::Call("SubmitTaskStateChange"));
}
