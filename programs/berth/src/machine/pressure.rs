//! A disk that is nearly full keeps new tasks off its instance, and says so.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use api_ecs::operations::{DeleteAttributes, PutAttributes};
use api_ecs::{Attribute, DeleteAttributesRequest, PutAttributesRequest};
use client::{Client, ClientError};
use model::container_instance::DISK_PRESSURE;
use node::Machine;

use super::member::keys;

/// How often the disk is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// So much lower, in percent of the disk, it must be before there is room again.
const RELIEF: u64 = 3;

#[derive(Clone, Copy, Debug, clap::Args)]
pub struct DiskPressure {
    /// An instance whose disk is fuller than this, in percent, gets no new tasks; 100 for none at all.
    #[arg(
        long = "disk-pressure",
        env = "BERTH_DISK_PRESSURE",
        value_name = "PERCENT",
        default_value = "90",
        value_parser = clap::value_parser!(u64).range(1..=100)
    )]
    bound: u64,
}

/// Looks, and tells the control plane what has changed.
pub struct Watch {
    client: Client,
    cluster: String,
    bound: u64,
}

impl DiskPressure {
    pub fn watch(self, server: &str, region: &str, cluster: &str) -> anyhow::Result<Watch> {
        let client = Client::new(server, keys(), region).with_context(|| format!("{server} is not a server"))?;
        Ok(Watch { client, cluster: cluster.to_owned(), bound: self.bound })
    }
}

impl Watch {
    pub async fn run(self, machine: Arc<Machine>, instance: String) {
        // What an earlier agent said is not known, so it is said anew.
        let mut told = None;
        loop {
            match machine.images().disk_use().await {
                Ok(used) => {
                    let full = is_full(used.percent(), self.bound, told == Some(true));
                    if told != Some(full) {
                        match self.tell(&instance, full, used.percent()).await {
                            Ok(()) => told = Some(full),
                            Err(error) => tracing::warn!(%error, "the disk's state was not told; trying again"),
                        }
                    }
                }
                Err(error) => tracing::warn!(%error, "it cannot be seen how full the disk is"),
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn tell(&self, instance: &str, full: bool, percent: u64) -> Result<(), ClientError> {
        let attribute = Attribute {
            name: Some(DISK_PRESSURE.to_owned()),
            value: full.then(|| "true".to_owned()),
            target_id: Some(instance.to_owned()),
            ..Attribute::default()
        };
        let (cluster, attributes) = (Some(self.cluster.clone()), Some(vec![attribute]));
        if full {
            tracing::warn!(percent, bound = self.bound, "the disk is nearly full: this instance takes no new tasks");
            self.client.call::<PutAttributes>(PutAttributesRequest { cluster, attributes }).await.map(drop)
        } else {
            self.client.call::<DeleteAttributes>(DeleteAttributesRequest { cluster, attributes }).await.map(drop)
        }
    }
}

/// One that was full is so until there is some more room, so that it does not change its mind all the time.
fn is_full(percent: u64, bound: u64, was_full: bool) -> bool {
    bound < 100 && (percent >= bound || was_full && percent + RELIEF > bound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_changes_its_mind_seldom() {
        for (percent, was_full, expected) in [
            (89, false, false),
            (90, false, true),
            (90, true, true),
            (88, true, true),
            (88, false, false),
            (87, true, false),
        ] {
            assert_eq!(is_full(percent, 90, was_full), expected, "{percent} {was_full}");
        }
        assert!(!is_full(100, 100, false), "100 is never");
    }
}
