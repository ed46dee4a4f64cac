//! RunTask and StartTask: where tasks may go, and why they may not.

mod world;

use api_ecs::*;
use shape::Document;
use world::{World, container, failures, refused, tag, text, texts};

fn port(port: i32) -> Option<Vec<PortMapping>> {
    Some(vec![PortMapping { container_port: Some(port), host_port: Some(port), ..Default::default() }])
}

#[tokio::test]
async fn without_any_instance_it_is_an_error() {
    let world = World::new().await;
    world.define("web").await;
    refused(world.run(|_| {}).await, "InvalidParameterException", "No Container Instances were found in your cluster.");
}

#[tokio::test]
async fn tasks_are_placed_and_described() {
    let (world, instance) = World::ready().await;
    let answer = world
        .run(|input| {
            input.count = Some(3);
            input.started_by = text("me");
            input.tags = Some(vec![tag("team", "web")]);
        })
        .await
        .unwrap();
    assert_eq!(answer.failures, Some(vec![]));
    let tasks = answer.tasks.unwrap();
    assert_eq!(tasks.len(), 3);
    for task in tasks {
        assert_eq!((task.last_status.as_deref(), task.desired_status.as_deref()), (Some("PENDING"), Some("RUNNING")));
        assert_eq!(task.container_instance_arn.as_deref(), Some(&*instance));
        assert_eq!((task.started_by.as_deref(), task.group.as_deref()), (Some("me"), Some("family:web")));
        assert_eq!((task.cpu.as_deref(), task.memory.as_deref()), (Some("10"), Some("128")));
        assert_eq!(task.tags.unwrap(), [tag("team", "web")]);
        assert_eq!(task.containers.unwrap()[0].last_status.as_deref(), Some("PENDING"));
        assert_eq!(task.launch_type.as_deref(), Some("EC2"));
    }
}

#[tokio::test]
async fn an_instance_says_what_it_lacks() {
    let (world, instance) = World::ready().await;
    for (family, cpu, memory, reason) in
        [("much-memory", 10, 4097, "RESOURCE:MEMORY"), ("much-cpu", 2049, 128, "RESOURCE:CPU")]
    {
        let large = ContainerDefinition { cpu: Some(cpu), memory: Some(memory), ..container("app") };
        world.define_with(family, |input| input.container_definitions = Some(vec![large])).await.unwrap();
        let answer = world.run(|input| input.task_definition = text(family)).await.unwrap();
        assert_eq!(answer.tasks, Some(vec![]));
        assert_eq!(failures(answer.failures), [(instance.clone(), reason.to_owned())]);
    }

    let with_port = ContainerDefinition { port_mappings: port(8080), ..container("app") };
    world.define_with("port", |input| input.container_definitions = Some(vec![with_port])).await.unwrap();
    let answer = world
        .run(|input| {
            input.task_definition = text("port");
            input.count = Some(2);
        })
        .await
        .unwrap();
    assert_eq!(answer.tasks.unwrap().len(), 1, "what fits is started");
    assert_eq!(failures(answer.failures), [(instance.clone(), "RESOURCE:PORTS".into())]);
    let reserved = ContainerDefinition { port_mappings: port(22), ..container("app") };
    world.define_with("ssh", |input| input.container_definitions = Some(vec![reserved])).await.unwrap();
    assert_eq!(world.reasons(|input| input.task_definition = text("ssh")).await, ["RESOURCE:PORTS"]);

    let privileged = ContainerDefinition { privileged: Some(true), ..container("app") };
    world.define_with("root", |input| input.container_definitions = Some(vec![privileged])).await.unwrap();
    assert_eq!(world.reasons(|input| input.task_definition = text("root")).await, ["ATTRIBUTE"]);
    let member_of =
        |expression: &str| Some(vec![PlacementConstraint { r#type: text("memberOf"), expression: text(expression) }]);
    let constrained = |input: &mut RunTaskRequest| input.placement_constraints = member_of("attribute:color == blue");
    assert_eq!(world.reasons(constrained).await, ["MemberOf placement constraint unsatisfied."]);
    let broken = world.run(|input| input.placement_constraints = member_of("attribute: =="));
    refused(
        broken.await,
        "InvalidParameterException",
        "Invalid expression: attribute: ==: 'attribute:' is no subject of the cluster query language",
    );
    assert_eq!(world.reasons(|input| input.launch_type = text("EXTERNAL")).await, ["ATTRIBUTE"]);

    world.change_instance(&instance, |instance| instance.agent_connected = false);
    assert_eq!(world.reasons(|_| {}).await, ["AGENT"]);
    world.change_instance(&instance, |instance| instance.status = model::ContainerInstanceStatus::Draining);
    assert_eq!(world.reasons(|_| {}).await, ["INACTIVE"]);
}

#[tokio::test]
async fn memory_that_is_taken_is_free_again_when_the_task_has_stopped() {
    let (world, _) = World::ready().await;
    let half = ContainerDefinition { memory: Some(2100), ..container("app") };
    world.define_with("half", |input| input.container_definitions = Some(vec![half])).await.unwrap();
    let task = world.run(|input| input.task_definition = text("half")).await.unwrap().tasks.unwrap().remove(0);
    let task = task.task_arn.unwrap();
    let second = || world.reasons(|input| input.task_definition = text("half"));
    assert_eq!(second().await, ["RESOURCE:MEMORY"]);
    let stop = StopTaskRequest { task: text(&task), ..Default::default() };
    world.ecs.stop_task(&world.caller, stop).await.unwrap();
    assert_eq!(second().await, ["RESOURCE:MEMORY"], "a task that is stopping still has it");
    world.report(&task, "STOPPED", |container| container.exit_code = Some(143)).await;
    assert_eq!(world.run(|input| input.task_definition = text("half")).await.unwrap().tasks.unwrap().len(), 1);
}

#[tokio::test]
async fn failures_are_listed_closest_first_and_not_without_end() {
    let world = World::new().await;
    let large = ContainerDefinition { memory: Some(1000), ..container("app") };
    world.define_with("web", |input| input.container_definitions = Some(vec![large])).await.unwrap();
    for number in 0..150 {
        world.instance(if number % 50 == 0 { 1024 } else { 5 }, 512).await;
    }
    let reasons = world.reasons(|_| {}).await;
    assert_eq!(reasons.len(), 100);
    assert_eq!(reasons[..4], ["RESOURCE:MEMORY", "RESOURCE:MEMORY", "RESOURCE:MEMORY", "RESOURCE:CPU"]);
}

#[tokio::test]
async fn bad_requests_change_nothing() {
    let (world, _) = World::ready().await;
    let invalid = "InvalidParameterException";
    for (count, message) in [
        (0, "Count must be at least 1, but was 0."),
        (-1, "Count must be at least 1, but was -1."),
        (11, "Count cannot be greater than 10."),
    ] {
        refused(world.run(|input| input.count = Some(count)).await, invalid, message);
    }
    for unknown in ["nope", "web:2", "web:x", "arn:aws:ecs:us-east-1:123456789012:task-definition/web:9", ""] {
        let answer = world.run(|input| input.task_definition = text(unknown)).await;
        refused(answer, "ClientException", "TaskDefinition not found.");
    }
    let input = DeregisterTaskDefinitionRequest { task_definition: text("web:1") };
    world.define("web").await;
    world.ecs.deregister_task_definition(&world.caller, input).await.unwrap();
    let inactive = world.run(|input| input.task_definition = text("web:1")).await;
    refused(inactive, invalid, "TaskDefinition is inactive");
    let overridden = |name: &str, environment: usize| TaskOverride {
        container_overrides: Some(vec![ContainerOverride {
            name: text(name),
            environment: Some(vec![KeyValuePair { name: text("A"), value: Some("x".repeat(environment)) }]),
            ..Default::default()
        }]),
        ..Default::default()
    };
    let unknown = world.run(|input| input.overrides = Some(overridden("nope", 1))).await;
    refused(unknown, invalid, "Override for container named nope is not a container in the TaskDefinition.");
    let long = world.run(|input| input.overrides = Some(overridden("app", 9000))).await;
    refused(long, invalid, "Container Overrides length must be at most 8192");
    refused(world.run(|input| input.group = text("service:s")).await, invalid, "Invalid namespace for group.");
    let awsvpc = world.run(|input| input.network_configuration = Some(NetworkConfiguration::default())).await;
    refused(awsvpc, invalid, "Network Configuration is not valid for the given networkMode of this task definition.");
    assert!(world.snapshot().tasks.is_empty());
}

#[tokio::test]
async fn overrides_count_and_are_shown() {
    let (world, _) = World::ready().await;
    let answer = world.run(|input| {
        input.overrides = Some(TaskOverride {
            container_overrides: Some(vec![ContainerOverride {
                name: text("app"),
                command: texts(&["sleep", "1"]),
                memory: Some(256),
                ..Default::default()
            }]),
            ..Default::default()
        });
    });
    let task = answer.await.unwrap().tasks.unwrap().remove(0);
    assert_eq!(task.memory, text("256"));
    let shown = task.overrides.unwrap().container_overrides.unwrap();
    assert_eq!(shown[0].command, texts(&["sleep", "1"]));
}

#[tokio::test]
async fn a_client_token_makes_tasks_once() {
    let (world, _) = World::ready().await;
    world.cluster("other").await;
    let run = |count, cluster: &'static str| {
        world.run(move |input| {
            input.count = Some(count);
            input.cluster = text(cluster);
            input.client_token = text("abc");
        })
    };
    let arns = |answer: RunTaskResponse| {
        answer.tasks.unwrap().into_iter().map(|task| task.task_arn.unwrap()).collect::<Vec<_>>()
    };
    let first = arns(run(2, "default").await.unwrap());
    assert_eq!(arns(run(2, "default").await.unwrap()), first);
    assert_eq!(world.snapshot().tasks.len(), 2);
    let conflict = run(3, "default").await.unwrap_err();
    assert_eq!(conflict.code, ErrorCode::ConflictException);
    let ids = first.iter().cloned().map(Document::String).collect();
    assert_eq!(conflict.members, [("resourceIds", Document::List(ids))]);
    // A token is one of its cluster; and a request that failed has not used it.
    refused(run(1, "other").await, "InvalidParameterException", "No Container Instances were found in your cluster.");
    for token in ["x".repeat(65), "a b".into(), "ä".into()] {
        let answer = world.run(|input| input.client_token = Some(token)).await;
        assert_eq!(answer.unwrap_err().code, ErrorCode::InvalidParameterException);
    }
}

#[tokio::test]
async fn tags_come_from_the_definition_when_asked() {
    let (world, _) = World::ready().await;
    world.define_with("web", |input| input.tags = Some(vec![tag("a", "1"), tag("b", "2")])).await.unwrap();
    let answer = world.run(|input| {
        input.propagate_tags = text("TASK_DEFINITION");
        input.tags = Some(vec![tag("b", "3")]);
    });
    let tasks = answer.await.unwrap().tasks.unwrap();
    assert_eq!(tasks[0].tags.as_ref().unwrap(), &[tag("a", "1"), tag("b", "3")]);
}

#[tokio::test]
async fn start_task_runs_on_the_named_instances() {
    let (world, instance) = World::ready().await;
    let start = async |instances: &[&str]| {
        let input = StartTaskRequest {
            task_definition: text("web"),
            container_instances: texts(instances),
            ..Default::default()
        };
        world.ecs.start_task(&world.caller, input).await
    };
    let id = instance.rsplit('/').next().unwrap();
    let answer = start(&[&instance, id, "nope"]).await.unwrap();
    assert_eq!(answer.tasks.unwrap().len(), 2);
    let missing = "arn:aws:ecs:us-east-1:123456789012:container-instance/default/nope";
    assert_eq!(failures(answer.failures), [(missing.into(), "MISSING".into())]);
    refused(start(&[]).await, "InvalidParameterException", "Container instances cannot be empty.");
    refused(
        start(&["i"; 11]).await,
        "InvalidParameterException",
        "Container instances cannot have more than 10 elements.",
    );
    let input = StartTaskRequest {
        task_definition: text("web"),
        container_instances: texts(&[&instance]),
        group: text("service:s"),
        ..Default::default()
    };
    let grouped = world.ecs.start_task(&world.caller, input).await;
    refused(grouped, "InvalidParameterException", "Invalid namespace for group.");
}

/// The names in the list of Berth's own agent, as its source has it.
fn own_capabilities() -> Vec<&'static str> {
    let source = include_str!("../../../crates/agent/src/registration.rs");
    let list = source.split("const CAPABILITIES").nth(1).and_then(|rest| rest.split("];").next()).unwrap();
    list.split('"').skip(1).step_by(2).collect()
}

#[tokio::test]
async fn what_our_own_agent_can_do_is_placed_on_it() {
    let world = World::new().await;
    let attributes: Vec<_> = own_capabilities().into_iter().map(|name| (name, None)).collect();
    assert!(attributes.len() > 20);
    world.instance_with(4096, 8192, &attributes).await;
    let logs = |driver: &str, options: &[(&str, &str)]| LogConfiguration {
        log_driver: text(driver),
        options: Some(options.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()),
        ..Default::default()
    };
    let awslogs = logs("awslogs", &[("awslogs-group", "g"), ("awslogs-region", "us-east-1"), ("mode", "non-blocking")]);
    let everything = ContainerDefinition {
        image: text("123456789012.dkr.ecr.us-east-1.amazonaws.com/web:1"),
        privileged: Some(true),
        log_configuration: Some(awslogs),
        health_check: Some(HealthCheck { command: texts(&["CMD", "true"]), ..Default::default() }),
        restart_policy: Some(ContainerRestartPolicy { enabled: Some(true), ..Default::default() }),
        mount_points: Some(vec![MountPoint {
            source_volume: text("data"),
            container_path: text("/data"),
            read_only: None,
        }]),
        ..container("app")
    };
    let second = ContainerDefinition {
        log_configuration: Some(logs("json-file", &[])),
        depends_on: Some(vec![ContainerDependency { container_name: text("app"), condition: text("HEALTHY") }]),
        ..container("second")
    };
    for mode in ["bridge", "host", "none"] {
        world
            .define_with("web", |input| {
                input.container_definitions = Some(vec![everything.clone(), second.clone()]);
                input.network_mode = text(mode);
                input.task_role_arn = text("arn:aws:iam::123456789012:role/task");
                input.execution_role_arn = text("arn:aws:iam::123456789012:role/execution");
                input.cpu = text("256");
                input.memory = text("512");
                input.volumes = Some(vec![Volume {
                    name: text("data"),
                    docker_volume_configuration: Some(DockerVolumeConfiguration::default()),
                    ..Default::default()
                }]);
            })
            .await
            .unwrap();
        let answer = world.run(|_| {}).await.unwrap();
        assert_eq!(failures(answer.failures), [], "{mode}");
    }
}

#[tokio::test]
async fn what_no_agent_declares_is_not_placed() {
    let (world, instance) = World::ready().await;
    let secret = |from: &str| {
        let secrets = Some(vec![Secret { name: text("S"), value_from: text(from) }]);
        ContainerDefinition { secrets, ..container("app") }
    };
    let asm = "arn:aws:secretsmanager:us-east-1:123456789012:secret:s";
    for (from, needs) in [
        (asm, "ecs.capability.secrets.asm.environment-variables"),
        ("parameter", "ecs.capability.secrets.ssm.environment-variables"),
    ] {
        world.define_with("web", |input| input.container_definitions = Some(vec![secret(from)])).await.unwrap();
        let answer = world.run(|_| {}).await.unwrap();
        let failure = answer.failures.unwrap().remove(0);
        assert_eq!(failure.reason, text("ATTRIBUTE"));
        assert_eq!(failure.detail, Some(format!("the attribute {needs} is missing")));
        world.change_instance(&instance, |instance| {
            instance.attributes.push(model::Attribute { name: needs.into(), value: None });
        });
        assert_eq!(world.run(|_| {}).await.unwrap().tasks.unwrap().len(), 1);
    }
}
