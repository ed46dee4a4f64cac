//! The loops: woken by a change or by the clock, they let a reconciler decide on the newest snapshot and commit what it wants.
//! A conflict is no error: the world moved, and the next turn decides again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use model::Replica;
use reconcilers::janitor::Retention;
use reconcilers::{Indexes, Plan};
use state::{Changes, CommitError, Ledger, Snapshot, transact};
use stdx::Timestamp;

use crate::agenda::{self, Agenda, Subject};
use crate::clock::{now, seed};
use crate::wake::Wakes;

/// Keeps every service at its desired count, and gives tasks that wait for an instance a place.
pub async fn services(ledger: Arc<dyn Ledger>, wakes: Arc<Wakes>, paused: Arc<AtomicBool>) {
    let mut agenda = Agenda::default();
    let indexes = Indexes::default();
    loop {
        let woken = match agenda.next() {
            None => wakes.services.take().await,
            Some(next) => {
                let wait = next.since(now());
                tokio::time::timeout(wait, wakes.services.take()).await.unwrap_or_default()
            }
        };
        for subject in agenda.turn(&ledger.snapshot(), woken, now()) {
            if paused.load(Ordering::Relaxed) {
                return;
            }
            let look_again = turn(&*ledger, &indexes, &wakes, &subject).await;
            agenda.put(&subject, look_again);
        }
    }
}

/// One turn for one of them; says when to look again.
async fn turn(ledger: &dyn Ledger, indexes: &Indexes, wakes: &Wakes, subject: &Subject) -> Option<Timestamp> {
    let plan = agenda::plan(&ledger.snapshot(), indexes, subject, now(), &mut seed())?;
    commit(ledger, plan, || wakes.services.mark([subject.wake()])).await
}

/// Forgets what nobody asks for any more.
pub async fn janitor(ledger: Arc<dyn Ledger>, retention: Retention) {
    loop {
        let plan = reconcilers::janitor::reconcile(&ledger.snapshot(), &retention, now());
        let next = commit(&*ledger, plan, || ()).await.unwrap_or(now() + reconcilers::janitor::EVERY);
        tokio::time::sleep(next.since(now())).await;
    }
}

/// Tells the other replicas that this one is there, for as long as agents are connected to it.
pub async fn lease(ledger: Arc<dyn Ledger>, replica: Arc<str>) {
    loop {
        tokio::time::sleep(Replica::RENEWED_EVERY).await;
        let decide = |snapshot: &Snapshot| -> Result<(Changes, ()), CommitError> {
            Ok((crate::agents::renewed(snapshot, &replica, now()), ()))
        };
        if let Err(error) = transact(&*ledger, decide).await {
            tracing::error!(error = &error as &dyn std::error::Error, "the replica's lease was not renewed");
        }
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
