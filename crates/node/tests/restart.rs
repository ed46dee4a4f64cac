//! An agent goes and comes back; its containers do not notice. Needs root.

mod world;

use std::sync::Arc;

use agent::plan::TaskPlan;
use agent::seams::{Launched, Node as _, Remains, Run};
use serde_json::{Value, json};
use world::*;

fn awslogs(stream: &str) -> Value {
    let config = json!({ "awslogs-group": "group", "awslogs-region": "r", "awslogs-stream": stream });
    host_config(json!({ "LogConfig": { "Type": "awslogs", "Config": config } }))
}

/// The messages that have arrived in a stream.
fn delivered(world: &World, stream: &str) -> Vec<String> {
    world.sink.events("group", stream).unwrap_or_default().into_iter().map(|event| event.message).collect()
}

async fn recover(world: &World, runs: Vec<Run>) -> Vec<Remains> {
    world.machine.recover(runs, Vec::new()).await.into_iter().map(|(_, remains)| remains).collect()
}

fn running(remains: Remains) -> Launched {
    match remains {
        Remains::Running(launched) => launched,
        Remains::Exited(exit) => panic!("{exit:?}"),
        Remains::Nothing => panic!("it is gone"),
    }
}

#[test]
fn a_running_container_keeps_its_network_and_its_log_goes_on() {
    on_own_host(async {
        let world = World::new().await;
        let volumes = json!({ "volumes": [{ "name": "v" }] });
        let more = json!({
            "portMappings": [{ "containerPort": 80 }],
            "mountPoints": [{ "sourceVolume": "v", "containerPath": "/v" }],
        });
        let words = "trap-int 5 say before await /v/go say after serve 80 hello";
        let web = with(with(container("web", words), more), awslogs("web"));
        let stop = json!({ "StopSignal": "SIGINT" }).to_string();
        let mut web = web;
        web["dockerConfig"]["config"] = json!(stop);
        let task = task_with("t1", volumes, vec![web]);
        let before = world.start(&task, 0).await;
        until("the first line is delivered", || (delivered(&world, "web") == ["ready", "before"]).then_some(())).await;
        let (id, bindings, at) = (before.runtime_id.clone(), before.bindings.clone(), before.at);
        drop(before);

        let world = world.restart().await;
        let launched = running(recover(&world, vec![run(&task, 0)]).await.remove(0));
        assert_eq!((&launched.runtime_id, &launched.bindings, launched.at), (&id, &bindings, at));
        assert_eq!(world.machine.images_in_use().len(), 1);
        std::fs::write(world.config.node_dir.join("volumes/tasks/t1/v/go"), "").unwrap();
        world.hear(&task, &id, "serving").await;
        assert_eq!(ask([127, 0, 0, 1], bindings[0].host_port).unwrap(), "hello");
        until("the log goes on", || {
            (delivered(&world, "web") == ["ready", "before", "after", "serving"]).then_some(())
        })
        .await;
        // The stop signal is remembered as well.
        world.machine.stop(&run(&task, 0)).await;
        assert_eq!(ended(launched).await.code, 5);
        world.machine.release(&task).await;
        assert_eq!(delivered(&world, "web").last().unwrap(), "trapped");
        world.machine.remove(&task).await;
        world.leave().await;
    });
}

#[test]
fn what_ended_meanwhile_gives_its_code_and_its_log() {
    on_own_host(async {
        let world = World::new().await;
        let volumes = json!({ "volumes": [{ "name": "v", "host": {} }] });
        let mounts = json!({ "mountPoints": [{ "sourceVolume": "v", "containerPath": "/v" }], "memory": 16 });
        let one = |name: &str, words: &str| with(with(container(name, words), mounts.clone()), awslogs(name));
        let task = task_with(
            "t1",
            volumes,
            vec![
                one("code", "await /v/go say goodbye exit 6"),
                one("eater", "await /v/go eat"),
                one("never", "exit 0"),
            ],
        );
        for index in [0, 1] {
            drop(world.start(&task, index).await);
        }
        world.sink.hang(true);
        let tasks = world.config.node_dir.join("tasks/t1");
        let world = {
            // Nobody is there when they end.
            let ids = [0, 1].map(|index| id_of(&task, index));
            std::fs::write(world.config.node_dir.join("volumes/tasks/t1/v/go"), "").unwrap();
            for id in ids {
                let exit = tasks.join("containers").join(id).join("exit.json");
                until("it ends", || exit.exists().then_some(())).await;
            }
            world.restart().await
        };
        world.sink.hang(false);
        let runs = [0, 1, 2].map(|index| run(&task, index)).to_vec();
        let mut remains = recover(&world, runs).await.into_iter();
        match (remains.next().unwrap(), remains.next().unwrap(), remains.next().unwrap()) {
            (Remains::Exited(code), Remains::Exited(eater), Remains::Nothing) => {
                assert_eq!((code.code, code.oom_killed), (6, false));
                assert_eq!((eater.code, eater.oom_killed), (137, true));
                assert!(code.at.as_millis() > 0);
            }
            _ => panic!("the code, the end by memory, and nothing"),
        }
        world.machine.release(&task).await;
        assert_eq!(delivered(&world, "code"), ["goodbye"]);
        world.machine.remove(&task).await;
        world.leave().await;
    });
}

/// The runtime's name of a container's first run, as another process would know it: by looking.
fn id_of(task: &Arc<TaskPlan>, index: usize) -> String {
    node::runtime_id(task, index)
}

#[test]
fn a_start_that_failed_may_be_tried_again() {
    on_own_host(async {
        let world = World::new().await;
        let bad = task_with("bad", json!({}), vec![with(container("web", ""), json!({ "entryPoint": ["nope"] }))]);
        let reason = world.refusal(&bad).await;
        let world = world.restart().await;
        assert!(matches!(recover(&world, vec![run(&bad, 0)]).await[0], Remains::Nothing));
        assert_eq!(world.refusal(&bad).await, reason);
        world.finish(&bad).await;
        world.leave().await;
    });
}

#[test]
fn what_nobody_knows_is_removed_after_its_log_was_delivered() {
    on_own_host(async {
        let world = World::new().await;
        let volumes = json!({ "volumes": [{ "name": "v" }] });
        let mounts = json!({
            "mountPoints": [{ "sourceVolume": "v", "containerPath": "/v" }],
            "portMappings": [{ "containerPort": 80, "hostPort": 8080 }],
        });
        let web = with(with(container("web", "stubborn say last wait"), mounts), awslogs("web"));
        let task = task_with("t1", volumes, vec![web]);
        let launched = world.start(&task, 0).await;
        world.hear(&task, &launched.runtime_id, "last").await;
        drop(launched);
        let mine = task_with("mine", json!({}), vec![container("web", "trap 0 wait")]);
        drop(world.start(&mine, 0).await);

        let world = world.restart().await;
        // A directory of something else is none of our business.
        let foreign = world.config.node_dir.join("tasks/.foreign");
        std::fs::create_dir(&foreign).unwrap();
        let kept = running(recover(&world, vec![run(&mine, 0)]).await.remove(0));
        let dir = world.config.node_dir.join("tasks/t1");
        until("the unknown task is gone", || (!dir.exists()).then_some(())).await;
        assert_eq!(delivered(&world, "web"), ["stubborn", "last"]);
        assert!(foreign.exists());
        std::fs::remove_dir(&foreign).unwrap();
        // Its port is free again.
        let ports = json!({ "portMappings": [{ "containerPort": 80, "hostPort": 8080 }] });
        let next = task_with("next", json!({}), vec![with(container("web", "exit 0"), ports)]);
        assert_eq!(world.run_to_end(&next).await.0, 0);
        world.finish(&next).await;
        world.machine.stop(&run(&mine, 0)).await;
        assert_eq!(ended(kept).await.code, 0);
        world.finish(&mine).await;
        world.leave().await;
    });
}

/// A container that has said something which nobody takes, and what it says from here on.
async fn undelivered(words: &str) -> (World, Arc<TaskPlan>, Launched) {
    let world = World::new().await;
    let volumes = json!({ "volumes": [{ "name": "v" }] });
    let mounts = json!({ "mountPoints": [{ "sourceVolume": "v", "containerPath": "/v" }] });
    let task = task_with("t1", volumes, vec![with(with(container("web", words), mounts), awslogs("web"))]);
    let launched = world.start(&task, 0).await;
    until("the first line is delivered", || (delivered(&world, "web") == ["first"]).then_some(())).await;
    world.sink.hang(true);
    std::fs::write(world.config.node_dir.join("volumes/tasks/t1/v/go"), "").unwrap();
    (world, task, launched)
}

/// Nobody may ever take its lines.
#[test]
fn what_nobody_knows_gives_its_cgroup_back_before_its_log_is_delivered() {
    on_own_host(async {
        let (world, task, launched) = undelivered("say first await /v/go say last wait").await;
        world.hear(&task, &launched.runtime_id, "last").await;
        drop(launched);
        let world = world.restart().await;
        assert!(recover(&world, Vec::new()).await.is_empty());
        until("its cgroup is gone", || cgroups_below(&world.config.cgroup_parent).is_empty().then_some(())).await;
        let state = world.config.state_dir.join("tasks/t1");
        until("what is kept in memory is gone", || (!state.exists()).then_some(())).await;
        let dir = world.config.node_dir.join("tasks/t1");
        assert!(dir.exists(), "its log is still to be delivered");
        world.sink.hang(false);
        until("its directory is gone", || (!dir.exists()).then_some(())).await;
        assert_eq!(delivered(&world, "web")[..2], ["first", "last"]);
        world.leave().await;
    });
}

/// As long as the agent keeps a stopped task, it keeps all of it.
#[test]
fn a_stopped_task_keeps_its_log_and_its_files() {
    on_own_host(async {
        let (world, task, launched) = undelivered("say first await /v/go say last exit 3").await;
        assert_eq!(ended(launched).await.code, 3);

        // The agent dies before it has given anything back.
        let world = world.restart().await;
        assert!(world.machine.recover(Vec::new(), vec![task.clone()]).await.is_empty());
        world.machine.release(&task).await;
        assert!(cgroups_below(&world.config.cgroup_parent).is_empty());
        let said = world.machine.said("t1", "").await.expect("the task is known");
        assert_eq!(said.lines.iter().map(|line| line.text.as_str()).collect::<Vec<_>>(), ["first", "last"]);
        assert!(world.config.node_dir.join("volumes/tasks/t1/v").exists());
        // And once more, when everything was given back.
        let world = world.restart().await;
        assert!(world.machine.recover(Vec::new(), vec![task.clone()]).await.is_empty());
        world.sink.hang(false);
        // The followers of before, which in truth had died with their agents, may deliver it as well.
        let is_last = || delivered(&world, "web").last().is_some_and(|last| last == "last").then_some(());
        until("its log is delivered", is_last).await;
        assert!(world.machine.start(&run(&task, 0)).await.is_err(), "it has ended");
        world.machine.remove(&task).await;
        world.leave().await;
    });
}

/// An agent that died before it had told that it accepted a task is sent the task again.
#[test]
fn what_nobody_knows_is_kept_when_it_is_wanted_after_all() {
    on_own_host(async {
        let world = World::new().await;
        let volumes = json!({ "volumes": [{ "name": "v" }] });
        let mounts = json!({ "mountPoints": [{ "sourceVolume": "v", "containerPath": "/v" }] });
        let words = "say first await /v/go say last wait";
        let before = task_with("t1", volumes, vec![with(with(container("web", words), mounts), awslogs("web"))]);
        let launched = world.start(&before, 0).await;
        until("the first line is delivered", || (delivered(&world, "web") == ["first"]).then_some(())).await;
        world.sink.hang(true);
        let volumes = world.config.node_dir.join("volumes/tasks/t1");
        std::fs::write(volumes.join("v/go"), "").unwrap();
        world.hear(&before, &launched.runtime_id, "last").await;
        drop(launched);
        let world = world.restart().await;
        assert!(recover(&world, Vec::new()).await.is_empty());
        // What comes from here on makes its own.
        assert!(!volumes.exists());

        let again = task_with("t1", json!({}), vec![container("other", "exit 4")]);
        assert_eq!(world.run_to_end(&again).await.0, 4);
        world.sink.hang(false);
        // The follower of before, which in truth had died with its agent, may deliver it as well.
        let is_last = || delivered(&world, "web").last().is_some_and(|last| last == "last").then_some(());
        until("the log of before is delivered", is_last).await;
        let dir = world.config.node_dir.join("tasks/t1");
        let removed = until("its directory is gone", || (!dir.exists()).then_some(()));
        assert!(tokio::time::timeout(std::time::Duration::from_millis(300), removed).await.is_err());
        world.finish(&again).await;
        world.leave().await;
    });
}
