//! Real containers, through the seam that an agent uses. Needs root.

mod world;

use agent::seams::{Execute, Node as _, Streams};
use serde_json::json;
use task_engine::Purpose;
use world::*;

#[test]
fn a_bridge_container_answers_on_a_dynamic_port() {
    on_own_host(async {
        let world = World::new().await;
        let ports = json!({ "portMappings": [{ "containerPort": 80, "hostPort": 0, "protocol": "tcp" }] });
        let task = task_with("t1", json!({}), vec![with(container("web", "trap 3 serve 80 hello"), ports)]);
        world.machine.prepare(&task).await;
        let launched = world.start(&task, 0).await;
        assert_eq!(launched.runtime_id.len(), 64);
        let [binding] = launched.bindings.as_slice() else { panic!("{:?}", launched.bindings) };
        assert_eq!(
            (binding.bind_ip.as_str(), binding.container_port, binding.protocol.as_str()),
            ("0.0.0.0", 80, "tcp")
        );
        world.hear(&task, &launched.runtime_id, "serving").await;
        assert_eq!(ask([127, 0, 0, 1], binding.host_port).unwrap(), "hello");
        let info = world.machine.container_info("t1", 0);
        assert_eq!((info.network_mode.as_str(), info.ipv4_addresses.len()), ("bridge", 1));

        let port = binding.host_port;
        world.machine.stop(&run(&task, 0)).await;
        let exit = ended(launched).await;
        assert_eq!((exit.code, exit.oom_killed), (3, false));
        world.machine.release(&task).await;
        assert!(ask([127, 0, 0, 1], port).is_err());
        assert!(world.config.node_dir.join("tasks/t1/containers").exists(), "its files are still there");
        world.machine.remove(&task).await;
        world.leave().await;
    });
}

#[test]
fn a_container_knows_who_and_where_it_is() {
    on_own_host(async {
        let port = metadata_endpoint();
        let world = World::with(|config| config.metadata_port = Some(port)).await;
        let words = "who env FROM env WHO env MINE env ECS_CONTAINER_METADATA_URI_V4 env AWS_REGION env AWS_EXECUTION_ENV env HOME \
                     env AWS_CONTAINER_CREDENTIALS_RELATIVE_URI cat /etc/hostname cat /etc/hosts fetch 169.254.170.2 80 /v4/me exit 7";
        let settings = json!({ "roleCredentials": { "credentialsId": "keys-1", "roleArn": "r", "accessKeyId": "a",
            "secretAccessKey": "s", "sessionToken": "t", "expiration": "e" } });
        let more = json!({
            "environment": { "WHO": "definition", "MINE": "1" },
            "dockerConfig": {
                "config": json!({ "User": "web", "WorkingDir": "/srv/new" }).to_string(),
                "hostConfig": json!({ "ExtraHosts": ["db:10.0.0.9"] }).to_string(),
            },
        });
        let task = task_with("t1", settings, vec![with(container("web", words), more)]);
        let (code, log) = world.run_to_end(&task).await;
        assert_eq!(code, 7, "{log:#?}");
        let ip = world.machine.container_info("t1", 0).ipv4_addresses[0].clone();
        let id = node_id(&world, &task).await;
        let short = &id[..12];
        let expected = [
            "1000:1001 /srv/new",
            "FROM=image",
            "WHO=definition",
            "MINE=1",
            &format!("ECS_CONTAINER_METADATA_URI_V4=http://169.254.170.2/v4/{}", task.containers[0].metadata_id),
            "AWS_REGION=eu-north-1",
            "AWS_EXECUTION_ENV=AWS_ECS_EC2",
            "HOME=/home/web",
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/credentials/keys-1",
            short,
            "127.0.0.1\tlocalhost",
            "10.0.0.9\tdb",
            &format!("{ip}\t{short}"),
            "you asked GET /v4/me HTTP/1.0",
        ];
        assert_eq!(log, expected);
        // The host's own processes reach it as well.
        assert_eq!(ask([169, 254, 170, 2], 80).unwrap(), "you asked GET / HTTP/1.0");
        world.finish(&task).await;
        world.leave().await;
    });
}

/// The id of a task's only container, from its directory's name.
async fn node_id(world: &World, task: &agent::plan::TaskPlan) -> String {
    let dir = world.config.node_dir.join("tasks").join(&task.id).join("containers");
    std::fs::read_dir(dir).unwrap().next().unwrap().unwrap().file_name().into_string().unwrap()
}

#[test]
fn the_image_says_what_runs_when_the_definition_does_not() {
    on_own_host(async {
        let world = World::new().await;
        let task = task("t1", "");
        assert_eq!(world.run_to_end(&task).await, (0, vec!["hello".to_owned()]));
        world.finish(&task).await;
        world.leave().await;
    });
}

#[test]
fn an_init_program_comes_first_where_there_is_one() {
    on_own_host(async {
        let init = std::path::PathBuf::from("/run/init");
        std::fs::write(&init, probe()).unwrap();
        sh("chmod 755 /run/init");
        let world = World::with(|config| config.init = Some(init)).await;
        let task =
            task_with("t1", json!({}), vec![with(container("web", "say hi"), host_config(json!({ "Init": true })))]);
        assert_eq!(world.run_to_end(&task).await, (0, vec!["init".to_owned(), "hi".to_owned()]));
        world.finish(&task).await;
        // Settings of containers are for nobody else's eyes.
        let mode = std::fs::metadata(world.config.node_dir.join("tasks")).unwrap().permissions();
        assert_eq!(std::os::unix::fs::PermissionsExt::mode(&mode) & 0o777, 0o700);
        world.leave().await;
    });
}

#[test]
fn memory_beyond_the_limit_is_told_as_such() {
    on_own_host(async {
        let world = World::new().await;
        let own = task_with("own", json!({}), vec![with(container("web", "eat"), json!({ "memory": 16 }))]);
        let whole = task_with("whole", json!({ "memory": 16, "cpu": 0.5 }), vec![container("web", "eat")]);
        for task in [own, whole] {
            let exit = ended(world.start(&task, 0).await).await;
            assert_eq!((exit.code, exit.oom_killed), (137, true), "{}", task.id);
            world.finish(&task).await;
        }
        world.leave().await;
    });
}

#[test]
fn a_container_is_asked_to_stop_before_it_is_killed() {
    on_own_host(async {
        let world = World::new().await;
        let stubborn = task("stubborn", "stubborn wait");
        let launched = world.start(&stubborn, 0).await;
        world.hear(&stubborn, &launched.runtime_id, "stubborn").await;
        let usage = world.machine.usages(&[run(&stubborn, 0)]).await[0].unwrap();
        assert!(usage.memory_bytes > 0, "{usage:?}");
        world.machine.stop(&run(&stubborn, 0)).await;
        world.machine.kill(&run(&stubborn, 0)).await;
        let exit = ended(launched).await;
        assert_eq!((exit.code, exit.oom_killed), (137, false));
        // What has ended can be asked to stop again.
        world.machine.stop(&run(&stubborn, 0)).await;
        let deadline = std::time::Instant::now() + PATIENCE;
        while world.machine.usages(&[run(&stubborn, 0)]).await[0].is_some() {
            assert!(std::time::Instant::now() < deadline, "its cgroup goes");
        }

        // The definition's signal wins over the image's.
        let stop_signal = json!({ "dockerConfig": { "config": json!({ "StopSignal": "SIGINT" }).to_string() } });
        let polite = task_with("polite", json!({}), vec![with(container("web", "trap-int 9 wait"), stop_signal)]);
        let launched = world.start(&polite, 0).await;
        world.hear(&polite, &launched.runtime_id, "ready").await;
        world.machine.stop(&run(&polite, 0)).await;
        assert_eq!(ended(launched).await.code, 9);
        for task in [stubborn, polite] {
            world.finish(&task).await;
        }
        world.leave().await;
    });
}

#[test]
fn health_is_asked_inside() {
    on_own_host(async {
        let world = World::new().await;
        let check = |test: serde_json::Value, timeout: u64| {
            let config = json!({ "Healthcheck": { "Test": test, "Timeout": timeout } });
            json!({ "healthCheckType": "docker", "dockerConfig": { "config": config.to_string() } })
        };
        const SECOND: u64 = 1_000_000_000;
        for (id, test, timeout, expected) in [
            ("good", json!(["CMD", "/bin/probe", "has", "/srv/data", "exit", "0"]), 20 * SECOND, Ok(())),
            ("bad", json!(["CMD", "/bin/probe", "exit", "9"]), 20 * SECOND, Err("the command exited with 9")),
            ("slow", json!(["CMD", "/bin/probe", "wait"]), SECOND / 5, Err("the command did not end within 200ms")),
            // There is no shell in this image.
            ("shell", json!(["CMD-SHELL", "exit 0"]), 20 * SECOND, Err("the command exited with ")),
        ] {
            let task = task_with(id, json!({}), vec![with(container("web", "trap 0 wait"), check(test, timeout))]);
            let asked = async || world.machine.check_health(&run(&task, 0), Purpose::Health).await;
            assert!(asked().await.is_err(), "{id} does not run yet");
            let launched = world.start(&task, 0).await;
            match (asked().await, expected) {
                (Err(said), Err(words)) => assert!(said.starts_with(words), "{id}: {said}"),
                (result, expected) => assert_eq!(result, expected.map_err(str::to_owned), "{id}"),
            }
            world.machine.kill(&run(&task, 0)).await;
            ended(launched).await;
            world.finish(&task).await;
        }
        world.leave().await;
    });
}

/// What listens on the container's own loopback is reached from inside its network, in each mode; nothing runs in it.
#[test]
fn probes_ask_inside() {
    on_own_host(async {
        let world = World::new().await;
        for (mode, port) in [("bridge", 8080), ("none", 8080), ("host", 8099)] {
            let probes = json!({
                "health": { "ask": { "http": { "port": port, "path": "/healthz" } }, "interval": 5, "timeout": 20, "retries": 3, "startPeriod": 0 },
                "ready": { "ask": { "tcp": { "port": port } }, "interval": 5, "timeout": 20, "retries": 3, "startPeriod": 0 },
            });
            let web = container("web", &format!("health {port} /srv/well"));
            let web = with(web, json!({ "berth": { "probes": probes } }));
            let task = task_with(mode, json!({ "networkMode": mode }), vec![web]);
            let asked = async |purpose| world.machine.check_health(&run(&task, 0), purpose).await;
            assert_eq!(asked(Purpose::Health).await, Err("the container does not run".to_owned()));
            let launched = world.start(&task, 0).await;
            world.hear(&task, &launched.runtime_id, "serving").await;
            assert_eq!(asked(Purpose::Health).await, Err(format!("GET :{port}/healthz answered 503")), "{mode}");
            assert_eq!(asked(Purpose::Readiness).await, Ok(()), "{mode}");
            let execute = Execute {
                command: ["/bin/probe", "put", "/srv/well", "yes"].map(str::to_owned).to_vec(),
                streams: Streams::Pipes,
            };
            let put = world.machine.execute(&run(&task, 0), &execute).await.unwrap();
            assert_eq!(put.ended.await, Ok(0));
            assert_eq!(asked(Purpose::Health).await, Ok(()), "{mode}");
            world.machine.kill(&run(&task, 0)).await;
            ended(launched).await;
            let gone = Err(format!("TCP :{port} found nobody who listens"));
            assert_eq!(asked(Purpose::Readiness).await, gone, "{mode}");
            world.finish(&task).await;
        }
        world.leave().await;
    });
}

#[test]
fn linked_containers_find_each_other() {
    on_own_host(async {
        let world = World::new().await;
        let web = with(container("web", "cat /etc/hosts exit 0"), json!({ "links": ["db:database"] }));
        let task = task_with("t1", json!({}), vec![container("db", "trap 0 serve 5432 data"), web]);
        world.machine.prepare(&task).await;
        let db = world.start(&task, 0).await;
        let ip = world.machine.container_info("t1", 0).ipv4_addresses[0].clone();
        let web = world.start(&task, 1).await;
        let id = web.runtime_id.clone();
        ended(web).await;
        let log = world.log(&task, &id).await;
        for name in ["database", &db.runtime_id[..12], &task.containers[0].docker_name] {
            assert!(log.contains(&format!("{ip}\t{name}")), "{name} is not in {log:#?}");
        }
        world.machine.kill(&run(&task, 0)).await;
        ended(db).await;
        world.finish(&task).await;
        world.leave().await;
    });
}

#[test]
fn host_and_none_are_what_they_say() {
    on_own_host(async {
        let world = World::new().await;
        let ports = json!({ "portMappings": [{ "containerPort": 8123 }] });
        let host = task_with(
            "host",
            json!({ "networkMode": "host" }),
            vec![with(container("web", "trap 0 serve 8123 hosted"), ports)],
        );
        let launched = world.start(&host, 0).await;
        assert_eq!(launched.bindings[0].host_port, 8123);
        world.hear(&host, &launched.runtime_id, "serving").await;
        assert_eq!(ask([127, 0, 0, 1], 8123).unwrap(), "hosted");
        let none =
            task_with("none", json!({ "networkMode": "none" }), vec![container("web", "cat /proc/net/dev exit 0")]);
        let (code, log) = world.run_to_end(&none).await;
        assert_eq!(code, 0);
        assert!(log.iter().any(|line| line.trim().starts_with("lo:")) && log.len() == 3, "{log:#?}");
        let pids = task_with("pids", json!({ "pidMode": "host" }), vec![container("web", "cat /proc/2/comm exit 0")]);
        let kernel = std::fs::read_to_string("/proc/2/comm").unwrap();
        assert_eq!(world.run_to_end(&pids).await, (0, vec![kernel.trim().to_owned()]));
        world.machine.stop(&run(&host, 0)).await;
        assert_eq!(ended(launched).await.code, 0);
        for task in [host, none, pids] {
            world.finish(&task).await;
        }
        world.leave().await;
    });
}

#[test]
fn a_restarted_container_keeps_its_files_and_its_ports() {
    on_own_host(async {
        let world = World::new().await;
        let ports = json!({ "portMappings": [{ "containerPort": 80 }] });
        let words = "cat /kept put /kept again exit 1";
        let task = task_with("t1", json!({}), vec![with(container("web", words), ports)]);
        let first = world.start(&task, 0).await;
        let (id, bindings) = (first.runtime_id.clone(), first.bindings.clone());
        assert_eq!(ended(first).await.code, 1);
        let again = agent::seams::Run { number: 1, ..run(&task, 0) };
        let second = world.machine.start(&again).await.unwrap();
        assert_eq!((&second.runtime_id, &second.bindings), (&id, &bindings));
        ended(second).await;
        assert_eq!(world.log(&task, &id).await, ["/kept: No such file or directory"]);
        assert_eq!(world.log(&task, &format!("{id}.1")).await, ["again"]);
        world.finish(&task).await;
        world.leave().await;
    });
}

#[test]
fn calls_may_be_repeated_and_come_late() {
    on_own_host(async {
        let world = World::new().await;
        let task = task("t1", "trap 0 wait");
        for call in [world.start(&task, 0).await, world.start(&task, 0).await] {
            drop(call.exit);
        }
        // The agent's order is not always the machine's: released while it runs, prepared after it is gone.
        world.machine.release(&task).await;
        world.machine.release(&task).await;
        world.machine.prepare(&task).await;
        let reason = world.machine.start(&run(&task, 0)).await.err().unwrap().reason();
        assert_eq!(reason, "CannotCreateContainerError: the task has been stopped");
        world.machine.remove(&task).await;
        world.machine.remove(&task).await;
        // The kernel takes a network's link away some time after the network.
        let has_links = || sh("ip -o link").contains("bv");
        until("the link of its network is gone", || (!has_links()).then_some(())).await;
        // Stopped before anything of it was begun: what comes late begins nothing.
        let early = task_with("t2", json!({}), vec![container("web", "wait")]);
        world.machine.release(&early).await;
        world.machine.prepare(&early).await;
        world.machine.pull(&run(&early, 0)).await.unwrap();
        assert!(!world.config.node_dir.join("tasks/t2").exists(), "it has a shim");
        assert!(!has_links(), "it has a network");
        let reason = world.machine.start(&run(&early, 0)).await.err().unwrap().reason();
        assert_eq!(reason, "CannotCreateContainerError: the task has been stopped");
        world.machine.remove(&early).await;
        world.leave().await;
    });
}
