//! What the records say about an agent's connection.

use model::container_instance::VersionInfo;
use model::{ContainerInstance, ContainerInstanceStatus, Replica};
use state::{Changes, CommitError, Ledger, Snapshot, transact};
use stdx::Timestamp;

/// Instances in one commit: a start with ten thousand of them must not wait for as many commits.
const FORGOTTEN_AT_ONCE: usize = 1000;

/// The agent is there, and its connection is that replica's, whose lease must say so too. Pure, like those below.
pub fn connected(snapshot: &Snapshot, instance: &str, version: &VersionInfo, replica: &str, now: Timestamp) -> Changes {
    let mut changes = change(snapshot, instance, |instance| {
        // Its replica was late when it let the agent in.
        if instance.status == ContainerInstanceStatus::Inactive {
            return;
        }
        instance.agent_connected = true;
        instance.disconnected_at = None;
        instance.served_by = Some(replica.to_owned());
        instance.version_info = version.clone();
    });
    let lease = snapshot.replicas.get(replica);
    if lease.is_none_or(|lease| now.since(lease.renewed_at) >= Replica::RENEWED_EVERY) {
        changes.put(snapshot, &Replica { id: replica.to_owned(), renewed_at: now });
    }
    changes
}

/// What a replica writes down every [`Replica::RENEWED_EVERY`]: nothing, as long as no agent is connected to it.
pub fn renewed(snapshot: &Snapshot, replica: &str, now: Timestamp) -> Changes {
    let mut changes = Changes::new();
    let mut instances = snapshot.container_instances.iter();
    if instances.any(|instance| instance.agent_connected && instance.served_by.as_deref() == Some(replica)) {
        changes.put(snapshot, &Replica { id: replica.to_owned(), renewed_at: now });
    }
    changes
}

/// Tasks are not touched: a lost connection says nothing about them. An agent that is connected to another replica by now stays
/// so.
pub fn disconnected(snapshot: &Snapshot, instance: &str, replica: &str) -> Changes {
    change(snapshot, instance, |instance| {
        if instance.served_by.as_deref().is_none_or(|other| other == replica) {
            instance.agent_connected = false;
        }
    })
}

/// No agent is connected to a control plane that has just started. Empty when that is on record.
pub fn forgotten(snapshot: &Snapshot) -> Changes {
    let mut changes = Changes::new();
    let connected = snapshot.container_instances.iter().filter(|instance| instance.agent_connected);
    for instance in connected.take(FORGOTTEN_AT_ONCE) {
        let mut changed = ContainerInstance::clone(instance);
        changed.agent_connected = false;
        changed.version += 1;
        changes.put(snapshot, &changed);
    }
    changes
}

/// Changes an instance's record, if it is there and something changes.
fn change(snapshot: &Snapshot, instance: &str, change: impl Fn(&mut ContainerInstance)) -> Changes {
    let mut changes = Changes::new();
    if let Some(known) = snapshot.container_instances.get(instance) {
        let mut changed = (**known).clone();
        change(&mut changed);
        if changed != **known {
            changed.version += 1;
            changes.put(snapshot, &changed);
        }
    }
    changes
}

/// Commits what is decided about one instance.
pub async fn record(ledger: &dyn Ledger, instance: &str, decide: impl Fn(&Snapshot) -> Changes) {
    let decide = |snapshot: &Snapshot| -> Result<(Changes, ()), CommitError> { Ok((decide(snapshot), ())) };
    if let Err(error) = transact(ledger, decide).await {
        tracing::error!(instance, error = &error as &dyn std::error::Error, "an agent's connection was not recorded");
    }
}

/// Writes down [`forgotten`].
pub async fn forget_connections(ledger: &dyn Ledger) {
    let decide = |snapshot: &Snapshot| -> Result<(Changes, bool), CommitError> {
        let changes = forgotten(snapshot);
        let done = changes.is_empty();
        Ok((changes, done))
    };
    loop {
        match transact(ledger, decide).await {
            Ok(false) => {}
            Ok(true) => return,
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                return tracing::error!(error, "the agents' old connections are still on record");
            }
        }
    }
}
