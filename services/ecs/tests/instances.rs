//! Container instances, as their agents and their operators see them.

mod world;

use api_ecs::*;
use model::{StopCode, TaskStatus};
use world::{World, failures, refused, registration, tag, text, texts};

/// What the official agent sends first, in the external mode.
const SENT: [(&str, Option<&str>); 6] = [
    ("ecs.capability.full-sync", None),
    ("com.amazonaws.ecs.capability.docker-remote-api.1.25", None),
    ("ecs.capability.external", None),
    ("ecs.os-type", Some("linux")),
    ("ecs.os-family", Some("LINUX")),
    ("rack", Some("7")),
];

async fn describe(world: &World, arn: &str) -> ContainerInstance {
    let input = DescribeContainerInstancesRequest {
        container_instances: texts(&[arn]),
        include: texts(&["TAGS"]),
        ..Default::default()
    };
    let answer = world.ecs.describe_container_instances(&world.caller, input).await.unwrap();
    answer.container_instances.unwrap().remove(0)
}

fn has(instance: &ContainerInstance, name: &str, value: Option<&str>) -> bool {
    let attributes = instance.attributes.as_ref().unwrap();
    attributes.iter().any(|one| one.name == text(name) && one.value.as_deref() == value)
}

#[tokio::test]
async fn every_attribute_comes_back() {
    let world = World::new().await;
    let mut input = registration(2048, 4096, &SENT);
    input.tags = Some(vec![tag("owner", "me")]);
    input.instance_identity_document = text("");
    let instance =
        world.ecs.register_container_instance(&world.caller, input).await.unwrap().container_instance.unwrap();
    for (name, value) in SENT {
        assert!(has(&instance, name, value), "{name}");
    }
    assert!(has(&instance, "ecs.availability-zone", Some("us-east-1a")), "one is given to who has none");
    assert_eq!((instance.status.as_deref(), instance.agent_connected), (Some("ACTIVE"), Some(false)));
    assert_eq!(instance.tags.unwrap(), [tag("owner", "me")]);
    let managed = instance.ec2_instance_id.unwrap();
    assert!(managed.starts_with("mi-") && managed.len() == 20, "{managed}: a machine outside EC2 is given an id");
    let ports = &instance.registered_resources.unwrap()[2];
    assert_eq!(ports.string_set_value, texts(&["22", "51678"]));
}

#[tokio::test]
async fn an_agent_that_comes_back_keeps_its_place() {
    let world = World::new().await;
    let arn = world.instance_with(2048, 4096, &SENT).await;
    let drain = UpdateContainerInstancesStateRequest {
        container_instances: texts(&[&arn]),
        status: text("DRAINING"),
        ..Default::default()
    };
    world.ecs.update_container_instances_state(&world.caller, drain).await.unwrap();

    // It has less memory now, does one thing more and one less, and leaves out its custom attributes.
    let mut input = registration(
        2048,
        2048,
        &[
            ("ecs.capability.full-sync", None),
            ("ecs.capability.execute-command", None),
            ("ecs.os-type", Some("linux")),
            ("ecs.os-family", Some("LINUX_NEW")),
        ],
    );
    input.container_instance_arn = text(&arn);
    input.version_info = Some(VersionInfo { agent_version: text("1.105.1"), ..Default::default() });
    let again = world.ecs.register_container_instance(&world.caller, input).await.unwrap().container_instance.unwrap();
    assert_eq!(again.container_instance_arn, text(&arn));
    assert_eq!(again.status, text("DRAINING"), "a new start does not end the draining");
    assert!(has(&again, "ecs.os-family", Some("LINUX_NEW")));
    assert!(has(&again, "ecs.capability.execute-command", None));
    assert!(has(&again, "rack", Some("7")), "custom attributes are sent the first time only");
    assert!(has(&again, "ecs.availability-zone", Some("us-east-1a")));
    assert!(!has(&again, "ecs.capability.external", None), "a capability that is not declared any more is gone");
    assert_eq!(again.registered_resources.unwrap()[1].integer_value, Some(2048));
    assert_eq!(again.version_info.unwrap().agent_version, text("1.105.1"));
    assert_eq!(world.snapshot().container_instances.len(), 1);
}

#[tokio::test]
async fn who_may_not_come_back() {
    let world = World::new().await;
    world.cluster("other").await;
    let arn = world.instance(2048, 4096).await;
    let register = async |arn: &str, cluster: &str| {
        let mut input = registration(2048, 4096, &[]);
        input.container_instance_arn = text(arn);
        input.cluster = text(cluster);
        world.ecs.register_container_instance(&world.caller, input).await
    };
    let elsewhere = "The container instance belongs to another cluster.";
    refused(register(&arn, "other").await, "ClientException", elsewhere);
    let foreign = arn.replace("123456789012", "210987654321");
    refused(register(&foreign, "default").await, "ClientException", elsewhere);
    refused(register("i", "default").await, "InvalidParameterException", "Invalid container instance ARN.");
    let unknown = "Container instance is not registered with the cluster.";
    refused(register(&format!("{arn}0"), "default").await, "ClientException", unknown);
    let input = DeregisterContainerInstanceRequest { container_instance: text(&arn), ..Default::default() };
    world.ecs.deregister_container_instance(&world.caller, input).await.unwrap();
    refused(register(&arn, "default").await, "ClientException", unknown);
    let mut negative = registration(-1, 4096, &[]);
    negative.cluster = text("default");
    let answer = world.ecs.register_container_instance(&world.caller, negative).await;
    refused(answer, "InvalidParameterException", "A resource cannot be negative.");
}

const DOCUMENT: &str = r#"{"accountId":"111122223333","architecture":"x86_64","availabilityZone":"us-east-1c",
    "imageId":"ami-0a1b2c3d","instanceId":"i-0123456789abcdef0","instanceType":"m7i.large","region":"us-east-1"}"#;

#[tokio::test]
async fn the_identity_document_says_what_the_machine_is() {
    let world = World::new().await;
    let register = async |document: &str, arn: Option<&str>| {
        let mut input = registration(2048, 4096, &[("ecs.vpc-id", Some("vpc-1")), ("ecs.subnet-id", Some("subnet-1"))]);
        input.instance_identity_document = text(document);
        input.instance_identity_document_signature = text("bm90IGNoZWNrZWQ=");
        input.container_instance_arn = arn.map(str::to_owned);
        world
            .ecs
            .register_container_instance(&world.caller, input)
            .await
            .map(|answer| answer.container_instance.unwrap())
    };
    let instance = register(DOCUMENT, None).await.unwrap();
    assert_eq!(instance.ec2_instance_id, text("i-0123456789abcdef0"));
    for (name, value) in [
        ("ecs.availability-zone", "us-east-1c"),
        ("ecs.instance-type", "m7i.large"),
        ("ecs.ami-id", "ami-0a1b2c3d"),
        ("ecs.vpc-id", "vpc-1"),
    ] {
        assert!(has(&instance, name, Some(value)), "{name}");
    }
    let arn = instance.container_instance_arn.unwrap();
    let id = arn.rsplit('/').next().unwrap();
    assert_eq!(register(DOCUMENT, Some(&arn)).await.unwrap().container_instance_arn.as_ref(), Some(&arn));
    let grown = register(&DOCUMENT.replace("m7i.large", "m7i.xlarge"), Some(&arn)).await;
    let message = format!(
        "Container instance type changes are not supported. Container instance {id} was previously registered as m7i.large."
    );
    refused(grown, "ClientException", &message);
    let stolen = register(&DOCUMENT.replace("i-0123456789abcdef0", "i-0fedcba9876543210"), Some(&arn)).await;
    let message = format!("Container instance {id} was previously registered by EC2 instance i-0123456789abcdef0.");
    refused(stolen, "ClientException", &message);
    refused(register("{", None).await, "ClientException", "Invalid identity document.");
    assert_eq!(world.snapshot().container_instances.len(), 1);
}

#[tokio::test]
async fn a_machine_of_systems_manager_keeps_its_name() {
    let mut world = World::new().await;
    world.caller.principal.arn =
        "arn:aws:sts::123456789012:assumed-role/ecsAnywhereRole/mi-0123456789abcdef0".to_owned();
    let input = registration(2048, 4096, &SENT);
    let answer = world.ecs.register_container_instance(&world.caller, input).await.unwrap();
    assert_eq!(answer.container_instance.unwrap().ec2_instance_id, text("mi-0123456789abcdef0"));
    let input = registration(2048, 4096, &[("ecs.os-type", Some("linux"))]);
    let answer = world.ecs.register_container_instance(&world.caller, input).await.unwrap();
    assert_eq!(answer.container_instance.unwrap().ec2_instance_id, None, "only an external agent is looked at so");
}

#[tokio::test]
async fn a_registration_whose_answer_was_lost_is_made_once() {
    let world = World::new().await;
    let register = async |token: &str, memory: i32| {
        let mut input = registration(2048, memory, &SENT);
        input.client_token = text(token);
        world
            .ecs
            .register_container_instance(&world.caller, input)
            .await
            .map(|answer| answer.container_instance.unwrap().container_instance_arn.unwrap())
    };
    let first = register("4ff316b2", 4096).await.unwrap();
    assert_eq!(register("4ff316b2", 4096).await.unwrap(), first);
    let other = register("4ff316b2", 1024).await;
    refused(other, "InvalidParameterException", "The client token was used for another registration.");
    assert_ne!(register("5a0427c3", 4096).await.unwrap(), first);
    assert_eq!(world.snapshot().container_instances.len(), 2);
    // An instance that is gone does not come back through its token.
    let input = DeregisterContainerInstanceRequest { container_instance: text(&first), ..Default::default() };
    world.ecs.deregister_container_instance(&world.caller, input).await.unwrap();
    assert_ne!(register("4ff316b2", 4096).await.unwrap(), first);
}

#[tokio::test]
async fn health_is_shown_to_who_asks() {
    let world = World::new().await;
    let arn = world.instance(2048, 4096).await;
    let describe = async |include: &[&str]| {
        let input = DescribeContainerInstancesRequest {
            container_instances: texts(&[&arn]),
            include: texts(include),
            ..Default::default()
        };
        let answer = world.ecs.describe_container_instances(&world.caller, input).await.unwrap();
        answer.container_instances.unwrap().remove(0).health_status
    };
    assert_eq!(describe(&["TAGS"]).await, None);
    let nothing = describe(&["CONTAINER_INSTANCE_HEALTH"]).await.unwrap();
    assert_eq!((nothing.overall_status.as_deref(), nothing.details), (Some("INSUFFICIENT_DATA"), Some(vec![])));
    world.change_instance(&arn, |instance| {
        instance.health = vec![model::InstanceHealthCheck {
            kind: model::InstanceHealthCheckKind::ContainerRuntime,
            status: model::InstanceHealth::Impaired,
            last_updated: world.now(),
            last_status_change: world.now(),
        }];
    });
    let shown = describe(&["CONTAINER_INSTANCE_HEALTH"]).await.unwrap();
    assert_eq!(shown.overall_status.as_deref(), Some("IMPAIRED"));
    let detail = &shown.details.unwrap()[0];
    assert_eq!((detail.r#type.as_deref(), detail.last_updated), (Some("CONTAINER_RUNTIME"), Some(world.now())));
}

#[tokio::test]
async fn deregistering_needs_force_while_tasks_run() {
    let (world, instance) = World::ready().await;
    let task = world.one().await;
    world.report(&task, "RUNNING", |_| {}).await;
    let deregister = async |instance: &str, force: Option<bool>| {
        let input =
            DeregisterContainerInstanceRequest { container_instance: text(instance), force, ..Default::default() };
        world.ecs.deregister_container_instance(&world.caller, input).await
    };
    let busy = deregister(&instance, None).await;
    refused(busy, "InvalidParameterException", "Found running tasks on the instance.");
    refused(deregister("nope", None).await, "ClientException", "Referenced container instance not found.");

    let gone = deregister(&instance, Some(true)).await.unwrap().container_instance.unwrap();
    assert_eq!((gone.status.as_deref(), gone.agent_connected), (Some("INACTIVE"), Some(false)));
    assert_eq!(gone.running_tasks_count, Some(0), "as it is afterwards");
    let kept = world.kept(&task);
    assert_eq!((kept.last_status, kept.stop_code), (TaskStatus::Stopped, Some(StopCode::UserInitiated)));
    assert_eq!(kept.stopped_reason, "Host container instance deregistered by user");
    refused(deregister(&instance, None).await, "ClientException", "Referenced container instance not found.");

    assert_eq!(describe(&world, &instance).await.status, text("INACTIVE"), "it stays visible to who names it");
    let list = |status: Option<&str>| ListContainerInstancesRequest {
        status: status.map(str::to_owned),
        ..Default::default()
    };
    let listed = world.ecs.list_container_instances(&world.caller, list(None)).await.unwrap();
    assert_eq!(listed.container_instance_arns, Some(vec![]));
    // The agent's last word about the orphan changes nothing.
    world.report(&task, "STOPPED", |container| container.exit_code = Some(0)).await;
    assert_eq!(*world.kept(&task), *kept);
}

#[tokio::test]
async fn draining_is_a_state() {
    let (world, instance) = World::ready().await;
    let update = async |instances: &[&str], status: &str| {
        let input = UpdateContainerInstancesStateRequest {
            container_instances: texts(instances),
            status: text(status),
            ..Default::default()
        };
        world.ecs.update_container_instances_state(&world.caller, input).await
    };
    let answer = update(&[&instance, "nope"], "DRAINING").await.unwrap();
    assert_eq!(answer.container_instances.unwrap()[0].status, text("DRAINING"));
    let missing = "arn:aws:ecs:us-east-1:123456789012:container-instance/default/nope";
    assert_eq!(failures(answer.failures), [(missing.into(), "MISSING".into())]);
    assert_eq!(world.reasons(|_| {}).await, ["INACTIVE"]);
    let list = |status: &str| ListContainerInstancesRequest { status: text(status), ..Default::default() };
    let draining = world.ecs.list_container_instances(&world.caller, list("DRAINING")).await.unwrap();
    assert_eq!(draining.container_instance_arns, texts(&[&instance]));
    update(&[&instance], "ACTIVE").await.unwrap();
    assert_eq!(world.run(|_| {}).await.unwrap().tasks.unwrap().len(), 1);
    for status in ["INACTIVE", "REGISTERING", "nonsense"] {
        let answer = update(&[&instance], status).await;
        assert_eq!(answer.unwrap_err().code, ErrorCode::InvalidParameterException, "{status}");
    }
    let many = "The number of container instances must be between 1 and 10.";
    refused(update(&[], "DRAINING").await, "InvalidParameterException", many);
    refused(update(&["i"; 11], "DRAINING").await, "InvalidParameterException", many);
}

#[tokio::test]
async fn instances_are_found_by_what_they_are() {
    let world = World::new().await;
    let blue = world.instance_with(1024, 1024, &[("color", Some("blue"))]).await;
    let red = world.instance_with(1024, 1024, &[("color", Some("red"))]).await;
    let list = async |filter: &str| {
        let input = ListContainerInstancesRequest { filter: text(filter), ..Default::default() };
        world
            .ecs
            .list_container_instances(&world.caller, input)
            .await
            .map(|answer| answer.container_instance_arns.unwrap())
    };
    assert_eq!(list("attribute:color == blue").await.unwrap(), [blue]);
    assert_eq!(list("attribute:color in [red, green] and runningTasksCount == 0").await.unwrap(), [red]);
    assert!(list("attribute:size exists").await.unwrap().is_empty());
    refused(
        list("color is blue").await,
        "InvalidParameterException",
        "Invalid expression: color is blue: 'color' is no subject of the cluster query language",
    );
}

#[tokio::test]
async fn the_websockets_are_where_the_agent_has_called() {
    let world = World::new().await;
    let answer = world.ecs.discover_poll_endpoint(&world.caller, Default::default()).await.unwrap();
    assert_eq!(answer.endpoint, text("http://127.0.0.1:4566/acs/"));
    assert_eq!(answer.telemetry_endpoint, text("http://127.0.0.1:4566/tcs/"));
}

/// A refusal ends an agent for good, so a replica that has not heard of its instance, or of its cluster, looks again first.
#[tokio::test]
async fn a_late_replica_turns_no_agent_away() {
    let world = World::new().await;
    let late = world.late();
    let instance = world.instance(2048, 4096).await;
    let mut again = registration(2048, 4096, &[]);
    again.container_instance_arn = text(&instance);
    let answer = late.register_container_instance(&world.caller, again.clone()).await.unwrap();
    assert_eq!(answer.container_instance.unwrap().container_instance_arn, text(&instance));

    let late = world.late();
    world.cluster("new").await;
    let mut first = registration(2048, 4096, &[]);
    first.cluster = text("new");
    assert!(late.register_container_instance(&world.caller, first).await.is_ok());

    let (place, _) = instance.rsplit_once('/').unwrap();
    again.container_instance_arn = Some(format!("{place}/{}", "0".repeat(32)));
    let unknown = world.late().register_container_instance(&world.caller, again.clone()).await;
    assert_eq!(unknown.unwrap_err().code, ErrorCode::ClientException);
    again.container_instance_arn = text("arn:aws:ecs:us-east-1:123456789012:container-instance/default/no id");
    let broken = world.late().register_container_instance(&world.caller, again).await;
    assert!(broken.is_err(), "what is no id has no record, and is no key");
}
