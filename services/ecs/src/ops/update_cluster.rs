use api_ecs::{UpdateClusterRequest, UpdateClusterResponse};
use state::Changes;

use crate::convert;
use crate::ctx::{Applied, Ctx};
use crate::{lookup, views};

/// What is not given stays.
pub(crate) fn apply(input: &UpdateClusterRequest, ctx: &mut Ctx<'_>) -> Applied<UpdateClusterResponse> {
    let mut cluster = (*lookup::cluster(ctx, input.cluster.as_deref())?).clone();
    let settings = convert::cluster::settings(input.settings.as_ref())?;
    if !settings.is_empty() {
        cluster.settings = settings;
    }
    if input.configuration.is_some() {
        cluster.execute_command = convert::cluster::execute_command(input.configuration.as_ref())?;
    }
    if let Some(defaults) = &input.service_connect_defaults {
        // An empty namespace takes the default away.
        cluster.service_connect_namespace = defaults.namespace.clone().filter(|namespace| !namespace.is_empty());
    }
    let mut changes = Changes::new();
    changes.put(ctx.snapshot, &cluster);
    let shown = Some(vec!["SETTINGS".into(), "CONFIGURATIONS".into()]);
    Ok((changes, UpdateClusterResponse { cluster: Some(views::cluster(ctx.snapshot, &cluster, shown.as_ref())) }))
}
