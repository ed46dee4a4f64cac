use api_ecs::{SubmitAttachmentStateChangesRequest, SubmitAttachmentStateChangesResponse};

use crate::ctx::{Applied, Ctx, unchanged};
use crate::lookup;

/// Nothing that we announce is attached this way yet, so a report can only be about something of the past.
pub(crate) fn apply(
    input: &SubmitAttachmentStateChangesRequest,
    ctx: &mut Ctx<'_>,
) -> Applied<SubmitAttachmentStateChangesResponse> {
    lookup::cluster(ctx, input.cluster.as_deref())?;
    unchanged(SubmitAttachmentStateChangesResponse { acknowledgment: Some("ACK".into()) })
}
