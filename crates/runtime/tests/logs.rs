//! What containers write, and how it is kept. Needs root.

mod world;

use runtime::{LogPosition, LogReader, Stream};
use shim_api::log::{LINE_TEXT_BYTES_MAX, SEGMENTS_KEPT};
use world::{World, exit, id};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lines_keep_their_bytes_and_their_stream() {
    let world = World::new();
    let task = world.task("t1").await;
    let mut spec = world.spec("web", "say one binary shout two mutter end");
    let long = "y".repeat(LINE_TEXT_BYTES_MAX + 10);
    spec.args.splice(1..1, ["say".to_owned(), long.clone()]);
    task.start(&spec).await.unwrap();
    exit(&*task, "web").await;
    let mut reader = LogReader::open(task.container_dir(&id("web")), LogPosition::default());
    let (mut out, mut err) = (Vec::new(), Vec::new());
    while let Some(line) = reader.next().await.unwrap() {
        let list = if line.stream == Stream::Stdout { &mut out } else { &mut err };
        list.push((line.partial, line.text));
    }
    let (head, tail) = long.as_bytes().split_at(LINE_TEXT_BYTES_MAX);
    let expected: Vec<(bool, &[u8])> =
        vec![(true, head), (false, tail), (false, b"one"), (false, b"a\0b\xff"), (false, b"end")];
    assert_eq!(out, expected.into_iter().map(|(partial, text)| (partial, text.to_vec())).collect::<Vec<_>>());
    assert_eq!(err, [(false, b"two".to_vec())]);
    world.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_sees_every_line_across_segments_and_restarts() {
    let world = World::new();
    let task = world.task("t1").await;
    // 20 MB in segments of 4 MiB: all of them are kept.
    const LINES: u64 = 20_000;
    task.start(&world.spec("web", &format!("lines {LINES}"))).await.unwrap();
    let dir = task.container_dir(&id("web"));
    let mut position = LogPosition::default();
    let mut number = 0;
    let mut reader = LogReader::open(&dir, position);
    while let Some(line) = reader.next().await.unwrap() {
        assert!(line.text.starts_with(format!("{number} ").as_bytes()), "{number}");
        number += 1;
        position = line.next;
        // Whoever stops and comes back goes on where he was.
        if number % 3000 == 0 {
            reader = LogReader::open(&dir, position);
        }
    }
    assert_eq!(number, LINES);
    assert!(position.segment >= 3, "{position:?}");
    world.leave().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn old_segments_are_dropped() {
    let world = World::new();
    let task = world.task("t1").await;
    const LINES: u64 = 45_000;
    task.start(&world.spec("web", &format!("lines {LINES}"))).await.unwrap();
    exit(&*task, "web").await;
    let dir = task.container_dir(&id("web"));
    let kept = std::fs::read_dir(dir.join("log")).unwrap().count();
    assert_eq!(kept as u64, SEGMENTS_KEPT);
    let mut reader = LogReader::open(&dir, LogPosition::default());
    let first = reader.next().await.unwrap().unwrap();
    assert!(first.next.segment > 0);
    let mut last = first;
    while let Some(line) = reader.next().await.unwrap() {
        last = line;
    }
    assert!(last.text.starts_with(format!("{} ", LINES - 1).as_bytes()));
    world.leave().await;
}
