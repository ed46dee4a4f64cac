use model::container_definition::{HealthCheck, LinuxParameters, LogConfiguration, Tmpfs, Ulimit};
use model::task::{LaunchType, TaskOverride, TaskStatus};
use model::task_definition::TaskDefinitionStatus;
use model::{Container, CpuUnits, HealthStatus, MemoryMib, Reservation, Scope};
use stdx::Timestamp;

use super::*;

fn definition(containers: Vec<ContainerDefinition>) -> TaskDefinition {
    TaskDefinition {
        scope: Scope::new("123456789012", "eu-west-1"),
        family: "web".into(),
        revision: 7,
        status: TaskDefinitionStatus::Active,
        containers,
        volumes: Vec::new(),
        network_mode: None,
        task_role_arn: None,
        execution_role_arn: None,
        placement_constraints: Vec::new(),
        requires_compatibilities: Vec::new(),
        compatibilities: Vec::new(),
        requires_attributes: Vec::new(),
        cpu: Some(CpuUnits(512)),
        memory: None,
        pid_mode: None,
        ipc_mode: None,
        runtime_platform: None,
        enable_fault_injection: None,
        registered_at: Timestamp::EPOCH,
        registered_by: String::new(),
        deregistered_at: None,
        tags: Vec::new(),
    }
}

fn task(definition: &TaskDefinition, overrides: Option<TaskOverride>) -> Task {
    let container = |defined: &ContainerDefinition| Container {
        name: defined.name.clone(),
        id: "c1".into(),
        image: defined.image.clone(),
        last_status: TaskStatus::Pending,
        image_digest: None,
        runtime_id: None,
        exit_code: None,
        reason: String::new(),
        network_bindings: Vec::new(),
        health: HealthStatus::Unknown,
        probed: None,
        gpus: Vec::new(),
    };
    Task {
        scope: definition.scope.clone(),
        cluster: "default".into(),
        id: "t1".into(),
        family: definition.family.clone(),
        revision: definition.revision,
        container_instance: "i1".into(),
        launch_type: LaunchType::Ec2,
        capacity_provider: None,
        last_status: TaskStatus::Pending,
        desired_status: TaskStatus::Running,
        health: HealthStatus::Unknown,
        containers: definition.containers.iter().map(container).collect(),
        reserved: Reservation::default(),
        group: "service:front".into(),
        started_by: String::new(),
        overrides: overrides.map(Box::new),
        cpu: None,
        memory: None,
        tags: Vec::new(),
        execute_command_enabled: false,
        created_at: Timestamp::from_millis(5),
        connectivity_at: None,
        pull_started_at: None,
        pull_stopped_at: None,
        started_at: None,
        stopping_at: None,
        execution_stopped_at: None,
        stopped_at: None,
        stop_code: None,
        stopped_reason: String::new(),
        protected_until: None,
        provisioning: None,
        version: 1,
    }
}

fn web() -> ContainerDefinition {
    ContainerDefinition {
        name: "web".into(),
        image: "123456789012.dkr.ecr.eu-west-1.amazonaws.com/web:1".into(),
        cpu: CpuUnits(64),
        memory: Some(MemoryMib(128)),
        memory_reservation: Some(MemoryMib(64)),
        essential: true,
        environment: vec![("A".into(), "1".into()), ("B".into(), "2".into())],
        port_mappings: vec![model::container_definition::PortMapping {
            container_port: Some(80),
            ..Default::default()
        }],
        ulimits: vec![Ulimit { name: "nofile".into(), soft: 1, hard: 2 }],
        log_configuration: Some(LogConfiguration {
            driver: "awslogs".into(),
            options: vec![("awslogs-group".into(), "/ecs/web".into()), ("awslogs-stream-prefix".into(), "p".into())],
            secret_options: Vec::new(),
        }),
        health_check: Some(HealthCheck { command: vec!["CMD-SHELL".into(), "true".into()], ..Default::default() }),
        linux_parameters: Some(LinuxParameters {
            max_swap_mib: Some(10),
            tmpfs: vec![Tmpfs { container_path: "/t".into(), size_mib: 8, mount_options: vec!["noexec".into()] }],
            ..Default::default()
        }),
        ..Default::default()
    }
}

#[test]
fn gpus_are_associations_as_the_official_agent_reads_them() {
    let definition = definition(vec![web()]);
    let mut task = task(&definition, None);
    assert!(start(&task, &definition, &[], "http://h:1").associations.is_empty());
    task.containers[0].gpus = vec!["GPU-1".into(), "GPU-2".into()];
    let payload = serde_json::to_value(start(&task, &definition, &[], "http://h:1")).unwrap();
    let one = |name: &str| serde_json::json!({ "containers": ["web"], "content": { "encoding": "base64", "value": "" }, "name": name, "type": "gpu" });
    assert_eq!(payload["associations"], serde_json::json!([one("GPU-1"), one("GPU-2")]));
}

#[test]
fn a_task_says_everything_its_definition_says() {
    let definition = definition(vec![web()]);
    let payload = start(&task(&definition, None), &definition, &[], "http://h:1");
    assert_eq!(payload.arn, "arn:aws:ecs:eu-west-1:123456789012:task/default/t1");
    assert_eq!((payload.version.as_str(), payload.cpu), ("7", Some(0.5)));
    assert_eq!(payload.network_mode.as_deref(), Some("bridge"));
    assert_eq!(payload.service_name.as_deref(), Some("front"));
    let web = &payload.containers[0];
    assert_eq!(web.environment["AWS_EXECUTION_ENV"], "AWS_ECS_EC2");
    assert_eq!((web.cpu, web.memory), (64, 128));
    assert_eq!((web.port_mappings[0].container_port, web.port_mappings[0].host_port), (Some(80), Some(0)));
    assert_eq!(web.health_check_type.as_deref(), Some("docker"));
    assert_eq!(web.container_arn, "arn:aws:ecs:eu-west-1:123456789012:container/default/t1/c1");
    let ecr = web.registry_authentication.as_ref().unwrap().ecr_auth_data.as_ref().unwrap();
    assert_eq!((ecr.registry_id.as_str(), ecr.region.as_str()), ("123456789012", "eu-west-1"));
    let logs = web.berth.as_ref().unwrap().log_configuration.as_ref().unwrap();
    assert_eq!(logs.options["awslogs-stream"], "p/web/t1");
    assert_eq!(logs.options["awslogs-region"], "eu-west-1");

    let docker = web.docker_config.as_ref().unwrap();
    let (config, host) = (docker.container_config().unwrap(), docker.host_config().unwrap());
    assert_eq!(config.healthcheck.unwrap().interval, Some(30_000_000_000));
    assert_eq!(host.memory_reservation, Some(64 << 20));
    assert_eq!(host.memory_swap, Some(138 << 20));
    assert_eq!(host.tmpfs["/t"], "noexec,size=8m");
    assert_eq!(host.log_config.unwrap().config["awslogs-endpoint"], "http://h:1");
    // Numbers that the official agent reads as integers have no fraction.
    let text = serde_json::to_string(&payload.containers).unwrap();
    assert!(!text.contains(".0"), "{text}");
}

#[test]
fn secrets_travel_by_name() {
    let asm = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:s";
    let web = ContainerDefinition {
        secrets: vec![("A".into(), asm.into()), ("B".into(), "parameter".into())],
        repository_credentials: Some(asm.into()),
        log_configuration: Some(LogConfiguration {
            driver: "splunk".into(),
            options: Vec::new(),
            secret_options: vec![("splunk-token".into(), "arn:aws:ssm:us-east-1:123456789012:parameter/p".into())],
        }),
        ..web()
    };
    let definition = definition(vec![web]);
    let payload = start(&task(&definition, None), &definition, &[], "http://h:1");
    let web = &payload.containers[0];
    let told: Vec<_> = web
        .secrets
        .iter()
        .map(|one| (one.name.as_str(), one.provider.as_str(), one.region.as_str(), one.target.as_deref().unwrap()))
        .collect();
    let expected = [
        ("A", "asm", "eu-central-1", "CONTAINER"),
        ("B", "ssm", "eu-west-1", "CONTAINER"),
        ("splunk-token", "ssm", "us-east-1", "LOG_DRIVER"),
    ];
    assert_eq!(told, expected);
    let auth = web.registry_authentication.as_ref().unwrap();
    assert_eq!(
        (auth.auth_type.as_str(), &auth.asm_auth_data.as_ref().unwrap().region),
        ("asm", &"eu-central-1".into())
    );
    assert_eq!(auth.ecr_auth_data, None);
}

#[test]
fn overrides_are_merged_before_they_travel() {
    let definition = definition(vec![web()]);
    let overrides = TaskOverride {
        containers: vec![ContainerOverride {
            name: "web".into(),
            command: Some(vec!["x".into()]),
            environment: vec![("B".into(), "3".into())],
            memory: Some(MemoryMib(256)),
            ..Default::default()
        }],
        cpu: Some(CpuUnits(1024)),
        ..Default::default()
    };
    let payload = start(&task(&definition, Some(overrides)), &definition, &[], "");
    let web = &payload.containers[0];
    assert_eq!(payload.cpu, Some(1.0));
    assert_eq!(web.command, ["x"]);
    assert_eq!((web.environment["A"].as_str(), web.environment["B"].as_str()), ("1", "3"));
    assert_eq!(web.memory, 256);
    assert_eq!(web.overrides.as_deref(), Some("{}"));
}

#[test]
fn probes_travel_and_stay_labels() {
    let labels =
        [("berth.health.http", "8080/healthz"), ("berth.health.interval", "7"), ("berth.ready.grpc", "90/shop")];
    let labels = labels.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
    let definition = definition(vec![ContainerDefinition { docker_labels: labels, health_check: None, ..web() }]);
    let payload = start(&task(&definition, None), &definition, &[], "");
    let web = &payload.containers[0];
    assert_eq!(web.health_check_type, None, "an engine has nothing to run");
    let probe = |ask, interval| extras::Probe { ask, interval, timeout: 5, retries: 3, start_period: 0 };
    let expected = extras::Probes {
        health: Some(probe(extras::Ask::Http { port: 8080, path: "/healthz".into() }, 7)),
        ready: Some(probe(extras::Ask::Grpc { port: 90, service: "shop".into() }, 30)),
    };
    assert_eq!(web.berth.as_ref().unwrap().probes, Some(expected));
    let settings = web.docker_config.as_ref().unwrap().container_config().unwrap();
    assert_eq!(settings.labels["berth.health.http"], "8080/healthz");
}

#[test]
fn a_stop_names_the_task_and_nothing_else() {
    let definition = definition(vec![web()]);
    let payload = stop(&task(&definition, None));
    assert_eq!(payload.desired_status, DesiredStatus::Stopped);
    assert!(payload.containers.is_empty());
}

#[test]
fn an_image_that_is_known_by_its_digest_is_pinned() {
    let definition = definition(vec![web()]);
    let name = definition.containers[0].name.clone();
    let image = definition.containers[0].image.clone();
    let images = [RevisionImage { container: name, image, digest: Some("sha256:1".into()) }];
    let payload = start(&task(&definition, None), &definition, &images, "");
    let hint = |container: &payload::Container| container.berth.as_ref().unwrap().image.as_ref()?.digest.clone();
    assert_eq!(hint(&payload.containers[0]).as_deref(), Some("sha256:1"));
    // Another image of the same container is another image.
    let other = [RevisionImage { image: "other".into(), ..images[0].clone() }];
    assert_eq!(hint(&start(&task(&definition, None), &definition, &other, "").containers[0]), None);
}
