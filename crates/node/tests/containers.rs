//! Real containers, through the seam that an agent uses. Needs root.

mod world;

use agent::seams::Node as _;
use serde_json::json;
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
