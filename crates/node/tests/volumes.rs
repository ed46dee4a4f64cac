//! What containers share with the machine and with each other. Needs root.

mod world;

use std::fs;

use agent::seams::Node as _;
use serde_json::{Value, json};
use world::*;

fn points(points: &[(&str, &str, bool)]) -> Value {
    let point = |(volume, path, read_only): &(&str, &str, bool)| json!({ "sourceVolume": volume, "containerPath": path, "readOnly": read_only });
    json!({ "mountPoints": points.iter().map(point).collect::<Vec<_>>() })
}

#[test]
fn containers_of_a_task_share_a_volume() {
    on_own_host(async {
        let world = World::new().await;
        let volumes = json!({ "volumes": [{ "name": "scratch", "host": {} }] });
        let writer =
            with(container("writer", "put /shared/note hello exit 0"), points(&[("scratch", "/shared", false)]));
        let reader = with(
            container("reader", "await /in/note cat /in/note put /in/note more exit 0"),
            points(&[("scratch", "/in", true)]),
        );
        let heir = with(
            container("heir", "cat /shared/note put /shared/own mine exit 0"),
            json!({ "volumesFrom": [{ "sourceContainer": "writer" }] }),
        );
        let task = task_with("t1", volumes, vec![writer, reader, heir]);
        let reader = world.start(&task, 1).await;
        for index in [0, 2] {
            assert_eq!(ended(world.start(&task, index).await).await.code, 0);
        }
        let id = reader.runtime_id.clone();
        ended(reader).await;
        assert_eq!(world.log(&task, &id).await, ["hello", "/in/note: Read-only file system"]);
        let volume = world.config.node_dir.join("volumes/tasks/t1/scratch");
        assert_eq!(fs::read_to_string(volume.join("own")).unwrap(), "mine\n");
        // It stays as long as the task's directory.
        world.machine.release(&task).await;
        assert!(volume.exists());
        world.machine.remove(&task).await;
        assert!(!volume.exists());
        world.leave().await;
    });
}

#[test]
fn an_empty_volume_begins_with_the_images_files() {
    on_own_host(async {
        let world = World::new().await;
        let volumes = json!({ "volumes": [{ "name": "data" }] });
        let app = with(container("app", "cat /srv/data/given"), points(&[("data", "/srv/data", false)]));
        let side = with(container("side", "cat /www/given"), points(&[("data", "/www", true)]));
        let task = task_with("t1", volumes, vec![app, side]);
        for index in [0, 1] {
            let launched = world.start(&task, index).await;
            let id = launched.runtime_id.clone();
            assert_eq!(ended(launched).await.code, 0);
            assert_eq!(world.log(&task, &id).await, ["by the image"], "container {index}");
        }
        world.finish(&task).await;
        world.leave().await;
    });
}

#[test]
fn paths_of_the_machine_are_made_when_they_are_missing() {
    on_own_host(async {
        let world = World::new().await;
        let path = world.dir.path().join("deep/host");
        let file = world.dir.path().join("file");
        fs::write(&file, "a file\n").unwrap();
        let volumes = json!({ "volumes": [
            { "name": "dir", "host": { "sourcePath": path } },
            { "name": "file", "host": { "sourcePath": file } },
        ]});
        let words = "put /h/note hello cat /f put /tmp/x y cat /tmp/x";
        let web = with(container("web", words), points(&[("dir", "/h", false), ("file", "/f", true)]));
        let web = with(web, host_config(json!({ "Tmpfs": { "/tmp": "size=1m" }, "ReadonlyRootfs": true })));
        let task = task_with("t1", volumes, vec![web]);
        let (code, log) = world.run_to_end(&task).await;
        assert_eq!((code, log), (0, vec!["a file".to_owned(), "y".to_owned()]));
        assert_eq!(fs::read_to_string(path.join("note")).unwrap(), "hello\n");
        world.finish(&task).await;
        assert!(path.join("note").exists(), "the machine's own files stay");
        world.leave().await;
    });
}

#[test]
fn a_shared_volume_outlives_its_tasks() {
    on_own_host(async {
        let world = World::new().await;
        let volume = |autoprovision: bool| {
            json!({ "volumes": [{ "name": "cache", "type": "docker",
                "dockerVolumeConfiguration": { "scope": "shared", "autoprovision": autoprovision } }] })
        };
        let web = |words: &str| with(container("web", words), points(&[("cache", "/c", false)]));
        // Nobody has made it yet.
        let early = task_with("early", volume(false), vec![web("exit 0")]);
        assert_eq!(world.refusal(&early).await, "CannotCreateVolumeError: Error: No such volume: cache");
        let maker = task_with("maker", volume(true), vec![web("put /c/x made exit 0")]);
        assert_eq!(world.run_to_end(&maker).await.0, 0);
        for task in [&early, &maker] {
            world.finish(task).await;
        }
        let late = task_with("late", volume(false), vec![web("cat /c/x")]);
        assert_eq!(world.run_to_end(&late).await, (0, vec!["made".to_owned()]));
        world.finish(&late).await;
        world.leave().await;
    });
}
