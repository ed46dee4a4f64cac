//! What every [`LogSink`] must do, as one test.

use crate::sink::{Event, LogSink, SinkError};

/// Panics where the sink errs. `group` must not exist; it does afterwards. `now_ms` is the time of the events.
pub async fn exam(sink: &dyn LogSink, group: &str, now_ms: i64) {
    let event = |message: &str| Event { timestamp_ms: now_ms, message: message.to_owned() };
    let code = |answer: Result<(), SinkError>| answer.expect_err("a refusal").code().map(str::to_owned);

    let missing = Some("ResourceNotFoundException".to_owned());
    assert_eq!(code(sink.create_stream(group, "s").await), missing);
    assert_eq!(code(sink.put(group, "s", &[event("x")]).await), missing);

    let exists = Some("ResourceAlreadyExistsException".to_owned());
    sink.create_group(group).await.expect("a new group");
    assert_eq!(code(sink.create_group(group).await), exists);
    assert_eq!(code(sink.put(group, "s", &[event("x")]).await), missing);

    sink.create_stream(group, "s").await.expect("a new stream");
    assert_eq!(code(sink.create_stream(group, "s").await), exists);
    sink.put(group, "s", &[event("one"), event("two")]).await.expect("a batch");
    sink.put(group, "s", &[event("one"), event("two")]).await.expect("the same batch again");

    let earlier = sink.stored(group, "s", now_ms - 10, now_ms - 1).await.expect("a look");
    assert_eq!(earlier, []);
    let stored = sink.stored(group, "s", now_ms, now_ms).await.expect("a look");
    let messages: Vec<&str> = stored.iter().map(|(_, event)| event.message.as_str()).collect();
    assert_eq!(messages, ["one", "two", "one", "two"]);
    let arrived: Vec<i64> = stored.iter().map(|(at, _)| *at).collect();
    assert!(arrived[0] == arrived[1] && arrived[2] == arrived[3] && arrived[0] >= now_ms - 1000, "{arrived:?}");
    assert_eq!(sink.stored(group, "none", now_ms, now_ms).await.expect_err("a refusal").code(), missing.as_deref());

    let answer = sink.create_stream("no-such-group", "s").await.expect_err("a refusal");
    let words = "ResourceNotFoundException: The specified log group does not exist.";
    assert_eq!(answer.to_string(), words);
}
