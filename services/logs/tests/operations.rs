//! The operations as a typed caller sees them.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use api_logs::*;
use log_store::LogStore;
use service_logs::LogsService;
use shape::{Caller, ErrorCode as _, Timestamp};
use state::MemoryLedger;
use tempfile::TempDir;

const NOW: i64 = 1_700_000_000_000;
const DAY: i64 = 24 * 3600 * 1000;

struct World {
    service: LogsService,
    caller: Caller,
    now: Arc<AtomicI64>,
    _directory: TempDir,
}

impl World {
    async fn new() -> World {
        let directory = TempDir::new().unwrap();
        let now = Arc::new(AtomicI64::new(NOW));
        let clock = now.clone();
        let store = Arc::new(LogStore::open(directory.path()).unwrap());
        let service = LogsService::new(store, Arc::new(MemoryLedger::default()))
            .with_clock(Arc::new(move || Timestamp::from_millis(clock.load(Ordering::Relaxed))));
        let world = World { service, caller: Caller::root("111122223333", "eu-west-1"), now, _directory: directory };
        let group = CreateLogGroupRequest { log_group_name: text("g"), ..Default::default() };
        world.service.create_log_group(&world.caller, group).await.unwrap();
        world.create_stream("a").await.unwrap();
        world.create_stream("b").await.unwrap();
        world
    }

    async fn create_stream(&self, name: &str) -> Result<(), Error> {
        let input = CreateLogStreamRequest { log_group_name: text("g"), log_stream_name: text(name) };
        self.service.create_log_stream(&self.caller, input).await
    }

    async fn put(&self, stream: &str, events: &[(i64, &str)]) -> Result<PutLogEventsResponse, Error> {
        let event =
            |&(time, message): &(i64, &str)| InputLogEvent { timestamp: Some(NOW + time), message: text(message) };
        let input = PutLogEventsRequest {
            log_group_name: text("g"),
            log_stream_name: text(stream),
            log_events: Some(events.iter().map(event).collect()),
            ..Default::default()
        };
        self.service.put_log_events(&self.caller, input).await
    }

    async fn get(&self, input: GetLogEventsRequest) -> (Vec<String>, String, String) {
        let input = GetLogEventsRequest { log_group_name: text("g"), log_stream_name: text("a"), ..input };
        let answer = self.service.get_log_events(&self.caller, input).await.unwrap();
        let messages = answer.events.unwrap().into_iter().map(|event| event.message.unwrap()).collect();
        (messages, answer.next_forward_token.unwrap(), answer.next_backward_token.unwrap())
    }

    async fn filter(&self, input: FilterLogEventsRequest) -> Result<FilterLogEventsResponse, Error> {
        let input = FilterLogEventsRequest { log_group_name: text("g"), ..input };
        self.service.filter_log_events(&self.caller, input).await
    }

    async fn found(&self, input: FilterLogEventsRequest) -> Vec<String> {
        let events = self.filter(input).await.unwrap().events.unwrap();
        events.into_iter().map(|event| event.message.unwrap()).collect()
    }
}

fn text(text: &str) -> Option<String> {
    Some(text.to_owned())
}

#[track_caller]
fn refused<T: std::fmt::Debug>(answer: Result<T, Error>, code: &str, message: &str) {
    let error = answer.expect_err("this must be refused");
    assert_eq!((error.code.facts().name, error.message.as_str()), (code, message));
}

#[tokio::test]
async fn get_log_events_tokens_name_places() {
    let world = World::new().await;
    let lines: Vec<String> = (0..10).map(|i| format!("{i}")).collect();
    let events: Vec<_> = lines.iter().enumerate().map(|(i, line)| (i as i64, line.as_str())).collect();
    world.put("a", &events).await.unwrap();
    world.put("b", &[(3, "not of a")]).await.unwrap();
    let limit = |limit| GetLogEventsRequest { limit: Some(limit), ..Default::default() };
    let with = |token: &str| GetLogEventsRequest { limit: Some(4), next_token: text(token), ..Default::default() };

    let (newest, forward, backward) = world.get(limit(4)).await;
    assert_eq!(newest, ["6", "7", "8", "9"], "without a token, the newest page, in chronological order");
    let (older, _, backward) = world.get(with(&backward)).await;
    assert_eq!(older, ["2", "3", "4", "5"]);
    let (oldest, again, backward) = world.get(with(&backward)).await;
    assert_eq!(oldest, ["0", "1"]);
    let (none, _, same) = world.get(with(&backward)).await;
    assert_eq!((none.len(), &same), (0, &backward), "the same token at the beginning");
    assert_eq!(world.get(with(&again)).await.0, ["2", "3", "4", "5"], "and forward again");

    let (none, same, back) = world.get(with(&forward)).await;
    assert_eq!((none.len(), &same), (0, &forward), "the same token at the end");
    assert_eq!(world.get(with(&back)).await.0, ["6", "7", "8", "9"]);
    world.put("a", &[(10, "10")]).await.unwrap();
    assert_eq!(world.get(with(&forward)).await.0, ["10"], "the end moves on");

    let head = GetLogEventsRequest { start_from_head: Some(true), limit: Some(3), ..Default::default() };
    assert_eq!(world.get(head).await.0, ["0", "1", "2"]);
    let range = GetLogEventsRequest { start_time: Some(NOW + 2), end_time: Some(NOW + 4), ..Default::default() };
    assert_eq!(world.get(range).await.0, ["2", "3"], "the end is exclusive");
    let bad = GetLogEventsRequest {
        log_group_name: text("g"),
        log_stream_name: text("a"),
        next_token: text("x"),
        ..Default::default()
    };
    let bad = world.service.get_log_events(&world.caller, bad).await;
    refused(bad, "InvalidParameterException", "The specified nextToken is invalid.");
}

#[tokio::test]
async fn an_empty_stream_can_be_followed() {
    let world = World::new().await;
    let (none, forward, _) = world.get(GetLogEventsRequest::default()).await;
    assert!(none.is_empty());
    world.put("a", &[(0, "first")]).await.unwrap();
    let on = GetLogEventsRequest { next_token: Some(forward), ..Default::default() };
    assert_eq!(world.get(on).await.0, ["first"]);
}

#[tokio::test]
async fn filter_log_events_by_stream_time_and_pattern() {
    let world = World::new().await;
    world.put("a", &[(1, "ERROR one"), (3, "INFO two")]).await.unwrap();
    world.put("b", &[(2, "ERROR three"), (4, r#"{"level":"ERROR","code":500}"#)]).await.unwrap();
    let all = ["ERROR one", "ERROR three", "INFO two", r#"{"level":"ERROR","code":500}"#];
    let default = FilterLogEventsRequest::default;
    assert_eq!(world.found(default()).await, all);
    assert_eq!(
        world.found(FilterLogEventsRequest { filter_pattern: text("ERROR -one"), ..default() }).await,
        [all[1], all[3]]
    );
    assert_eq!(
        world.found(FilterLogEventsRequest { filter_pattern: text("{ $.code >= 500 }"), ..default() }).await,
        [all[3]]
    );
    assert_eq!(
        world.found(FilterLogEventsRequest { log_stream_names: Some(vec!["a".into()]), ..default() }).await,
        [all[0], all[2]]
    );
    assert_eq!(
        world.found(FilterLogEventsRequest { log_stream_name_prefix: text("b"), ..default() }).await,
        [all[1], all[3]]
    );
    let range = FilterLogEventsRequest { start_time: Some(NOW + 2), end_time: Some(NOW + 3), ..default() };
    assert_eq!(world.found(range).await, [all[1], all[2]], "both ends are inclusive");

    let (mut token, mut seen, mut ids) = (None, Vec::new(), Vec::new());
    loop {
        let page =
            world.filter(FilterLogEventsRequest { limit: Some(1), next_token: token, ..default() }).await.unwrap();
        for event in page.events.unwrap() {
            seen.push(event.message.unwrap());
            ids.push(event.event_id.unwrap());
        }
        match page.next_token {
            Some(next) => token = Some(next),
            None => break,
        }
    }
    assert_eq!(seen, all);
    assert!(ids.iter().all(|id| id.len() == 56 && id.bytes().all(|b| b.is_ascii_digit())), "{ids:?}");

    let both = FilterLogEventsRequest {
        log_stream_names: Some(vec!["a".into()]),
        log_stream_name_prefix: text("b"),
        ..default()
    };
    assert!(world.filter(both).await.is_err());
    let unknown = FilterLogEventsRequest { log_stream_names: Some(vec!["x".into()]), ..default() };
    refused(world.filter(unknown).await, "ResourceNotFoundException", "The specified log stream does not exist.");
    let pattern = FilterLogEventsRequest { filter_pattern: text("a.b"), ..default() };
    refused(world.filter(pattern).await, "InvalidParameterException", "Invalid character(s) in term 'a.b'");
}

#[tokio::test]
async fn put_log_events_limits() {
    let world = World::new().await;
    let order = world.put("a", &[(1, "x"), (0, "y")]).await;
    refused(
        order,
        "InvalidParameterException",
        "Log events in a single PutLogEvents request must be in chronological order.",
    );
    refused(world.put("x", &[(0, "x")]).await, "ResourceNotFoundException", "The specified log stream does not exist.");
    let large = "x".repeat(600_000);
    assert!(world.put("a", &[(0, &large), (0, &large)]).await.is_err());

    let old = world.put("a", &[(-15 * DAY, "old")]).await.unwrap();
    assert_eq!(old.rejected_log_events_info.unwrap().too_old_log_event_end_index, Some(1));
    let new = world.put("a", &[(0, "now"), (DAY / 2, "too new")]).await.unwrap();
    assert_eq!(new.rejected_log_events_info.unwrap().too_new_log_event_start_index, Some(1));
    assert!(new.next_sequence_token.is_some());
    assert_eq!(world.found(FilterLogEventsRequest::default()).await, ["now"]);
    refused(
        world.put("x", &[(-15 * DAY, "old")]).await,
        "ResourceNotFoundException",
        "The specified log stream does not exist.",
    );
}

#[tokio::test]
async fn retention_hides_and_then_removes() {
    let world = World::new().await;
    world.put("a", &[(0, "old")]).await.unwrap();
    let keep = |days| PutRetentionPolicyRequest { log_group_name: text("g"), retention_in_days: Some(days) };
    assert!(world.service.put_retention_policy(&world.caller, keep(2)).await.is_err());
    world.service.put_retention_policy(&world.caller, keep(1)).await.unwrap();
    world.now.store(NOW + DAY / 2, Ordering::Relaxed);
    assert_eq!(world.found(FilterLogEventsRequest::default()).await, ["old"]);
    world.now.store(NOW + DAY + 1, Ordering::Relaxed);
    assert!(world.found(FilterLogEventsRequest::default()).await.is_empty());
    assert!(world.get(GetLogEventsRequest::default()).await.0.is_empty());
    let off = DeleteRetentionPolicyRequest { log_group_name: text("g") };
    world.service.delete_retention_policy(&world.caller, off).await.unwrap();
    assert_eq!(world.found(FilterLogEventsRequest::default()).await, ["old"]);
    world.service.put_retention_policy(&world.caller, keep(1)).await.unwrap();
    world.service.expire().await.unwrap();
    let off = DeleteRetentionPolicyRequest { log_group_name: text("g") };
    world.service.delete_retention_policy(&world.caller, off).await.unwrap();
    assert!(world.found(FilterLogEventsRequest::default()).await.is_empty());
}

#[tokio::test]
async fn groups_are_described_in_pages() {
    let world = World::new().await;
    for name in ["/ecs/a", "/ecs/b", "/ecs/c", "z"] {
        let input = CreateLogGroupRequest { log_group_name: text(name), ..Default::default() };
        world.service.create_log_group(&world.caller, input).await.unwrap();
    }
    let describe = async |input: DescribeLogGroupsRequest| {
        let answer = world.service.describe_log_groups(&world.caller, input).await.unwrap();
        let names: Vec<_> = answer.log_groups.unwrap().into_iter().map(|group| group.log_group_name.unwrap()).collect();
        (names, answer.next_token)
    };
    let page = |limit, next_token| DescribeLogGroupsRequest { limit: Some(limit), next_token, ..Default::default() };
    let (first, token) = describe(page(3, None)).await;
    assert_eq!(first, ["/ecs/a", "/ecs/b", "/ecs/c"]);
    assert_eq!(describe(page(3, token)).await, (vec!["g".into(), "z".into()], None));
    let prefix = DescribeLogGroupsRequest { log_group_name_prefix: text("/ecs/"), ..Default::default() };
    assert_eq!(describe(prefix).await.0.len(), 3);
    let pattern = DescribeLogGroupsRequest { log_group_name_pattern: text("s/b"), ..Default::default() };
    assert_eq!(describe(pattern).await.0, ["/ecs/b"]);
    let elsewhere = Caller::root("111122223333", "us-east-1");
    let there = world.service.describe_log_groups(&elsewhere, Default::default()).await.unwrap();
    assert_eq!(there.log_groups, Some(Vec::new()), "regions are apart");

    refused(
        world
            .service
            .create_log_group(&world.caller, CreateLogGroupRequest { log_group_name: text("z"), ..Default::default() })
            .await,
        "ResourceAlreadyExistsException",
        "The specified log group already exists",
    );
    refused(
        world.create_stream("a").await,
        "ResourceAlreadyExistsException",
        "The specified log stream already exists",
    );
    let gone =
        world.service.delete_log_group(&world.caller, DeleteLogGroupRequest { log_group_name: text("nope") }).await;
    refused(gone, "ResourceNotFoundException", "The specified log group does not exist.");
}

#[tokio::test]
async fn tags_follow_the_arn() {
    let world = World::new().await;
    let arn = "arn:aws:logs:eu-west-1:111122223333:log-group:g".to_owned();
    let tags = [("team".to_owned(), "blue".to_owned()), ("tier".to_owned(), "web".to_owned())].into();
    let tag = TagResourceRequest { resource_arn: Some(arn.clone()), tags: Some(tags) };
    world.service.tag_resource(&world.caller, tag).await.unwrap();
    let untag = UntagResourceRequest { resource_arn: Some(arn.clone()), tag_keys: Some(vec!["tier".into()]) };
    world.service.untag_resource(&world.caller, untag).await.unwrap();
    let list = ListTagsForResourceRequest { resource_arn: Some(arn.clone()) };
    let listed = world.service.list_tags_for_resource(&world.caller, list).await.unwrap();
    assert_eq!(listed.tags, Some([("team".to_owned(), "blue".to_owned())].into()));
    let many = (0..50).map(|i| (format!("k{i}"), String::new())).collect();
    let many = world
        .service
        .tag_resource(&world.caller, TagResourceRequest { resource_arn: Some(arn), tags: Some(many) })
        .await;
    assert_eq!(many.unwrap_err().code, ErrorCode::TooManyTagsException);
    let reserved = CreateLogGroupRequest {
        log_group_name: text("other"),
        tags: Some([("aws:team".to_owned(), String::new())].into()),
        ..Default::default()
    };
    let refusal = world.service.create_log_group(&world.caller, reserved).await;
    refused(refusal, "InvalidParameterException", "Tag keys starting with aws: are reserved for AWS use.");
}
