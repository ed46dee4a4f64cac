//! What does not work, and what it says then. Needs root.

mod world;

use agent::seams::Node as _;
use node::{Machine, OpenError};
use serde_json::json;
use world::*;

const DAEMON: &str = "Error response from daemon:";

async fn check(world: &World, settings: serde_json::Value, container: serde_json::Value, expected: &str) {
    let task = task_with("t1", settings, vec![container]);
    world.machine.prepare(&task).await;
    assert_eq!(world.refusal(&task).await, expected);
    world.finish(&task).await;
}

#[test]
fn users_see_the_words_they_know() {
    on_own_host(async {
        let world = World::new().await;
        let none = || json!({});
        let create = "failed to create task for container: failed to create shim task: OCI runtime create failed: unable to start \
                      container process:";
        check(
            &world,
            none(),
            with(container("web", ""), json!({ "entryPoint": ["nope"] })),
            &format!("CannotStartContainerError: {DAEMON} {create} exec: \"nope\": executable file not found in $PATH: unknown"),
        )
        .await;
        check(
            &world,
            none(),
            with(container("web", ""), json!({ "image": "127.0.0.1:1/nothing:1" })),
            &format!(
                "CannotPullContainerError: {DAEMON} Get \"http://127.0.0.1:1/v2/\": dial tcp 127.0.0.1:1: connect: connection refused"
            ),
        )
        .await;
        check(
            &world,
            none(),
            with(container("web", ""), json!({ "image": "UPPER:1" })),
            &format!(
                "CannotPullContainerError: {DAEMON} invalid reference format: repository name (library/UPPER) must be lowercase"
            ),
        )
        .await;
        check(
            &world,
            none(),
            with(
                container("web", "wait"),
                json!({ "dockerConfig": { "config": json!({ "User": "nobody" }).to_string() } }),
            ),
            &format!(
                "CannotStartContainerError: {DAEMON} unable to find user nobody: no matching entries in passwd file"
            ),
        )
        .await;
        check(
            &world,
            none(),
            with(container("web", "wait"), host_config(json!({ "Init": true }))),
            "ResourceInitializationError: an init process (initProcessEnabled) is not available on this container instance",
        )
        .await;
        check(
            &world,
            json!({ "pidMode": "task" }),
            container("web", "wait"),
            "ResourceInitializationError: sharing of namespaces is not available on this container instance",
        )
        .await;
        check(
            &world,
            none(),
            with(container("web", "wait"), host_config(json!({ "Devices": [{ "PathOnHost": "/dev/nothing" }] }))),
            &format!(
                "CannotStartContainerError: {DAEMON} error gathering device information while adding custom device \
                 \"/dev/nothing\": no such file or directory"
            ),
        )
        .await;
        let secret = json!({ "secrets": [{ "name": "S", "valueFrom": "arn", "provider": "ssm" }] });
        check(
            &world,
            none(),
            with(container("web", "wait"), secret),
            "ResourceInitializationError: unable to pull secrets or registry auth: secrets are not available on this container \
             instance",
        )
        .await;
        let asm =
            json!({ "registryAuthentication": { "type": "asm", "asmAuthData": { "credentialsParameter": "arn" } } });
        check(
            &world,
            none(),
            with(container("web", "wait"), asm),
            "ResourceInitializationError: unable to pull registry auth: credentials from AWS Secrets Manager are not available on \
             this container instance",
        )
        .await;
        world.leave().await;
    });
}

#[test]
fn a_log_driver_that_does_not_open_fails_the_start() {
    on_own_host(async {
        let world = World::new().await;
        let logs = |driver: &str, group: &str| {
            let config = json!({ "awslogs-group": group, "awslogs-region": "r", "awslogs-stream": "s" });
            host_config(json!({ "LogConfig": { "Type": driver, "Config": config } }))
        };
        check(
            &world,
            json!({}),
            with(container("web", "wait"), logs("awslogs", "missing")),
            &format!(
                "CannotStartContainerError: {DAEMON} failed to initialize logging driver: failed to create Cloudwatch log stream: \
                 ResourceNotFoundException: The specified log group does not exist."
            ),
        )
        .await;
        check(
            &world,
            json!({}),
            with(container("web", "wait"), logs("loki", "group")),
            &format!("CannotCreateContainerError: {DAEMON} logger: no log driver named 'loki' is registered"),
        )
        .await;
        world.leave().await;
    });
}

#[test]
fn a_port_has_one_owner() {
    on_own_host(async {
        let world = World::new().await;
        let ports = json!({ "portMappings": [{ "containerPort": 80, "hostPort": 8080 }] });
        let web = |id: &str| task_with(id, json!({}), vec![with(container("web", "trap 0 wait"), ports.clone())]);
        let (first, second) = (web("first"), web("second"));
        let launched = world.start(&first, 0).await;
        world.machine.prepare(&second).await;
        let reason = world.refusal(&second).await;
        let name = &second.containers[0].docker_name;
        let begin = format!(
            "CannotStartContainerError: {DAEMON} driver failed programming external connectivity on endpoint {name} ("
        );
        assert!(reason.starts_with(&begin), "{reason}");
        assert!(reason.ends_with("): Bind for 0.0.0.0:8080 failed: port is already allocated"), "{reason}");
        // Once the first is gone the second may have it.
        world.machine.kill(&run(&first, 0)).await;
        ended(launched).await;
        world.finish(&first).await;
        let launched = world.start(&second, 0).await;
        world.machine.kill(&run(&second, 0)).await;
        ended(launched).await;
        world.finish(&second).await;
        world.leave().await;
    });
}

#[test]
fn a_machine_that_lacks_something_says_what() {
    on_own_host(async {
        let world = World::new().await;
        let refusal = |change: &dyn Fn(&mut node::MachineConfig)| {
            let mut config = world.config.clone();
            config.network.run_dir = "/run/other/netns".into();
            config.network.bridge = "other0".to_owned();
            config.network.table = "other".to_owned();
            change(&mut config);
            async move { Machine::open(config).await.err().expect("it does not open") }
        };
        let error = refusal(&|config| config.shim = "/nowhere/berth-shim".into()).await;
        assert!(error.to_string().starts_with("the program /nowhere/berth-shim is not there"), "{error}");
        // The kernel's own file systems take no directories.
        let error = refusal(&|config| config.node_dir = "/proc/berth".into()).await;
        assert!(matches!(error, OpenError::Directory { .. }), "{error}");
        sh(
            "mkdir -p /run/l /run/u /run/w /run/over && mount -t overlay -o lowerdir=/run/l,upperdir=/run/u,workdir=/run/w over /run/over",
        );
        let error = refusal(&|config| config.node_dir = "/run/over/node".into()).await;
        assert!(error.to_string().contains("a file system that is not an overlay itself"), "{error}");
        let error = refusal(&|config| config.cgroup_parent = "/a\0b".to_owned()).await;
        assert!(error.to_string().contains("memory, cpu and pids controllers"), "{error}");
        let error = refusal(&|config| config.network.run_dir = "/run/berth/netns".into()).await;
        assert!(error.to_string().contains("another Berth node on this machine uses"), "{error}");
        world.leave().await;
    });
}
