use api_ecs::{PutClusterCapacityProvidersRequest, PutClusterCapacityProvidersResponse};
use state::Changes;

use crate::convert;
use crate::ctx::{Applied, Ctx};
use crate::error::{invalid, unsupported};
use crate::{lookup, views};

/// Capacity providers come with their own scaling; until they do, a cluster can only be told to have none.
pub(crate) fn apply(
    input: &PutClusterCapacityProvidersRequest,
    ctx: &mut Ctx<'_>,
) -> Applied<PutClusterCapacityProvidersResponse> {
    let mut cluster = (*lookup::cluster(ctx, input.cluster.as_deref())?).clone();
    if input.capacity_providers.as_ref().is_some_and(|providers| !providers.is_empty()) {
        return Err(unsupported("A capacity provider"));
    }
    let strategy = convert::cluster::strategy(input.default_capacity_provider_strategy.as_ref())?;
    if let Some(item) = strategy.first() {
        return Err(invalid(format!(
            "The specified capacity provider '{}' is not associated with the cluster.",
            item.capacity_provider
        )));
    }
    cluster.capacity_providers = Vec::new();
    cluster.default_capacity_provider_strategy = Vec::new();
    let mut changes = Changes::new();
    changes.put(ctx.snapshot, &cluster);
    Ok((changes, PutClusterCapacityProvidersResponse { cluster: Some(views::cluster(ctx.snapshot, &cluster, None)) }))
}
