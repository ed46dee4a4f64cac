//! An ECS that answers what a test says, page by page: for what takes long, or many, to have in reality.

use std::sync::Arc;

use api_ecs::*;
use async_trait::async_trait;
use shape::{Caller, Document, Operation, ServiceModel, Value, WireError};

use super::world::serve;

pub struct Fake {
    pub tasks: Vec<Task>,
    pub services: Vec<Service>,
}

/// How much a page of a list has.
const PAGE: usize = 100;

impl Fake {
    pub async fn serve(self) -> String {
        serve(vec![Arc::new(self)], axum::Router::new()).await
    }
}

#[async_trait]
impl shape::Service for Fake {
    fn model(&self) -> &'static ServiceModel {
        &MODEL
    }

    async fn call(&self, operation: &'static Operation, _: Caller, input: Document) -> Result<Document, WireError> {
        Ok(match operation.name {
            "ListTasks" => {
                let input = ListTasksRequest::from_document(input);
                let arns = self.tasks.iter().filter(|task| task.desired_status == input.desired_status);
                let arns = arns.map(|task| task.task_arn.clone().unwrap()).collect();
                let (task_arns, next_token) = page(arns, input.next_token);
                ListTasksResponse { task_arns, next_token }.into_document()
            }
            "DescribeTasks" => {
                let wanted = DescribeTasksRequest::from_document(input).tasks.unwrap();
                // Source: Amazon ECS API Reference, `DescribeTasks.tasks`.
                assert!(wanted.len() <= 100, "{} at once", wanted.len());
                let known = |task: &&Task| wanted.contains(task.task_arn.as_ref().unwrap());
                let tasks = self.tasks.iter().filter(known).cloned().collect();
                DescribeTasksResponse { tasks: Some(tasks), failures: Some(Vec::new()) }.into_document()
            }
            "DescribeServices" => {
                let wanted = DescribeServicesRequest::from_document(input).services.unwrap();
                let known = |service: &&Service| wanted.contains(service.service_name.as_ref().unwrap());
                let services = self.services.iter().filter(known).cloned().collect();
                DescribeServicesResponse { services: Some(services), failures: Some(Vec::new()) }.into_document()
            }
            "ListServices" => ListServicesResponse::default().into_document(),
            "ListClusters" => ListClustersResponse::default().into_document(),
            "ListContainerInstances" => ListContainerInstancesResponse::default().into_document(),
            "DescribeTaskDefinition" => {
                return Err(Error::new(ErrorCode::ClientException, "Unable to describe task definition.").into());
            }
            other => panic!("nobody asks for {other}"),
        })
    }
}

fn page(arns: Vec<String>, token: Option<String>) -> (Option<Vec<String>>, Option<String>) {
    let start: usize = token.map_or(0, |token| token.parse().unwrap());
    let end = arns.len().min(start + PAGE);
    (Some(arns[start..end].to_vec()), (end < arns.len()).then(|| end.to_string()))
}
