//! Where AWS surprises, and who depends on it. Each is kept on purpose.
//!
//! - A cluster that is not named is `default`, in every operation. It is not created by being named.
//! - `CreateCluster` of an active cluster answers with that cluster and changes nothing; the SDK waiters of provisioning
//!   tools rely on the repeat being harmless.
//! - A deleted cluster, a deregistered instance and a deleted service stay visible as `INACTIVE`; `Describe*` shows them
//!   when they are named, `List*` does not.
//! - `RunTask` on a cluster without any instance is an error (`InvalidParameterException`); on a cluster whose
//!   instances are all full it succeeds with `failures`. `aws ecs run-task` exits 0 in the second case.
//! - `StopTask` on a stopped task succeeds and changes nothing.
//! - A running task that was asked to stop is described as `STOPPING`, though no agent ever reports that state.
//! - `ListAccountSettings` without `effectiveSettings` shows what a principal has set itself, which is nothing at first.
//! - A task set without a scale has no tasks; a service of an external controller has no task definition of its own.
//! - Reports of agents about unknown tasks and clusters are acknowledged: an error would make the official agent repeat them
//!   without end, and hold up what else it has to say about that task.
//! - An agent sends its custom attributes at its first registration only, and its capabilities every time.
//! - Dynamic ports: a definition registered with `hostPort` absent is described with `hostPort: 0`.
//! - `DescribeTaskDefinition` fills in empty lists (`environment`, `mountPoints`, `volumesFrom`, `systemControls`), which
//!   Terraform compares with what it sent.

/// The cluster meant by a request that names none.
pub(crate) const DEFAULT_CLUSTER: &str = "default";
