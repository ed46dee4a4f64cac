use api_ecs::{DeleteCapacityProviderRequest, DeleteCapacityProviderResponse};
use model::capacity_provider::{CapacityProviderStatus, UpdateStatus};
use model::{ClusterStatus, ServiceStatus};
use state::Changes;

use super::create_capacity_provider::refuse_managed_instances;
use crate::ctx::{Applied, Ctx};
use crate::error::invalid;
use crate::views::PREDEFINED;
use crate::{lookup, views};

/// It must be of no use to anybody: no cluster has it, and no service.
pub(crate) fn apply(
    input: &DeleteCapacityProviderRequest,
    ctx: &mut Ctx<'_>,
) -> Applied<DeleteCapacityProviderResponse> {
    refuse_managed_instances(false, input.cluster.is_some())?;
    let named = input.capacity_provider.as_deref().unwrap_or_default();
    if PREDEFINED.contains(&named) {
        return Err(invalid("The specified capacity provider is reserved and cannot be deleted."));
    }
    let mut provider = lookup::capacity_provider(ctx, named)?;
    let prefix = format!("{}/", ctx.scope);
    let mut clusters = ctx.snapshot.clusters.range(&prefix).filter(|cluster| cluster.status == ClusterStatus::Active);
    let mut services = ctx.snapshot.services.range(&prefix).filter(|service| service.status != ServiceStatus::Inactive);
    let in_strategy = |service: &model::Service| {
        let of_sets = service.task_sets.iter().flat_map(|set| &set.capacity_provider_strategy);
        service.capacity_provider_strategy.iter().chain(of_sets).any(|item| item.capacity_provider == provider.name)
    };
    if clusters.any(|cluster| cluster.capacity_providers.contains(&provider.name))
        || services.any(|service| in_strategy(service))
    {
        return Err(invalid(
            "The capacity provider cannot be deleted because it is associated with cluster(s). Remove the capacity provider \
             from the cluster(s) and try again.",
        ));
    }
    provider.status = CapacityProviderStatus::Inactive;
    provider.update_status = UpdateStatus::DeleteComplete;
    let mut changes = Changes::new();
    changes.put(ctx.snapshot, &provider);
    let shown = views::capacity_provider(&provider, None);
    Ok((changes, DeleteCapacityProviderResponse { capacity_provider: Some(shown) }))
}
