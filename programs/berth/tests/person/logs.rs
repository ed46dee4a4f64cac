//! `berth logs`

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::berth::{Going, command, complains, prints, run};
use super::world::{World, id, short};

const OPTIONS: &[(&str, &str)] =
    &[("awslogs-group", "/ecs/web"), ("awslogs-region", "us-east-1"), ("awslogs-stream-prefix", "web")];

async fn world() -> World {
    let world = World::with_instance(axum::Router::new()).await;
    world.family("web", OPTIONS).await;
    world.log_group("/ecs/web").await;
    world
}

/// A task that has its log stream.
async fn writer(world: &World, service: Option<&str>) -> (String, String) {
    let task = match service {
        Some(service) => world.task_of_service(service, "web").await,
        None => world.task("default", "web").await,
    };
    let stream = format!("web/app/{}", id(&task));
    world.log_stream("/ecs/web", &stream).await;
    (task, stream)
}

/// Tasks are as old as they say, so that lines of some time ago can be theirs.
fn age(world: &World, task: &str) {
    world.change_task(task, |task| task.created_at = task.created_at - std::time::Duration::from_secs(3600));
}

#[tokio::test]
async fn one_task_by_any_of_its_names() {
    let world = world().await;
    let (task, stream) = writer(&world, None).await;
    let (_, other) = writer(&world, None).await;
    age(&world, &task);
    world.write("/ecs/web", &stream, &[(60_000, "one"), (59_000, "two\n"), (1_000, "three")]).await;
    world.write("/ecs/web", &other, &[(30_000, "another's")]).await;
    for name in [&*task, id(&task), short(&task)] {
        assert_eq!(prints(&world.url, &format!("logs {name}")).await, "one\ntwo\nthree\n");
    }
    let of_task = |options: &str| format!("logs {options} {}", short(&task));
    assert_eq!(prints(&world.url, &of_task("--since 30s")).await, "three\n");
    assert_eq!(prints(&world.url, &of_task("-n 2")).await, "two\nthree\n");
    assert_eq!(prints(&world.url, &of_task("--tail 100")).await, "one\ntwo\nthree\n");
    assert_eq!(prints(&world.url, &of_task("--since 30s --tail 2")).await, "three\n");
    assert_eq!(run(&world.url, &of_task("--tail 0")).await.stdout, "");
}

#[tokio::test]
async fn a_service_a_family_and_a_group() {
    let world = world().await;
    world.service("site", "web", 2).await;
    let (first, of_first) = writer(&world, Some("site")).await;
    let (second, of_second) = writer(&world, Some("site")).await;
    let (stranger, of_stranger) = writer(&world, None).await;
    [&first, &second, &stranger].into_iter().for_each(|task| age(&world, task));
    world.write("/ecs/web", &of_first, &[(9_000, "a"), (7_000, "c")]).await;
    world.write("/ecs/web", &of_second, &[(8_000, "b"), (5_000, "e")]).await;
    world.write("/ecs/web", &of_stranger, &[(6_000, "d")]).await;
    let (first, second, stranger) = (short(&first), short(&second), short(&stranger));

    let of_service = prints(&world.url, "logs site").await;
    assert_eq!(of_service, format!("{first} a\n{second} b\n{first} c\n{second} e\n"));
    assert_eq!(prints(&world.url, "logs -n 1 site").await, format!("{second} e\n"));
    let everything = format!("{first}/app a\n{second}/app b\n{first}/app c\n{stranger}/app d\n{second}/app e\n");
    for target in ["web", "web:1", "/ecs/web"] {
        assert_eq!(prints(&world.url, &format!("logs {target}")).await, everything, "{target}");
    }
    assert_eq!(prints(&world.url, "logs --tail 2 /ecs/web").await, format!("{stranger}/app d\n{second}/app e\n"));
}

#[tokio::test]
async fn many_lines_of_several_containers_are_merged() {
    let world = World::with_instance(axum::Router::new()).await;
    world.family_of("pair", &["app", "proxy"], OPTIONS).await;
    world.log_group("/ecs/web").await;
    let task = world.task("default", "pair").await;
    age(&world, &task);
    // More than a page of FilterLogEvents holds: 10,000 events.
    for (container, offset) in [("app", 0), ("proxy", 1)] {
        let stream = format!("web/{container}/{}", id(&task));
        world.log_stream("/ecs/web", &stream).await;
        let lines: Vec<(i64, String)> =
            (0..6000).map(|line| (60_000 - 2 * line - offset, format!("{}", 2 * line + offset))).collect();
        let lines: Vec<(i64, &str)> = lines.iter().map(|(ago, line)| (*ago, line.as_str())).collect();
        world.write("/ecs/web", &stream, &lines).await;
    }
    let text = prints(&world.url, &format!("logs {}", short(&task))).await;
    let task = short(&task);
    assert!(text.starts_with(&format!("{task}/app 0\n")), "{}", &text[..100]);
    assert_eq!(text.lines().count(), 12_000);
    let of_both =
        |container: &str| text.lines().filter(|line| line.starts_with(&format!("{task}/{container} "))).count();
    assert_eq!((of_both("app"), of_both("proxy")), (6000, 6000));
}

#[tokio::test]
async fn following_a_service_sees_its_new_tasks_and_each_line_once() {
    let world = world().await;
    world.service("site", "web", 2).await;
    let (first, of_first) = writer(&world, Some("site")).await;
    age(&world, &first);
    world.write("/ecs/web", &of_first, &[(20_000, "old"), (1_000, "one")]).await;
    let mut following = Going::start(command(&world.url, "logs --follow --tail 1 site"));
    assert_eq!(following.line().await, format!("{} one", short(&first)));
    world.write("/ecs/web", &of_first, &[(0, "two")]).await;
    assert_eq!(following.line().await, format!("{} two", short(&first)));

    // A task that was not there when it began; its clock is a little behind.
    let (second, of_second) = writer(&world, Some("site")).await;
    let (_, of_stranger) = writer(&world, None).await;
    world.write("/ecs/web", &of_stranger, &[(0, "another's")]).await;
    world.write("/ecs/web", &of_second, &[(3_000, "three")]).await;
    assert_eq!(following.line().await, format!("{} three", short(&second)));
    world.write("/ecs/web", &of_first, &[(0, "four")]).await;
    assert_eq!(following.line().await, format!("{} four", short(&first)));

    following.interrupt().await;
    let ended = following.end().await;
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (0, "", ""));
}

#[tokio::test]
async fn following_a_task_ends_with_it() {
    let world = world().await;
    let task = world.task("default", "web").await;
    world.runs(&task, 32768).await;
    // It has not written yet: there is no stream.
    let mut following = Going::start(command(&world.url, &format!("logs -f {}", short(&task))));
    let stream = format!("web/app/{}", id(&task));
    world.log_stream("/ecs/web", &stream).await;
    world.write("/ecs/web", &stream, &[(0, "first")]).await;
    assert_eq!(following.line().await, "first");
    world.write("/ecs/web", &stream, &[(0, "last words")]).await;
    world.stops(&task, Some(0), "").await;
    let ended = following.end().await;
    assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (0, "last words\n", ""));
}

#[tokio::test]
async fn following_a_group_that_comes_later() {
    let world = World::new().await;
    let mut following = Going::start(command(&world.url, "logs --follow /ecs/later"));
    world.log_group("/ecs/later").await;
    world.log_stream("/ecs/later", "any/name").await;
    world.write("/ecs/later", "any/name", &[(0, "here")]).await;
    assert_eq!(following.line().await, "any/name here");
    let ended = following.close().await;
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "a closed pipe is no failure, also when nobody writes");
}

#[tokio::test]
async fn following_waits_for_an_endpoint_that_went_away() {
    let world = world().await;
    let (_, stream) = writer(&world, None).await;
    world.write("/ecs/web", &stream, &[(10, "before")]).await;
    let way = Way::open(&world.url, "127.0.0.1:0").await;
    let mut following = Going::start(command(&format!("http://{}", way.address), "logs --follow /ecs/web"));
    assert!(following.line().await.ends_with("before"));
    let address = way.address.clone();
    drop(way);
    let complaint = following.complaint().await;
    assert!(complaint.contains("nothing answers at") && complaint.ends_with("Ctrl-C ends."), "{complaint}");
    world.write("/ecs/web", &stream, &[(0, "meanwhile")]).await;
    let _way = Way::open(&world.url, &address).await;
    assert!(following.line().await.ends_with("meanwhile"));
    assert_eq!(following.complaint().await, "berth: it answers again.");
}

/// A way to a server, which can be closed with all who are on it.
struct Way {
    address: String,
    walkers: tokio::task::JoinHandle<()>,
}

impl Way {
    async fn open(url: &str, at: &str) -> Way {
        let listener = TcpListener::bind(at).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let to = url.strip_prefix("http://").unwrap().to_owned();
        let walkers = tokio::spawn(async move {
            // Dropped with this task, and its connections with it.
            let mut all = JoinSet::new();
            loop {
                let (mut here, _) = listener.accept().await.unwrap();
                let mut there = TcpStream::connect(&to).await.unwrap();
                all.spawn(async move { copy_bidirectional(&mut here, &mut there).await });
            }
        });
        Way { address, walkers }
    }
}

impl Drop for Way {
    fn drop(&mut self) {
        self.walkers.abort();
    }
}

#[tokio::test]
async fn a_closed_pipe_is_no_failure() {
    let world = World::new().await;
    world.log_group("/ecs/much").await;
    world.log_stream("/ecs/much", "one").await;
    let long = "x".repeat(100);
    let lines: Vec<(i64, &str)> = (0..5000).map(|line| (10_000 - line, long.as_str())).collect();
    world.write("/ecs/much", "one", &lines).await;
    let mut going = Going::start(command(&world.url, "logs /ecs/much"));
    assert_eq!(going.line().await, long);
    let ended = going.close().await;
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""));
}

#[tokio::test]
async fn why_there_are_no_lines() {
    let world = world().await;
    world.family("mute", &[]).await;
    let mute = world.task("default", "mute").await;
    for target in [short(&mute), "mute"] {
        let complaint = complains(&world.url, &format!("logs {target}")).await;
        assert!(complaint.starts_with("berth: mute:1 writes no logs that can be read here (app: none)"), "{complaint}");
    }
    let (task, _) = writer(&world, None).await;
    let silent = run(&world.url, &format!("logs {}", short(&task))).await;
    assert_eq!((silent.code, silent.stdout.as_str()), (0, ""));
    assert!(silent.stderr.contains("has written nothing to /ecs/web yet."), "{silent:?}");
    let nowhere = run(&world.url, "logs --since 10m /ecs/nowhere").await;
    assert_eq!(nowhere.stderr, "berth: nothing was written to /ecs/nowhere in that time.\n");
    world.service("site", "web", 0).await;
    let idle = run(&world.url, "logs site").await;
    assert!(idle.stderr.starts_with("berth: no task of site is known any more."), "{idle:?}");
    let complaint = complains(&world.url, "logs nothing").await;
    assert!(complaint.contains("called nothing here"), "{complaint}");
}
