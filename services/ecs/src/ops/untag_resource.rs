use api_ecs::{UntagResourceRequest, UntagResourceResponse};
use model::tag;
use state::Changes;

use super::tag_resource::Tagged;
use crate::ctx::{Applied, Ctx};

pub(crate) fn apply(input: &UntagResourceRequest, ctx: &mut Ctx<'_>) -> Applied<UntagResourceResponse> {
    let mut tagged = Tagged::find(ctx, input.resource_arn.as_deref().unwrap_or_default())?;
    let rest = tag::without(tagged.tags(), input.tag_keys.as_deref().unwrap_or_default());
    tagged.set(rest);
    let mut changes = Changes::new();
    tagged.put(ctx, &mut changes);
    Ok((changes, UntagResourceResponse {}))
}
