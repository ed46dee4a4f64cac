use api_ecs::{Error, ErrorCode, UpdateContainerAgentRequest, UpdateContainerAgentResponse};

use crate::ctx::{Applied, Ctx};
use crate::error::client;
use crate::lookup;

/// On AWS this sends the agent to a newer release in a bucket of AWS. Berth publishes no agents: its own one comes with the program, and
/// the official one from its packages. So there is never an update, and no state of one.
pub(crate) fn apply(input: &UpdateContainerAgentRequest, ctx: &mut Ctx<'_>) -> Applied<UpdateContainerAgentResponse> {
    let cluster = lookup::cluster(ctx, input.cluster.as_deref())?;
    let named = input.container_instance.as_deref().unwrap_or_default();
    let instance = lookup::active_container_instance(ctx, &cluster, named)
        .ok_or_else(|| client("Referenced container instance not found."))?;
    let version = &instance.version_info.agent_version;
    if version.is_empty() {
        let message = format!("The agent version of container instance {} is not known.", instance.arn());
        return Err(Error::new(ErrorCode::MissingVersionException, message));
    }
    let message = format!("There is no update available for the container agent {version}.");
    Err(Error::new(ErrorCode::NoUpdateAvailableException, message))
}
