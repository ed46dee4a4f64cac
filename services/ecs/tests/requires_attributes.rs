//! What a task definition asks of an instance, as AWS answers it for definitions with the same members.

mod world;

use api_ecs::*;
use world::{World, container, text, texts};

/// The names without `com.amazonaws.ecs.capability.` and `ecs.capability.`, one a line.
async fn check(change: impl FnOnce(&mut RegisterTaskDefinitionRequest, &mut ContainerDefinition), expected: &str) {
    let world = World::new().await;
    world
        .define_with("web", |input| {
            let mut app = container("app");
            change(input, &mut app);
            input.container_definitions = Some(vec![app]);
        })
        .await
        .unwrap();
    let input = DescribeTaskDefinitionRequest { task_definition: text("web"), ..Default::default() };
    let shown = world.ecs.describe_task_definition(&world.caller, input).await.unwrap().task_definition.unwrap();
    let names = shown.requires_attributes.unwrap().into_iter().map(|one| one.name.unwrap());
    let short = names.map(|name| name.rsplit_once("ecs.capability.").unwrap().1.to_owned());
    assert_eq!(short.collect::<Vec<_>>().join(" "), expected);
}

fn logs(driver: &str) -> Option<LogConfiguration> {
    let options = [("awslogs-group", "g"), ("awslogs-region", "us-east-1")];
    let options = options.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let options = (driver == "awslogs").then(|| options.into_iter().collect());
    Some(LogConfiguration { log_driver: text(driver), options, ..Default::default() })
}

const ROLE: &str = "arn:aws:iam::123456789012:role/r";

#[tokio::test]
async fn a_plain_container_asks_for_nothing() {
    check(|_, _| {}, "").await;
}

#[tokio::test]
async fn logs_images_and_roles() {
    let ecr = "123456789012.dkr.ecr.us-east-1.amazonaws.com/web";
    check(
        |input, app| {
            app.image = text(ecr);
            app.log_configuration = logs("awslogs");
            app.memory_reservation = Some(64);
            input.execution_role_arn = text(ROLE);
            input.task_role_arn = text(ROLE);
            input.cpu = text("512");
            input.memory = text("1024");
        },
        "docker-remote-api.1.18 docker-remote-api.1.19 docker-remote-api.1.21 ecr-auth logging-driver.awslogs task-iam-role execution-role-awslogs execution-role-ecr-pull",
    )
    .await;
    check(
        |input, app| {
            app.image = text(ecr);
            app.log_configuration = logs("awslogs");
            input.task_role_arn = text(ROLE);
            input.network_mode = text("host");
        },
        "docker-remote-api.1.19 ecr-auth logging-driver.awslogs task-iam-role task-iam-role-network-host",
    )
    .await;
    for (driver, version) in [
        ("json-file", 18),
        ("syslog", 18),
        ("none", 18),
        ("journald", 19),
        ("gelf", 20),
        ("fluentd", 20),
        ("splunk", 22),
    ] {
        let world = World::new().await;
        let app = ContainerDefinition { log_configuration: logs(driver), ..container("app") };
        world.define_with("web", |input| input.container_definitions = Some(vec![app])).await.unwrap();
        let snapshot = world.snapshot();
        let definition = snapshot.task_definitions.iter().next().unwrap();
        let names: Vec<_> = definition.requires_attributes.iter().map(|one| one.name.as_str()).collect();
        let prefix = "com.amazonaws.ecs.capability";
        assert_eq!(
            names,
            [format!("{prefix}.docker-remote-api.1.{version}"), format!("{prefix}.logging-driver.{driver}")]
        );
    }
}

#[tokio::test]
async fn health_order_and_restarts() {
    let check_every =
        |start_period| Some(HealthCheck { command: texts(&["CMD", "true"]), start_period, ..Default::default() });
    check(|_, app| app.health_check = check_every(None), "docker-remote-api.1.24 container-health-check").await;
    check(|_, app| app.health_check = check_every(Some(9)), "docker-remote-api.1.29 container-health-check").await;
    check(
        |_, app| app.restart_policy = Some(ContainerRestartPolicy { enabled: Some(true), ..Default::default() }),
        "container-restart-policy",
    )
    .await;
}

#[tokio::test]
async fn settings_of_the_engine() {
    check(
        |_, app| {
            app.privileged = Some(true);
            app.docker_security_options = texts(&["label:type:t", "apparmor:profile", "no-new-privileges"]);
            app.ulimits = Some(vec![Ulimit { name: text("nofile"), soft_limit: Some(1), hard_limit: Some(2) }]);
            app.linux_parameters = Some(LinuxParameters {
                init_process_enabled: Some(true),
                shared_memory_size: Some(64),
                ..Default::default()
            });
        },
        "apparmor docker-remote-api.1.18 docker-remote-api.1.22 docker-remote-api.1.25 privileged-container selinux",
    )
    .await;
    check(|input, _| input.pid_mode = text("task"), "pid-ipc-namespace-sharing").await;
    check(|input, _| input.ipc_mode = text("host"), "").await;
    check(|input, _| input.enable_fault_injection = Some(true), "fault-injection").await;
    check(
        |input, _| {
            let docker = DockerVolumeConfiguration { driver: text("rexray/ebs"), ..Default::default() };
            input.volumes = Some(vec![Volume {
                name: text("data"),
                docker_volume_configuration: Some(docker),
                ..Default::default()
            }]);
        },
        "docker-plugin.rexray/ebs",
    )
    .await;
}

#[tokio::test]
async fn secrets() {
    let asm = "arn:aws:secretsmanager:us-east-1:123456789012:secret:s";
    check(
        |_, app| {
            app.secrets = Some(vec![
                Secret { name: text("A"), value_from: text(asm) },
                Secret { name: text("B"), value_from: text("parameter") },
            ]);
            app.environment_files =
                Some(vec![EnvironmentFile { value: text("arn:aws:s3:::b/k.env"), r#type: text("s3") }]);
            app.repository_credentials = Some(RepositoryCredentials { credentials_parameter: text(asm) });
            app.log_configuration = logs("splunk");
            app.log_configuration.as_mut().unwrap().secret_options =
                Some(vec![Secret { name: text("splunk-token"), value_from: text(asm) }]);
        },
        "docker-remote-api.1.22 logging-driver.splunk env-files.s3 private-registry-authentication.secretsmanager secrets.asm.bootstrap.log-driver secrets.asm.environment-variables secrets.ssm.environment-variables",
    )
    .await;
}
