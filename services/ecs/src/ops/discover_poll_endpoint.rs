use api_ecs::{DiscoverPollEndpointRequest, DiscoverPollEndpointResponse};

use crate::ctx::{Applied, Ctx, unchanged};
use crate::error::client;

/// The websockets are where the agent already reached us; the agent may be on the other side of a proxy.
pub(crate) fn apply(_input: &DiscoverPollEndpointRequest, ctx: &mut Ctx<'_>) -> Applied<DiscoverPollEndpointResponse> {
    let base = ctx.caller.endpoint.as_deref().ok_or_else(|| client("The request has no Host header."))?;
    let base = base.trim_end_matches('/');
    unchanged(DiscoverPollEndpointResponse {
        endpoint: Some(format!("{base}/acs/")),
        telemetry_endpoint: Some(format!("{base}/tcs/")),
        service_connect_endpoint: None,
    })
}
