//! Images on their way before the tasks that need them: which an agent is told to have ready when a deployment begins.
//!
//! It is never needed and never waited for. So nothing of it is recorded, and a control plane that comes back in the middle of
//! a deployment may say it once more.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use agent_api::ToAgent;
use agent_api::extras::{Prepull, PrepullFailed, PrepullImage};
use reconcilers::Indexes;
use reconcilers::prepull::{self, Coming};
use state::{Changes, Ledger, Snapshot};
use stdx::Timestamp;

use super::{Hub, payload};
use crate::clock::{now, seed};
use crate::wake::{Newcomer, Wakes};

/// Tells each instance once for each deployment, for ever.
pub async fn run(hub: Arc<Hub>, wakes: Arc<Wakes>) {
    let indexes = Indexes::default();
    // What was told of each.
    let mut told: BTreeMap<Newcomer, BTreeSet<String>> = BTreeMap::new();
    loop {
        for newcomer in wakes.newcomers.take().await {
            let snapshot = hub.ledger.snapshot();
            let coming = coming(&snapshot, &newcomer);
            let ids: BTreeSet<String> = coming.iter().map(|one| one.id.clone()).collect();
            let before = match ids.is_empty() {
                true => told.remove(&newcomer),
                false => told.insert(newcomer, ids),
            };
            let before = before.unwrap_or_default();
            coming.iter().filter(|one| !before.contains(&one.id)).for_each(|one| tell(&hub, &snapshot, &indexes, one));
        }
    }
}

fn coming<'a>(snapshot: &'a Snapshot, newcomer: &Newcomer) -> Vec<Coming<'a>> {
    match newcomer {
        Newcomer::Service(name) => {
            snapshot.services.get(name).map(|service| prepull::of_service(service)).unwrap_or_default()
        }
        Newcomer::Daemon(name) => {
            let daemon = snapshot.daemons.get(name);
            daemon.and_then(|daemon| prepull::of_managed_daemon(snapshot, daemon)).into_iter().collect()
        }
    }
}

fn tell(hub: &Hub, snapshot: &Snapshot, indexes: &Indexes, coming: &Coming<'_>) {
    let Some(message) = message(snapshot, coming) else { return };
    let instances = prepull::instances(snapshot, indexes, coming, now(), &mut seed());
    for instance in &instances {
        hub.say(instance, ToAgent::Prepull(message.clone()));
    }
    if !instances.is_empty() {
        tracing::info!(deployment = coming.id, instances = instances.len(), "instances pull for a deployment");
    }
}

/// The images that are needed; nothing when the definition is gone. Pure.
fn message(snapshot: &Snapshot, coming: &Coming<'_>) -> Option<Prepull> {
    let (family, revision) = coming.definition;
    let definition = snapshot.task_definitions.get(&format!("{}/{family}/{revision:010}", coming.scope))?;
    let revision = coming.revision.as_ref().and_then(|name| snapshot.service_revisions.get(name));
    let pinned = revision.map(|revision| revision.images.as_slice()).unwrap_or_default();
    let mut images: Vec<PrepullImage> = Vec::new();
    for container in &definition.containers {
        let image = PrepullImage {
            image: container.image.clone(),
            digest: payload::pinned(pinned, container).and_then(|hint| hint.digest),
            registry_authentication: payload::registry_authentication(&coming.scope.region, None, container),
        };
        if !images.contains(&image) {
            images.push(image);
        }
    }
    Some(Prepull { deployment: coming.id.clone(), images })
}

/// That an instance, by the name of its record, could not bring an image: said in the events of the service.
pub fn failed(snapshot: &Snapshot, instance: &str, failed: &PrepullFailed, now: Timestamp, event_id: &str) -> Changes {
    let Some(instance) = snapshot.container_instances.get(instance) else { return Changes::new() };
    let PrepullFailed { deployment, image, reason } = failed;
    prepull::failed(snapshot, instance, (deployment, image, reason), now, event_id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(name: &str, image: &str) -> model::ContainerDefinition {
        model::ContainerDefinition { name: name.into(), image: image.into(), ..Default::default() }
    }

    #[test]
    fn a_registry_that_wants_a_login_is_named_with_it() {
        let place = |image: &str| payload::registry_authentication("eu-west-1", None, &container("web", image));
        assert_eq!(place("web:1"), None);
        let ecr = place("123456789012.dkr.ecr.us-east-1.amazonaws.com/web:1").unwrap();
        let data = ecr.ecr_auth_data.unwrap();
        assert_eq!((data.region.as_str(), data.endpoint_override), ("us-east-1", None));
        let private =
            model::ContainerDefinition { repository_credentials: Some("login".into()), ..container("web", "h/web:1") };
        let asm = payload::registry_authentication("eu-west-1", None, &private).unwrap().asm_auth_data.unwrap();
        assert_eq!(asm.region, "eu-west-1");
    }
}
