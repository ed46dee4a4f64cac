//! Sinks that throttle, refuse, hang or forget, containers that go away or go too fast, and agents that die.

mod shim;

use std::time::Duration;

use logs::fake::refusal;
use logs::{LogSink, SinkError, Subject};
use shim::node::{GROUP, STREAM, assert_all, drivers, follow, follow_with, messages, options, puts, sink, throttled};
use shim::{Shim, drained, until};

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
async fn a_lost_answer_doubles_nothing() {
    let (sink, mut shim) = (sink(), Shim::new());
    let following = follow(&sink, &shim).await;
    sink.lose_next_answer();
    shim.say("one");
    until("somebody looks", || sink.calls().iter().any(|call| call.starts_with("stored"))).await;
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
async fn a_stream_that_others_make_is_not_made() {
    let (sink, mut shim) = (sink(), Shim::new());
    sink.create_stream(GROUP, STREAM).await.unwrap();
    let following = follow_with(&sink, &shim, &[("awslogs-create-stream", "false")]).await;
    shim.say("one");
    until("it is there", || messages(&sink) == ["one"]).await;
    sink.delete_stream(GROUP, STREAM);
    shim.say("two");
    shim.exit();
    drained(&following).await;
    let made = sink.calls().iter().filter(|call| call.starts_with("create_stream")).count();
    assert_eq!((made, sink.events(GROUP, STREAM)), (1, None), "only ours");
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_dies_and_comes_back_loses_nothing() {
    const LINES: usize = 30_000;
    let (sink, mut shim) = (sink(), Shim::new());
    let drivers = drivers(&sink);
    drivers.open("awslogs", &options(&[]), &Subject::default()).await.unwrap();
    let mut written = 0;
    let mut lives = 0;
    while written < LINES {
        let driver = drivers.resume("awslogs", &options(&[]), &Subject::default()).unwrap();
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
async fn a_crash_between_put_and_position_sends_nothing_again() {
    let (sink, mut shim) = (sink(), Shim::new());
    let following = follow(&sink, &shim).await;
    shim.say("one");
    until("it is there", || messages(&sink).len() == 1).await;
    until("the position too", || shim.dir().join(shim_api::log::POSITION_NAME).exists()).await;
    let saved = std::fs::read(shim.dir().join(shim_api::log::POSITION_NAME)).unwrap();
    shim.say("two");
    shim.exit();
    drained(&following).await;
    // The second save never came to the disk.
    std::fs::write(shim.dir().join(shim_api::log::POSITION_NAME), saved).unwrap();
    drained(&follow(&sink, &shim).await).await;
    assert_eq!(messages(&sink), ["one", "two"]);
}
