//! From a container's directory to a sink that does its duty. What happens when it does not is in `faults.rs`.

mod shim;

use std::sync::Arc;
use std::time::{Duration, Instant};

use log_store::limits::admit;
use logs::fake::FakeSink;
use logs::{Event, LogSink, Subject};
use shim::node::{GROUP, STREAM, drivers, follow, follow_with, messages, options, puts, sink};
use shim::{Shim, drained, until};
use shim_api::log::Stream;
use stdx::Timestamp;

#[tokio::test]
async fn a_container_is_followed_to_its_end() {
    let (sink, mut shim) = (sink(), Shim::new());
    let following = follow(&sink, &shim).await;
    shim.say("one");
    shim.say("");
    shim.shout("two");
    shim.write(Stream::Stdout, b"not \xff utf-8");
    shim.write(Stream::Stdout, "x".repeat(100_000).as_bytes());
    shim.exit();
    drained(&following).await;
    assert_eq!(messages(&sink), ["one", "two", "not \u{fffd} utf-8", &"x".repeat(100_000)]);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
    let events = sink.events(GROUP, STREAM).unwrap();
    assert!(events.iter().all(|event| (now - 60_000..=now).contains(&event.timestamp_ms)), "{events:?}");
    // Whoever comes later finds nothing to do.
    let puts_before = puts(&sink);
    drained(&follow(&sink, &shim).await).await;
    assert_eq!(puts(&sink), puts_before);
}

#[tokio::test]
async fn a_quiet_log_is_delivered_soon() {
    let (sink, mut shim) = (sink(), Shim::new());
    let following = follow(&sink, &shim).await;
    for number in 0..5 {
        let begin = Instant::now();
        shim.say(&number.to_string());
        until("the line is there", || messages(&sink).len() == number + 1).await;
        // A tenth of a second by design; a busy machine may need more, and a timer of five seconds would show.
        assert!(begin.elapsed() < Duration::from_secs(2), "{:?}", begin.elapsed());
    }
    following.stop();
    drained(&following).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_log_travels_in_batches_that_the_service_takes() {
    const LINES: usize = 40_000;
    let (sink, mut shim) = (sink(), Shim::new());
    let following = follow(&sink, &shim).await;
    // 12 MB, of lines up to 600 bytes.
    let text = |number: usize| format!("{number} {}", "y".repeat(number % 600));
    for number in 0..LINES {
        shim.say(&text(number));
    }
    shim.exit();
    drained(&following).await;
    assert_eq!(messages(&sink), (0..LINES).map(text).collect::<Vec<_>>());
    let batches = sink.batches();
    assert!(batches.len() < 60, "{} batches", batches.len());
    for batch in batches {
        let sizes: Vec<_> = batch.iter().map(|event| (event.timestamp_ms, event.message.len())).collect();
        let last = Timestamp::from_millis(batch.last().unwrap().timestamp_ms);
        admit(&sizes, last, None).expect("the service takes it");
    }
}

/// Follows again and again, and dies each time at another moment.
#[tokio::test]
async fn several_lines_are_one_event() {
    let (sink, mut shim) = (sink(), Shim::new());
    let more = [("awslogs-datetime-format", "%Y-%m-%d"), ("awslogs-force-flush-interval-seconds", "1")];
    let following = follow_with(&sink, &shim, &more).await;
    for line in ["2026-11-24 panic", "  at main", "", "2026-11-24 next"] {
        shim.say(line);
    }
    until("the first", || messages(&sink) == ["2026-11-24 panic\n  at main\n\n"]).await;
    // The last one is complete when nothing follows for as long as the options say.
    until("the last", || messages(&sink).len() == 2).await;
    shim.say("2026-11-24 end");
    shim.say("  of it");
    shim.exit();
    drained(&following).await;
    assert_eq!(messages(&sink)[1..], ["2026-11-24 next\n", "2026-11-24 end\n  of it\n"]);
}

#[tokio::test]
async fn a_non_blocking_container_starts_without_its_group() {
    let (sink, mut shim) = (Arc::new(FakeSink::default()), Shim::new());
    let following = follow_with(&sink, &shim, &[("mode", "non-blocking"), ("max-buffer-size", "1m")]).await;
    shim.say("one");
    until("it tried", || sink.calls().len() >= 2).await;
    sink.create_group(GROUP).await.unwrap();
    until("it is there", || messages(&sink) == ["one"]).await;
    shim.exit();
    drained(&following).await;

    // One that ends first keeps nobody waiting.
    let (sink, mut shim) = (Arc::new(FakeSink::default()), Shim::new());
    let following = follow_with(&sink, &shim, &[("mode", "non-blocking")]).await;
    shim.say("one");
    shim.exit();
    drained(&following).await;
    assert_eq!(messages(&sink), Vec::<String>::new());
}

#[tokio::test]
async fn a_stream_is_there_before_its_first_line() {
    let (sink, mut shim) = (sink(), Shim::new());
    let following = follow_with(&sink, &shim, &[("mode", "non-blocking")]).await;
    until("the stream is there", || sink.events(GROUP, STREAM) == Some(Vec::<Event>::new())).await;
    shim.exit();
    drained(&following).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_containers_share_a_sink() {
    let sink = sink();
    let drivers = drivers(&sink);
    let mut containers = Vec::new();
    for number in 0..100 {
        let name = format!("web/app/{number}");
        let driver =
            drivers.open("awslogs", &options(&[("awslogs-stream", &name)]), &Subject::default()).await.unwrap();
        let mut shim = Shim::new();
        let following = driver.follow(shim.dir());
        for line in 0..50 {
            shim.say(&line.to_string());
        }
        shim.exit();
        containers.push((name, following, shim));
    }
    for (name, following, _shim) in &containers {
        drained(following).await;
        let events = sink.events(GROUP, name).unwrap();
        assert!(events.iter().map(|event| event.message.clone()).eq((0..50).map(|line| line.to_string())), "{name}");
    }
}

#[tokio::test]
async fn a_directory_may_come_later() {
    let (sink, mut shim) = (sink(), Shim::new());
    let later = shim.dir().with_file_name("later");
    let following =
        drivers(&sink).open("awslogs", &options(&[]), &Subject::default()).await.unwrap().follow(later.clone());
    shim.say("one");
    shim.exit();
    std::fs::rename(shim.dir(), later).unwrap();
    drained(&following).await;
    assert_eq!(messages(&sink), ["one"]);
}
