//! The nouns of ECS: their names, units and states, as plain values.
//!
//! What is here is what the store keeps, so every record type carries a [`VERSION`](Versioned::VERSION) and golden files of old
//! records are tests. Nothing here knows a wire protocol, a database or a clock.
//!
//! Start reading at [`Task`] and [`TaskDefinition`]; [`arn`] says how each of them is named.

#![forbid(unsafe_code)]

pub mod account_setting;
pub mod arn;
pub mod capacity_provider;
pub mod cluster;
pub mod container_definition;
pub mod container_instance;
pub mod daemon;
pub mod lifecycle;
pub mod logs;
pub mod probe;
pub mod replica;
pub mod resources;
pub mod s3;
pub mod scope;
pub mod service;
pub mod service_deployment;
pub mod stop_reason;
pub mod tag;
pub mod task;
pub mod task_definition;
pub mod task_set;
pub mod token;
pub mod units;

pub use account_setting::AccountSetting;
pub use arn::{
    ArnError, CapacityProviderArn, ClusterArn, ContainerInstanceArn, DaemonArn, DaemonDeploymentArn, DaemonRevisionArn,
    ServiceArn, ServiceDeploymentArn, ServiceRevisionArn, TaskArn, TaskDefinitionArn, TaskSetArn,
};
pub use capacity_provider::CapacityProvider;
pub use cluster::{Cluster, ClusterStatus};
pub use container_definition::ContainerDefinition;
pub use container_instance::{
    Attribute, ContainerInstance, ContainerInstanceStatus, InstanceHealth, InstanceHealthCheck, InstanceHealthCheckKind,
};
pub use daemon::{Daemon, DaemonDeployment, DaemonDeploymentStatus, DaemonRevision, DaemonStatus};
pub use lifecycle::{DeploymentStrategy, Lifecycle, LifecycleHook, LifecycleStage, Weight};
pub use logs::{LogGroupRef, MetricFilter, MetricTransformation, QueryDefinition, QueryParameter, SubscriptionFilter};
pub use probe::{Probe, Probes};
pub use replica::Replica;
pub use resources::{PortReservation, Reservation, Resources};
pub use s3::{Bucket, Checksum, Content, MultipartUpload, Object, ObjectHeaders, UploadPart};
pub use scope::Scope;
pub use service::{
    Deployment, DeploymentController, DeploymentStatus, RolloutState, SchedulingStrategy, Service, ServiceEvent,
    ServiceStatus,
};
pub use service_deployment::{ServiceDeployment, ServiceDeploymentStatus, ServiceRevision};
pub use tag::Tag;
pub use task::{Container, HealthStatus, LaunchType, NetworkBinding, Probed, StopCode, Task, TaskStatus};
pub use task_definition::{Family, TaskDefinition, TaskDefinitionStatus};
pub use task_set::{StabilityStatus, TaskSet, TaskSetStatus};
pub use token::ClientToken;
pub use units::{CpuUnits, MemoryMib};

/// A record that is kept: the number says which shape was written.
///
/// A new field with a default needs no new version. A changed meaning does, and an upgrade from the one before it.
pub trait Versioned {
    const VERSION: u32;
}
