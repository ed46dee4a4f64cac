use api_ecs::{PutAccountSettingDefaultRequest, PutAccountSettingDefaultResponse};
use model::AccountSetting;
use state::Changes;

use crate::account_settings::{check, known, root, setting};
use crate::ctx::{Applied, Ctx};

/// For everybody in the account who says nothing themselves.
pub(crate) fn apply(
    input: &PutAccountSettingDefaultRequest,
    ctx: &mut Ctx<'_>,
) -> Applied<PutAccountSettingDefaultResponse> {
    let known = known(input.name.as_deref())?;
    let value = check(known, input.value.as_deref().unwrap_or_default())?;
    let (scope, principal) = (ctx.scope.clone(), root(ctx));
    let kept = AccountSetting { scope, principal, name: known.name.to_owned(), value };
    let mut changes = Changes::new();
    changes.put(ctx.snapshot, &kept);
    let shown = setting(known, &kept.value, &kept.principal);
    Ok((changes, PutAccountSettingDefaultResponse { setting: Some(shown) }))
}
