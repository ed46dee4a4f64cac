use api_ecs::{CreateClusterRequest, CreateClusterResponse};
use model::cluster::ClusterSetting;
use model::{Cluster, ClusterStatus};
use state::Changes;

use crate::convert;
use crate::ctx::{Applied, Ctx};
use crate::error::invalid;
use crate::limits::NAME_MAX;
use crate::quirks::DEFAULT_CLUSTER;
use crate::{account_settings, capacity, views};

pub(crate) fn apply(input: &CreateClusterRequest, ctx: &mut Ctx<'_>) -> Applied<CreateClusterResponse> {
    let name = input.cluster_name.clone().filter(|name| !name.is_empty()).unwrap_or_else(|| DEFAULT_CLUSTER.into());
    if !valid_name(&name) {
        return Err(invalid(
            "Cluster names can contain up to 255 letters (uppercase and lowercase), numbers, underscores, and hyphens.",
        ));
    }
    let known = ctx.snapshot.clusters.get(&format!("{}/{name}", ctx.scope));
    if let Some(cluster) = known.filter(|cluster| cluster.status == ClusterStatus::Active) {
        // A repeat is answered with what is there; see quirks.rs.
        let all = Some(vec!["SETTINGS".into(), "TAGS".into(), "CONFIGURATIONS".into()]);
        let answer = CreateClusterResponse { cluster: Some(views::cluster(ctx.snapshot, cluster, all.as_ref())) };
        return crate::ctx::unchanged(answer);
    }

    let mut cluster = Cluster::new(&ctx.scope, &name, ctx.now);
    let settings = convert::cluster::settings(input.settings.as_ref())?;
    if settings.is_empty() {
        let insights = account_settings::known(Some("containerInsights"))?;
        let value = account_settings::effective(ctx.snapshot, &ctx.scope, insights, &ctx.caller.principal.arn);
        cluster.settings = vec![ClusterSetting { name: insights.name.into(), value }];
    } else {
        cluster.settings = settings;
    }
    cluster.capacity_providers = capacity::providers(ctx, input.capacity_providers.as_deref().unwrap_or_default())?;
    cluster.default_capacity_provider_strategy =
        capacity::strategy(&cluster, input.default_capacity_provider_strategy.as_ref())?;
    cluster.execute_command = convert::cluster::execute_command(input.configuration.as_ref())?;
    cluster.service_connect_namespace =
        input.service_connect_defaults.as_ref().and_then(|defaults| defaults.namespace.clone());
    cluster.tags = convert::tags::parse(input.tags.as_ref())?;

    let mut changes = Changes::new();
    changes.put(ctx.snapshot, &cluster);
    let shown = Some(vec!["SETTINGS".into(), "TAGS".into(), "CONFIGURATIONS".into()]);
    Ok((changes, CreateClusterResponse { cluster: Some(views::cluster(ctx.snapshot, &cluster, shown.as_ref())) }))
}

/// Letters, digits, underscores and hyphens.
pub(crate) fn valid_name(name: &str) -> bool {
    (1..=NAME_MAX).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
}
