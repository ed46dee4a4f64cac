//! An agent's drivers over a fake sink.

use std::collections::BTreeMap;
use std::sync::Arc;

use logs::fake::{FakeSink, refusal};
use logs::{Drivers, Following, LogSink, SinkError, Subject};

use super::Shim;

pub const GROUP: &str = "/ecs/web";
pub const STREAM: &str = "web/app/1";

pub fn drivers(sink: &Arc<FakeSink>) -> Drivers {
    let sink = sink.clone();
    Drivers::new(move |region| {
        assert_eq!(region, "eu-west-1");
        sink.clone() as Arc<dyn LogSink>
    })
}

pub fn options(more: &[(&str, &str)]) -> BTreeMap<String, String> {
    let base = [("awslogs-group", GROUP), ("awslogs-stream", STREAM), ("awslogs-region", "eu-west-1")];
    base.iter().chain(more).map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// A new agent, every time.
pub async fn follow_with(sink: &Arc<FakeSink>, shim: &Shim, more: &[(&str, &str)]) -> Following {
    drivers(sink).open("awslogs", &options(more), &Subject::default()).await.unwrap().follow(shim.dir())
}

pub async fn follow(sink: &Arc<FakeSink>, shim: &Shim) -> Following {
    follow_with(sink, shim, &[]).await
}

pub fn sink() -> Arc<FakeSink> {
    Arc::new(FakeSink::with_group(GROUP))
}

pub fn messages(sink: &FakeSink) -> Vec<String> {
    let events = sink.events(GROUP, STREAM).unwrap_or_default();
    events.into_iter().map(|event| event.message).collect()
}

pub fn puts(sink: &FakeSink) -> usize {
    sink.calls().iter().filter(|call| call.starts_with("put")).count()
}

pub fn throttled() -> SinkError {
    refusal("ThrottlingException", "Rate exceeded")
}

/// The lines `0` to `count`, in any order, more than once or not.
pub fn assert_all(sink: &FakeSink, count: usize) {
    let mut numbers: Vec<usize> = messages(sink).iter().map(|text| text.parse().unwrap()).collect();
    numbers.sort_unstable();
    numbers.dedup();
    assert_eq!(numbers, (0..count).collect::<Vec<_>>());
}
