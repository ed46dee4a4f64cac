//! The tasks of a cluster.

use std::collections::BTreeSet;

use api_ecs::enums::desired_status;
use api_ecs::operations::{DescribeTasks, ListTasks};
use api_ecs::{DescribeTasksRequest, DescribeTasksResponse, ListTasksRequest, Task};
use client::ClientError;

use super::{Cluster, ClusterError};

/// Source: Amazon ECS API Reference, `DescribeTasks.tasks`.
const DESCRIBE_MAX: usize = 100;

/// Which tasks, by what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// Those that should run.
    Running,
    /// And those that have stopped or were told to, for as long as they are remembered.
    All,
}

impl Cluster {
    /// The tasks, described; of one service, or all.
    pub async fn tasks(&self, which: Which, service: Option<&str>) -> anyhow::Result<DescribeTasksResponse> {
        let arns = self.task_arns(which, service).await?;
        self.describe_tasks(&arns).await
    }

    pub async fn task_arns(&self, which: Which, service: Option<&str>) -> anyhow::Result<Vec<String>> {
        let statuses: &[&str] = match which {
            Which::Running => &[desired_status::RUNNING],
            Which::All => &[desired_status::RUNNING, desired_status::STOPPED],
        };
        // A set, because a task may be told to stop between the two lists.
        let mut arns = BTreeSet::new();
        for status in statuses {
            arns.extend(self.task_arns_with(status, service).await?);
        }
        Ok(arns.into_iter().collect())
    }

    async fn task_arns_with(&self, status: &str, service: Option<&str>) -> anyhow::Result<Vec<String>> {
        let input = |next_token| ListTasksRequest {
            cluster: Some(self.name.clone()),
            desired_status: Some(status.to_owned()),
            service_name: service.map(str::to_owned),
            next_token,
            ..ListTasksRequest::default()
        };
        match (self.arns::<ListTasks>(input, |page| (page.task_arns, page.next_token)).await, service) {
            (Err(error), Some(service)) if is_no_service(&error) => Err(self.no_service(service).await),
            (answer, _) => answer,
        }
    }

    /// Those that are known; the others are `failures`.
    pub async fn describe_tasks(&self, arns: &[String]) -> anyhow::Result<DescribeTasksResponse> {
        let mut tasks: Vec<Task> = Vec::new();
        let mut failures = Vec::new();
        for batch in arns.chunks(DESCRIBE_MAX) {
            let input = DescribeTasksRequest {
                cluster: Some(self.name.clone()),
                tasks: Some(batch.to_vec()),
                ..DescribeTasksRequest::default()
            };
            let answer = self.call::<DescribeTasks>(input).await?;
            tasks.extend(answer.tasks.unwrap_or_default());
            failures.extend(answer.failures.unwrap_or_default());
        }
        Ok(DescribeTasksResponse { tasks: Some(tasks), failures: Some(failures) })
    }

    pub(super) async fn no_service(&self, service: &str) -> anyhow::Error {
        let known = self.service_arns().await.unwrap_or_default();
        let known = known.iter().map(|arn| super::last(arn).to_owned()).collect();
        ClusterError::NoService { service: service.to_owned(), cluster: self.name().to_owned(), known }.into()
    }
}

fn is_no_service(error: &anyhow::Error) -> bool {
    let code = error.downcast_ref::<ClientError>().and_then(ClientError::code);
    matches!(code, Some("ServiceNotFoundException" | "ServiceNotActiveException"))
}
