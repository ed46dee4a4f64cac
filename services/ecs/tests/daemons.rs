//! Daemon services, as they are created, changed and described.

mod world;

use api_ecs::*;
use world::{World, refused, text, texts};

async fn create(world: &World, change: impl FnOnce(&mut CreateServiceRequest)) -> Result<Service, Error> {
    let mut input = CreateServiceRequest {
        service_name: text("d"),
        task_definition: text("web"),
        scheduling_strategy: text("DAEMON"),
        ..Default::default()
    };
    change(&mut input);
    Ok(world.ecs.create_service(&world.caller, input).await?.service.unwrap())
}

async fn describe(world: &World) -> Service {
    let input = DescribeServicesRequest { services: texts(&["d"]), ..Default::default() };
    world.ecs.describe_services(&world.caller, input).await.unwrap().services.unwrap().remove(0)
}

#[tokio::test]
async fn from_its_creation_to_its_end() {
    let (world, instance) = World::ready().await;
    world.instance(2048, 4096).await;
    let made = create(&world, |_| {}).await.unwrap();
    assert_eq!(made.scheduling_strategy, text("DAEMON"));
    let configuration = made.deployment_configuration.unwrap();
    assert_eq!((configuration.minimum_healthy_percent, configuration.maximum_percent), (Some(0), Some(100)));
    world.reconcile("d");
    let shown = describe(&world).await;
    assert_eq!((shown.desired_count, shown.pending_count), (Some(2), Some(2)));
    assert_eq!(shown.deployments.unwrap()[0].desired_count, Some(2));
    for task in world.list(|input| input.service_name = text("d")).await.unwrap().task_arns.unwrap() {
        world.report(&task, "RUNNING", |_| {}).await;
    }
    world.reconcile("d");
    let shown = describe(&world).await;
    assert_eq!((shown.running_count, shown.pending_count), (Some(2), Some(0)));
    assert_eq!(shown.deployments.unwrap()[0].rollout_state, text("COMPLETED"));

    world.change_instance(&instance, |instance| instance.status = model::ContainerInstanceStatus::Draining);
    world.reconcile("d");
    assert_eq!(describe(&world).await.desired_count, Some(1));

    let list = |strategy: &str| ListServicesRequest { scheduling_strategy: text(strategy), ..Default::default() };
    let daemons = world.ecs.list_services(&world.caller, list("DAEMON")).await.unwrap().service_arns.unwrap();
    let replicas = world.ecs.list_services(&world.caller, list("REPLICA")).await.unwrap().service_arns.unwrap();
    assert_eq!((daemons.len(), replicas.len()), (1, 0));
    // It cannot be scaled to 0, so it need not be.
    let input = DeleteServiceRequest { service: text("d"), ..Default::default() };
    let deleted = world.ecs.delete_service(&world.caller, input).await.unwrap().service.unwrap();
    assert_eq!((deleted.status, deleted.desired_count), (text("DRAINING"), Some(0)));
}

#[tokio::test]
async fn what_a_daemon_cannot_have() {
    let (world, _) = World::ready().await;
    let refuse = async |change: fn(&mut CreateServiceRequest), message: &str| {
        refused(create(&world, change).await, "InvalidParameterException", message);
    };
    let count = "The daemon scheduling strategy does not support a desired count for services. Remove the desired count value \
                 and try again.";
    refuse(|input| input.desired_count = Some(0), count).await;
    let strategies = "The daemon scheduling strategy does not support placement strategies. Remove the placement strategies \
                      and try again.";
    refuse(
        |input| {
            input.placement_strategy = Some(vec![PlacementStrategy { r#type: text("random"), ..Default::default() }]);
        },
        strategies,
    )
    .await;
    let external = "The daemon scheduling strategy does not support the EXTERNAL deployment controller.";
    refuse(|input| input.deployment_controller = Some(DeploymentController { r#type: text("EXTERNAL") }), external)
        .await;
    let fargate = "The daemon scheduling strategy is not supported by the launch type FARGATE.";
    refuse(|input| input.launch_type = text("FARGATE"), fargate).await;

    create(&world, |_| {}).await.unwrap();
    let input = UpdateServiceRequest { service: text("d"), desired_count: Some(2), ..Default::default() };
    refused(world.ecs.update_service(&world.caller, input).await, "InvalidParameterException", count);
    let configuration = DeploymentConfiguration {
        minimum_healthy_percent: Some(100),
        maximum_percent: Some(150),
        ..Default::default()
    };
    let input = UpdateServiceRequest {
        service: text("d"),
        deployment_configuration: Some(configuration),
        force_new_deployment: Some(true),
        ..Default::default()
    };
    let updated = world.ecs.update_service(&world.caller, input).await.unwrap().service.unwrap();
    assert_eq!(updated.deployment_configuration.unwrap().maximum_percent, Some(150));
    assert_eq!(updated.deployments.unwrap().len(), 2);
}

#[tokio::test]
async fn its_room_is_kept() {
    let world = World::new().await;
    world.define("web").await;
    world.instance(2048, 300).await;
    create(&world, |_| {}).await.unwrap();
    // 300 MiB are room for two tasks of 128; one of them is the daemon's, which is not there yet.
    let answer = world.run(|input| input.count = Some(2)).await.unwrap();
    assert_eq!(
        (answer.tasks.unwrap().len(), answer.failures.unwrap()[0].reason.as_deref()),
        (1, Some("RESOURCE:MEMORY"))
    );
    world.reconcile("d");
    assert_eq!(describe(&world).await.pending_count, Some(1));
    let input = DeleteServiceRequest { service: text("d"), ..Default::default() };
    world.ecs.delete_service(&world.caller, input).await.unwrap();
    world.reconcile("d");
    let tasks = world.list(|input| input.desired_status = text("STOPPED")).await.unwrap().task_arns.unwrap();
    world.report(&tasks[0], "STOPPED", |_| {}).await;
    assert_eq!(world.run(|_| {}).await.unwrap().tasks.unwrap().len(), 1, "nobody needs the room any more");
}
