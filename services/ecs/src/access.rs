//! Which permission each operation asks for. Open mode asks for none; `--auth iam` will.
//!
//! Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon Elastic Container Service".

/// The IAM action of an operation, and the kind of resource it is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Access {
    pub operation: &'static str,
    pub action: &'static str,
    /// `*` when the action cannot be narrowed to a resource.
    pub resource: &'static str,
}

macro_rules! access {
    ($($operation:literal on $resource:literal,)*) => {
        &[$(Access { operation: $operation, action: concat!("ecs:", $operation), resource: $resource },)*]
    };
}

pub const ACCESS: &[Access] = access! {
    "ContinueServiceDeployment" on "service-deployment",
    "CreateCapacityProvider" on "capacity-provider",
    "CreateCluster" on "cluster",
    "CreateDaemon" on "daemon",
    "CreateService" on "service",
    "CreateTaskSet" on "task-set",
    "DeleteAccountSetting" on "*",
    "DeleteAttributes" on "container-instance",
    "DeleteCapacityProvider" on "capacity-provider",
    "DeleteCluster" on "cluster",
    "DeleteDaemon" on "daemon",
    "DeleteDaemonTaskDefinition" on "daemon-task-definition",
    "DeleteService" on "service",
    "DeleteTaskDefinitions" on "task-definition",
    "DeleteTaskSet" on "task-set",
    "DeregisterContainerInstance" on "cluster",
    "DeregisterTaskDefinition" on "*",
    "DescribeCapacityProviders" on "capacity-provider",
    "DescribeClusters" on "cluster",
    "DescribeContainerInstances" on "container-instance",
    "DescribeDaemon" on "daemon",
    "DescribeDaemonDeployments" on "daemon-deployment",
    "DescribeDaemonRevisions" on "daemon-revision",
    "DescribeDaemonTaskDefinition" on "daemon-task-definition",
    "DescribeServiceDeployments" on "service-deployment",
    "DescribeServiceRevisions" on "service-revision",
    "DescribeServices" on "service",
    "DescribeTaskDefinition" on "*",
    "DescribeTaskSets" on "task-set",
    "DescribeTasks" on "task",
    "DiscoverPollEndpoint" on "*",
    "ExecuteCommand" on "task",
    "GetTaskProtection" on "task",
    "ListAccountSettings" on "*",
    "ListAttributes" on "cluster",
    "ListClusters" on "*",
    "ListContainerInstances" on "cluster",
    "ListDaemonDeployments" on "daemon",
    "ListDaemonTaskDefinitions" on "*",
    "ListDaemons" on "*",
    "ListServiceDeployments" on "service",
    "ListServices" on "*",
    "ListServicesByNamespace" on "*",
    "ListTagsForResource" on "*",
    "ListTaskDefinitionFamilies" on "*",
    "ListTaskDefinitions" on "*",
    "ListTasks" on "container-instance",
    "PutAccountSetting" on "*",
    "PutAccountSettingDefault" on "*",
    "PutAttributes" on "container-instance",
    "PutClusterCapacityProviders" on "cluster",
    "RegisterContainerInstance" on "cluster",
    "RegisterDaemonTaskDefinition" on "daemon-task-definition",
    "RegisterTaskDefinition" on "task-definition",
    "RunTask" on "task-definition",
    "StartTask" on "task-definition",
    "StopServiceDeployment" on "service-deployment",
    "StopTask" on "task",
    "SubmitAttachmentStateChanges" on "cluster",
    "SubmitContainerStateChange" on "cluster",
    "SubmitTaskStateChange" on "cluster",
    "TagResource" on "*",
    "UntagResource" on "*",
    "UpdateCapacityProvider" on "capacity-provider",
    "UpdateCluster" on "cluster",
    "UpdateClusterSettings" on "cluster",
    "UpdateContainerAgent" on "container-instance",
    "UpdateContainerInstancesState" on "container-instance",
    "UpdateDaemon" on "daemon",
    "UpdateService" on "service",
    "UpdateServicePrimaryTaskSet" on "service",
    "UpdateTaskProtection" on "task",
    "UpdateTaskSet" on "task-set",
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_asks_for_a_permission() {
        let mut asked: Vec<_> = ACCESS.iter().map(|access| access.operation).collect();
        let mut served: Vec<_> = api_ecs::MODEL.operations.iter().map(|operation| operation.name).collect();
        asked.sort_unstable();
        served.sort_unstable();
        assert_eq!(asked, served);
    }
}
