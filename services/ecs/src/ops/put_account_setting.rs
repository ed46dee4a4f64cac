use api_ecs::{PutAccountSettingRequest, PutAccountSettingResponse};
use model::AccountSetting;
use state::Changes;

use crate::account_settings::{check, known, principal, setting};
use crate::ctx::{Applied, Ctx};

/// For one user or role; the root user speaks for everybody.
pub(crate) fn apply(input: &PutAccountSettingRequest, ctx: &mut Ctx<'_>) -> Applied<PutAccountSettingResponse> {
    let known = known(input.name.as_deref())?;
    let value = check(known, input.value.as_deref().unwrap_or_default())?;
    let kept = AccountSetting {
        scope: ctx.scope.clone(),
        principal: principal(ctx, input.principal_arn.as_deref())?,
        name: known.name.to_owned(),
        value,
    };
    let mut changes = Changes::new();
    changes.put(ctx.snapshot, &kept);
    let shown = setting(known, &kept.value, &kept.principal);
    Ok((changes, PutAccountSettingResponse { setting: Some(shown) }))
}
