use api_ecs::{DescribeContainerInstancesRequest, DescribeContainerInstancesResponse};
use model::ContainerInstanceArn;

use crate::ctx::{Applied, Ctx, unchanged};
use crate::error::invalid;
use crate::limits::DESCRIBE_MAX;
use crate::{lookup, views};

pub(crate) fn apply(
    input: &DescribeContainerInstancesRequest,
    ctx: &mut Ctx<'_>,
) -> Applied<DescribeContainerInstancesResponse> {
    let cluster = lookup::cluster(ctx, input.cluster.as_deref())?;
    let wanted = input.container_instances.clone().unwrap_or_default();
    if wanted.is_empty() {
        return Err(invalid("Container instances cannot be empty."));
    }
    if wanted.len() > DESCRIBE_MAX {
        return Err(invalid(format!("Container instances cannot have more than {DESCRIBE_MAX} elements.")));
    }
    let (mut instances, mut failures) = (Vec::new(), Vec::new());
    for text in &wanted {
        match lookup::container_instance(ctx, &cluster, text) {
            Some(instance) => {
                instances.push(views::container_instance(ctx.snapshot, &instance, input.include.as_ref()));
            }
            None => {
                let arn = text.parse().unwrap_or_else(|_| ContainerInstanceArn::new(&ctx.scope, &cluster.name, text));
                failures.push(views::failure(arn, "MISSING"));
            }
        }
    }
    unchanged(DescribeContainerInstancesResponse { container_instances: Some(instances), failures: Some(failures) })
}
