//! A log router and a container that writes to it. Needs root.

mod world;

use std::io::Read as _;
use std::os::unix::net::UnixListener;

use agent::seams::Node as _;
use serde_json::json;
use world::*;

#[test]
fn a_router_finds_its_configuration_and_hears_the_others() {
    on_own_host(async {
        let world = World::new().await;
        let router = with(
            container("router", "cat /fluent-bit/etc/fluent-bit.conf wait"),
            json!({ "firelensConfiguration": { "type": "fluentbit" } }),
        );
        let logs = json!({ "Type": "awsfirelens", "Config": { "Name": "stdout", "include-pattern": "x" } });
        let app = with(
            container("app", "env FLUENT_HOST env FLUENT_PORT say hello"),
            host_config(json!({ "LogConfig": logs })),
        );
        let task = task_with("routed", json!({ "family": "web", "version": "3" }), vec![router, app]);
        let launched = world.start(&task, 0).await;
        world.hear(&task, &launched.runtime_id, "    Record ecs_task_definition web:3").await;
        world.hear(&task, &launched.runtime_id, "    Match app-firelens*").await;

        // The router makes its socket in the directory that the machine sees as well.
        let dir = world.config.state_dir.join("firelens").join(&task.id);
        let listener = UnixListener::bind(dir.join("socket/fluent.sock")).unwrap();
        let app = world.start(&task, 1).await;
        let received = tokio::task::spawn_blocking(move || {
            let (mut peer, _) = listener.accept().unwrap();
            let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
            while !bytes.windows(5).any(|five| five == b"hello") {
                let length = peer.read(&mut buffer).unwrap();
                assert!(length > 0, "{}", String::from_utf8_lossy(&bytes));
                bytes.extend_from_slice(&buffer[..length]);
            }
            bytes
        });
        let received = tokio::time::timeout(PATIENCE, received).await.unwrap().unwrap();
        let text = String::from_utf8_lossy(&received);
        assert!(text.contains(&format!("app-firelens-{}", task.id)), "{text}");
        assert!(text.contains("/ecs-web-3-app-"), "{text}");
        let address = launched_ip(&world, &task);
        let heard = world.log(&task, &app.runtime_id).await;
        assert!(heard.iter().any(|line| line.contains(&address)), "{heard:?} without {address}");
        assert!(heard.iter().any(|line| line.contains("24224")), "{heard:?}");

        world.machine.release(&task).await;
        assert!(!dir.exists(), "nothing is left of the router");
        world.finish(&task).await;
        let state_dir = world.config.state_dir.clone();
        world.leave().await;
        assert!(!state_dir.join("firelens").exists());
    });
}

fn launched_ip(world: &World, task: &agent::plan::TaskPlan) -> String {
    world.machine.container_info(&task.id, 0).ipv4_addresses.into_iter().next().expect("an address")
}
