//! Clusters, and what happens when there is none.

mod world;

use api_ecs::*;
use world::{World, failures, refused, tag, text, texts};

const NOT_FOUND: (&str, &str) = ("ClusterNotFoundException", "Cluster not found.");

#[tokio::test]
#[expect(clippy::needless_update, reason = "the same words for every operation")]
async fn an_unknown_cluster_is_not_found() {
    let world = World::new().await;
    world.define("web").await;
    let (ecs, caller) = (&world.ecs, &world.caller);
    let nowhere = || text("nowhere");
    macro_rules! check {
        ($($operation:ident($input:ident { $($field:ident: $value:expr),* });)*) => {
            $(
                let input = $input { cluster: nowhere(), $($field: $value,)* ..Default::default() };
                refused(ecs.$operation(caller, input).await, NOT_FOUND.0, NOT_FOUND.1);
            )*
        };
    }
    check! {
        create_service(CreateServiceRequest { service_name: text("s"), task_definition: text("web") });
        delete_cluster(DeleteClusterRequest {});
        delete_service(DeleteServiceRequest { service: text("s") });
        deregister_container_instance(DeregisterContainerInstanceRequest { container_instance: text("i") });
        describe_container_instances(DescribeContainerInstancesRequest { container_instances: texts(&["i"]) });
        describe_services(DescribeServicesRequest { services: texts(&["s"]) });
        describe_tasks(DescribeTasksRequest { tasks: texts(&["t"]) });
        list_attributes(ListAttributesRequest {});
        list_container_instances(ListContainerInstancesRequest {});
        list_services(ListServicesRequest {});
        list_tasks(ListTasksRequest {});
        put_cluster_capacity_providers(PutClusterCapacityProvidersRequest {});
        register_container_instance(RegisterContainerInstanceRequest {});
        run_task(RunTaskRequest { task_definition: text("web") });
        start_task(StartTaskRequest { task_definition: text("web"), container_instances: texts(&["i"]) });
        stop_task(StopTaskRequest { task: text("t") });
        update_cluster(UpdateClusterRequest {});
        update_cluster_settings(UpdateClusterSettingsRequest {});
        update_container_instances_state(UpdateContainerInstancesStateRequest { container_instances: texts(&["i"]) });
        update_service(UpdateServiceRequest { service: text("s") });
    }
    // The same name elsewhere is another cluster.
    let elsewhere = shape::Caller::root("123456789012", "eu-west-1");
    refused(ecs.list_tasks(&elsewhere, ListTasksRequest::default()).await, NOT_FOUND.0, NOT_FOUND.1);
    let foreign =
        ListTasksRequest { cluster: text("arn:aws:ecs:eu-west-1:123456789012:cluster/default"), ..Default::default() };
    refused(ecs.list_tasks(caller, foreign).await, NOT_FOUND.0, NOT_FOUND.1);
    assert_eq!(world.snapshot().clusters.len(), 1, "naming a cluster does not make it");
}

async fn describe(world: &World, names: &[&str], include: &[&str]) -> DescribeClustersResponse {
    let input = DescribeClustersRequest { clusters: texts(names), include: texts(include) };
    world.ecs.describe_clusters(&world.caller, input).await.unwrap()
}

#[tokio::test]
async fn what_is_described_is_what_was_asked_for() {
    let world = World::new().await;
    let input = CreateClusterRequest {
        cluster_name: text("blue"),
        tags: Some(vec![tag("team", "web")]),
        settings: Some(vec![ClusterSetting { name: text("containerInsights"), value: text("enabled") }]),
        ..Default::default()
    };
    let made = world.ecs.create_cluster(&world.caller, input.clone()).await.unwrap().cluster.unwrap();
    assert_eq!(made.status, text("ACTIVE"));
    let again = world.ecs.create_cluster(&world.caller, input).await.unwrap().cluster.unwrap();
    assert_eq!(again, made, "a repeat changes nothing");

    let plain = describe(&world, &["blue"], &[]).await.clusters.unwrap().remove(0);
    assert_eq!(plain.cluster_arn, text("arn:aws:ecs:us-east-1:123456789012:cluster/blue"));
    assert_eq!((plain.tags, plain.settings, plain.statistics), (Some(vec![]), Some(vec![]), Some(vec![])));
    let full = describe(&world, &["blue"], &["TAGS", "SETTINGS", "STATISTICS"]).await.clusters.unwrap().remove(0);
    assert_eq!(full.tags.unwrap(), [tag("team", "web")]);
    assert_eq!(full.settings.unwrap()[0].value, text("enabled"));
    assert_eq!(full.statistics.unwrap().len(), 12);

    let both = describe(&world, &["default", "nope", "arn:aws:ecs:us-east-1:123456789012:cluster/gone"], &[]).await;
    assert_eq!(both.clusters.unwrap().len(), 1);
    let missing = |name: &str| (format!("arn:aws:ecs:us-east-1:123456789012:cluster/{name}"), "MISSING".to_owned());
    assert_eq!(failures(both.failures), [missing("nope"), missing("gone")]);
    let nothing_named = world.ecs.describe_clusters(&world.caller, Default::default()).await.unwrap();
    assert_eq!(nothing_named.clusters.unwrap()[0].cluster_name, text("default"));
}

#[tokio::test]
async fn counts_follow_the_tasks() {
    let (world, instance) = World::ready().await;
    let running = world.one().await;
    world.one().await;
    world.report(&running, "RUNNING", |_| {}).await;
    let cluster = describe(&world, &["default"], &["STATISTICS"]).await.clusters.unwrap().remove(0);
    assert_eq!((cluster.running_tasks_count, cluster.pending_tasks_count), (Some(1), Some(1)));
    assert_eq!(cluster.registered_container_instances_count, Some(1));
    let statistics = cluster.statistics.unwrap();
    let value = |name: &str| statistics.iter().find(|pair| pair.name == text(name)).unwrap().value.clone().unwrap();
    assert_eq!((value("runningEC2TasksCount"), value("pendingEC2TasksCount")), ("1".into(), "1".into()));
    assert_eq!(value("runningFargateTasksCount"), "0");

    let input = DescribeContainerInstancesRequest { container_instances: Some(vec![instance]), ..Default::default() };
    let answer = world.ecs.describe_container_instances(&world.caller, input).await.unwrap();
    let instance = answer.container_instances.unwrap().remove(0);
    assert_eq!((instance.running_tasks_count, instance.pending_tasks_count), (Some(1), Some(1)));
    let remaining = instance.remaining_resources.unwrap();
    assert_eq!((remaining[0].integer_value, remaining[1].integer_value), (Some(2028), Some(3840)));
}

#[tokio::test]
async fn names_have_a_form() {
    let world = World::new().await;
    for name in ["a b", "ä", "x/y", &"x".repeat(256)] {
        let input = CreateClusterRequest { cluster_name: text(name), ..Default::default() };
        let refusal = world.ecs.create_cluster(&world.caller, input).await;
        assert_eq!(refusal.unwrap_err().code, ErrorCode::InvalidParameterException, "{name}");
    }
    world.cluster(&"x".repeat(255)).await;
}

#[tokio::test]
async fn a_cluster_in_use_is_not_deleted() {
    let (world, instance) = World::ready().await;
    let delete = || async {
        let input = DeleteClusterRequest { cluster: text("default") };
        world.ecs.delete_cluster(&world.caller, input).await
    };
    world.service("s", 0).await.unwrap();
    refused(
        delete().await,
        "ClusterContainsServicesException",
        "The Cluster cannot be deleted while Services are active.",
    );
    let input = DeleteServiceRequest { service: text("s"), ..Default::default() };
    world.ecs.delete_service(&world.caller, input).await.unwrap();
    world.reconcile("s");
    refused(
        delete().await,
        "ClusterContainsContainerInstancesException",
        "The Cluster cannot be deleted while Container Instances are active or draining.",
    );
    let input = DeregisterContainerInstanceRequest { container_instance: text(&instance), ..Default::default() };
    world.ecs.deregister_container_instance(&world.caller, input).await.unwrap();
    assert_eq!(delete().await.unwrap().cluster.unwrap().status, text("INACTIVE"));
    refused(delete().await, "ClusterNotFoundException", "Cluster not found.");

    let shown = describe(&world, &["default"], &[]).await.clusters.unwrap();
    assert_eq!(shown[0].status, text("INACTIVE"), "it stays visible to who names it");
    let listed = world.ecs.list_clusters(&world.caller, Default::default()).await.unwrap();
    assert_eq!(listed.cluster_arns, Some(vec![]));
    world.cluster("default").await;
    assert_eq!(describe(&world, &["default"], &[]).await.clusters.unwrap()[0].status, text("ACTIVE"));
}
