//! `berth top` without a terminal.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::routing::get;

use super::berth::prints;
use super::world::{World, short};

#[tokio::test]
async fn one_look_at_a_cluster() {
    let world = World::with_instance(Router::new()).await;
    world.family("web", &[]).await;
    world.service("site", "web", 2).await;
    let task = world.task_of_service("site", "web").await;
    world.runs(&task, 32768).await;
    for line in ["top --once", "top"] {
        let text = prints(&world.url, line).await;
        let row = |begin: &str| {
            let line = text.lines().find(|line| line.starts_with(begin)).unwrap_or_else(|| panic!("{begin}: {text}"));
            line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
        };
        assert!(text.starts_with("cluster default, "), "{text}");
        assert!(text.lines().next().unwrap().ends_with("1 instance, 1 service, 1 of 1 task running"), "{text}");
        assert!(text.contains("connected  128/2048 6%"), "{text}");
        assert_eq!(row("site")[..6], ["site", "ACTIVE", "web:1", "2", "1", "0"]);
        assert_eq!(row(short(&task))[..6], [short(&task), "site", "RUNNING", "-", "128", "64"]);
        assert!(!text.contains("CPU%") && !text.contains('\x1b'), "{text}");
    }
}

#[tokio::test]
async fn what_is_measured_is_shown() {
    let usage = Arc::new(Mutex::new(String::new()));
    let answered = usage.clone();
    let page = Router::new().route("/_berth/usage", get(async move || answered.lock().unwrap().clone()));
    let world = World::with_instance(page).await;
    world.family("web", &[]).await;
    let (idle, busy) = (world.task("default", "web").await, world.task("default", "web").await);
    *usage.lock().unwrap() = format!(r#"{{"tasks": {{"{busy}": {{"cpuPercent": 87.54, "memoryMiB": 33.3}}}}}}"#);
    let text = prints(&world.url, "top").await;
    let tasks: Vec<_> = text.lines().skip_while(|line| !line.starts_with("TASK")).skip(1).collect();
    assert!(tasks[0].starts_with(short(&busy)) && tasks[0].contains("  87.5  33  "), "{text}");
    assert!(tasks[1].starts_with(short(&idle)), "{text}");
    // An answer that cannot be understood is as good as none.
    *usage.lock().unwrap() = "<html>".to_owned();
    assert!(!prints(&world.url, "top").await.contains("CPU%"));
}
