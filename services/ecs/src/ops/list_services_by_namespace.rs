use api_ecs::{ListServicesByNamespaceRequest, ListServicesByNamespaceResponse};
use model::ClusterStatus;

use crate::ctx::{Applied, Ctx, unchanged};
use crate::error::{Error, ErrorCode};

/// Services come to a namespace by Service Connect, which no service can have yet. The namespaces are those that clusters have
/// as their default.
pub(crate) fn apply(
    input: &ListServicesByNamespaceRequest,
    ctx: &mut Ctx<'_>,
) -> Applied<ListServicesByNamespaceResponse> {
    let mut clusters = ctx.snapshot.clusters.range(&format!("{}/", ctx.scope));
    let exists = clusters
        .any(|cluster| cluster.status == ClusterStatus::Active && cluster.service_connect_namespace == input.namespace);
    match exists {
        true => unchanged(ListServicesByNamespaceResponse { service_arns: Some(Vec::new()), next_token: None }),
        false => Err(Error::new(ErrorCode::NamespaceNotFoundException, "The specified namespace wasn't found.")),
    }
}
