//! What the records say about an agent's connection.

use model::ContainerInstance;
use model::container_instance::VersionInfo;
use state::{Changes, CommitError, Ledger, Snapshot, transact};

/// Instances in one commit: a start with ten thousand of them must not wait for as many commits.
const FORGOTTEN_AT_ONCE: usize = 1000;

/// Changes an instance's record, if it is there and something changes.
pub async fn change(ledger: &dyn Ledger, instance: &str, change: impl Fn(&mut ContainerInstance)) {
    let decide = |snapshot: &Snapshot| -> Result<(Changes, ()), CommitError> {
        let mut changes = Changes::new();
        if let Some(known) = snapshot.container_instances.get(instance) {
            let mut changed = (**known).clone();
            change(&mut changed);
            if changed != **known {
                changed.version += 1;
                changes.put(snapshot, &changed);
            }
        }
        Ok((changes, ()))
    };
    if let Err(error) = transact(ledger, decide).await {
        tracing::error!(instance, error = &error as &dyn std::error::Error, "an agent's connection was not recorded");
    }
}

pub async fn connected(ledger: &dyn Ledger, instance: &str, version: &VersionInfo) {
    change(ledger, instance, |instance| {
        instance.agent_connected = true;
        instance.version_info = version.clone();
    })
    .await;
}

/// Tasks are not touched: a lost connection says nothing about them.
pub async fn disconnected(ledger: &dyn Ledger, instance: &str) {
    change(ledger, instance, |instance| instance.agent_connected = false).await;
}

/// No agent is connected to a control plane that has just started.
pub async fn forget_connections(ledger: &dyn Ledger) {
    let decide = |snapshot: &Snapshot| -> Result<(Changes, bool), CommitError> {
        let mut changes = Changes::new();
        let connected = snapshot.container_instances.iter().filter(|instance| instance.agent_connected);
        for instance in connected.take(FORGOTTEN_AT_ONCE) {
            let mut changed = ContainerInstance::clone(instance);
            changed.agent_connected = false;
            changed.version += 1;
            changes.put(snapshot, &changed);
        }
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
