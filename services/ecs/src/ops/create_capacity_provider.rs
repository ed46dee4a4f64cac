use api_ecs::{CreateCapacityProviderRequest, CreateCapacityProviderResponse};
use model::CapacityProvider;
use model::capacity_provider::{CapacityProviderStatus, UpdateStatus};
use state::Changes;

use super::create_cluster::valid_name;
use crate::convert;
use crate::ctx::{Applied, Ctx};
use crate::error::{Error, client, invalid, unsupported};
use crate::views;

const NAME_RULE: &str = "The specified capacity provider name is invalid. Up to 255 characters are allowed, including letters \
                         (upper and lowercase), numbers, underscores, and hyphens. The name cannot be prefixed with 'aws', \
                         'ecs', or 'fargate'. Specify a valid name and try again.";

/// Records an Auto Scaling group as a place for tasks. Which instances are of it, they say themselves.
pub(crate) fn apply(
    input: &CreateCapacityProviderRequest,
    ctx: &mut Ctx<'_>,
) -> Applied<CreateCapacityProviderResponse> {
    refuse_managed_instances(input.managed_instances_provider.is_some(), input.cluster.is_some())?;
    let name = input.name.clone().unwrap_or_default();
    let lower = name.to_ascii_lowercase();
    if !valid_name(&name) || ["aws", "ecs", "fargate"].iter().any(|prefix| lower.starts_with(prefix)) {
        return Err(invalid(NAME_RULE));
    }
    let known = ctx.snapshot.capacity_providers.get(&format!("{}/{name}", ctx.scope));
    if known.is_some_and(|known| known.status == CapacityProviderStatus::Active) {
        return Err(invalid(
            "The specified capacity provider already exists. To change the configuration of an existing capacity provider, \
             update the capacity provider.",
        ));
    }
    let given = input.auto_scaling_group_provider.as_ref();
    let given = given.ok_or_else(|| invalid("An Auto Scaling group provider must be specified."))?;
    let group = convert::capacity_provider::group(given)?;
    let mut others = ctx.snapshot.capacity_providers.range(&format!("{}/", ctx.scope));
    if others.any(|other| other.status == CapacityProviderStatus::Active && other.group.name() == group.name()) {
        return Err(client(
            "The specified Auto Scaling group ARN is already being used by another capacity provider. Specify a unique Auto \
             Scaling group ARN and try again.",
        ));
    }
    let provider = CapacityProvider {
        scope: ctx.scope.clone(),
        name,
        status: CapacityProviderStatus::Active,
        group,
        update_status: UpdateStatus::CreateComplete,
        tags: convert::tags::parse(input.tags.as_ref())?,
        created_at: ctx.now,
    };
    let mut changes = Changes::new();
    changes.put(ctx.snapshot, &provider);
    let shown = views::capacity_provider(&provider, Some(&vec!["TAGS".to_owned()]));
    Ok((changes, CreateCapacityProviderResponse { capacity_provider: Some(shown) }))
}

/// Only providers of managed instances belong to one cluster.
pub(super) fn refuse_managed_instances(given: bool, names_cluster: bool) -> Result<(), Error> {
    match given || names_cluster {
        true => Err(unsupported("managedInstancesProvider")),
        false => Ok(()),
    }
}
