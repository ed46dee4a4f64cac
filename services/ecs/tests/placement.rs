//! Where tasks are asked to go, and what is refused of it.

mod world;

use api_ecs::*;
use world::{World, container, refused, registration, text, texts};

const REFUSED: &str = "InvalidParameterException";

fn constraint(kind: &str, expression: Option<&str>) -> PlacementConstraint {
    PlacementConstraint { r#type: text(kind), expression: expression.and_then(text) }
}

fn strategy(kind: &str, field: &str) -> PlacementStrategy {
    PlacementStrategy { r#type: text(kind), field: Some(field.to_owned()).filter(|field| !field.is_empty()) }
}

async fn constrained(world: &World, constraints: Vec<PlacementConstraint>) -> Result<RunTaskResponse, Error> {
    world.run(|input| input.placement_constraints = Some(constraints)).await
}

#[tokio::test]
async fn constraints_that_make_no_sense() {
    let (world, _) = World::ready().await;
    let one = |kind: &str, expression| constrained(&world, vec![constraint(kind, expression)]);
    let named = one("distinctInstance", Some("attribute:a exists")).await;
    refused(named, REFUSED, "distinctInstance expression should not be specified.");
    let empty = one("memberOf", None).await;
    refused(empty, REFUSED, "The expression of a memberOf placement constraint cannot be empty.");
    let wrong = one("memberOf", Some("agentVersion in [1.0]")).await;
    refused(wrong, REFUSED, "Invalid expression: agentVersion in [1.0]: agentVersion cannot be compared with in");
}

#[tokio::test]
async fn ten_constraints_with_those_of_the_definition() {
    let (world, _) = World::ready().await;
    let any = |_| constraint("memberOf", Some("agentConnected == true"));
    let of_definition = |kind: &str, count: usize| {
        let one = TaskDefinitionPlacementConstraint { r#type: text(kind), expression: text("agentConnected == true") };
        vec![one; count]
    };
    let define = |kind: &'static str, count| {
        world.define_with("picky", move |input| {
            input.container_definitions = Some(vec![container("app")]);
            input.placement_constraints = Some(of_definition(kind, count));
        })
    };
    let distinct = define("distinctInstance", 1).await;
    refused(distinct, "ClientException", "Create TaskDefinition: constraint.type 'distinctInstance' is not supported.");
    let many = "At most 10 placement constraints can be given.";
    refused(define("memberOf", 11).await, "ClientException", many);
    define("memberOf", 4).await.unwrap();
    let run = async |count: usize| {
        let run = world.run(|input| {
            input.task_definition = text("picky");
            input.placement_constraints = Some((0..count).map(any).collect());
        });
        run.await
    };
    assert_eq!(run(6).await.unwrap().tasks.unwrap().len(), 1);
    refused(run(7).await, REFUSED, many);
    refused(constrained(&world, (0..11).map(any).collect()).await, REFUSED, many);
    let service = CreateServiceRequest {
        service_name: text("s"),
        task_definition: text("picky"),
        placement_constraints: Some((0..7).map(any).collect()),
        ..Default::default()
    };
    refused(world.ecs.create_service(&world.caller, service).await, REFUSED, many);
}

#[tokio::test]
async fn strategies_that_make_no_sense() {
    let (world, _) = World::ready().await;
    let run =
        async |strategies: Vec<PlacementStrategy>| world.run(|input| input.placement_strategy = Some(strategies)).await;
    let five = vec![strategy("spread", "instanceId"); 5];
    assert_eq!(run(five.clone()).await.unwrap().tasks.unwrap().len(), 1);
    let six = [five, vec![strategy("random", "")]].concat();
    refused(run(six).await, REFUSED, "At most 5 placement strategies can be given.");
    let disk = run(vec![strategy("binpack", "disk")]).await;
    refused(disk, REFUSED, "Invalid field for placement strategy type binpack: use cpu or memory.");
    let nothing = run(vec![strategy("spread", "")]).await;
    refused(nothing, REFUSED, "Field is required for placement strategy type spread.");
}

#[tokio::test]
async fn an_instance_shows_the_gpus_and_interfaces_that_its_agent_registered() {
    let world = World::new().await;
    let mut input = registration(1024, 1024, &[]);
    let device = |id: &str, kind: &str| PlatformDevice { id: text(id), r#type: text(kind) };
    input.platform_devices = Some(vec![device("GPU-1", "GPU"), device("GPU-2", "GPU")]);
    let interfaces =
        Resource { name: text("ENI"), r#type: text("INTEGER"), integer_value: Some(3), ..Default::default() };
    input.total_resources.as_mut().unwrap().push(interfaces);
    let made = world.ecs.register_container_instance(&world.caller, input).await.unwrap().container_instance.unwrap();
    for resources in [made.registered_resources.unwrap(), made.remaining_resources.unwrap()] {
        let find = |name: &str| resources.iter().find(|one| one.name.as_deref() == Some(name)).unwrap();
        assert_eq!(find("GPU").string_set_value, Some(vec!["GPU-1".to_owned(), "GPU-2".to_owned()]));
        assert_eq!(find("ENI").integer_value, Some(3));
    }
}

#[tokio::test]
async fn each_container_gets_gpus_of_its_own() {
    let world = World::new().await;
    let mut input = registration(8192, 8192, &[]);
    let device = |id: &str| PlatformDevice { id: text(id), r#type: text("GPU") };
    input.platform_devices = Some(["GPU-1", "GPU-2", "GPU-3", "GPU-4"].map(device).to_vec());
    let made = world.ecs.register_container_instance(&world.caller, input).await.unwrap().container_instance.unwrap();
    let arn = made.container_instance_arn.unwrap();
    world.change_instance(&arn, |instance| instance.agent_connected = true);
    let gpus =
        |value: &str| Some(vec![ResourceRequirement { r#type: text("GPU"), value: text(value), ..Default::default() }]);
    let with = |name: &str, value: &str| ContainerDefinition {
        resource_requirements: gpus(value),
        essential: Some(name == "a"),
        ..container(name)
    };
    let containers = vec![with("a", "1"), container("none"), with("b", "1")];
    world.define_with("drawn", |input| input.container_definitions = Some(containers)).await.unwrap();
    let ids = |task: &Task| {
        let of = |one: &Container| one.gpu_ids.clone().unwrap_or_default().join("+");
        task.containers.as_ref().unwrap().iter().map(of).collect::<Vec<_>>().join(" ")
    };
    let run = async |count, value: Option<&str>| {
        let answer = world
            .run(|input| {
                input.task_definition = text("drawn");
                input.count = Some(count);
                input.overrides = value.map(|value| TaskOverride {
                    container_overrides: Some(vec![ContainerOverride {
                        name: text("b"),
                        resource_requirements: gpus(value),
                        ..Default::default()
                    }]),
                    ..Default::default()
                });
            })
            .await;
        answer.unwrap()
    };
    let two = run(2, None).await.tasks.unwrap();
    let mut all = two.iter().map(ids).collect::<Vec<_>>();
    all.sort();
    assert_eq!(all, ["GPU-1  GPU-2", "GPU-3  GPU-4"]);
    let full = run(1, None).await.failures.unwrap();
    assert_eq!(full[0].reason, text("RESOURCE:GPU"));
    let described = DescribeContainerInstancesRequest { container_instances: texts(&[&arn]), ..Default::default() };
    let shown = world.ecs.describe_container_instances(&world.caller, described).await.unwrap();
    let left = shown.container_instances.unwrap().remove(0).remaining_resources.unwrap();
    let left = left.iter().find(|one| one.name.as_deref() == Some("GPU")).unwrap();
    assert_eq!(left.string_set_value, Some(Vec::new()));

    // What one task gives back, another gets; an override asks for more.
    for task in &two {
        world.report(task.task_arn.as_deref().unwrap(), "STOPPED", |_| {}).await;
    }
    let more = run(1, Some("3")).await.tasks.unwrap();
    assert_eq!(ids(&more[0]), "GPU-1  GPU-2+GPU-3+GPU-4");
    let overrides = more[0].overrides.as_ref().unwrap().container_overrides.as_ref().unwrap();
    assert_eq!(overrides[0].resource_requirements, gpus("3"));
}

#[tokio::test]
async fn daemons_keep_their_room() {
    let (world, instance) = World::ready().await;
    let sized = |memory| vec![ContainerDefinition { memory: Some(memory), ..container("app") }];
    world.define_with("daemon", |input| input.container_definitions = Some(sized(1000))).await.unwrap();
    world.define_with("large", |input| input.container_definitions = Some(sized(3500))).await.unwrap();
    let service = CreateServiceRequest {
        service_name: text("watch"),
        task_definition: text("daemon"),
        scheduling_strategy: text("DAEMON"),
        ..Default::default()
    };
    world.ecs.create_service(&world.caller, service).await.unwrap();
    let large = |input: &mut RunTaskRequest| input.task_definition = text("large");
    assert_eq!(world.reasons(large).await, ["RESOURCE:MEMORY"]);
    let start = StartTaskRequest {
        task_definition: text("large"),
        container_instances: Some(vec![instance]),
        ..Default::default()
    };
    let failures = world.ecs.start_task(&world.caller, start).await.unwrap().failures.unwrap();
    assert_eq!(failures[0].reason, text("RESOURCE:MEMORY"));
    world.reconcile("watch");
    assert_eq!(world.list(|input| input.service_name = text("watch")).await.unwrap().task_arns.unwrap().len(), 1);
}
