//! What AWS shows of what we keep, for Describe and List.

mod capacity_provider;
mod cluster;
mod container_instance;
pub(crate) mod daemon;
mod service;
pub(crate) mod service_deployment;
mod task;
mod task_definition;
mod task_set;

pub(crate) use capacity_provider::{PREDEFINED, capacity_provider, predefined_capacity_provider};
pub(crate) use cluster::cluster;
pub(crate) use container_instance::{attribute, container_instance};
pub(crate) use service::service;
pub(crate) use task::task;
pub(crate) use task_definition::task_definition;
pub(crate) use task_set::task_set;

/// One thing of a batch that could not be had.
pub(crate) fn failure(arn: impl ToString, reason: &str) -> api_ecs::Failure {
    api_ecs::Failure { arn: Some(arn.to_string()), reason: Some(reason.to_owned()), detail: None }
}

/// The same, with what a person would ask next.
pub(crate) fn failure_with_detail(arn: impl ToString, reason: &str, detail: String) -> api_ecs::Failure {
    api_ecs::Failure { arn: Some(arn.to_string()), reason: Some(reason.to_owned()), detail: Some(detail) }
}

/// True when `include` asks for that part.
pub(crate) fn included(include: Option<&Vec<String>>, part: &str) -> bool {
    include.into_iter().flatten().any(|wanted| wanted == part)
}
