//! Images on their way before the tasks that need them: which an agent is told to have ready when a deployment begins.
//!
//! It is never needed and never waited for. So nothing of it is recorded, and a control plane that comes back in the middle of
//! a deployment may say it once more.

use std::collections::BTreeMap;
use std::sync::Arc;

use agent_api::ToAgent;
use agent_api::extras::{Prepull, PrepullImage};
use model::Service;
use reconcilers::{Indexes, prepull};
use state::{Ledger, Snapshot};

use super::{Hub, payload};
use crate::clock::{now, seed};
use crate::wake::Wakes;

/// Tells each instance once for each deployment, for ever.
pub async fn run(hub: Arc<Hub>, wakes: Arc<Wakes>) {
    let indexes = Indexes::default();
    // By service, the deployment that was told.
    let mut told: BTreeMap<String, String> = BTreeMap::new();
    loop {
        for name in wakes.deployments.take().await {
            let snapshot = hub.ledger.snapshot();
            let service = snapshot.services.get(&name).filter(|service| prepull::may_be_of_use(service));
            let Some((service, primary)) = service.and_then(|service| Some((service, service.primary()?))) else {
                told.remove(&name);
                continue;
            };
            if told.get(&name) == Some(&primary.id) {
                continue;
            }
            told.insert(name, primary.id.clone());
            let Some(message) = message(&snapshot, service) else { continue };
            let instances = prepull::instances(&snapshot, &indexes, service, now(), &mut seed());
            for instance in &instances {
                hub.say(instance, ToAgent::Prepull(message.clone()));
            }
            if !instances.is_empty() {
                let (service, deployment) = (&service.name, &message.deployment);
                tracing::info!(service, deployment, instances = instances.len(), "instances pull for a deployment");
            }
        }
    }
}

/// The images of a service's newest deployment; nothing when its definition is gone. Pure.
fn message(snapshot: &Snapshot, service: &Service) -> Option<Prepull> {
    let primary = service.primary()?;
    let name = format!("{}/{}/{:010}", service.scope, primary.family, primary.revision);
    let definition = snapshot.task_definitions.get(&name)?;
    let revision = format!("{}/{}/{}/{}", service.scope, service.cluster, service.name, primary.service_revision);
    let revision = snapshot.service_revisions.get(&revision);
    let pinned = revision.map(|revision| revision.images.as_slice()).unwrap_or_default();
    let mut images: Vec<PrepullImage> = Vec::new();
    for container in &definition.containers {
        let image = PrepullImage {
            image: container.image.clone(),
            digest: payload::pinned(pinned, container).and_then(|hint| hint.digest),
            registry_authentication: payload::registry_authentication(&service.scope.region, None, container),
        };
        if !images.contains(&image) {
            images.push(image);
        }
    }
    Some(Prepull { deployment: primary.id.clone(), images })
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
