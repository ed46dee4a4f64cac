use api_ecs::{SubmitAttachmentStateChangesRequest, SubmitAttachmentStateChangesResponse};

use crate::ctx::{Applied, Ctx, unchanged};

/// Nothing that we announce is attached this way yet, so a report can only be about something of the past, whatever cluster
/// it names.
pub(crate) fn apply(
    _input: &SubmitAttachmentStateChangesRequest,
    _ctx: &mut Ctx<'_>,
) -> Applied<SubmitAttachmentStateChangesResponse> {
    unchanged(SubmitAttachmentStateChangesResponse { acknowledgment: Some("ACK".into()) })
}
