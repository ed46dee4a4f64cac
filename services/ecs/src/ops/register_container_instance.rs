use std::collections::BTreeSet;
use std::sync::Arc;

use api_ecs::{RegisterContainerInstanceRequest, RegisterContainerInstanceResponse};
use model::container_instance::VersionInfo;
use model::{
    Attribute, Cluster, ContainerInstance, ContainerInstanceArn, ContainerInstanceStatus, CpuUnits, MemoryMib,
    Resources,
};
use state::Changes;

use super::create_cluster::valid_name;
use crate::convert;
use crate::ctx::{Applied, Ctx};
use crate::error::{Error, client, invalid};
use crate::idempotency::{Token, Used};
use crate::limits::REGISTER_TOKEN_CHARS_MAX;
use crate::{lookup, views};

mod identity;

use identity::{Identity, managed_instance};

/// An agent joins, or comes back. A refusal ends the agent for good, so what it rests on must be true, and not only late news.
pub(crate) fn apply(
    input: &RegisterContainerInstanceRequest,
    ctx: &mut Ctx<'_>,
) -> Applied<Result<RegisterContainerInstanceResponse, Error>> {
    match register(input, ctx) {
        Ok((changes, answer)) => Ok((changes, Ok(answer))),
        Err(error) => Ok((grounds(input, ctx), Err(error))),
    }
}

/// What a refusal rests on: the records of the cluster and of the instance as they were seen, or that there are none.
fn grounds(input: &RegisterContainerInstanceRequest, ctx: &Ctx<'_>) -> Changes {
    let mut changes = Changes::new();
    let Ok(cluster) = lookup::cluster_name(ctx, input.cluster.as_deref()) else { return changes };
    if valid_name(&cluster) {
        changes.rely_on::<Cluster>(ctx.snapshot, &format!("{}/{cluster}", ctx.scope));
    }
    let arn = input.container_instance_arn.as_deref().and_then(|arn| arn.parse::<ContainerInstanceArn>().ok());
    if let Some(arn) = arn.filter(|arn| arn.scope == ctx.scope && valid_name(&arn.cluster) && valid_name(&arn.id)) {
        let name = format!("{}/{}/{}", arn.scope, arn.cluster, arn.id);
        changes.rely_on::<ContainerInstance>(ctx.snapshot, &name);
    }
    changes
}

/// One that names the ARN it had keeps it, its tasks and its custom attributes.
fn register(input: &RegisterContainerInstanceRequest, ctx: &mut Ctx<'_>) -> Applied<RegisterContainerInstanceResponse> {
    let cluster = lookup::cluster(ctx, input.cluster.as_deref())?;
    let mut registered = resources(input.total_resources.as_ref())?;
    registered.gpus.extend(gpus(input.platform_devices.as_ref()));
    let attributes = attributes(input.attributes.as_ref())?;
    let identity = Identity::read(input.instance_identity_document.as_deref())?;
    let token = (input.client_token.as_deref(), REGISTER_TOKEN_CHARS_MAX);
    let token = Token::read(ctx, ("RegisterContainerInstance", &cluster.name), token, input)?;
    let known = match input.container_instance_arn.as_deref().filter(|arn| !arn.is_empty()) {
        Some(arn) => Some(named(ctx, &cluster.name, arn)?),
        None => made_before(ctx, &cluster.name, token.as_ref())?,
    };
    let mut changes = Changes::new();
    let instance = match known {
        Some(known) => {
            identity.check_unchanged(&known)?;
            let mut instance = (*known).clone();
            come_back(&mut instance, registered, attributes, input);
            instance
        }
        None => {
            let new = ContainerInstance {
                scope: ctx.scope.clone(),
                cluster: cluster.name.clone(),
                id: ctx.ids.hex(),
                status: ContainerInstanceStatus::Active,
                status_reason: None,
                ec2_instance_id: None,
                agent_connected: false,
                disconnected_at: None,
                served_by: None,
                version_info: input.version_info.as_ref().map(version_info).unwrap_or_default(),
                registered,
                attributes,
                tags: convert::tags::parse(input.tags.as_ref())?,
                health: Vec::new(),
                registered_at: ctx.now,
                version: 1,
            };
            let instance = join(new, identity, ctx);
            if let Some(token) = token {
                token.remember(ctx, &mut changes, vec![instance.id.clone()]);
            }
            instance
        }
    };
    changes.put(ctx.snapshot, &instance);
    let include = Some(vec!["TAGS".to_owned()]);
    let shown = views::container_instance(ctx.snapshot, &instance, include.as_ref());
    Ok((changes, RegisterContainerInstanceResponse { container_instance: Some(shown) }))
}

/// The instance that an agent says it is.
fn named(ctx: &Ctx<'_>, cluster: &str, text: &str) -> Result<Arc<ContainerInstance>, Error> {
    let arn: ContainerInstanceArn = text.parse().map_err(|_| invalid("Invalid container instance ARN."))?;
    if arn.scope != ctx.scope || arn.cluster != cluster {
        return Err(client("The container instance belongs to another cluster."));
    }
    let found = ctx.snapshot.container_instances.get(&format!("{}/{}/{}", arn.scope, arn.cluster, arn.id));
    let active = found.filter(|instance| instance.status != ContainerInstanceStatus::Inactive);
    // The agent then ends for good, and an operator clears its state: its tasks are not ours any more.
    active.cloned().ok_or_else(|| client("Container instance is not registered with the cluster."))
}

/// The instance that the same call made before, when its answer was lost on the way.
fn made_before(ctx: &Ctx<'_>, cluster: &str, token: Option<&Token>) -> Result<Option<Arc<ContainerInstance>>, Error> {
    match token.map(|token| token.used(ctx)) {
        None | Some(Used::Never) => Ok(None),
        Some(Used::Before(ids)) => {
            let id = ids.into_iter().next().unwrap_or_default();
            let found = ctx.snapshot.container_instances.get(&format!("{}/{cluster}/{id}", ctx.scope));
            Ok(found.filter(|instance| instance.status != ContainerInstanceStatus::Inactive).cloned())
        }
        Some(Used::Otherwise(_)) => Err(invalid("The client token was used for another registration.")),
    }
}

fn join(mut instance: ContainerInstance, identity: Identity, ctx: &mut Ctx<'_>) -> ContainerInstance {
    identity.add_to(&mut instance.attributes, ctx);
    instance.ec2_instance_id = match identity.instance_id {
        None if instance.is_external() => Some(managed_instance(ctx)),
        id => id,
    };
    instance
}

fn come_back(
    instance: &mut ContainerInstance,
    registered: Resources,
    attributes: Vec<Attribute>,
    input: &RegisterContainerInstanceRequest,
) {
    instance.registered = registered;
    if let Some(version) = &input.version_info {
        instance.version_info = version_info(version);
    }
    // Custom attributes are sent the first time only, so what was there before stays. Capabilities are sent always: one
    // that is missing is one that the agent has no more.
    instance
        .attributes
        .retain(|known| !is_capability(&known.name) || attributes.iter().any(|attribute| attribute.name == known.name));
    for attribute in attributes {
        match instance.attributes.iter_mut().find(|one| one.name == attribute.name) {
            Some(one) => one.value = attribute.value,
            None => instance.attributes.push(attribute),
        }
    }
    instance.version += 1;
}

fn is_capability(name: &str) -> bool {
    ["com.amazonaws.ecs.capability.", "ecs.capability."].iter().any(|prefix| name.starts_with(prefix))
}

/// The last of several of one name.
fn attributes(given: Option<&Vec<api_ecs::Attribute>>) -> Result<Vec<Attribute>, Error> {
    let mut attributes: Vec<Attribute> = Vec::new();
    for attribute in given.into_iter().flatten() {
        let name = attribute.name.clone().filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| invalid("Attribute names cannot be empty."))?;
        attributes.retain(|known| known.name != name);
        attributes.push(Attribute { name, value: attribute.value.clone() });
    }
    Ok(attributes)
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
            "GPU" => resources.gpus.extend(one.string_set_value.iter().flatten().cloned()),
            "ENI" => resources.network_interfaces = Some(integer()?),
            _ => {}
        }
    }
    Ok(resources)
}

/// The GPUs among the devices that the agent found.
fn gpus(devices: Option<&Vec<api_ecs::PlatformDevice>>) -> impl Iterator<Item = String> {
    let gpus = devices.into_iter().flatten().filter(|device| device.r#type.as_deref() == Some("GPU"));
    gpus.filter_map(|device| device.id.clone())
}

fn version_info(given: &api_ecs::VersionInfo) -> VersionInfo {
    VersionInfo {
        agent_version: given.agent_version.clone().unwrap_or_default(),
        agent_hash: given.agent_hash.clone().unwrap_or_default(),
        docker_version: given.docker_version.clone().unwrap_or_default(),
    }
}
