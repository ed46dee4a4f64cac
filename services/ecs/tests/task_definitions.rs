//! Task definitions: what may be registered, and what becomes of a revision.

mod world;

use api_ecs::*;
use world::{World, container, failures, refused, tag, text, texts};

async fn describe(world: &World, name: &str, include: &[&str]) -> Result<DescribeTaskDefinitionResponse, Error> {
    let input = DescribeTaskDefinitionRequest { task_definition: text(name), include: texts(include) };
    world.ecs.describe_task_definition(&world.caller, input).await
}

async fn deregister(world: &World, name: &str) -> Result<TaskDefinition, Error> {
    let input = DeregisterTaskDefinitionRequest { task_definition: text(name) };
    Ok(world.ecs.deregister_task_definition(&world.caller, input).await?.task_definition.unwrap())
}

async fn delete(world: &World, names: &[&str]) -> Result<DeleteTaskDefinitionsResponse, Error> {
    let input = DeleteTaskDefinitionsRequest { task_definitions: texts(names) };
    world.ecs.delete_task_definitions(&world.caller, input).await
}

#[tokio::test]
async fn revisions_are_counted_and_never_used_twice() {
    let world = World::new().await;
    let arn = |revision: u32| format!("arn:aws:ecs:us-east-1:123456789012:task-definition/web:{revision}");
    assert_eq!([world.define("web").await, world.define("web").await], [arn(1), arn(2)]);
    let revision = async |name: &str| describe(&world, name, &[]).await.unwrap().task_definition.unwrap().revision;
    assert_eq!(revision("web").await, Some(2), "a family is its newest revision");
    assert_eq!(revision("web:1").await, Some(1));
    assert_eq!(revision(&arn(1)).await, Some(1));

    assert_eq!(deregister(&world, "web:2").await.unwrap().status, text("INACTIVE"));
    assert_eq!(revision("web").await, Some(1), "its newest active one");
    assert_eq!(revision("web:2").await, Some(2), "an inactive one can still be described");
    assert_eq!(deregister(&world, "web:2").await.unwrap().status, text("INACTIVE"), "twice is once");
    assert_eq!(failures(delete(&world, &["web:2"]).await.unwrap().failures), []);
    refused(describe(&world, "web:2", &[]).await, "ClientException", "Unable to describe task definition.");
    assert_eq!(world.define("web").await, arn(3));
}

#[tokio::test]
async fn a_revision_in_use_is_deleted_when_it_is_free() {
    let (world, _) = World::ready().await;
    let task = world.one().await;
    let active = delete(&world, &["web:1", "web", "nope:1"]).await.unwrap();
    let reasons: Vec<_> = failures(active.failures).into_iter().map(|(_, reason)| reason).collect();
    assert_eq!(reasons.len(), 3);
    assert!(reasons[0].contains("still in ACTIVE status"), "{reasons:?}");

    deregister(&world, "web:1").await.unwrap();
    let deleted = delete(&world, &["web:1"]).await.unwrap().task_definitions.unwrap();
    assert_eq!(deleted[0].status, text("DELETE_IN_PROGRESS"));
    assert_eq!(
        describe(&world, "web:1", &[]).await.unwrap().task_definition.unwrap().status,
        text("DELETE_IN_PROGRESS")
    );
    let run = world.run(|input| input.task_definition = text("web:1")).await;
    refused(run, "InvalidParameterException", "TaskDefinition is in the process of being deleted");
    world.report(&task, "STOPPED", |_| {}).await;
    let plan = reconcilers::janitor::reconcile(&world.snapshot(), &Default::default(), world.now());
    world.ledger.commit_now(&plan.changes).unwrap();
    assert!(world.snapshot().task_definitions.is_empty());
    let many = "The number of task definitions must be between 1 and 10.";
    refused(delete(&world, &[]).await, "InvalidParameterException", many);
    refused(delete(&world, &["web:1"; 11]).await, "InvalidParameterException", many);
}

/// A deployment that fails goes back to it, though no task and no deployment of it is left.
#[tokio::test]
async fn a_revision_to_roll_back_to_is_deleted_when_the_next_one_is_through() {
    let (world, _) = World::ready().await;
    world.service("s", 0).await.unwrap();
    world.reconcile("s");
    world.define("web").await;
    let input = UpdateServiceRequest {
        service: text("s"),
        task_definition: text("web:2"),
        desired_count: Some(1),
        ..Default::default()
    };
    world.ecs.update_service(&world.caller, input).await.unwrap();
    world.reconcile("s");
    deregister(&world, "web:1").await.unwrap();
    delete(&world, &["web:1"]).await.unwrap();
    let clean_up = || {
        let plan = reconcilers::janitor::reconcile(&world.snapshot(), &Default::default(), world.now());
        world.ledger.commit_now(&plan.changes).unwrap();
    };
    clean_up();
    let kept = describe(&world, "web:1", &[]).await.unwrap().task_definition.unwrap();
    assert_eq!(kept.status, text("DELETE_IN_PROGRESS"));

    let task = world.list(|input| input.service_name = text("s")).await.unwrap().task_arns.unwrap().remove(0);
    world.report(&task, "RUNNING", |_| {}).await;
    world.reconcile("s");
    clean_up();
    refused(describe(&world, "web:1", &[]).await, "ClientException", "Unable to describe task definition.");
}

#[tokio::test]
async fn what_does_not_exist() {
    let world = World::new().await;
    for name in ["nope", "nope:1", "nope:x", "arn:aws:ecs:eu-west-1:123456789012:task-definition/nope:1"] {
        refused(describe(&world, name, &[]).await, "ClientException", "Unable to describe task definition.");
    }
    refused(deregister(&world, "nope").await, "InvalidParameterException", "Invalid revision number. Number: ");
    refused(deregister(&world, "nope:1").await, "ClientException", "The specified task definition does not exist.");
}

#[tokio::test]
async fn what_was_sent_is_described() {
    let world = World::new().await;
    let sent = ContainerDefinition {
        port_mappings: Some(vec![PortMapping { container_port: Some(80), ..Default::default() }]),
        environment: Some(vec![KeyValuePair { name: text("A"), value: text("b") }]),
        command: texts(&["serve"]),
        ..container("app")
    };
    world
        .define_with("web", |input| {
            input.container_definitions = Some(vec![sent]);
            input.tags = Some(vec![tag("team", "web")]);
            input.cpu = text(".5 vCPU");
            input.memory = text("1 GB");
        })
        .await
        .unwrap();
    let answer = describe(&world, "web", &["TAGS"]).await.unwrap();
    assert_eq!(answer.tags.unwrap(), [tag("team", "web")]);
    assert_eq!(describe(&world, "web", &[]).await.unwrap().tags, Some(vec![]));
    let shown = answer.task_definition.unwrap();
    assert_eq!((shown.cpu, shown.memory), (text("512"), text("1024")));
    assert_eq!(shown.compatibilities, texts(&["EXTERNAL", "EC2"]));
    let app = &shown.container_definitions.unwrap()[0];
    assert_eq!(app.essential, Some(true), "the default is filled in");
    assert_eq!(app.port_mappings.as_ref().unwrap()[0].host_port, Some(0));
    assert_eq!(app.port_mappings.as_ref().unwrap()[0].protocol, text("tcp"));
    assert_eq!((app.mount_points.as_deref(), app.volumes_from.as_deref()), (Some(&[][..]), Some(&[][..])));
}

async fn check(code: &str, message: &str, change: impl FnOnce(&mut RegisterTaskDefinitionRequest)) {
    let world = World::new().await;
    refused(world.define_with("web", change).await, code, message);
    assert!(world.snapshot().families.is_empty(), "a refusal takes no number");
}

async fn check_container(message: &str, change: impl FnOnce(&mut ContainerDefinition)) {
    let mut app = container("app");
    change(&mut app);
    check("ClientException", message, |input| input.container_definitions = Some(vec![app])).await;
}

#[tokio::test]
async fn definitions_that_are_refused() {
    let family =
        "Family contains invalid characters or exceeds 255 characters. Use letters, numbers, underscores and hyphens.";
    for name in [String::new(), "a b".into(), "a:1".into(), "x".repeat(256)] {
        check("ClientException", family, |input| input.family = Some(name)).await;
    }
    let none = |input: &mut RegisterTaskDefinitionRequest| input.container_definitions = Some(vec![]);
    check("ClientException", "Container list cannot be empty.", none).await;
    let twice = "Container name 'app' is used more than once.";
    check("ClientException", twice, |input| {
        input.container_definitions = Some(vec![container("app"), container("app")]);
    })
    .await;
    let eleven = "Too many containers: at most 10 are allowed in a task definition.";
    check("ClientException", eleven, |input| {
        input.container_definitions = Some((0..11).map(|number| container(&format!("c{number}"))).collect());
    })
    .await;
    check("ClientException", "Invalid 'cpu' setting for task", |input| input.cpu = text("much")).await;
    check("ClientException", "Invalid 'memory' setting for task", |input| input.memory = text("-1")).await;
    check("ClientException", "Unrecognized network mode: nat", |input| input.network_mode = text("nat")).await;
    let later = "UnsupportedFeatureException";
    check(later, "The network mode awsvpc is not supported by this version of Berth.", |input| {
        input.network_mode = text("awsvpc");
    })
    .await;
    check(later, "An operating system other than LINUX is not supported by this version of Berth.", |input| {
        input.runtime_platform =
            Some(RuntimePlatform { operating_system_family: text("WINDOWS_SERVER_2022_CORE"), ..Default::default() });
    })
    .await;
    let with = |kind: &str, value: &str| {
        let requirement = ResourceRequirement { r#type: text(kind), value: text(value), sharing_strategy: None };
        ContainerDefinition { resource_requirements: Some(vec![requirement]), ..container("app") }
    };
    let accelerator = "A resource requirement of type InferenceAccelerator is not supported by this version of Berth.";
    check(later, accelerator, |input| {
        input.container_definitions = Some(vec![with("InferenceAccelerator", "device_1")]);
    })
    .await;
    check(later, "inferenceAccelerators is not supported by this version of Berth.", |input| {
        input.inference_accelerators =
            Some(vec![InferenceAccelerator { device_name: text("device_1"), device_type: text("eia2.medium") }]);
    })
    .await;
    let number =
        "Invalid GPU resource requirement 'many' in container 'app': the value must be a whole number above 0.";
    check("ClientException", number, |input| input.container_definitions = Some(vec![with("GPU", "many")])).await;
}

#[tokio::test]
async fn containers_that_are_refused() {
    check_container("Container.name should not be null or empty.", |app| app.name = None).await;
    check_container("Container.image should not be null or empty.", |app| app.image = None).await;
    let long = "x".repeat(256);
    let name = format!("Invalid container name '{long}': use up to 255 letters, numbers, hyphens and underscores.");
    check_container(&name, |app| app.name = text(&long)).await;
    let memory =
        "Invalid setting for container 'app'. At least one of 'memory' or 'memoryReservation' must be specified.";
    check_container(memory, |app| app.memory = None).await;
    check_container("Invalid setting for container 'app'. Memory must be at least 6 MiB.", |app| app.memory = Some(4))
        .await;
    check_container("Container.cpu must not be negative.", |app| app.cpu = Some(-1)).await;
    check_container("Task definition does not have any essential containers.", |app| app.essential = Some(false)).await;
    check_container("Unrecognized log driver: carrier-pigeon", |app| {
        app.log_configuration = Some(LogConfiguration { log_driver: text("carrier-pigeon"), ..Default::default() });
    })
    .await;
    check_container("Log driver awslogs requires options: awslogs-region, awslogs-group", |app| {
        app.log_configuration = Some(LogConfiguration { log_driver: text("awslogs"), ..Default::default() });
    })
    .await;
    for port in [0, -1, 65536] {
        let mut app = container("app");
        app.port_mappings = Some(vec![PortMapping { container_port: Some(port), ..Default::default() }]);
        let world = World::new().await;
        let answer = world.define_with("web", |input| input.container_definitions = Some(vec![app])).await;
        let error = answer.unwrap_err();
        assert_eq!(error.code, ErrorCode::ClientException);
        assert!(error.message.contains("Invalid 'containerPort' setting for container"), "{}", error.message);
    }
    check_container("Unknown container 'db' in dependsOn.", |app| {
        app.depends_on = Some(vec![ContainerDependency { container_name: text("db"), condition: text("START") }]);
    })
    .await;
    check_container("Container 'app' is part of a circular dependency.", |app| {
        app.depends_on = Some(vec![ContainerDependency { container_name: text("app"), condition: text("START") }]);
    })
    .await;
    check_container("Unknown volume 'data'.", |app| {
        app.mount_points =
            Some(vec![MountPoint { source_volume: text("data"), container_path: text("/data"), read_only: None }]);
    })
    .await;
}

fn labels<const N: usize>(labels: [(&str, &str); N]) -> Option<std::collections::BTreeMap<String, String>> {
    Some(labels.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect())
}

#[tokio::test]
async fn probes_are_labels_that_are_checked() {
    let world = World::new().await;
    let given = labels([("berth.health.http", "8080/healthz"), ("berth.ready.tcp", "80"), ("team", "shop")]);
    let app = ContainerDefinition { docker_labels: given.clone(), ..container("app") };
    let waits = ContainerDependency { container_name: text("app"), condition: text("HEALTHY") };
    let side = ContainerDefinition { depends_on: Some(vec![waits]), ..container("side") };
    world.define_with("web", |input| input.container_definitions = Some(vec![app, side])).await.unwrap();
    let shown = describe(&world, "web", &[]).await.unwrap().task_definition.unwrap();
    let app = &shown.container_definitions.unwrap()[0];
    assert_eq!((&app.docker_labels, &app.health_check), (&given, &None), "as it was registered");
    let needs = shown.requires_attributes.unwrap().into_iter().filter_map(|one| one.name);
    assert!(needs.into_iter().any(|name| name == "ecs.capability.berth.probes"), "no other agent would probe");

    let invalid = |said: &str| format!("Invalid setting for container 'app'. {said}");
    for (given, said) in [
        (
            labels([("berth.health.http", "8080"), ("berth.health.every", "5")]),
            "The docker label berth.health.every is none of http, tcp, grpc, interval, timeout, retries and start-period.",
        ),
        (
            labels([("berth.ready.tcp", "web")]),
            "The docker label berth.ready.tcp has the value 'web', and it must be PORT, with a port from 1 to 65535.",
        ),
        (
            labels([("berth.health.tcp", "80"), ("berth.health.timeout", "1")]),
            "The docker label berth.health.timeout has the value '1', and it must be a number from 2 to 60.",
        ),
    ] {
        check_container(&invalid(said), |app| app.docker_labels = given).await;
    }
    let both = invalid("healthCheck and docker labels berth.health.* exclude each other.");
    check_container(&both, |app| {
        app.docker_labels = labels([("berth.health.tcp", "80")]);
        app.health_check = Some(HealthCheck { command: texts(&["CMD", "true"]), ..Default::default() });
    })
    .await;
    // Readiness is something else than health.
    let app = ContainerDefinition {
        docker_labels: labels([("berth.ready.grpc", "50051")]),
        health_check: Some(HealthCheck { command: texts(&["CMD", "true"]), ..Default::default() }),
        ..container("app")
    };
    world.define_with("web", |input| input.container_definitions = Some(vec![app])).await.unwrap();
}

#[tokio::test]
async fn a_definition_has_at_most_64_kib() {
    let world = World::new().await;
    let with_environment = |length: usize| {
        let environment = Some(vec![KeyValuePair { name: text("A"), value: Some("x".repeat(length)) }]);
        Some(vec![ContainerDefinition { environment, ..container("app") }])
    };
    world.define_with("web", |input| input.container_definitions = with_environment(64_000)).await.unwrap();
    let error =
        world.define_with("web", |input| input.container_definitions = with_environment(65_536)).await.unwrap_err();
    assert_eq!(error.code, ErrorCode::ClientException);
    assert!(error.message.starts_with("Actual length: '65"), "{}", error.message);
    assert!(error.message.ends_with("'. Max allowed length is '65536' bytes."), "{}", error.message);
}

#[tokio::test]
async fn a_log_router_is_one_of_a_known_type() {
    let world = World::new().await;
    let router = |kind: &str, options: &[(&str, &str)]| {
        let options = options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let firelens = FirelensConfiguration { r#type: text(kind), options: Some(options) };
        ContainerDefinition { firelens_configuration: Some(firelens), ..container("router") }
    };
    let routed = |name: &str| {
        let logs = LogConfiguration { log_driver: text("awsfirelens"), ..Default::default() };
        ContainerDefinition { log_configuration: Some(logs), ..container(name) }
    };
    let register = async |containers: Vec<ContainerDefinition>| {
        world.define_with("routed", |input| input.container_definitions = Some(containers)).await
    };
    let given =
        [("enable-ecs-log-metadata", "true"), ("config-file-type", "file"), ("config-file-value", "/extra.conf")];
    register(vec![router("fluentbit", &given), routed("app")]).await.unwrap();
    let shown = describe(&world, "routed", &[]).await.unwrap().task_definition.unwrap();
    let names: Vec<String> = shown.requires_attributes.unwrap().into_iter().filter_map(|one| one.name).collect();
    for name in [
        "ecs.capability.firelens.fluentbit",
        "ecs.capability.firelens.options.config.file",
        "com.amazonaws.ecs.capability.logging-driver.awsfirelens",
    ] {
        assert!(names.iter().any(|one| one == name), "{name} is not among {names:?}");
    }
    let shown = shown.container_definitions.unwrap()[0].firelens_configuration.clone().unwrap();
    assert_eq!((shown.r#type.as_deref(), shown.options.unwrap().len()), (Some("fluentbit"), 3));

    let itself = ContainerDefinition { log_configuration: routed("x").log_configuration, ..router("fluentd", &[]) };
    let second = ContainerDefinition { name: text("second"), ..router("fluentd", &[]) };
    for (containers, words) in [
        (vec![routed("app")], "no container in the task definition has a firelensConfiguration"),
        (vec![itself], "cannot use the log driver awsfirelens itself"),
        (
            vec![router("fluentd", &[]), second],
            "Only one container in a task definition can have a firelensConfiguration",
        ),
        (vec![router("logstash", &[])], "Invalid firelensConfiguration type 'logstash'"),
        (vec![router("fluentd", &[("config-file-type", "file")])], "requires config-file-value"),
        (vec![router("fluentd", &[("config-file-value", "/x")])], "requires config-file-type"),
        (vec![router("fluentd", &[("enable-ecs-log-metadata", "maybe")])], "Invalid value 'maybe'"),
        (vec![router("fluentd", &[("x", "y")])], "Invalid firelensConfiguration option: x"),
        (
            vec![router("fluentd", &[("config-file-type", "s3"), ("config-file-value", "s3://b/k")])],
            "Invalid value 's3://b/k' for firelensConfiguration option config-file-value",
        ),
    ] {
        let error = register(containers).await.unwrap_err().message;
        assert!(error.contains(words), "{error:?} without {words:?}");
    }
}
