//! One cluster, asked through the public API: every page, in batches as large as AWS allows.

use api_ecs::operations::{DescribeTasks, ListClusters, ListTasks};
use api_ecs::{
    DescribeTasksRequest, DescribeTasksResponse, ListClustersRequest, ListTasksRequest, Task, enums::desired_status,
};
use client::{Client, ClientError};
use thiserror::Error;

use super::words::last;

/// The most that one DescribeTasks or DescribeContainerInstances names.
const DESCRIBE_MAX: usize = 100;

/// What a person can mend without reading an API reference.
#[derive(Debug, Error)]
pub enum ClusterError {
    #[error("there is no cluster {cluster} here. {}", clusters_known(known))]
    NoCluster { cluster: String, known: Vec<String> },
    #[error("there is no service {service} in cluster {cluster}")]
    NoService { service: String, cluster: String },
}

fn clusters_known(known: &[String]) -> String {
    match known {
        [] => "Make one with `aws ecs create-cluster`, or look in another region with --region.".to_owned(),
        _ => format!("Say which one with --cluster: {}.", known.join(", ")),
    }
}

/// Which tasks to list.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Those that should run.
    Running,
    /// And those that have stopped or were told to, for as long as they are remembered.
    All,
}

pub struct Cluster {
    client: Client,
    name: String,
}

impl Cluster {
    pub fn new(client: Client, name: Option<String>) -> Cluster {
        Cluster { client, name: name.unwrap_or_else(|| "default".to_owned()) }
    }

    pub fn name(&self) -> &str {
        last(&self.name)
    }

    /// The tasks, described. `service` narrows to the tasks of one service.
    pub async fn tasks(&self, which: Which, service: Option<&str>) -> anyhow::Result<DescribeTasksResponse> {
        let statuses: &[&str] = match which {
            Which::Running => &[desired_status::RUNNING],
            Which::All => &[desired_status::RUNNING, desired_status::STOPPED],
        };
        let mut arns = Vec::new();
        for status in statuses {
            arns.extend(self.task_arns(status, service).await?);
        }
        self.describe_tasks(arns).await
    }

    async fn task_arns(&self, status: &str, service: Option<&str>) -> anyhow::Result<Vec<String>> {
        let mut arns = Vec::new();
        let mut next_token = None;
        loop {
            let input = ListTasksRequest {
                cluster: Some(self.name.clone()),
                desired_status: Some(status.to_owned()),
                service_name: service.map(str::to_owned),
                next_token,
                ..ListTasksRequest::default()
            };
            let page = match self.client.call::<ListTasks>(input).await {
                Ok(page) => page,
                Err(error) => return Err(self.explained(error, service).await),
            };
            arns.extend(page.task_arns.unwrap_or_default());
            next_token = page.next_token;
            if next_token.is_none() {
                return Ok(arns);
            }
        }
    }

    async fn describe_tasks(&self, arns: Vec<String>) -> anyhow::Result<DescribeTasksResponse> {
        let mut tasks: Vec<Task> = Vec::new();
        let mut failures = Vec::new();
        for batch in arns.chunks(DESCRIBE_MAX) {
            let input = DescribeTasksRequest {
                cluster: Some(self.name.clone()),
                tasks: Some(batch.to_vec()),
                ..DescribeTasksRequest::default()
            };
            let answer = self.client.call::<DescribeTasks>(input).await?;
            tasks.extend(answer.tasks.unwrap_or_default());
            failures.extend(answer.failures.unwrap_or_default());
        }
        Ok(DescribeTasksResponse { tasks: Some(tasks), failures: Some(failures) })
    }

    /// Says what is there instead, when what was named is not.
    async fn explained(&self, error: ClientError, service: Option<&str>) -> anyhow::Error {
        match error.code() {
            Some("ClusterNotFoundException") => {
                let known = clusters(&self.client).await.unwrap_or_default();
                ClusterError::NoCluster { cluster: self.name().to_owned(), known }.into()
            }
            Some("ServiceNotFoundException" | "ServiceNotActiveException") if service.is_some() => {
                let service = service.unwrap_or_default().to_owned();
                ClusterError::NoService { service, cluster: self.name().to_owned() }.into()
            }
            _ => error.into(),
        }
    }
}

/// The names of every cluster.
async fn clusters(client: &Client) -> Result<Vec<String>, ClientError> {
    let mut names = Vec::new();
    let mut next_token = None;
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
