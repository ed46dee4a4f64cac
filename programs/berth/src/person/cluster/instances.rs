//! The container instances of a cluster.

use api_ecs::operations::{DescribeContainerInstances, ListContainerInstances};
use api_ecs::{ContainerInstance, DescribeContainerInstancesRequest, ListContainerInstancesRequest};

use super::Cluster;

/// Source: Amazon ECS API Reference, `DescribeContainerInstances.containerInstances`.
const DESCRIBE_MAX: usize = 100;

impl Cluster {
    pub async fn instances(&self) -> anyhow::Result<Vec<ContainerInstance>> {
        let input = |next_token| ListContainerInstancesRequest {
            cluster: Some(self.name.clone()),
            next_token,
            ..ListContainerInstancesRequest::default()
        };
        let page = |page: api_ecs::ListContainerInstancesResponse| (page.container_instance_arns, page.next_token);
        let arns = self.arns::<ListContainerInstances>(input, page).await?;
        self.describe_instances(&arns).await
    }

    /// Those that are known, deregistered ones too.
    pub async fn describe_instances(&self, arns: &[String]) -> anyhow::Result<Vec<ContainerInstance>> {
        let mut instances = Vec::new();
        for batch in arns.chunks(DESCRIBE_MAX) {
            let input = DescribeContainerInstancesRequest {
                cluster: Some(self.name.clone()),
                container_instances: Some(batch.to_vec()),
                ..DescribeContainerInstancesRequest::default()
            };
            let answer = self.call::<DescribeContainerInstances>(input).await?;
            instances.extend(answer.container_instances.unwrap_or_default());
        }
        Ok(instances)
    }
}
