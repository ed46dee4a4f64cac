//! What the records say about an agent's connection.

use model::ContainerInstance;
use model::container_instance::VersionInfo;
use state::{Changes, CommitError, Ledger, Snapshot, transact};

/// Instances in one commit: a start with ten thousand of them must not wait for as many commits.
const FORGOTTEN_AT_ONCE: usize = 1000;

/// The agent is there. Pure, like the two below.
pub fn connected(snapshot: &Snapshot, instance: &str, version: &VersionInfo) -> Changes {
    change(snapshot, instance, |instance| {
        instance.agent_connected = true;
        instance.disconnected_at = None;
        instance.version_info = version.clone();
    })
}

/// Tasks are not touched: a lost connection says nothing about them.
pub fn disconnected(snapshot: &Snapshot, instance: &str) -> Changes {
    change(snapshot, instance, |instance| instance.agent_connected = false)
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
