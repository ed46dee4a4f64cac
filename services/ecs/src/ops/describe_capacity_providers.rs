use api_ecs::{DescribeCapacityProvidersRequest, DescribeCapacityProvidersResponse};
use model::CapacityProviderArn;
use model::capacity_provider::CapacityProviderStatus;

use crate::ctx::{Applied, Ctx, unchanged};
use crate::error::invalid;
use crate::limits::{DESCRIBE_MAX, SHORT_PAGE_MAX};
use crate::page::{Order, Pages};
use crate::views::PREDEFINED;
use crate::{lookup, views};

/// Those that are named, or all of the account, or of one cluster.
pub(crate) fn apply(
    input: &DescribeCapacityProvidersRequest,
    ctx: &mut Ctx<'_>,
) -> Applied<DescribeCapacityProvidersResponse> {
    let wanted = input.capacity_providers.as_deref().unwrap_or_default();
    if wanted.len() > DESCRIBE_MAX {
        return Err(invalid(format!("Capacity providers cannot have more than {DESCRIBE_MAX} elements.")));
    }
    let of_cluster = match input.cluster.as_deref() {
        Some(named) => Some(lookup::cluster(ctx, Some(named))?.capacity_providers.clone()),
        None => None,
    };
    let is_here = |name: &String| of_cluster.as_ref().is_none_or(|names| names.contains(name));
    let show = |name: &str| -> Option<api_ecs::CapacityProvider> {
        if PREDEFINED.contains(&name) {
            return Some(views::predefined_capacity_provider(&ctx.scope, name));
        }
        let kept = ctx.snapshot.capacity_providers.get(&format!("{}/{name}", ctx.scope))?;
        Some(views::capacity_provider(kept, input.include.as_ref()))
    };
    if !wanted.is_empty() {
        let (mut shown, mut failures) = (Vec::new(), Vec::new());
        for text in wanted {
            let name = lookup::capacity_provider_name(ctx, text).filter(is_here);
            match name.as_deref().and_then(show) {
                Some(provider) => shown.push(provider),
                None if text.starts_with("arn:") => failures.push(views::failure(text, "MISSING")),
                None => failures.push(views::failure(CapacityProviderArn::new(&ctx.scope, text), "MISSING")),
            }
        }
        return unchanged(DescribeCapacityProvidersResponse {
            capacity_providers: Some(shown),
            failures: Some(failures),
            next_token: None,
        });
    }
    let request = DescribeCapacityProvidersRequest { next_token: None, max_results: None, ..input.clone() };
    let size = input.max_results.or(Some(SHORT_PAGE_MAX as i32)).map(|size| size.min(SHORT_PAGE_MAX as i32));
    let pages = Pages::read(ctx, &request, input.next_token.as_deref(), size, SHORT_PAGE_MAX)?;
    let own = ctx.snapshot.capacity_providers.range(&format!("{}/", ctx.scope));
    let own = own.filter(|kept| kept.status == CapacityProviderStatus::Active).map(|kept| kept.name.clone());
    let mut names: Vec<String> = PREDEFINED.iter().map(|name| (*name).to_owned()).chain(own).filter(is_here).collect();
    names.sort();
    let all = names.into_iter().filter_map(|name| show(&name).map(|shown| (name, shown)));
    let (shown, next_token) = pages.cut(all, Order::Ascending);
    unchanged(DescribeCapacityProvidersResponse {
        capacity_providers: Some(shown),
        failures: Some(Vec::new()),
        next_token,
    })
}
