//! `berth ps`

use super::berth::{complains, prints, run};
use super::fake::Fake;
use super::world::{World, short, some};

#[tokio::test]
async fn tasks_are_listed_with_where_they_answer_and_how_they_ended() {
    let world = World::with_instance(axum::Router::new()).await;
    world.family("web", &[]).await;
    world.family("job", &[]).await;
    world.service("site", "web", 1).await;
    let running = world.task_of_service("site", "web").await;
    world.runs(&running, 32768).await;
    let pending = world.task("default", "job").await;
    let failed = world.task("default", "job").await;
    world.runs(&failed, 32769).await;
    world.stops(&failed, Some(137), "OutOfMemoryError: Container killed due to memory usage").await;

    let text = prints(&world.url, "ps").await;
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["TASK", "NAME", "STATUS", "HEALTH", "IMAGE", "PORTS", "INSTANCE", "AGE"]);
    assert_eq!(rows[1][..6], [short(&pending), "job:1", "PENDING", "-", "job:1", "-"]);
    assert_eq!(rows[2][..6], [short(&running), "site", "RUNNING", "-", "web:1", "http://127.0.0.1:32768->80"]);
    assert_eq!(rows.len(), 3);
    assert!(!text.contains('\x1b') && !text.contains('\t'), "{text:?}");
    assert!(text.lines().all(|line| line.trim_end() == line), "{text:?}");

    let all = prints(&world.url, "ps --all").await;
    let stopped = all.lines().last().unwrap();
    assert!(all.lines().next().unwrap().ends_with("EXIT  REASON"), "{all}");
    assert!(stopped.starts_with(short(&failed)), "{all}");
    assert!(
        stopped.ends_with(
            "137   Essential container in task exited; OutOfMemoryError: Container killed due to memory usage"
        ),
        "{all}"
    );

    let of_service = prints(&world.url, "ps --service site").await;
    assert_eq!(of_service.lines().count(), 2, "{of_service}");
    assert!(of_service.lines().last().unwrap().starts_with(short(&running)));

    let json = prints(&world.url, "ps --json").await;
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let arns: Vec<_> = json["tasks"].as_array().unwrap().iter().map(|task| task["taskArn"].as_str().unwrap()).collect();
    assert!(arns.len() == 2 && arns.contains(&pending.as_str()) && arns.contains(&running.as_str()), "{json}");
    assert!(json["tasks"][0]["createdAt"].is_number(), "as the API writes it: {json}");
}

#[tokio::test]
async fn what_is_not_there_is_said_in_a_sentence() {
    let world = World::new().await;
    assert_eq!(
        complains(&world.url, "ps").await,
        "berth: there is no cluster default here. Make one with `aws ecs create-cluster`, or look in another region with \
         --region.\n"
    );
    world.cluster("blue").await;
    assert_eq!(
        complains(&world.url, "ps").await,
        "berth: there is no cluster default here. Say which one with --cluster: blue.\n"
    );
    assert_eq!(
        prints(&world.url, "ps --cluster blue").await,
        "No task runs in cluster blue. `berth ps --all` shows stopped ones; `aws ecs run-task` starts one.\n"
    );
    assert_eq!(
        prints(&world.url, "--region us-east-1 ps --all --cluster arn:aws:ecs:us-east-1:000000000000:cluster/blue")
            .await,
        "No task is known in cluster blue. `aws ecs run-task` starts one.\n"
    );
    assert_eq!(prints(&world.url, "ps --json --cluster blue").await, "{\"tasks\":[],\"failures\":[]}\n");
    assert_eq!(
        complains(&world.url, "ps --cluster blue --service web").await,
        "berth: there is no service web in cluster blue. It has no services at all.\n"
    );
    // Another region is another world.
    let elsewhere = complains(&world.url, "ps --cluster blue --region eu-west-1").await;
    assert!(elsewhere.contains("there is no cluster blue here."), "{elsewhere}");
}

#[tokio::test]
async fn an_endpoint_that_is_not_there() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    for line in ["ps", "top", "logs web", "logs /ecs/web", "explain web", "events web"] {
        let complaint = complains(&url, line).await;
        assert!(
            complaint.starts_with(&format!("berth: nothing answers at {url}: start Berth with `make up`")),
            "{complaint}"
        );
    }
    let complaint = complains("localhost:4566", "ps").await;
    assert!(complaint.contains("should look like http://127.0.0.1:4566"), "{complaint}");
}

#[tokio::test]
async fn usage_errors_are_two() {
    for line in ["ps --nope", "logs", "logs --since tomorrow web", "nope", "image", "image load"] {
        let ended = run("http://127.0.0.1:1", line).await;
        assert_eq!((ended.code, ended.stdout.as_str()), (2, ""), "{line}");
        assert!(ended.stderr.contains("--help"), "{line}: {}", ended.stderr);
    }
    let version = prints("http://127.0.0.1:1", "--version").await;
    assert_eq!(version, format!("berth {}\n", env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
async fn every_page_is_read_and_described_in_batches() {
    let task = |number: usize| api_ecs::Task {
        task_arn: Some(format!("arn:aws:ecs:us-east-1:000000000000:task/default/{number:032x}")),
        last_status: some("RUNNING"),
        desired_status: some("RUNNING"),
        ..Default::default()
    };
    let url = Fake { tasks: (0..250).map(task).collect(), services: Vec::new() }.serve().await;
    assert_eq!(prints(&url, "ps").await.lines().count(), 251);
}
