//! One cluster, asked through the public API: every page, in batches as large as AWS allows.

mod instances;
mod services;
mod tasks;

use api_ecs::operations::{DescribeCapacityProviders, DescribeTaskDefinition, ListClusters};
use api_ecs::{DescribeCapacityProvidersRequest, DescribeTaskDefinitionRequest, ListClustersRequest, TaskDefinition};
use client::{Client, ClientError};
use shape::Call;
use thiserror::Error;

use super::words::last;
pub use tasks::Which;

/// The cluster meant when none is named.
const DEFAULT: &str = "default";

/// What a person can mend without reading an API reference.
#[derive(Debug, Error)]
pub enum ClusterError {
    #[error("there is no cluster {cluster} here. {}", clusters_known(known))]
    NoCluster { cluster: String, known: Vec<String> },
    #[error("there is no service {service} in cluster {cluster}. {}", services_known(known))]
    NoService { service: String, cluster: String, known: Vec<String> },
}

fn clusters_known(known: &[String]) -> String {
    match known {
        [] => "Make one with `aws ecs create-cluster`, or look in another region with --region.".to_owned(),
        _ => format!("Say which one with --cluster: {}.", known.join(", ")),
    }
}

fn services_known(known: &[String]) -> String {
    match known {
        [] => "It has no services at all.".to_owned(),
        _ => format!("It has {}.", known.join(", ")),
    }
}

pub struct Cluster {
    client: Client,
    /// As it was given: a name or an ARN.
    name: String,
}

impl Cluster {
    pub fn new(client: Client, name: Option<String>) -> Cluster {
        Cluster { client, name: name.unwrap_or_else(|| DEFAULT.to_owned()) }
    }

    pub fn name(&self) -> &str {
        last(&self.name)
    }

    pub fn client(&self) -> &Client {
        &self.client
    }

    pub async fn task_definition(&self, name: &str) -> anyhow::Result<TaskDefinition> {
        let input = DescribeTaskDefinitionRequest {
            task_definition: Some(name.to_owned()),
            ..DescribeTaskDefinitionRequest::default()
        };
        Ok(self.call::<DescribeTaskDefinition>(input).await?.task_definition.unwrap_or_default())
    }

    /// The name of the Auto Scaling group behind a capacity provider.
    pub async fn auto_scaling_group(&self, provider: &str) -> anyhow::Result<Option<String>> {
        let input = DescribeCapacityProvidersRequest {
            capacity_providers: Some(vec![provider.to_owned()]),
            ..DescribeCapacityProvidersRequest::default()
        };
        let found = self.call::<DescribeCapacityProviders>(input).await?.capacity_providers.unwrap_or_default();
        let group = found.into_iter().next().and_then(|one| one.auto_scaling_group_provider);
        let arn = group.and_then(|group| group.auto_scaling_group_arn);
        let name =
            |arn: String| arn.split_once("autoScalingGroupName/").map_or(arn.clone(), |(_, name)| name.to_owned());
        Ok(arn.map(name))
    }

    pub async fn task_definition_exists(&self, name: &str) -> anyhow::Result<bool> {
        match self.task_definition(name).await {
            Ok(_) => Ok(true),
            // "Unable to describe task definition." is a ClientException, and so is a name that cannot be one.
            Err(error) if is_refused(&error) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Calls, and says which clusters there are when this one is not.
    async fn call<C: Call>(&self, input: C::Input) -> anyhow::Result<C::Output> {
        match self.client.call::<C>(input).await {
            Err(error) if error.code() == Some("ClusterNotFoundException") => {
                let known = names(&self.client).await.unwrap_or_default();
                Err(ClusterError::NoCluster { cluster: self.name().to_owned(), known }.into())
            }
            answer => Ok(answer?),
        }
    }

    /// The ARNs on all pages of a `List` operation.
    async fn arns<C: Call>(
        &self,
        input: impl Fn(Option<String>) -> C::Input,
        page: impl Fn(C::Output) -> (Option<Vec<String>>, Option<String>),
    ) -> anyhow::Result<Vec<String>> {
        let (mut all, mut token) = (Vec::new(), None);
        loop {
            let (arns, next) = page(self.call::<C>(input(token)).await?);
            all.extend(arns.unwrap_or_default());
            token = next;
            if token.is_none() {
                return Ok(all);
            }
        }
    }
}

fn is_refused(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref(), Some(ClientError::Refused { .. }))
}

/// The names of every cluster.
pub async fn names(client: &Client) -> Result<Vec<String>, ClientError> {
    let (mut names, mut next_token) = (Vec::new(), None);
    loop {
        let input = ListClustersRequest { next_token, ..ListClustersRequest::default() };
        let page = client.call::<ListClusters>(input).await?;
        names.extend(page.cluster_arns.unwrap_or_default().iter().map(|arn| last(arn).to_owned()));
        next_token = page.next_token;
        if next_token.is_none() {
            return Ok(names);
        }
    }
}
