use api_ecs::{DeleteAccountSettingRequest, DeleteAccountSettingResponse};
use state::Changes;

use crate::account_settings::{effective, known, own, principal, setting};
use crate::ctx::{Applied, Ctx};

/// What remains is what the root user says, or nobody.
pub(crate) fn apply(input: &DeleteAccountSettingRequest, ctx: &mut Ctx<'_>) -> Applied<DeleteAccountSettingResponse> {
    let known = known(input.name.as_deref())?;
    let principal = principal(ctx, input.principal_arn.as_deref())?;
    let mut changes = Changes::new();
    if let Some(kept) = own(ctx, known, &principal) {
        changes.delete(ctx.snapshot, &**kept);
    }
    let after = ctx.snapshot.with(&changes, ctx.snapshot.revision).expect("what was just written can be read");
    let value = effective(&after, &ctx.scope, known, &principal);
    let shown = setting(known, &value, &principal);
    Ok((changes, DeleteAccountSettingResponse { setting: Some(shown) }))
}
