use api_ecs::{UpdateClusterSettingsRequest, UpdateClusterSettingsResponse};
use state::Changes;

use crate::convert;
use crate::ctx::{Applied, Ctx};
use crate::error::invalid;
use crate::{lookup, views};

pub(crate) fn apply(input: &UpdateClusterSettingsRequest, ctx: &mut Ctx<'_>) -> Applied<UpdateClusterSettingsResponse> {
    let mut cluster = (*lookup::cluster(ctx, input.cluster.as_deref())?).clone();
    let settings = convert::cluster::settings(input.settings.as_ref())?;
    if settings.is_empty() {
        return Err(invalid("Settings cannot be empty."));
    }
    cluster.settings = settings;
    let mut changes = Changes::new();
    changes.put(ctx.snapshot, &cluster);
    let shown = Some(vec!["SETTINGS".into()]);
    Ok((
        changes,
        UpdateClusterSettingsResponse { cluster: Some(views::cluster(ctx.snapshot, &cluster, shown.as_ref())) },
    ))
}
