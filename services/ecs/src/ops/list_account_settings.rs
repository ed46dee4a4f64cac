use api_ecs::{ListAccountSettingsRequest, ListAccountSettingsResponse};

use crate::account_settings::{KNOWN, effective, known, own, principal, setting};
use crate::ctx::{Applied, Ctx, unchanged};
use crate::error::invalid;
use crate::limits::SHORT_PAGE_MAX;
use crate::page::{Order, Pages};

/// What a principal has set, or with `effectiveSettings` what counts for it.
pub(crate) fn apply(input: &ListAccountSettingsRequest, ctx: &mut Ctx<'_>) -> Applied<ListAccountSettingsResponse> {
    let only = input.name.as_deref().map(|name| known(Some(name))).transpose()?;
    if input.value.is_some() && only.is_none() {
        return Err(invalid("You must specify an account setting name to use the value parameter."));
    }
    let principal = principal(ctx, input.principal_arn.as_deref())?;
    let request = ListAccountSettingsRequest { next_token: None, max_results: None, ..input.clone() };
    // Nothing and 0 are the same to a client that has no word for nothing.
    let size = input.max_results.filter(|size| *size != 0).unwrap_or(SHORT_PAGE_MAX as i32).min(SHORT_PAGE_MAX as i32);
    let pages = Pages::read(ctx, &request, input.next_token.as_deref(), Some(size), SHORT_PAGE_MAX)?;
    let value = |one| match input.effective_settings {
        Some(true) => Some(effective(ctx.snapshot, &ctx.scope, one, &principal)),
        _ => own(ctx, one, &principal).map(|kept| kept.value.clone()),
    };
    let mut settings: Vec<_> = KNOWN
        .iter()
        .filter(|one| only.is_none_or(|only| only.name == one.name))
        .filter_map(|one| Some((one, value(one)?)))
        .filter(|(_, value)| input.value.as_ref().is_none_or(|wanted| wanted == value))
        .map(|(one, value)| (one.name.to_owned(), setting(one, &value, &principal)))
        .collect();
    settings.sort_by(|one, other| one.0.cmp(&other.0));
    let (settings, next_token) = pages.cut(settings.into_iter(), Order::Ascending);
    unchanged(ListAccountSettingsResponse { settings: Some(settings), next_token })
}
