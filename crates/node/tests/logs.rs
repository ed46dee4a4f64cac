//! A container that says more than can be delivered. Needs root.

mod world;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use agent::plan::TaskPlan;
use agent::seams::{Node as _, Remains};
use futures::FutureExt as _;
use serde_json::{Value, json};
use shim_api::log::{LOST_NAME, RING_BYTES, decode_pair};
use world::*;

/// Of a kilobyte each, together about twice what a ring holds.
const LINES: usize = 60_000;

fn awslogs(more: Value) -> Value {
    let config = json!({ "awslogs-group": "group", "awslogs-region": "r", "awslogs-stream": "loud" });
    host_config(json!({ "LogConfig": { "Type": "awslogs", "Config": with(config, more) } }))
}

/// The numbers of the lines that have arrived.
fn delivered(world: &World) -> Vec<usize> {
    let events = world.sink.events("group", "loud").unwrap_or_default();
    events.iter().map(|event| event.message.split(' ').next().unwrap().parse().unwrap()).collect()
}

fn loud(lines: usize, more: Value) -> Value {
    with(container("loud", &format!("lines {lines}")), awslogs(more))
}

fn dir_of(world: &World, task: &TaskPlan, runtime_id: &str) -> PathBuf {
    world.config.node_dir.join("tasks").join(&task.id).join("containers").join(runtime_id)
}

fn log_bytes(container_dir: &Path) -> u64 {
    let entries = std::fs::read_dir(container_dir.join("log")).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some(entry.metadata().ok()?.len())).sum()
}

/// Lines that went before they were delivered.
fn lost(container_dir: &Path) -> Option<usize> {
    let (lines, _) = decode_pair(&std::fs::read_to_string(container_dir.join(LOST_NAME)).ok()?)?;
    usize::try_from(lines).ok()
}

async fn until_full(container_dir: &Path) {
    until("the ring is full", || (log_bytes(container_dir) >= RING_BYTES).then_some(())).await;
}

#[test]
fn a_container_waits_for_its_log_and_nobody_else_does() {
    on_own_host(async {
        let world = World::new().await;
        let quiet = container("quiet", "say hello exit 3");
        let task: Arc<TaskPlan> = task_with("t1", json!({}), vec![loud(LINES, json!({})), quiet]);
        let mut launched = world.start(&task, 0).await;
        world.sink.hang(true);
        let dir = dir_of(&world, &task, &launched.runtime_id);
        until_full(&dir).await;
        // Another container of the same shim comes, speaks and goes meanwhile.
        let quiet = world.start(&task, 1).await;
        let id = quiet.runtime_id.clone();
        assert_eq!(ended(quiet).await.code, 3);
        assert_eq!(world.log(&task, &id).await, ["hello"]);
        assert!((&mut launched.exit).now_or_never().is_none(), "it does not wait");
        assert!(log_bytes(&dir) < RING_BYTES + (1 << 20), "{}", log_bytes(&dir));

        world.sink.hang(false);
        assert_eq!(ended(launched).await.code, 0);
        world.machine.release(&task).await;
        until("everything is delivered", || (delivered(&world).len() >= LINES).then_some(())).await;
        assert!(delivered(&world).into_iter().eq(0..LINES), "in order, each once");
        assert_eq!(lost(&dir), None);
        world.machine.remove(&task).await;
        world.leave().await;
    });
}

#[test]
fn a_container_that_does_not_wait_loses_its_oldest_lines_and_they_are_counted() {
    on_own_host(async {
        const BUFFER_BYTES: u64 = 1 << 20;
        let world = World::new().await;
        let more = json!({ "mode": "non-blocking", "max-buffer-size": "1m" });
        let task = task_with("t1", json!({}), vec![loud(LINES, more)]);
        world.sink.hang(true);
        let launched = world.start(&task, 0).await;
        let dir = dir_of(&world, &task, &launched.runtime_id);
        assert_eq!(ended(launched).await.code, 0);
        let kept = log_bytes(&dir);
        assert!(kept <= BUFFER_BYTES && kept > BUFFER_BYTES / 2, "{kept}");
        let lost = lost(&dir).expect("lines are lost");
        world.sink.hang(false);
        world.machine.release(&task).await;
        until("the last line is delivered", || (delivered(&world).last() == Some(&(LINES - 1))).then_some(())).await;
        let delivered = delivered(&world);
        assert!(delivered.is_sorted_by(|a, b| a < b), "in order, each once");
        // What was on its way when it went is counted as lost, and may arrive all the same: a batch of a mebibyte, and the rest of
        // the segment that was being read.
        let both = lost + delivered.len();
        assert!((LINES..LINES + 1300).contains(&both), "{lost} lost, {} delivered", delivered.len());
        world.machine.remove(&task).await;
        world.leave().await;
    });
}

/// Nobody delivers when the agent is gone. A new one has half a minute, during which the container waits for it.
#[test]
fn a_container_goes_on_when_its_agent_stays_away() {
    on_own_host(async {
        let world = World::new().await;
        let task = task_with("t1", json!({}), vec![loud(LINES, json!({}))]);
        let launched = world.start(&task, 0).await;
        world.sink.hang(true);
        let dir = dir_of(&world, &task, &launched.runtime_id);
        until_full(&dir).await;
        drop(launched);
        let world = world.gone();
        tokio::time::timeout(Duration::from_secs(90), async {
            while !dir.join("exit.json").exists() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await
        .expect("it goes on");
        let lost = lost(&dir).expect("lines are lost");

        let world = world.back().await;
        world.sink.hang(false);
        let remains = world.machine.recover(vec![run(&task, 0)], Vec::new()).await.remove(0).1;
        let Remains::Exited(exit) = remains else { panic!("its end is not known") };
        assert_eq!(exit.code, 0);
        world.machine.release(&task).await;
        until("the last line is delivered", || (delivered(&world).last() == Some(&(LINES - 1))).then_some(())).await;
        assert!(lost + delivered(&world).len() >= LINES, "{lost} lost");
        world.machine.remove(&task).await;
        world.leave().await;
    });
}
