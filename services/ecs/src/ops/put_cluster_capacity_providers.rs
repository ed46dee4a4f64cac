use api_ecs::{PutClusterCapacityProvidersRequest, PutClusterCapacityProvidersResponse};
use model::ServiceStatus;
use state::Changes;

use crate::ctx::{Applied, Ctx};
use crate::error::{Error, ErrorCode};
use crate::{capacity, lookup, views};

/// Replaces what capacity providers a cluster has, and the strategy of who names none.
pub(crate) fn apply(
    input: &PutClusterCapacityProvidersRequest,
    ctx: &mut Ctx<'_>,
) -> Applied<PutClusterCapacityProvidersResponse> {
    let mut cluster = (*lookup::cluster(ctx, input.cluster.as_deref())?).clone();
    let providers = capacity::providers(ctx, input.capacity_providers.as_deref().unwrap_or_default())?;
    let gone: Vec<&String> = cluster.capacity_providers.iter().filter(|name| !providers.contains(name)).collect();
    let mut services = ctx.snapshot.services.range(&format!("{}/{}/", ctx.scope, cluster.name));
    let uses = |service: &model::Service, name: &String| {
        let of_sets = service.task_sets.iter().flat_map(|set| &set.capacity_provider_strategy);
        service.capacity_provider_strategy.iter().chain(of_sets).any(|item| item.capacity_provider == *name)
    };
    let in_use = services
        .any(|service| service.status != ServiceStatus::Inactive && gone.iter().any(|name| uses(service, name)));
    let mut daemons = ctx.snapshot.daemons.range(&format!("{}/{}/", ctx.scope, cluster.name));
    if in_use || daemons.any(|daemon| gone.iter().any(|name| daemon.capacity_providers.contains(name))) {
        return Err(Error::new(
            ErrorCode::ResourceInUseException,
            "The specified capacity provider is in use and cannot be removed.",
        ));
    }
    cluster.capacity_providers = providers;
    cluster.default_capacity_provider_strategy =
        capacity::strategy(&cluster, input.default_capacity_provider_strategy.as_ref())?;
    let mut changes = Changes::new();
    changes.put(ctx.snapshot, &cluster);
    Ok((changes, PutClusterCapacityProvidersResponse { cluster: Some(views::cluster(ctx.snapshot, &cluster, None)) }))
}
