//! Quotas and defaults, each with the page it comes from.

use model::Weight;

/// Source: Amazon ECS API Reference, `RunTask.count`, `StartTask.containerInstances`.
pub(crate) const TASKS_PER_CALL_MAX: usize = 10;
/// Source: Amazon ECS API Reference, `DescribeTasks.tasks`, `DescribeClusters.clusters`, `DescribeContainerInstances`.
pub(crate) const DESCRIBE_MAX: usize = 100;
/// Source: Amazon ECS API Reference, `DescribeServices.services`.
pub(crate) const DESCRIBE_SERVICES_MAX: usize = 10;
/// Source: Amazon ECS API Reference, `List*.maxResults`: 1 to 100, and 100 by default.
pub(crate) const PAGE_MAX: usize = 100;
/// Source: Amazon ECS API Reference, `ListServices.maxResults`: 10 when it is not given.
pub(crate) const SERVICES_PAGE_DEFAULT: usize = 10;
/// Source: Amazon ECS service quotas, "Task definition size".
pub(crate) const TASK_DEFINITION_BYTES_MAX: usize = 64 * 1024;
/// Source: Amazon ECS service quotas, "Task definition max containers".
pub(crate) const CONTAINERS_MAX: usize = 10;
/// Source: Amazon ECS API Reference: up to 255 letters, numbers, underscores and hyphens.
pub(crate) const NAME_MAX: usize = 255;
/// Source: Amazon ECS service quotas, "Tasks per service".
pub(crate) const TASKS_PER_SERVICE_MAX: i32 = 5000;
/// Source: Amazon ECS API Reference, `RunTask.overrides`: 8192 characters.
pub(crate) const OVERRIDES_CHARS_MAX: usize = 8192;
/// Source: Amazon ECS API Reference, `ContainerDefinition.memory`: Docker 20.10 wants at least 6 MiB.
pub(crate) const MEMORY_MIB_MIN: i32 = 6;
/// Source: Amazon ECS API Reference, `ContainerDefinition.stopTimeout`, `startTimeout` on EC2: the agent's own maximum is
/// not bound, but a stop that takes longer than a day is a mistake.
pub(crate) const TIMEOUT_SECONDS_MAX: i32 = 24 * 60 * 60;

/// Source: Amazon ECS API Reference, `ContainerRestartPolicy.restartAttemptPeriod`.
pub(crate) const RESTART_PERIOD_SECONDS_MIN: u32 = 60;
pub(crate) const RESTART_PERIOD_SECONDS_MAX: u32 = 1800;

/// Source: Amazon ECS API Reference, `LinuxParameters.swappiness`.
pub(crate) const SWAPPINESS_MAX: u32 = 100;
/// Source: Amazon ECS API Reference, `DeleteTaskDefinitions.taskDefinitions`.
pub(crate) const DELETE_TASK_DEFINITIONS_MAX: usize = 10;
/// Source: Amazon ECS API Reference, `UpdateContainerInstancesState.containerInstances`.
pub(crate) const UPDATE_STATE_MAX: usize = 10;
/// Source: Amazon ECS API Reference, "Ensuring idempotency": the client token of RunTask, and that of CreateService.
pub(crate) const RUN_TASK_TOKEN_CHARS_MAX: usize = 64;
pub(crate) const CREATE_SERVICE_TOKEN_CHARS_MAX: usize = 36;
/// The most failures that one RunTask lists. They are one for each instance that does not fit, and a person reads the closest.
pub(crate) const FAILURES_MAX: usize = 100;
/// The client token of a registration is a UUID. Source: the ECS agent, `ecs-agent/api/ecs/client/ecs_client.go`.
pub(crate) const REGISTER_TOKEN_CHARS_MAX: usize = 64;
/// Source: Amazon ECS API Reference, `PutAttributes.attributes`, `DeleteAttributes.attributes`: in one call.
pub(crate) const ATTRIBUTES_PER_CALL_MAX: usize = 10;
/// Source: Amazon ECS API Reference, `AttributeLimitExceededException`: custom attributes of one resource.
pub(crate) const CUSTOM_ATTRIBUTES_MAX: usize = 10;
/// Source: Amazon ECS API Reference, `Attribute.name`, `Attribute.value`.
pub(crate) const ATTRIBUTE_CHARS_MAX: usize = 128;
/// Source: the ECS agent, `ecs-agent/api/ecs/client/ecs_client.go`: the longest reason of a task and of a container.
pub(crate) const REASON_CHARS_MAX: usize = 1024;
/// Source: Amazon ECS API Reference, `UpdateTaskProtection.tasks`.
pub(crate) const UPDATE_PROTECTION_MAX: usize = 10;
/// Source: Amazon ECS API Reference, `UpdateTaskProtection.expiresInMinutes`: from 1, and 120 when it is not given.
pub(crate) const PROTECTION_MINUTES_MAX: u64 = 2880;
pub(crate) const PROTECTION_MINUTES_DEFAULT: u64 = 120;
/// Source: Amazon ECS service quotas, "Task sets per service"; Amazon ECS API Reference, `CreateTaskSet.clientToken`.
pub(crate) const TASK_SETS_PER_SERVICE_MAX: usize = 5;
pub(crate) const TASK_SET_TOKEN_CHARS_MAX: usize = 36;
/// Source: Amazon ECS API Reference, `DescribeServiceDeployments.serviceDeploymentArns`, `DescribeServiceRevisions`.
pub(crate) const DESCRIBE_SERVICE_DEPLOYMENTS_MAX: usize = 20;
/// Source: Amazon ECS API Reference, `DeploymentConfiguration.bakeTimeInMinutes`, `LinearConfiguration`, `CanaryConfiguration`.
pub(crate) const BAKE_MINUTES_MAX: i32 = 1440;
pub(crate) const LINEAR_PERCENT_MIN: Weight = Weight::tenths(30);
pub(crate) const LINEAR_PERCENT_DEFAULT: Weight = Weight::tenths(100);
pub(crate) const LINEAR_BAKE_MINUTES_DEFAULT: u32 = 6;
pub(crate) const CANARY_PERCENT_MIN: Weight = Weight::tenths(1);
pub(crate) const CANARY_PERCENT_DEFAULT: Weight = Weight::tenths(50);
pub(crate) const CANARY_BAKE_MINUTES_DEFAULT: u32 = 10;
/// Source: Amazon ECS API Reference, `DeploymentLifecycleHookTimeoutConfiguration`.
pub(crate) const HOOK_TIMEOUT_MINUTES_DEFAULT: u32 = 1440;
pub(crate) const HOOK_TIMEOUT_MINUTES_MAX: i32 = 20160;
/// AWS names none. Each of them is run up to once for each step of traffic, and a record has to hold that.
pub(crate) const LIFECYCLE_HOOKS_MAX: usize = 10;
/// Source: Amazon ECS API Reference, `CapacityProviderStrategyItem`, and `CreateService.capacityProviderStrategy`: providers in one strategy.
pub(crate) const STRATEGY_ITEMS_MAX: usize = 20;
pub(crate) const STRATEGY_WEIGHT_MAX: u32 = 1000;
pub(crate) const STRATEGY_BASE_MAX: u32 = 100_000;
/// Source: Amazon ECS API Reference, `DescribeCapacityProviders`, `ListAccountSettings`: 10 when `maxResults` is not given.
pub(crate) const SHORT_PAGE_MAX: usize = 10;
/// Source: Amazon ECS API Reference, `DescribeDaemonDeployments.daemonDeploymentArns`, `DescribeDaemonRevisions`.
pub(crate) const DESCRIBE_DAEMON_DEPLOYMENTS_MAX: usize = 20;
/// Source: Amazon ECS API Reference, `ListDaemonDeployments.maxResults`: 20 when it is not given.
pub(crate) const DAEMON_DEPLOYMENTS_PAGE_DEFAULT: usize = 20;
/// Source: Amazon ECS API Reference, `CreateDaemon.clientToken`.
pub(crate) const DAEMON_TOKEN_CHARS_MAX: usize = 36;
/// Source: Amazon ECS Developer Guide, "Daemon deployments": `bakeTimeInMinutes` is from 0 to 1440.
pub(crate) const DAEMON_BAKE_MINUTES_MAX: u32 = 1440;
