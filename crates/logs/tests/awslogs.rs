//! From a container's directory to a sink, whatever the sink does.

mod shim;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use log_store::limits::admit;
use logs::fake::{FakeSink, refusal};
use logs::{Drivers, Event, Following, LogSink, SinkError};
use shim::{Shim, drained, until};
use shim_api::log::Stream;
use stdx::Timestamp;

const GROUP: &str = "/ecs/web";
const STREAM: &str = "web/app/1";

fn drivers(sink: &Arc<FakeSink>) -> Drivers {
    let sink = sink.clone();
    Drivers::new(move |region| {
        assert_eq!(region, "eu-west-1");
        sink.clone() as Arc<dyn LogSink>
    })
}

fn options(more: &[(&str, &str)]) -> BTreeMap<String, String> {
    let base = [("awslogs-group", GROUP), ("awslogs-stream", STREAM), ("awslogs-region", "eu-west-1")];
    base.iter().chain(more).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// A new agent, every time.
async fn follow_with(sink: &Arc<FakeSink>, shim: &Shim, more: &[(&str, &str)]) -> Following {
    drivers(sink).open("awslogs", &options(more)).await.unwrap().follow(shim.dir())
}

async fn follow(sink: &Arc<FakeSink>, shim: &Shim) -> Following {
    follow_with(sink, shim, &[]).await
}

fn sink() -> Arc<FakeSink> {
    Arc::new(FakeSink::with_group(GROUP))
}

fn messages(sink: &FakeSink) -> Vec<String> {
    let events = sink.events(GROUP, STREAM).unwrap_or_default();
    events.into_iter().map(|event| event.message).collect()
}

fn puts(sink: &FakeSink) -> usize {
    sink.calls().iter().filter(|call| call.starts_with("put")).count()
}

fn throttled() -> SinkError {
    refusal("ThrottlingException", "Rate exceeded")
}

/// The lines `0` to `count`, in any order, more than once or not.
fn assert_all(sink: &FakeSink, count: usize) {
    let mut numbers: Vec<usize> = messages(sink).iter().map(|text| text.parse().unwrap()).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers, (0..count).collect::<Vec<_>>());
}

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

#[tokio::test]
async fn what_may_pass_is_tried_again() {
    let (sink, mut shim) = (sink(), Shim::new());
    let following = follow(&sink, &shim).await;
    sink.fail_next(throttled());
    sink.fail_next(SinkError::Unreachable("connection refused".into()));
    let broken = SinkError::Refused { code: "InternalFailure".into(), message: String::new(), status: 500 };
    sink.fail_next(broken);
    shim.say("one");
    until("three attempts failed", || puts(&sink) == 3).await;
    shim.say("two");
    shim.exit();
    drained(&following).await;
    assert_eq!(messages(&sink), ["one", "two"]);
}

#[tokio::test]
async fn already_accepted_is_accepted() {
    let (sink, mut shim) = (sink(), Shim::new());
    let following = follow(&sink, &shim).await;
    sink.fail_next(refusal("DataAlreadyAcceptedException", "The given batch of log events has already been accepted."));
    shim.say("one");
    shim.exit();
    drained(&following).await;
    assert_eq!(puts(&sink), 1);
}

#[tokio::test]
async fn a_refused_batch_is_dropped_and_the_next_is_not() {
    let (sink, mut shim) = (sink(), Shim::new());
    let following = follow(&sink, &shim).await;
    sink.fail_next(refusal("InvalidParameterException", "no"));
    shim.say("bad");
    until("it was refused", || puts(&sink) == 1).await;
    shim.say("good");
    shim.exit();
    drained(&following).await;
    assert_eq!(messages(&sink), ["good"]);
}

#[tokio::test]
async fn a_sink_that_hangs_holds_one_batch() {
    let (sink, mut shim) = (sink(), Shim::new());
    let following = follow(&sink, &shim).await;
    sink.hang(true);
    shim.say("0");
    until("a put is on its way", || puts(&sink) == 1).await;
    for number in 1..30_000 {
        shim.say(&number.to_string());
    }
    shim.exit();
    // Nothing more is asked of it, and whoever has no patience may leave.
    assert!(tokio::time::timeout(Duration::from_millis(300), following.drained()).await.is_err());
    assert_eq!((puts(&sink), sink.batches().len()), (1, 0));
    following.stop();
    drained(&following).await;
    sink.hang(false);
    drained(&follow(&sink, &shim).await).await;
    assert_all(&sink, 30_000);
}

#[tokio::test]
async fn a_deleted_group_is_made_again() {
    let (sink, mut shim) = (sink(), Shim::new());
    let following = follow_with(&sink, &shim, &[("awslogs-create-group", "true")]).await;
    shim.say("one");
    until("it is there", || messages(&sink) == ["one"]).await;
    sink.delete_group(GROUP);
    shim.say("two");
    until("it is there", || messages(&sink) == ["two"]).await;
    sink.delete_stream(GROUP, STREAM);
    shim.say("three");
    shim.exit();
    drained(&following).await;
    assert_eq!(messages(&sink), ["three"]);
}

#[tokio::test]
async fn without_leave_to_make_the_group_events_are_dropped() {
    let (sink, mut shim) = (sink(), Shim::new());
    let following = follow(&sink, &shim).await;
    sink.delete_group(GROUP);
    shim.say("one");
    until("it was refused", || {
        sink.calls().last().is_some_and(|call| call.starts_with("create_stream")) && puts(&sink) == 1
    })
    .await;
    // Somebody makes the group: what comes from now on is kept.
    sink.create_group(GROUP).await.unwrap();
    shim.say("two");
    shim.exit();
    drained(&following).await;
    assert_eq!(messages(&sink), ["two"]);
    let made_groups = sink.calls().iter().filter(|call| call.starts_with("create_group")).count();
    assert_eq!(made_groups, 1, "only ours");
}

#[tokio::test]
async fn a_removed_container_is_not_followed() {
    let (sink, mut shim) = (sink(), Shim::new());
    let following = follow(&sink, &shim).await;
    shim.say("one");
    until("it is there", || messages(&sink) == ["one"]).await;
    shim.remove();
    drained(&following).await;

    // Not even when there is something left to deliver.
    let mut shim = Shim::new();
    let following = follow(&sink, &shim).await;
    for _ in 0..1000 {
        sink.fail_next(throttled());
    }
    shim.say("two");
    until("it was throttled", || puts(&sink) >= 2).await;
    shim.remove();
    drained(&following).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_container_faster_than_its_sink_loses_the_oldest_lines_only() {
    let (sink, mut shim) = (sink(), Shim::new());
    let following = follow(&sink, &shim).await;
    sink.hang(true);
    shim.say("first");
    until("a put is on its way", || puts(&sink) == 1).await;
    // 48 MB into a ring of 32.
    let lines = 12_000;
    let text = |number: usize| format!("{number} {}", "z".repeat(4000));
    for number in 0..lines {
        shim.say(&text(number));
    }
    shim.exit();
    sink.hang(false);
    drained(&following).await;
    let messages = messages(&sink);
    assert_eq!(messages[0], "first");
    assert_eq!(*messages.last().unwrap(), text(lines - 1));
    assert!(messages.len() > 6000 && messages.len() < lines, "{}", messages.len());
    let tail = &messages[messages.len() - 6000..];
    assert!((lines - 6000..lines).zip(tail).all(|(number, message)| *message == text(number)));
}

/// Follows again and again, and dies each time at another moment.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_dies_and_comes_back_loses_nothing() {
    const LINES: usize = 30_000;
    let (sink, mut shim) = (sink(), Shim::new());
    let drivers = drivers(&sink);
    drivers.open("awslogs", &options(&[])).await.unwrap();
    let mut written = 0;
    let mut lives = 0;
    while written < LINES {
        let driver = drivers.resume("awslogs", &options(&[])).unwrap();
        let following = driver.follow(shim.dir());
        let before = sink.calls().len();
        for _ in 0..1000 {
            shim.say(&written.to_string());
            written += 1;
        }
        match lives % 3 {
            // In the middle of a put that is not answered, which may have happened or not.
            0 => {
                sink.hang(true);
                until("it asks", || sink.calls().len() > before).await;
            }
            // At once.
            1 => {}
            // While it waits to try again.
            _ => {
                sink.fail_next(throttled());
                until("it asks", || sink.calls().len() > before).await;
            }
        }
        following.stop();
        drained(&following).await;
        sink.hang(false);
        lives += 1;
    }
    shim.exit();
    drained(&follow(&sink, &shim).await).await;
    assert_eq!(lives, 30);
    assert_all(&sink, LINES);
}

#[tokio::test]
async fn a_crash_between_put_and_position_sends_one_batch_again() {
    let (sink, mut shim) = (sink(), Shim::new());
    let following = follow(&sink, &shim).await;
    shim.say("one");
    until("it is there", || messages(&sink).len() == 1).await;
    until("the position too", || shim.dir().join(logs::POSITION_NAME).exists()).await;
    let saved = std::fs::read(shim.dir().join(logs::POSITION_NAME)).unwrap();
    shim.say("two");
    shim.exit();
    drained(&following).await;
    // The second save never came to the disk.
    std::fs::write(shim.dir().join(logs::POSITION_NAME), saved).unwrap();
    drained(&follow(&sink, &shim).await).await;
    assert_eq!(messages(&sink), ["one", "two", "two"]);
}

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
        let driver = drivers.open("awslogs", &options(&[("awslogs-stream", &name)])).await.unwrap();
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
    let following = drivers(&sink).open("awslogs", &options(&[])).await.unwrap().follow(later.clone());
    shim.say("one");
    shim.exit();
    std::fs::rename(shim.dir(), later).unwrap();
    drained(&following).await;
    assert_eq!(messages(&sink), ["one"]);
}
