//! Task sets of services that somebody else deploys.

mod world;

use api_ecs::*;
use world::{World, failures, refused, text, texts};

async fn external(world: &World, desired: i32) -> Service {
    let input = CreateServiceRequest {
        service_name: text("s"),
        desired_count: Some(desired),
        deployment_controller: Some(DeploymentController { r#type: text("EXTERNAL") }),
        ..Default::default()
    };
    world.ecs.create_service(&world.caller, input).await.unwrap().service.unwrap()
}

async fn create(world: &World, change: impl FnOnce(&mut CreateTaskSetRequest)) -> Result<TaskSet, Error> {
    let mut input = CreateTaskSetRequest {
        cluster: text("default"),
        service: text("s"),
        task_definition: text("web"),
        ..Default::default()
    };
    change(&mut input);
    Ok(world.ecs.create_task_set(&world.caller, input).await?.task_set.unwrap())
}

async fn rescale(world: &World, set: &TaskSet, percent: f64) -> Result<TaskSet, Error> {
    let input = UpdateTaskSetRequest {
        cluster: text("default"),
        service: text("s"),
        task_set: set.task_set_arn.clone(),
        scale: Some(scale(percent)),
    };
    Ok(world.ecs.update_task_set(&world.caller, input).await?.task_set.unwrap())
}

async fn delete(world: &World, set: &TaskSet, force: Option<bool>) -> Result<TaskSet, Error> {
    let input = DeleteTaskSetRequest { cluster: text("default"), service: text("s"), task_set: set.id.clone(), force };
    Ok(world.ecs.delete_task_set(&world.caller, input).await?.task_set.unwrap())
}

async fn all(world: &World) -> Vec<TaskSet> {
    let input = DescribeTaskSetsRequest { cluster: text("default"), service: text("s"), ..Default::default() };
    world.ecs.describe_task_sets(&world.caller, input).await.unwrap().task_sets.unwrap()
}

fn scale(percent: f64) -> Scale {
    Scale { value: Some(percent), unit: text("PERCENT") }
}

/// The agents do what they were told.
async fn agents(world: &World) {
    world.reconcile("s");
    for task in world.snapshot().tasks.iter().filter(|task| task.is_live()) {
        let status = if task.desired_status == model::TaskStatus::Stopped { "STOPPED" } else { "RUNNING" };
        world.report(&task.arn().to_string(), status, |_| {}).await;
    }
    world.reconcile("s");
}

#[tokio::test]
async fn blue_becomes_green() {
    let (world, _) = World::ready().await;
    let service = external(&world, 3).await;
    assert_eq!(service.deployment_controller.unwrap().r#type, text("EXTERNAL"));
    assert_eq!((service.task_definition, service.deployments), (None, Some(Vec::new())));

    let blue = create(&world, |input| {
        input.external_id = text("blue");
        input.scale = Some(scale(100.0));
    });
    let blue = blue.await.unwrap();
    assert_eq!((blue.status.as_deref(), blue.computed_desired_count), (Some("ACTIVE"), Some(3)));
    assert_eq!((blue.stability_status.as_deref(), blue.launch_type.as_deref()), (Some("STABILIZING"), Some("EC2")));
    let id = blue.id.clone().unwrap();
    let arn = format!("arn:aws:ecs:us-east-1:123456789012:task-set/default/s/{id}");
    assert_eq!(blue.task_set_arn.as_deref(), Some(arn.as_str()));
    let primary = UpdateServicePrimaryTaskSetRequest {
        cluster: text("default"),
        service: text("s"),
        primary_task_set: text(&arn),
    };
    let shown = world.ecs.update_service_primary_task_set(&world.caller, primary).await.unwrap().task_set.unwrap();
    assert_eq!(shown.status, text("PRIMARY"));
    agents(&world).await;
    let shown = all(&world).await.remove(0);
    assert_eq!((shown.running_count, shown.stability_status.as_deref()), (Some(3), Some("STEADY_STATE")));

    let green = create(&world, |_| {}).await.unwrap();
    assert_eq!((green.scale.clone(), green.computed_desired_count), (Some(scale(0.0)), Some(0)));
    let green = rescale(&world, &green, 33.4).await.unwrap();
    assert_eq!(green.computed_desired_count, Some(2), "rounded up");
    agents(&world).await;
    let input = DescribeServicesRequest { services: texts(&["s"]), ..Default::default() };
    let service = world.ecs.describe_services(&world.caller, input).await.unwrap().services.unwrap().remove(0);
    assert_eq!((service.running_count, service.desired_count), (Some(5), Some(3)));
    assert_eq!(service.task_sets.unwrap().len(), 2);
    let message = service.events.unwrap()[0].message.clone().unwrap();
    let expected = format!("(service s, taskSet {}) has reached a steady state.", green.id.as_deref().unwrap());
    assert_eq!(message, expected);

    let refusal = "The task set cannot be deleted while it is scaled above 0.";
    refused(delete(&world, &blue, None).await, "InvalidParameterException", refusal);
    assert_eq!(delete(&world, &blue, Some(true)).await.unwrap().status, text("DRAINING"));
    agents(&world).await;
    agents(&world).await;
    let left = all(&world).await;
    assert_eq!(left.iter().map(|set| set.id.clone()).collect::<Vec<_>>(), [green.id]);
}

#[tokio::test]
async fn each_request_is_checked() {
    let (world, _) = World::ready().await;
    world.service("replica", 0).await.unwrap();
    let on_replica = create(&world, |input| input.service = text("replica")).await;
    let not_external =
        "Amazon ECS only supports task set management on services configured to use external deployment controllers.";
    refused(on_replica, "InvalidParameterException", not_external);
    refused(create(&world, |_| {}).await, "ServiceNotFoundException", "Service not found.");
    external(&world, 2).await;
    let invalid = "InvalidParameterException";
    for value in [-0.5, 100.5, f64::NAN, f64::INFINITY] {
        let answer = create(&world, |input| input.scale = Some(scale(value))).await;
        refused(answer, invalid, "Scale value must be between 0 and 100.");
    }
    let balancer = LoadBalancer { target_group_arn: text("x"), ..Default::default() };
    let answer = create(&world, |input| input.load_balancers = Some(vec![balancer])).await;
    refused(answer, "UnsupportedFeatureException", "loadBalancers is not supported by this version of Berth.");
    refused(
        create(&world, |input| input.task_definition = text("x")).await,
        "ClientException",
        "TaskDefinition not found.",
    );

    let token = "0b7d3c1e";
    let first = create(&world, |input| input.client_token = text(token)).await.unwrap();
    let again = create(&world, |input| input.client_token = text(token)).await.unwrap();
    assert_eq!(first.id, again.id);
    let other = create(&world, |input| {
        input.client_token = text(token);
        input.external_id = text("other");
    });
    refused(other.await, invalid, "Creation of task set was not idempotent.");
    for _ in 1..5 {
        create(&world, |_| {}).await.unwrap();
    }
    let limit =
        "5 deployments exist on the service. Unable to create new TaskSet since this exceeds the maximum limit.";
    refused(create(&world, |_| {}).await, invalid, limit);

    let stranger = TaskSet { id: text("ecs-svc/1"), task_set_arn: text("ecs-svc/1"), ..Default::default() };
    let not_found = ("TaskSetNotFoundException", "The specified task set was not found.");
    refused(rescale(&world, &stranger, 1.0).await, not_found.0, not_found.1);
    refused(delete(&world, &stranger, None).await, not_found.0, not_found.1);
    let input = DescribeTaskSetsRequest {
        cluster: text("default"),
        service: text("s"),
        task_sets: Some(vec!["1".to_owned(), first.id.unwrap()]),
        ..Default::default()
    };
    let answer = world.ecs.describe_task_sets(&world.caller, input).await.unwrap();
    assert_eq!(answer.task_sets.unwrap().len(), 1);
    assert_eq!(failures(answer.failures)[0].1, "MISSING");
}

#[tokio::test]
async fn what_task_sets_say_cannot_be_said_of_their_service() {
    let (world, _) = World::ready().await;
    let input = CreateServiceRequest {
        service_name: text("s"),
        task_definition: text("web"),
        deployment_controller: Some(DeploymentController { r#type: text("EXTERNAL") }),
        ..Default::default()
    };
    let refusal = "taskDefinition cannot be specified for a service with an EXTERNAL deployment controller. Specify it in the \
                   task set.";
    refused(world.ecs.create_service(&world.caller, input).await, "InvalidParameterException", refusal);
    external(&world, 1).await;
    let set = create(&world, |input| input.scale = Some(scale(100.0))).await.unwrap();
    let update = async |change: fn(&mut UpdateServiceRequest)| {
        let mut input = UpdateServiceRequest { service: text("s"), ..Default::default() };
        change(&mut input);
        world.ecs.update_service(&world.caller, input).await
    };
    let refusal = "Unable to update task definition on services with an EXTERNAL deployment controller. Use CreateTaskSet to \
                   create a new task set.";
    refused(update(|input| input.task_definition = text("web")).await, "InvalidParameterException", refusal);
    let refusal = "Cannot force a new deployment on services with an EXTERNAL deployment controller. Use CreateTaskSet to \
                   create a new task set.";
    refused(update(|input| input.force_new_deployment = Some(true)).await, "InvalidParameterException", refusal);
    update(|input| input.desired_count = Some(4)).await.unwrap();
    assert_eq!(all(&world).await[0].computed_desired_count, Some(4));
    update(|input| input.desired_count = Some(0)).await.unwrap();

    let remove = async |force| {
        let input = DeleteServiceRequest { service: text("s"), force, ..Default::default() };
        world.ecs.delete_service(&world.caller, input).await
    };
    let refusal = "The service cannot be stopped while it has task sets.";
    refused(remove(None).await, "InvalidParameterException", refusal);
    remove(Some(true)).await.unwrap();
    refused(rescale(&world, &set, 1.0).await, "ServiceNotActiveException", "Service was not ACTIVE.");
    world.reconcile("s");
    let snapshot = world.snapshot();
    let kept = snapshot.services.iter().find(|service| service.name == "s").unwrap();
    assert_eq!((kept.status, kept.task_sets.len()), (model::ServiceStatus::Inactive, 0));
}
