//! GPUs by the Container Device Interface, with a file of a machine that has none: its device is another character device. Needs root.

mod world;

use agent::seams::Node as _;
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use world::*;

/// A device of the machine's that no container may open unless it was given it: fuse has it.
const NUMBERS: &str = "10 229";

/// The file, and what it points at: a node, a library, and a program that is run while the container is made.
fn equip(dir: &Path, hook: &str) {
    let path = |name: &str| dir.join(name).to_str().unwrap().to_owned();
    sh(&format!("mknod {} c {NUMBERS}", path("card0")));
    fs::write(path("libcard.so"), "a library\n").unwrap();
    fs::write(path("hook"), format!("#!/bin/sh\n{hook}\n")).unwrap();
    fs::set_permissions(path("hook"), fs::Permissions::from_mode(0o755)).unwrap();
    let file = json!({
        "cdiVersion": "0.6.0",
        "kind": "nvidia.com/gpu",
        "containerEdits": {
            "env": ["CARD_DRIVER=7", "NVIDIA_VISIBLE_DEVICES=void"],
            "mounts": [{ "hostPath": path("libcard.so"), "containerPath": "/usr/lib/libcard.so", "options": ["ro", "nosuid", "nodev", "bind"] }],
            "hooks": [{ "hookName": "createContainer", "path": path("hook"), "args": ["hook", "update-ldcache"], "env": [format!("TOLD={}", path("told"))] }],
        },
        "devices": [
            { "name": "0", "containerEdits": { "deviceNodes": [{ "path": "/dev/nvidia0", "hostPath": path("card0") }] } },
            { "name": "GPU-1", "containerEdits": { "deviceNodes": [{ "path": "/dev/nvidia0", "hostPath": path("card0"), "fileMode": 438 }] } },
            { "name": "all", "containerEdits": { "deviceNodes": [{ "path": "/dev/nvidia0", "hostPath": path("card0") }] } },
        ],
    });
    fs::create_dir_all(path("cdi")).unwrap();
    fs::write(path("cdi/card.json"), file.to_string()).unwrap();
}

fn associated(gpu: &str, container: &str) -> Value {
    json!({ "associations": [{ "containers": [container], "content": { "encoding": "base64", "value": "" }, "name": gpu, "type": "gpu" }] })
}

#[test]
fn a_container_has_the_gpu_that_it_was_given_and_no_other_has() {
    on_own_host(async {
        let cards = tempfile::tempdir().unwrap();
        equip(cards.path(), "echo \"$1 $(cat)\" > $TOLD");
        let world = World::with(|config| config.cdi_dirs = vec![cards.path().join("cdi")]).await;
        assert_eq!(world.machine.gpus(), ["GPU-1"]);

        let words = "put /dev/nvidia0 x env NVIDIA_VISIBLE_DEVICES env CARD_DRIVER cat /usr/lib/libcard.so \
                     put /usr/lib/libcard.so x exit 0";
        let more = json!({ "environment": { "NVIDIA_VISIBLE_DEVICES": "all" } });
        let task = task_with("t1", associated("GPU-1", "web"), vec![with(container("web", words), more)]);
        let (code, log) = world.run_to_end(&task).await;
        let expected = [
            "NVIDIA_VISIBLE_DEVICES=GPU-1",
            "CARD_DRIVER=7",
            "a library",
            "/usr/lib/libcard.so: Read-only file system",
        ];
        // Nothing is said of the device: it could be opened. What fuse answers to a write is not looked at.
        assert_eq!((code, log.iter().map(String::as_str).collect::<Vec<_>>()), (0, expected.to_vec()));
        let told = fs::read_to_string(cards.path().join("told")).unwrap();
        let (word, state) = told.split_once(' ').unwrap();
        let state: Value = serde_json::from_str(state).unwrap();
        assert_eq!(word, "update-ldcache");
        let config = fs::read(Path::new(state["bundle"].as_str().unwrap()).join("config.json"));
        assert!(config.is_ok(), "a hook finds the container's root file system by its bundle: {state}");
        world.finish(&task).await;

        // A neighbour of the same task, which sees the machine's own node through a volume.
        let mut settings = associated("GPU-1", "other");
        settings["volumes"] = json!([{ "name": "cards", "host": { "sourcePath": cards.path() } }]);
        let mounts = json!({ "mountPoints": [{ "sourceVolume": "cards", "containerPath": "/cards" }] });
        let words = "put /cards/card0 x env NVIDIA_VISIBLE_DEVICES has /dev/nvidia0 exit 0";
        let neighbour = with(container("web", words), mounts);
        let alone = task_with("t2", settings, vec![neighbour, container("other", "exit 0")]);
        let (code, log) = world.run_to_end(&alone).await;
        let expected = ["/cards/card0: Operation not permitted", "NVIDIA_VISIBLE_DEVICES=(none)"];
        assert_eq!((code, log.iter().map(String::as_str).collect::<Vec<_>>()), (44, expected.to_vec()));
        world.finish(&alone).await;
        world.leave().await;
    });
}

#[test]
fn a_gpu_that_is_gone_or_cannot_be_set_up_is_no_gpu() {
    on_own_host(async {
        let cards = tempfile::tempdir().unwrap();
        equip(cards.path(), "exit 3");
        let world = World::with(|config| config.cdi_dirs = vec![cards.path().join("cdi")]).await;
        let gone = task_with("t1", associated("GPU-2", "web"), vec![container("web", "exit 0")]);
        let why = world.refusal(&gone).await;
        let expected = "CannotStartContainerError: Error response from daemon: CDI device injection failed: unresolvable CDI devices \
                        nvidia.com/gpu=GPU-2";
        assert_eq!(why, expected);
        world.finish(&gone).await;
        let failing = task_with("t2", associated("GPU-1", "web"), vec![container("web", "exit 0")]);
        let why = world.refusal(&failing).await;
        assert!(why.contains("hook"), "{why}");
        world.finish(&failing).await;
        world.leave().await;
    });
}
