//! Capacity providers, and the strategies that share tasks among them.

mod world;

use api_ecs::*;
use world::{World, failures, refused, tag, text, texts};

const GROUP: &str = "berth.auto-scaling-group";
const INVALID: &str = "InvalidParameterException";

fn arn_of_group(name: &str) -> String {
    format!("arn:aws:autoscaling:us-east-1:123456789012:autoScalingGroup:6d0d2c8a:autoScalingGroupName/{name}")
}

async fn create(
    world: &World,
    name: &str,
    change: impl FnOnce(&mut AutoScalingGroupProvider),
) -> Result<CapacityProvider, Error> {
    let mut group = AutoScalingGroupProvider { auto_scaling_group_arn: Some(arn_of_group(name)), ..Default::default() };
    change(&mut group);
    let input = CreateCapacityProviderRequest {
        name: text(name),
        auto_scaling_group_provider: Some(group),
        tags: Some(vec![tag("team", "a")]),
        ..Default::default()
    };
    Ok(world.ecs.create_capacity_provider(&world.caller, input).await?.capacity_provider.unwrap())
}

async fn describe(world: &World, names: &[&str]) -> DescribeCapacityProvidersResponse {
    let input = DescribeCapacityProvidersRequest { capacity_providers: texts(names), ..Default::default() };
    world.ecs.describe_capacity_providers(&world.caller, input).await.unwrap()
}

fn item(name: &str, base: i32, weight: i32) -> CapacityProviderStrategyItem {
    CapacityProviderStrategyItem { capacity_provider: text(name), base: Some(base), weight: Some(weight) }
}

async fn put(world: &World, names: &[&str], strategy: &[CapacityProviderStrategyItem]) -> Result<Cluster, Error> {
    let input = PutClusterCapacityProvidersRequest {
        cluster: text("default"),
        capacity_providers: texts(names),
        default_capacity_provider_strategy: Some(strategy.to_vec()),
    };
    Ok(world.ecs.put_cluster_capacity_providers(&world.caller, input).await?.cluster.unwrap())
}

/// A cluster with the groups `a` and `b`, an instance in each, and one in none.
async fn fleets(memory: i32) -> World {
    let world = World::new().await;
    world.define("web").await;
    let capabilities = ["docker-remote-api.1.18", "logging-driver.json-file"];
    let capabilities = capabilities.map(|name| format!("com.amazonaws.ecs.capability.{name}"));
    let own: Vec<(&str, Option<&str>)> = capabilities.iter().map(|name| (name.as_str(), None)).collect();
    world.instance_with(2048, memory, &own).await;
    for name in ["a", "b"] {
        create(&world, name, |_| {}).await.unwrap();
        let mut attributes = own.clone();
        attributes.push((GROUP, Some(name)));
        world.instance_with(2048, memory, &attributes).await;
    }
    put(&world, &["a", "b"], &[]).await.unwrap();
    world
}

fn providers(tasks: &[Task]) -> Vec<&str> {
    tasks.iter().map(|task| task.capacity_provider_name.as_deref().unwrap_or("none")).collect()
}

#[tokio::test]
async fn from_its_creation_to_its_end() {
    let world = World::new().await;
    let made = create(&world, "web", |group| {
        group.managed_scaling =
            Some(ManagedScaling { status: text("ENABLED"), target_capacity: Some(90), ..Default::default() });
    });
    let made = made.await.unwrap();
    assert_eq!(made.capacity_provider_arn, text("arn:aws:ecs:us-east-1:123456789012:capacity-provider/web"));
    assert_eq!((made.status.as_deref(), made.update_status.as_deref()), (Some("ACTIVE"), Some("CREATE_COMPLETE")));
    assert!(made.update_status_reason.unwrap().contains("no Auto Scaling"), "it says that nothing scales");
    let scaling = made.auto_scaling_group_provider.unwrap().managed_scaling.unwrap();
    assert_eq!((scaling.target_capacity, scaling.minimum_scaling_step_size), (Some(90), Some(1)));
    assert_eq!((scaling.maximum_scaling_step_size, scaling.instance_warmup_period), (Some(10_000), Some(300)));

    let update = AutoScalingGroupProviderUpdate {
        managed_scaling: Some(ManagedScaling { status: text("DISABLED"), ..Default::default() }),
        managed_draining: text("ENABLED"),
        ..Default::default()
    };
    let input = UpdateCapacityProviderRequest {
        name: text("web"),
        auto_scaling_group_provider: Some(update),
        ..Default::default()
    };
    let updated = world.ecs.update_capacity_provider(&world.caller, input).await.unwrap().capacity_provider.unwrap();
    let group = updated.auto_scaling_group_provider.unwrap();
    assert_eq!(group.managed_scaling.unwrap().target_capacity, Some(90), "what is not given stays");
    assert_eq!((group.managed_draining, updated.update_status), (text("ENABLED"), text("UPDATE_COMPLETE")));
    assert_eq!(updated.update_status_reason, None);

    let all = describe(&world, &[]).await.capacity_providers.unwrap();
    let names: Vec<_> = all.iter().map(|one| one.name.as_deref().unwrap()).collect();
    assert_eq!(names, ["FARGATE", "FARGATE_SPOT", "web"]);
    assert_eq!(all[0].r#type, text("FARGATE"));
    let answer = describe(&world, &["web", "nobody"]).await;
    assert_eq!(answer.capacity_providers.unwrap().len(), 1);
    let nobody = "arn:aws:ecs:us-east-1:123456789012:capacity-provider/nobody".to_owned();
    assert_eq!(failures(answer.failures), [(nobody, "MISSING".to_owned())]);

    let delete = async || {
        let input = DeleteCapacityProviderRequest { capacity_provider: text("web"), ..Default::default() };
        world.ecs.delete_capacity_provider(&world.caller, input).await
    };
    put(&world, &["web", "FARGATE"], &[item("web", 1, 1)]).await.unwrap();
    let in_use = "The capacity provider cannot be deleted because it is associated with cluster(s). Remove the capacity \
                  provider from the cluster(s) and try again.";
    refused(delete().await, INVALID, in_use);
    put(&world, &[], &[]).await.unwrap();
    let deleted = delete().await.unwrap().capacity_provider.unwrap();
    assert_eq!((deleted.status, deleted.update_status), (text("INACTIVE"), text("DELETE_COMPLETE")));
    let missing = "The specified capacity provider does not exist. Specify a valid name or ARN and try again.";
    refused(delete().await, INVALID, missing);
    create(&world, "web", |_| {}).await.unwrap();
}

#[tokio::test]
async fn each_request_is_checked() {
    let world = World::new().await;
    create(&world, "web", |_| {}).await.unwrap();
    for name in ["ecs-web", "AWSweb", "fargate2", "a b", ""] {
        let error = create(&world, name, |_| {}).await.unwrap_err();
        assert!(
            error.message.starts_with("The specified capacity provider name is invalid."),
            "{name}: {}",
            error.message
        );
    }
    let again = create(&world, "web", |_| {}).await.unwrap_err();
    assert!(again.message.starts_with("The specified capacity provider already exists."), "{}", again.message);
    let same_group = create(&world, "other", |group| group.auto_scaling_group_arn = text("web")).await.unwrap_err();
    assert!(same_group.message.contains("already being used by another"), "{}", same_group.message);
    let unprotected = create(&world, "other", |group| group.managed_termination_protection = text("ENABLED")).await;
    assert!(unprotected.unwrap_err().message.contains("managed scaling must be enabled"));
    let steps =
        ManagedScaling { minimum_scaling_step_size: Some(5), maximum_scaling_step_size: Some(4), ..Default::default() };
    let answer = create(&world, "other", |group| group.managed_scaling = Some(steps)).await;
    refused(answer, INVALID, "minimumScalingStepSize must not be greater than maximumScalingStepSize.");

    let not_ours = "The specified capacity provider 'FARGATE' is not associated with the cluster.";
    refused(put(&world, &["web"], &[item("FARGATE", 0, 1)]).await, INVALID, not_ours);
    let missing = "The specified capacity provider does not exist. Specify a valid name or ARN and try again.";
    refused(put(&world, &["nobody"], &[]).await, INVALID, missing);
    let weightless = "The specified capacity provider strategy must have at least one capacity provider with a weight greater than 0.";
    refused(put(&world, &["web"], &[item("web", 1, 0)]).await, INVALID, weightless);
    let mixed = "The specified capacity provider strategy cannot contain both Auto Scaling group and Fargate capacity providers.";
    let both = [item("web", 0, 1), item("FARGATE", 0, 1)];
    refused(put(&world, &["web", "FARGATE"], &both).await, INVALID, mixed);
    let bases = "The specified capacity provider strategy can have only one capacity provider with a base.";
    create(&world, "two", |_| {}).await.unwrap();
    refused(put(&world, &["web", "two"], &[item("web", 1, 1), item("two", 1, 1)]).await, INVALID, bases);
}

#[tokio::test]
async fn tasks_are_shared_by_base_and_weight() {
    let world = fleets(4096).await;
    let run = |input: &mut RunTaskRequest| {
        input.count = Some(6);
        input.capacity_provider_strategy = Some(vec![item("a", 2, 1), item("b", 0, 3)]);
    };
    let answer = world.run(run).await.unwrap();
    let tasks = answer.tasks.unwrap();
    assert_eq!(providers(&tasks), ["a", "a", "b", "b", "a", "b"]);
    assert!(tasks.iter().all(|task| task.launch_type.as_deref() == Some("EC2")));
    let both = world.run(|input| {
        run(input);
        input.launch_type = text("EC2");
    });
    refused(both.await, INVALID, "Specify either launch type or capacity provider strategy. Not both.");
    let list = world.ecs.list_container_instances(&world.caller, Default::default()).await.unwrap();
    let input =
        DescribeContainerInstancesRequest { container_instances: list.container_instance_arns, ..Default::default() };
    let shown = world.ecs.describe_container_instances(&world.caller, input).await.unwrap();
    let mut names: Vec<_> =
        shown.container_instances.unwrap().into_iter().map(|one| one.capacity_provider_name).collect();
    names.sort();
    assert_eq!(names, [None, text("a"), text("b")]);
    // Each task is on an instance of its provider.
    for task in world.snapshot().tasks.iter() {
        let snapshot = world.snapshot();
        let name = format!("123456789012/us-east-1/default/{}", task.container_instance);
        let group = snapshot.container_instances.get(&name).unwrap().attribute(GROUP).map(str::to_owned);
        assert_eq!(group, task.capacity_provider);
    }

    // A strategy of the cluster is for those who say nothing.
    put(&world, &["a", "b", "FARGATE"], &[item("b", 0, 1)]).await.unwrap();
    assert_eq!(providers(&world.run(|_| {}).await.unwrap().tasks.unwrap()), ["b"]);
    let named = world.run(|input| input.launch_type = text("EC2")).await.unwrap().tasks.unwrap();
    assert_eq!(providers(&named), ["none"]);
    let fargate = world.run(|input| input.capacity_provider_strategy = Some(vec![item("FARGATE", 0, 1)])).await;
    let refusal = "The capacity provider FARGATE is not supported by this version of Berth.";
    refused(fargate, "UnsupportedFeatureException", refusal);
}

#[tokio::test]
async fn a_full_provider_gives_nothing_to_another() {
    let world = fleets(300).await;
    let answer = world.run(|input| {
        input.count = Some(6);
        input.capacity_provider_strategy = Some(vec![item("a", 0, 2), item("b", 0, 1)]);
    });
    let answer = answer.await.unwrap();
    assert_eq!(providers(&answer.tasks.unwrap()), ["a", "a", "b", "b"], "two fit on each");
    assert!(failures(answer.failures).iter().any(|(_, reason)| reason == "RESOURCE:MEMORY"));
}

#[tokio::test]
async fn services_and_task_sets_have_strategies() {
    let world = fleets(4096).await;
    let input = CreateServiceRequest {
        service_name: text("s"),
        desired_count: Some(4),
        deployment_controller: Some(DeploymentController { r#type: text("EXTERNAL") }),
        ..Default::default()
    };
    world.ecs.create_service(&world.caller, input).await.unwrap();
    let input = CreateTaskSetRequest {
        cluster: text("default"),
        service: text("s"),
        task_definition: text("web"),
        capacity_provider_strategy: Some(vec![item("a", 1, 1), item("b", 0, 2)]),
        scale: Some(Scale { value: Some(100.0), unit: text("PERCENT") }),
        ..Default::default()
    };
    let set = world.ecs.create_task_set(&world.caller, input).await.unwrap().task_set.unwrap();
    assert_eq!((set.launch_type, set.capacity_provider_strategy.unwrap().len()), (None, 2));
    world.reconcile("s");
    let count = |name: &str| {
        let snapshot = world.snapshot();
        snapshot.tasks.iter().filter(|task| task.capacity_provider.as_deref() == Some(name)).count()
    };
    assert_eq!((count("a"), count("b")), (2, 2));
    let in_use = "The specified capacity provider is in use and cannot be removed.";
    refused(put(&world, &["b"], &[]).await, "ResourceInUseException", in_use);

    let input = CreateServiceRequest {
        service_name: text("r"),
        task_definition: text("web"),
        desired_count: Some(4),
        capacity_provider_strategy: Some(vec![item("a", 0, 1), item("b", 2, 0)]),
        ..Default::default()
    };
    let made = world.ecs.create_service(&world.caller, input).await.unwrap().service.unwrap();
    assert_eq!((made.launch_type, made.capacity_provider_strategy.unwrap().len()), (None, 2));
    world.reconcile("r");
    assert_eq!((count("a"), count("b")), (4, 4));
    // Another strategy is another deployment.
    let input = UpdateServiceRequest {
        service: text("r"),
        capacity_provider_strategy: Some(vec![item("b", 0, 1)]),
        ..Default::default()
    };
    let updated = world.ecs.update_service(&world.caller, input).await.unwrap().service.unwrap();
    assert_eq!(updated.deployments.unwrap().len(), 2);
}

/// A cluster whose only provider, `a`, has managed scaling on, and has no instance yet.
async fn growing() -> World {
    let world = World::new().await;
    world.define("web").await;
    create(&world, "a", |group| {
        group.managed_scaling = Some(ManagedScaling { status: text("ENABLED"), ..Default::default() });
    })
    .await
    .unwrap();
    put(&world, &["a"], &[item("a", 0, 1)]).await.unwrap();
    world
}

async fn instance_of(world: &World, group: &str, memory: i32) -> String {
    let capabilities = ["docker-remote-api.1.18", "logging-driver.json-file"];
    let capabilities = capabilities.map(|name| format!("com.amazonaws.ecs.capability.{name}"));
    let mut own: Vec<(&str, Option<&str>)> = capabilities.iter().map(|name| (name.as_str(), None)).collect();
    own.push((GROUP, Some(group)));
    world.instance_with(2048, memory, &own).await
}

#[tokio::test]
async fn tasks_wait_for_an_instance_of_a_provider_that_scales() {
    let world = growing().await;
    let answer = world.run(|input| input.count = Some(3)).await.unwrap();
    assert_eq!(failures(answer.failures), []);
    let tasks = answer.tasks.unwrap();
    for task in &tasks {
        assert_eq!(
            (task.last_status.as_deref(), task.desired_status.as_deref()),
            (Some("PROVISIONING"), Some("RUNNING"))
        );
        assert_eq!((&task.container_instance_arn, task.capacity_provider_name.as_deref()), (&None, Some("a")));
    }
    let arns: Vec<&str> = tasks.iter().map(|task| task.task_arn.as_deref().unwrap()).collect();
    // One that is stopped while it waits has stopped: no agent would report it.
    let input = StopTaskRequest { task: text(arns[1]), ..Default::default() };
    let stopped = world.ecs.stop_task(&world.caller, input).await.unwrap().task.unwrap();
    assert_eq!((stopped.last_status, stopped.stop_code), (text("STOPPED"), text("UserInitiated")));

    world.provision();
    assert_eq!(world.describe(arns[0]).await.last_status, text("PROVISIONING"), "nothing has come");
    instance_of(&world, "b", 4096).await;
    world.provision();
    assert_eq!(world.describe(arns[0]).await.last_status, text("PROVISIONING"), "that is of another group");
    let instance = instance_of(&world, "a", 200).await;
    world.provision();
    let placed = world.describe(arns[0]).await;
    assert_eq!((placed.last_status, placed.container_instance_arn), (text("PENDING"), Some(instance)));
    assert_eq!(world.describe(arns[2]).await.last_status, text("PROVISIONING"), "there is room for one");

    // What has waited for too long is given up, and says what was missing.
    world.wait(std::time::Duration::from_secs(29 * 60));
    world.provision();
    assert_eq!(world.describe(arns[2]).await.last_status, text("PROVISIONING"));
    world.wait(std::time::Duration::from_secs(60));
    world.provision();
    let given_up = world.describe(arns[2]).await;
    assert_eq!((given_up.last_status, given_up.stop_code), (text("STOPPED"), text("TaskFailedToStart")));
    assert_eq!(given_up.stopped_reason, text("TaskFailedToStart: RESOURCE:MEMORY"));
}

#[tokio::test]
async fn an_empty_provider_is_named_as_the_reason() {
    let world = growing().await;
    let tasks = world.run(|_| {}).await.unwrap().tasks.unwrap();
    world.wait(std::time::Duration::from_secs(30 * 60));
    world.provision();
    let given_up = world.describe(tasks[0].task_arn.as_deref().unwrap()).await;
    assert_eq!(given_up.stopped_reason, text("TaskFailedToStart: EMPTY CAPACITY PROVIDER"));
    // And so is one whose instances take no tasks.
    let instance = instance_of(&world, "a", 4096).await;
    world.change_instance(&instance, |one| one.status = model::ContainerInstanceStatus::Draining);
    let tasks = world.run(|_| {}).await.unwrap().tasks.unwrap();
    world.wait(std::time::Duration::from_secs(30 * 60));
    world.provision();
    let given_up = world.describe(tasks[0].task_arn.as_deref().unwrap()).await;
    assert_eq!(given_up.stopped_reason, text("TaskFailedToStart: NO ACTIVE INSTANCES"));
    assert_eq!(world.snapshot().tasks.by("live", "123456789012/us-east-1/default/").count(), 0);
}

#[tokio::test]
async fn no_more_than_five_hundred_tasks_wait() {
    let world = growing().await;
    for _ in 0..50 {
        let answer = world.run(|input| input.count = Some(10)).await.unwrap();
        assert_eq!(answer.tasks.unwrap().len(), 10);
    }
    instance_of(&world, "a", 64).await;
    let reasons = world.reasons(|input| input.count = Some(2)).await;
    assert_eq!(reasons, ["RESOURCE:MEMORY", "RESOURCE:MEMORY"]);
}

#[tokio::test]
async fn tasks_of_a_service_wait_too() {
    let world = growing().await;
    let input = CreateServiceRequest {
        service_name: text("s"),
        task_definition: text("web"),
        desired_count: Some(3),
        placement_strategy: Some(vec![PlacementStrategy { r#type: text("binpack"), field: text("memory") }]),
        ..Default::default()
    };
    world.ecs.create_service(&world.caller, input).await.unwrap();
    world.reconcile("s");
    let waiting = || world.snapshot().tasks.by("live", "123456789012/us-east-1/default/").count();
    assert_eq!(waiting(), 3);
    world.reconcile("s");
    assert_eq!(waiting(), 3, "they are there, and no more are started");
    instance_of(&world, "a", 4096).await;
    world.provision();
    assert_eq!(waiting(), 0);
    // Fewer are desired than wait: those that wait leave at once.
    let world = growing().await;
    let input = CreateServiceRequest {
        service_name: text("s"),
        task_definition: text("web"),
        desired_count: Some(3),
        ..Default::default()
    };
    world.ecs.create_service(&world.caller, input).await.unwrap();
    world.reconcile("s");
    let input = UpdateServiceRequest { service: text("s"), desired_count: Some(1), ..Default::default() };
    world.ecs.update_service(&world.caller, input).await.unwrap();
    world.reconcile("s");
    assert_eq!(world.snapshot().tasks.by("live", "123456789012/us-east-1/default/").count(), 1);
}
