use api_ecs::{DescribeServicesRequest, DescribeServicesResponse};
use model::ServiceArn;

use crate::ctx::{Applied, Ctx, unchanged};
use crate::error::invalid;
use crate::limits::DESCRIBE_SERVICES_MAX;
use crate::{lookup, views};

pub(crate) fn apply(input: &DescribeServicesRequest, ctx: &mut Ctx<'_>) -> Applied<DescribeServicesResponse> {
    let cluster = lookup::cluster(ctx, input.cluster.as_deref())?;
    let wanted = input.services.clone().unwrap_or_default();
    if wanted.is_empty() {
        return Err(invalid("Services cannot be empty."));
    }
    if wanted.len() > DESCRIBE_SERVICES_MAX {
        return Err(invalid(format!("Services cannot have more than {DESCRIBE_SERVICES_MAX} elements.")));
    }
    let (mut services, mut failures) = (Vec::new(), Vec::new());
    for text in &wanted {
        match lookup::service(ctx, &cluster, text) {
            Some(service) => services.push(views::service(ctx.snapshot, &service, input.include.as_ref())),
            None => {
                let arn = text.parse().unwrap_or_else(|_| ServiceArn::new(&ctx.scope, &cluster.name, text));
                failures.push(views::failure(arn, "MISSING"));
            }
        }
    }
    unchanged(DescribeServicesResponse { services: Some(services), failures: Some(failures) })
}
