//! The services of a cluster.

use api_ecs::operations::{
    ContinueServiceDeployment, DescribeServiceDeployments, DescribeServices, ListServiceDeployments, ListServices,
};
use api_ecs::{
    ContinueServiceDeploymentRequest, DescribeServiceDeploymentsRequest, DescribeServicesRequest,
    ListServiceDeploymentsRequest, ListServicesRequest, Service, ServiceDeployment, ServiceDeploymentBrief,
};

use super::Cluster;

/// Source: Amazon ECS API Reference, `DescribeServices.services`.
const DESCRIBE_MAX: usize = 10;
/// Source: Amazon ECS API Reference, `ListServices.maxResults`.
const PAGE_MAX: i32 = 100;

impl Cluster {
    pub async fn services(&self) -> anyhow::Result<Vec<Service>> {
        let arns = self.service_arns().await?;
        self.describe_services(&arns).await
    }

    /// One service, deleted ones too, while they are remembered.
    pub async fn service(&self, name: &str) -> anyhow::Result<Option<Service>> {
        Ok(self.describe_services(&[name.to_owned()]).await?.pop())
    }

    /// One service that must be there.
    pub async fn service_or_say(&self, name: &str) -> anyhow::Result<Service> {
        match self.service(name).await? {
            Some(service) => Ok(service),
            None => Err(self.no_service(name).await),
        }
    }

    pub async fn service_arns(&self) -> anyhow::Result<Vec<String>> {
        let input = |next_token| ListServicesRequest {
            cluster: Some(self.name.clone()),
            max_results: Some(PAGE_MAX),
            next_token,
            ..ListServicesRequest::default()
        };
        self.arns::<ListServices>(input, |page| (page.service_arns, page.next_token)).await
    }

    /// They come newest first.
    pub async fn newest_service_deployment(&self, name: &str) -> anyhow::Result<Option<ServiceDeploymentBrief>> {
        let input = ListServiceDeploymentsRequest {
            cluster: Some(self.name.clone()),
            service: Some(name.to_owned()),
            max_results: Some(1),
            ..ListServiceDeploymentsRequest::default()
        };
        let answer = self.call::<ListServiceDeployments>(input).await?;
        Ok(answer.service_deployments.unwrap_or_default().into_iter().next())
    }

    pub async fn service_deployment(&self, arn: &str) -> anyhow::Result<Option<ServiceDeployment>> {
        let input = DescribeServiceDeploymentsRequest { service_deployment_arns: Some(vec![arn.to_owned()]) };
        let answer = self.call::<DescribeServiceDeployments>(input).await?;
        Ok(answer.service_deployments.unwrap_or_default().into_iter().next())
    }

    pub async fn continue_service_deployment(&self, arn: &str, hook: &str, action: &str) -> anyhow::Result<()> {
        let input = ContinueServiceDeploymentRequest {
            service_deployment_arn: Some(arn.to_owned()),
            hook_id: Some(hook.to_owned()),
            action: Some(action.to_owned()),
        };
        self.call::<ContinueServiceDeployment>(input).await?;
        Ok(())
    }

    async fn describe_services(&self, names: &[String]) -> anyhow::Result<Vec<Service>> {
        let mut services = Vec::new();
        for batch in names.chunks(DESCRIBE_MAX) {
            let input = DescribeServicesRequest {
                cluster: Some(self.name.clone()),
                services: Some(batch.to_vec()),
                include: Some(vec!["TAGS".to_owned()]),
            };
            services.extend(self.call::<DescribeServices>(input).await?.services.unwrap_or_default());
        }
        Ok(services)
    }
}
