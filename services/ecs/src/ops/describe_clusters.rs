use api_ecs::{DescribeClustersRequest, DescribeClustersResponse};
use model::ClusterArn;

use crate::ctx::{Applied, Ctx, unchanged};
use crate::error::invalid;
use crate::limits::DESCRIBE_MAX;
use crate::quirks::DEFAULT_CLUSTER;
use crate::{lookup, views};

pub(crate) fn apply(input: &DescribeClustersRequest, ctx: &mut Ctx<'_>) -> Applied<DescribeClustersResponse> {
    let wanted = match &input.clusters {
        Some(names) if !names.is_empty() => names.clone(),
        _ => vec![DEFAULT_CLUSTER.to_owned()],
    };
    if wanted.len() > DESCRIBE_MAX {
        return Err(invalid(format!("Clusters cannot have more than {DESCRIBE_MAX} elements.")));
    }
    let (mut clusters, mut failures) = (Vec::new(), Vec::new());
    for text in &wanted {
        let name = lookup::cluster_name(ctx, Some(text)).unwrap_or_else(|_| text.clone());
        // Deleted clusters are shown too, as INACTIVE.
        match ctx.snapshot.clusters.get(&format!("{}/{name}", ctx.scope)) {
            Some(cluster) => clusters.push(views::cluster(ctx.snapshot, cluster, input.include.as_ref())),
            None if text.starts_with("arn:") => failures.push(views::failure(text, "MISSING")),
            None => failures.push(views::failure(ClusterArn::new(&ctx.scope, &name), "MISSING")),
        }
    }
    unchanged(DescribeClustersResponse { clusters: Some(clusters), failures: Some(failures) })
}
