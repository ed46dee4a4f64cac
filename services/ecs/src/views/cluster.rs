//! A cluster, with its counts.

use model::{Cluster, ClusterStatus, ContainerInstanceStatus, LaunchType, ServiceStatus};
use state::Snapshot;

use super::included;
use crate::convert;

/// What is asked of a cluster beside the cluster itself: `ATTACHMENTS`, `CONFIGURATIONS`, `SETTINGS`, `STATISTICS`, `TAGS`.
pub(crate) fn cluster(snapshot: &Snapshot, cluster: &Cluster, include: Option<&Vec<String>>) -> api_ecs::Cluster {
    let counts = Counts::of(snapshot, cluster);
    api_ecs::Cluster {
        cluster_arn: Some(cluster.arn().to_string()),
        cluster_name: Some(cluster.name.clone()),
        status: Some(cluster.status.as_str().into()),
        registered_container_instances_count: Some(counts.instances),
        running_tasks_count: Some(counts.running.iter().sum()),
        pending_tasks_count: Some(counts.pending.iter().sum()),
        active_services_count: Some(counts.services_active.iter().sum()),
        statistics: Some(if included(include, "STATISTICS") { counts.statistics() } else { Vec::new() }),
        tags: Some(if included(include, "TAGS") { convert::tags::view(&cluster.tags) } else { Vec::new() }),
        settings: Some(if included(include, "SETTINGS") { settings(cluster) } else { Vec::new() }),
        configuration: cluster.execute_command.as_ref().filter(|_| included(include, "CONFIGURATIONS")).map(
            |command| api_ecs::ClusterConfiguration {
                execute_command_configuration: Some(api_ecs::ExecuteCommandConfiguration {
                    kms_key_id: command.kms_key_id.clone(),
                    logging: command.logging.clone(),
                    log_configuration: command.log_configuration.as_ref().map(convert::cluster::exec_logs_view),
                }),
                managed_storage_configuration: None,
            },
        ),
        capacity_providers: Some(cluster.capacity_providers.clone()),
        default_capacity_provider_strategy: Some(convert::cluster::strategy_view(
            &cluster.default_capacity_provider_strategy,
        )),
        service_connect_defaults: cluster
            .service_connect_namespace
            .as_ref()
            .map(|namespace| api_ecs::ClusterServiceConnectDefaults { namespace: Some(namespace.clone()) }),
        ..Default::default()
    }
}

fn settings(cluster: &Cluster) -> Vec<api_ecs::ClusterSetting> {
    let view = |setting: &model::cluster::ClusterSetting| api_ecs::ClusterSetting {
        name: Some(setting.name.clone()),
        value: Some(setting.value.clone()),
    };
    cluster.settings.iter().map(view).collect()
}

/// Tasks and services by launch type, in the order EC2, Fargate, External.
#[derive(Default)]
struct Counts {
    instances: i32,
    running: [i32; 3],
    pending: [i32; 3],
    services_active: [i32; 3],
    services_draining: [i32; 3],
}

impl Counts {
    fn of(snapshot: &Snapshot, cluster: &Cluster) -> Counts {
        let mut counts = Counts::default();
        if cluster.status == ClusterStatus::Inactive {
            return counts;
        }
        let column = |launch_type| match launch_type {
            LaunchType::Ec2 => 0,
            LaunchType::Fargate => 1,
            LaunchType::External => 2,
        };
        let prefix = format!("{}/{}/", cluster.scope, cluster.name);
        // What the instances carry, not the tasks one by one: there are a hundred times as many.
        for instance in snapshot.container_instances.range(&prefix) {
            counts.instances += i32::from(matches!(
                instance.status,
                ContainerInstanceStatus::Active | ContainerInstanceStatus::Draining
            ));
            let column = column(if instance.is_external() { LaunchType::External } else { LaunchType::Ec2 });
            let load = snapshot.load(instance);
            counts.running[column] += load.tasks_running as i32;
            counts.pending[column] += load.tasks_pending as i32;
        }
        for service in snapshot.services.range(&prefix) {
            let column = column(service.launch_type.unwrap_or(LaunchType::Ec2));
            match service.status {
                ServiceStatus::Active => counts.services_active[column] += 1,
                ServiceStatus::Draining => counts.services_draining[column] += 1,
                ServiceStatus::Inactive => {}
            }
        }
        counts
    }

    /// Source: Amazon ECS API Reference, `Cluster.statistics`.
    fn statistics(&self) -> Vec<api_ecs::KeyValuePair> {
        let pair =
            |name: String, value: i32| api_ecs::KeyValuePair { name: Some(name), value: Some(value.to_string()) };
        let rows = [
            ("running", "TasksCount", &self.running),
            ("pending", "TasksCount", &self.pending),
            ("active", "ServiceCount", &self.services_active),
            ("draining", "ServiceCount", &self.services_draining),
        ];
        let types = ["EC2", "Fargate", "External"];
        rows.iter()
            .flat_map(|(state, noun, values)| {
                types.iter().enumerate().map(move |(column, kind)| pair(format!("{state}{kind}{noun}"), values[column]))
            })
            .collect()
    }
}
