//! The loops: woken by a change or by the clock, they let a reconciler decide on the newest snapshot and commit what it wants.
//! A conflict is no error: the world moved, and the next turn decides again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use model::{Service, ServiceStatus, TaskStatus};
use reconcilers::Plan;
use state::{CommitError, Ledger, Record, Snapshot};
use stdx::Timestamp;

use crate::clock::{now, seed};
use crate::wake::{ServiceWake, Wakes};

/// Keeps every service at its desired count.
pub async fn services(ledger: Arc<dyn Ledger>, wakes: Arc<Wakes>, paused: Arc<AtomicBool>) {
    let mut due: BTreeMap<String, Timestamp> = BTreeMap::new();
    loop {
        let woken = match due.values().min() {
            None => wakes.services.take().await,
            Some(next) => {
                let wait = next.since(now());
                tokio::time::timeout(wait, wakes.services.take()).await.unwrap_or_default()
            }
        };
        let mut names = concerned(&ledger.snapshot(), woken);
        let present = now();
        names.extend(due.iter().filter(|(_, at)| **at <= present).map(|(name, _)| name.clone()));
        for name in names {
            if paused.load(Ordering::Relaxed) {
                return;
            }
            due.remove(&name);
            if let Some(at) = service(&*ledger, &wakes, &name).await {
                due.insert(name, at);
            }
        }
    }
}

/// The names of the services that have to look.
fn concerned(snapshot: &Snapshot, woken: BTreeSet<ServiceWake>) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for wake in woken {
        match wake {
            ServiceWake::Service(name) => drop(names.insert(name)),
            ServiceWake::Capacity { cluster } => {
                let lacking =
                    snapshot.services.range(&format!("{cluster}/")).filter(|service| lacks(snapshot, service));
                names.extend(lacking.map(|service| service.name()));
            }
            ServiceWake::Everything => names.extend(snapshot.services.iter().map(|service| service.name())),
        }
    }
    names
}

/// It waits for room, or has a task on an instance that goes away.
fn lacks(snapshot: &Snapshot, service: &Service) -> bool {
    if service.status != ServiceStatus::Active {
        return false;
    }
    let stays = |name: String| {
        let instance = snapshot.container_instances.get(&name);
        instance.is_some_and(|instance| instance.status == model::ContainerInstanceStatus::Active)
    };
    let placed = snapshot
        .tasks
        .by("service", &service.name())
        .filter(|task| task.is_live() && task.desired_status == TaskStatus::Running)
        .filter(|task| stays(crate::wake::instance_of(task)))
        .count();
    placed < service.desired_count as usize
}

/// One turn for one service; says when to look again.
async fn service(ledger: &dyn Ledger, wakes: &Wakes, name: &str) -> Option<Timestamp> {
    let snapshot = ledger.snapshot();
    let service = snapshot.services.get(name)?.clone();
    let plan = reconcilers::service::reconcile(&snapshot, &service, now(), &mut seed());
    commit(ledger, plan, || wakes.services.mark([ServiceWake::Service(name.to_owned())])).await
}

/// Forgets what nobody asks for any more.
pub async fn janitor(ledger: Arc<dyn Ledger>) {
    loop {
        let plan = reconcilers::janitor::reconcile(&ledger.snapshot(), now());
        let next = commit(&*ledger, plan, || ()).await.unwrap_or(now() + reconcilers::janitor::EVERY);
        tokio::time::sleep(next.since(now())).await;
    }
}

/// `again` is called when somebody else was faster.
async fn commit(ledger: &dyn Ledger, plan: Plan, again: impl FnOnce()) -> Option<Timestamp> {
    if plan.changes.is_empty() {
        return plan.look_again;
    }
    match ledger.commit(plan.changes).await {
        Ok(_) => plan.look_again,
        Err(CommitError::Conflict) => {
            again();
            None
        }
        Err(error @ CommitError::Unavailable(_)) => {
            tracing::error!(error = &error as &dyn std::error::Error, "a plan could not be written");
            Some(now() + RETRY_AFTER)
        }
    }
}

/// How long a loop waits when the store does not take its plan.
const RETRY_AFTER: std::time::Duration = std::time::Duration::from_secs(1);
