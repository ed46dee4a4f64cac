use std::collections::BTreeSet;

use api_ecs::{RegisterContainerInstanceRequest, RegisterContainerInstanceResponse};
use model::container_instance::VersionInfo;
use model::{
    Attribute, ContainerInstance, ContainerInstanceArn, ContainerInstanceStatus, CpuUnits, MemoryMib, Resources,
};
use state::Changes;

use crate::convert;
use crate::ctx::{Applied, Ctx};
use crate::error::{Error, client, invalid};
use crate::{lookup, views};

/// An agent joins, or comes back: one that names the ARN it had keeps it, its tasks and its custom attributes.
pub(crate) fn apply(
    input: &RegisterContainerInstanceRequest,
    ctx: &mut Ctx<'_>,
) -> Applied<RegisterContainerInstanceResponse> {
    let cluster = lookup::cluster(ctx, input.cluster.as_deref())?;
    let registered = resources(input.total_resources.as_ref())?;
    let attributes = attributes(input.attributes.as_ref());
    let known = match input.container_instance_arn.as_deref().filter(|arn| !arn.is_empty()) {
        None => None,
        Some(text) => {
            let arn: ContainerInstanceArn = text.parse().map_err(|_| invalid("Invalid container instance ARN."))?;
            if arn.scope != ctx.scope || arn.cluster != cluster.name {
                return Err(client("The container instance belongs to another cluster."));
            }
            let found = ctx.snapshot.container_instances.get(&format!("{}/{}/{}", arn.scope, arn.cluster, arn.id));
            let active = found.filter(|instance| instance.status != ContainerInstanceStatus::Inactive);
            // The agent then ends for good, and an operator clears its state: its tasks are not ours any more.
            Some(active.ok_or_else(|| client("Container instance is not registered with the cluster."))?)
        }
    };
    let instance = match known {
        Some(known) => {
            let mut instance = (**known).clone();
            instance.registered = registered;
            if let Some(version) = &input.version_info {
                instance.version_info = version_info(version);
            }
            // Custom attributes are sent the first time only, so what was there before stays. Capabilities are sent always: one
            // that is missing is one that the agent has no more.
            instance.attributes.retain(|known| {
                !is_capability(&known.name) || attributes.iter().any(|attribute| attribute.name == known.name)
            });
            for attribute in attributes {
                match instance.attributes.iter_mut().find(|one| one.name == attribute.name) {
                    Some(one) => one.value = attribute.value,
                    None => instance.attributes.push(attribute),
                }
            }
            instance.version += 1;
            instance
        }
        None => ContainerInstance {
            scope: ctx.scope.clone(),
            cluster: cluster.name.clone(),
            id: ctx.ids.hex(),
            status: ContainerInstanceStatus::Active,
            status_reason: None,
            ec2_instance_id: identity(input.instance_identity_document.as_deref()),
            agent_connected: false,
            version_info: input.version_info.as_ref().map(version_info).unwrap_or_default(),
            registered,
            attributes: with_zone(attributes, ctx),
            tags: convert::tags::parse(input.tags.as_ref())?,
            registered_at: ctx.now,
            version: 1,
        },
    };
    let mut changes = Changes::new();
    changes.put(ctx.snapshot, &instance);
    let include = Some(vec!["TAGS".to_owned()]);
    let shown = views::container_instance(ctx.snapshot, &instance, include.as_ref());
    Ok((changes, RegisterContainerInstanceResponse { container_instance: Some(shown) }))
}

fn is_capability(name: &str) -> bool {
    ["com.amazonaws.ecs.capability.", "ecs.capability."].iter().any(|prefix| name.starts_with(prefix))
}

/// The zone that spread strategies count by. An agent that knows none is in the first one of its region.
fn with_zone(mut attributes: Vec<Attribute>, ctx: &Ctx<'_>) -> Vec<Attribute> {
    if !attributes.iter().any(|attribute| attribute.name == "ecs.availability-zone") {
        let zone = format!("{}a", ctx.scope.region);
        attributes.push(Attribute { name: "ecs.availability-zone".into(), value: Some(zone) });
    }
    attributes
}

fn attributes(given: Option<&Vec<api_ecs::Attribute>>) -> Vec<Attribute> {
    let one = |attribute: &api_ecs::Attribute| Attribute {
        name: attribute.name.clone().unwrap_or_default(),
        value: attribute.value.clone(),
    };
    given.into_iter().flatten().map(one).collect()
}

fn resources(given: Option<&Vec<api_ecs::Resource>>) -> Result<Resources, Error> {
    let mut resources = Resources::default();
    for one in given.into_iter().flatten() {
        let integer = || {
            u32::try_from(one.integer_value.unwrap_or_default()).map_err(|_| invalid("A resource cannot be negative."))
        };
        let ports = || -> Result<BTreeSet<u16>, Error> {
            let texts = one.string_set_value.iter().flatten();
            texts.map(|text| text.parse().map_err(|_| invalid(format!("Invalid port: {text}")))).collect()
        };
        match one.name.as_deref().unwrap_or_default() {
            "CPU" => resources.cpu = CpuUnits(integer()?),
            "MEMORY" => resources.memory = MemoryMib(integer()?),
            "PORTS" => resources.ports_tcp = ports()?,
            "PORTS_UDP" => resources.ports_udp = ports()?,
            // GPUs and accelerators are registered as platform devices, and not counted yet.
            _ => {}
        }
    }
    Ok(resources)
}

/// The EC2 instance id inside the identity document. An external agent sends an empty text.
fn identity(document: Option<&str>) -> Option<String> {
    let document: serde_json::Value = serde_json::from_str(document?).ok()?;
    document.get("instanceId")?.as_str().map(str::to_owned)
}

fn version_info(given: &api_ecs::VersionInfo) -> VersionInfo {
    VersionInfo {
        agent_version: given.agent_version.clone().unwrap_or_default(),
        agent_hash: given.agent_hash.clone().unwrap_or_default(),
        docker_version: given.docker_version.clone().unwrap_or_default(),
    }
}
