use api_ecs::{ListTagsForResourceRequest, ListTagsForResourceResponse};

use crate::convert;
use crate::ctx::{Applied, Ctx, unchanged};
use crate::error::invalid;
use crate::ops::tag_resource::Tagged;

pub(crate) fn apply(input: &ListTagsForResourceRequest, ctx: &mut Ctx<'_>) -> Applied<ListTagsForResourceResponse> {
    let arn = input.resource_arn.as_deref().unwrap_or_default();
    if arn.is_empty() {
        return Err(invalid("The resource ARN cannot be empty."));
    }
    let tagged = Tagged::find(ctx, arn)?;
    unchanged(ListTagsForResourceResponse { tags: Some(convert::tags::view(tagged.tags())) })
}
