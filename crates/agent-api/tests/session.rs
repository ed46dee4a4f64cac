//! The control plane's side of one instance's session.

use agent_api::attachment::{AttachTaskNetworkInterfaces, ElasticNetworkInterface};
use agent_api::payload::{Container, DesiredStatus, EcrAuthData, Payload, RegistryAuthentication, Task};
use agent_api::session::{Action, Announcement, Event, Session, TaskCredentials};
use agent_api::{
    Ack, FromAgent, HeartbeatAck, IamRoleCredentialsAck, ManifestTask, RoleCredentials, RoleType, TaskStopVerification,
    ToAgent,
};
use stdx::Timestamp;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

fn session() -> Session {
    Session::new("ARN:cluster/default".into(), "ARN:container-instance/default/1".into(), 100)
}

fn connect(session: &mut Session, id: &str, now: Timestamp) -> Vec<Action> {
    session.step(Event::Connected { connection: id.into(), send_credentials: false }, now)
}

fn task(arn: &str, desired_status: DesiredStatus) -> Task {
    Task { arn: arn.into(), desired_status, ..Task::default() }
}

fn payloads(actions: &[Action]) -> Vec<Payload> {
    let payload = |action: &Action| match action {
        Action::Send(message) => match &**message {
            ToAgent::Payload(payload) => Some(payload.clone()),
            _ => None,
        },
        _ => None,
    };
    actions.iter().filter_map(payload).collect()
}

fn arns(actions: &[Action]) -> Vec<String> {
    payloads(actions).into_iter().flat_map(|payload| payload.tasks).map(|task| task.arn).collect()
}

fn ack(message_id: &str) -> Event {
    Event::Received(FromAgent::Ack(Ack { message_id: message_id.into(), ..Ack::default() }))
}

#[test]
fn a_task_is_sent_once_and_until_its_effect_is_seen_again_at_reconnect() {
    let mut session = session();
    assert_eq!(session.step(Event::Deliver(vec![task("t1", DesiredStatus::Running)]), at(0)), []);
    let sent = payloads(&connect(&mut session, "a", at(1)));
    assert_eq!((sent.len(), sent[0].seq_num, sent[0].message_id.as_str()), (1, Some(101), "a-1"));
    assert_eq!(sent[0].container_instance_arn, "ARN:container-instance/default/1");

    assert_eq!(arns(&session.step(Event::Deliver(vec![task("t1", DesiredStatus::Running)]), at(2))), [""; 0]);
    session.step(ack("a-1"), at(2));
    assert_eq!(arns(&session.step(Event::Tick, at(80))), [""; 0], "an acknowledged payload is not sent again");

    session.step(Event::Disconnected, at(81));
    assert_eq!(arns(&connect(&mut session, "b", at(82))), ["t1"], "acknowledged, but not seen running");
    session.step(Event::Reported { task_arn: "t1".into(), status: DesiredStatus::Running }, at(83));
    session.step(Event::Disconnected, at(84));
    assert_eq!(arns(&connect(&mut session, "c", at(85))), [""; 0]);
    assert_eq!(session.outstanding().count(), 0);
}

#[test]
fn a_running_task_that_its_agent_may_forget_is_sent_again() {
    let mut session = session();
    connect(&mut session, "a", at(0));
    session.step(Event::Deliver(vec![task("t1", DesiredStatus::Running)]), at(1));
    session.step(Event::Reported { task_arn: "t1".into(), status: DesiredStatus::Running }, at(2));
    assert_eq!(session.outstanding().collect::<Vec<_>>(), ["t1"]);
    session.step(Event::Disconnected, at(3));
    assert_eq!(arns(&connect(&mut session, "b", at(4))), ["t1"], "the agent died before it could remember the task");
    session.step(ack("b-1"), at(5));
    assert_eq!(session.outstanding().count(), 0);
}

#[test]
fn an_unacknowledged_payload_is_sent_again_with_a_higher_number() {
    let mut session = session();
    connect(&mut session, "a", at(0));
    let first = payloads(&session.step(Event::Deliver(vec![task("t1", DesiredStatus::Running)]), at(1)));
    session.step(Event::Received(FromAgent::HeartbeatAck(HeartbeatAck::default())), at(40));
    assert_eq!(arns(&session.step(Event::Tick, at(60))), [""; 0]);
    let again = payloads(&session.step(Event::Tick, at(61)));
    assert!(again[0].seq_num > first[0].seq_num);
    assert_ne!(again[0].message_id, first[0].message_id);
}

#[test]
fn a_stop_replaces_a_start_and_ends_with_the_stopped_report() {
    let mut session = session();
    connect(&mut session, "a", at(0));
    session.step(Event::Deliver(vec![task("t1", DesiredStatus::Running)]), at(1));
    let stop = payloads(&session.step(Event::Deliver(vec![task("t1", DesiredStatus::Stopped)]), at(2)));
    assert_eq!(stop[0].tasks[0].desired_status, DesiredStatus::Stopped);
    session.step(Event::Deliver(vec![task("t1", DesiredStatus::Running)]), at(3));
    session.step(Event::Reported { task_arn: "t1".into(), status: DesiredStatus::Running }, at(3));
    assert_eq!(session.outstanding().collect::<Vec<_>>(), ["t1"], "running is not what we wait for");
    session.step(Event::Reported { task_arn: "t1".into(), status: DesiredStatus::Stopped }, at(4));
    assert_eq!(session.outstanding().count(), 0);
}

#[test]
fn many_tasks_share_messages_stops_first() {
    let mut session = session();
    let mut tasks: Vec<Task> = (0..12).map(|n| task(&format!("t{n:02}"), DesiredStatus::Running)).collect();
    tasks.push(task("z", DesiredStatus::Stopped));
    session.step(Event::Deliver(tasks), at(0));
    let sent = payloads(&connect(&mut session, "a", at(1)));
    assert_eq!(sent.iter().map(|payload| payload.tasks.len()).collect::<Vec<_>>(), [10, 3]);
    assert_eq!(sent[0].tasks[0].arn, "z");
    assert!(sent[1].seq_num > sent[0].seq_num);
}

#[test]
fn heartbeats_keep_going_and_silence_ends_the_connection() {
    let mut session = session();
    let is_heartbeat = |action: &Action| matches!(action, Action::Send(m) if matches!(**m, ToAgent::Heartbeat(_)));
    let first = connect(&mut session, "a", at(0));
    assert!(is_heartbeat(&first[0]), "{first:?}");
    assert_eq!(first[1], Action::LookAgain { at: at(30) });
    assert_eq!(session.step(Event::Tick, at(29)), [Action::LookAgain { at: at(30) }]);
    assert!(is_heartbeat(&session.step(Event::Tick, at(30))[0]));
    session.step(Event::Received(FromAgent::HeartbeatAck(HeartbeatAck::default())), at(31));
    session.step(Event::Tick, at(60));
    session.step(Event::Tick, at(90));
    session.step(Event::Tick, at(120));
    let close = session.step(Event::Tick, at(122));
    assert!(matches!(close[..], [Action::Close { code: 1001, .. }]), "{close:?}");
    assert!(!session.connected());
    assert_eq!(session.step(Event::Tick, at(200)), []);
}

#[test]
fn a_manifest_is_verified_before_anything_stops() {
    let mut session = session();
    connect(&mut session, "a", at(0));
    let extra = ManifestTask { task_arn: "x".into(), desired_status: "STOPPED".into(), ..ManifestTask::default() };
    let manifest = |actions: &[Action]| match sent(actions).into_iter().next() {
        Some(ToAgent::TaskManifest(manifest)) => manifest,
        other => panic!("{other:?}"),
    };
    let old = manifest(&session.step(Event::Manifest(Vec::new()), at(1)));
    assert_eq!(old.timeline, 101);
    let new = manifest(&session.step(Event::Manifest(Vec::new()), at(1)));
    assert!(new.timeline > old.timeline);
    let verify = |message_id: &str| {
        let (message_id, stop_candidates) = (message_id.to_owned(), vec![extra.clone()]);
        Event::Received(FromAgent::TaskStopVerification(TaskStopVerification { message_id, stop_candidates }))
    };
    let confirm = |message_id: &str, tasks: &[ManifestTask]| Event::ConfirmStops {
        message_id: message_id.to_owned(),
        tasks: tasks.to_vec(),
    };
    let asks = |actions: &[Action]| actions.iter().any(|action| matches!(action, Action::VerifyStops { .. }));
    assert!(!asks(&session.step(verify(&old.message_id), at(2))), "a newer manifest is on its way");
    assert!(asks(&session.step(verify(&new.message_id), at(2))));
    let confirmed = sent(&session.step(confirm(&new.message_id, std::slice::from_ref(&extra)), at(3)));
    assert!(matches!(&confirmed[..], [ToAgent::TaskStopVerificationAck(ack)] if ack.message_id == new.message_id));
    assert!(!asks(&session.step(verify(&new.message_id), at(4))), "once for each manifest");

    let third = manifest(&session.step(Event::Manifest(Vec::new()), at(5)));
    assert!(asks(&session.step(verify(&third.message_id), at(5))));
    assert_eq!(sent(&session.step(confirm(&third.message_id, &[]), at(5))), [], "nothing to stop, nothing to say");
}

fn sent(actions: &[Action]) -> Vec<ToAgent> {
    let message = |action: &Action| match action {
        Action::Send(message) => Some((**message).clone()),
        _ => None,
    };
    actions.iter().filter_map(message).filter(|message| !matches!(message, ToAgent::Heartbeat(_))).collect()
}

fn keys(task: &str, role_type: RoleType, key: &str, expires_at: Timestamp) -> Event {
    Event::Credentials(TaskCredentials {
        task_arn: task.into(),
        task_cluster_arn: "ARN:cluster/default".into(),
        role_type,
        credentials: RoleCredentials {
            credentials_id: format!("id-{key}"),
            access_key_id: key.into(),
            ..RoleCredentials::default()
        },
        expires_at,
    })
}

fn told(actions: &[Action]) -> Vec<(String, String)> {
    let one = |message: ToAgent| match message {
        ToAgent::IamRoleCredentials(message) => {
            Some((message.role_credentials.credentials_id, message.role_credentials.access_key_id))
        }
        _ => None,
    };
    sent(actions).into_iter().filter_map(one).collect()
}

/// The ids of the messages that carry keys.
fn carriers(actions: &[Action]) -> Vec<String> {
    let one = |message: ToAgent| match message {
        ToAgent::IamRoleCredentials(message) => Some(message.message_id),
        _ => None,
    };
    sent(actions).into_iter().filter_map(one).collect()
}

fn pair(id: &str, key: &str) -> (String, String) {
    (id.into(), key.into())
}

#[test]
fn keys_travel_with_their_task_and_are_refreshed_under_the_same_id() {
    let mut session = session();
    let hour = at(3600);
    let alive = |session: &mut Session, now: i64| {
        session.step(Event::Received(FromAgent::HeartbeatAck(HeartbeatAck::default())), at(now))
    };
    session.step(keys("t1", RoleType::TaskApplication, "k1", hour), at(0));
    session.step(keys("t1", RoleType::TaskExecution, "x1", hour), at(0));
    let ecr = EcrAuthData::default();
    let container = Container {
        registry_authentication: Some(RegistryAuthentication { ecr_auth_data: Some(ecr), ..Default::default() }),
        ..Container::default()
    };
    let start = Task { containers: vec![container], ..task("t1", DesiredStatus::Running) };
    session.step(Event::Deliver(vec![start]), at(0));
    let actions = connect(&mut session, "a", at(1));
    assert_eq!(told(&actions), [], "the payload has them");
    let started = &payloads(&actions)[0].tasks[0];
    assert_eq!(started.role_credentials.as_ref().unwrap().credentials_id, "id-k1");
    assert_eq!(started.execution_role_credentials.as_ref().unwrap().access_key_id, "x1");
    let auth = started.containers[0].registry_authentication.as_ref().unwrap();
    assert!(auth.ecr_auth_data.as_ref().unwrap().use_execution_role);

    let acked = |message: &str, id: &str| {
        let (message_id, credentials_id) = (message.to_owned(), id.to_owned());
        let ack = IamRoleCredentialsAck { message_id, credentials_id, ..Default::default() };
        Event::Received(FromAgent::IamRoleCredentialsAck(ack))
    };
    session.step(ack("a-1"), at(2));
    session.step(acked("a-1", "id-k1"), at(2));
    // Only one of the two was acknowledged: the other follows in a message of its own.
    alive(&mut session, 60);
    let second = session.step(Event::Tick, at(61));
    assert_eq!(told(&second), [pair("id-x1", "x1")]);
    session.step(Event::Reported { task_arn: "t1".into(), status: DesiredStatus::Running }, at(62));

    // Twenty minutes before they end fresh ones are asked for, again and again until they come.
    let wishes = |actions: &[Action]| {
        actions.iter().filter(|action| matches!(action, Action::RefreshCredentials { .. })).count()
    };
    alive(&mut session, 2399);
    assert_eq!(wishes(&session.step(Event::Tick, at(2399))), 0);
    assert_eq!(wishes(&session.step(Event::Tick, at(2400))), 2);
    alive(&mut session, 2459);
    assert_eq!(wishes(&session.step(Event::Tick, at(2459))), 0);
    assert_eq!(wishes(&session.step(Event::Tick, at(2460))), 2);
    let fresh = session.step(keys("t1", RoleType::TaskApplication, "k2", at(7200)), at(2461));
    assert_eq!(told(&fresh), [pair("id-k1", "k2")]);

    // A connection that only broke has them; a process that starts has none.
    session.step(acked(&carriers(&fresh)[0], "id-k1"), at(2462));
    session.step(acked(&carriers(&second)[0], "id-x1"), at(2462));
    session.step(Event::Disconnected, at(2463));
    session.step(keys("t1", RoleType::TaskExecution, "x2", at(7200)), at(2464));
    assert_eq!(told(&connect(&mut session, "b", at(2465))), [pair("id-x1", "x2")]);
    let restarted = session.step(Event::Connected { connection: "c".into(), send_credentials: true }, at(2466));
    assert_eq!(told(&restarted), [pair("id-k1", "k2"), pair("id-x1", "x2")]);
    // They go with their task.
    session.step(Event::Reported { task_arn: "t1".into(), status: DesiredStatus::Stopped }, at(2467));
    let restarted = session.step(Event::Connected { connection: "d".into(), send_credentials: true }, at(2468));
    assert_eq!(told(&restarted), []);
}

#[test]
fn ended_keys_are_not_sent() {
    let mut session = session();
    session.step(keys("t1", RoleType::TaskApplication, "k1", at(10)), at(0));
    let actions = connect(&mut session, "a", at(10));
    assert_eq!(told(&actions), []);
    assert!(actions.iter().any(|action| matches!(action, Action::RefreshCredentials { .. })), "{actions:?}");
    assert_eq!(told(&session.step(keys("t1", RoleType::TaskApplication, "k2", at(99)), at(10))), [pair("id-k1", "k2")]);
}

#[test]
fn an_interface_is_announced_before_its_task_until_it_is_heard() {
    let mut session = session();
    let announce = |arn: &str, wait_timeout_ms: i64| Event::Announce {
        attachment_arn: arn.into(),
        announcement: Announcement::TaskNetworkInterfaces(AttachTaskNetworkInterfaces {
            task_arn: "t1".into(),
            wait_timeout_ms,
            elastic_network_interfaces: vec![ElasticNetworkInterface::default()],
            ..AttachTaskNetworkInterfaces::default()
        }),
    };
    let announced = |actions: &[Action]| -> Vec<AttachTaskNetworkInterfaces> {
        let one = |message: ToAgent| match message {
            ToAgent::AttachTaskNetworkInterfaces(message) => Some(message),
            _ => None,
        };
        sent(actions).into_iter().filter_map(one).collect()
    };
    session.step(announce("eni-1", 300_000), at(0));
    session.step(announce("eni-2", 30_000), at(0));
    session.step(Event::Deliver(vec![task("t1", DesiredStatus::Running)]), at(0));
    let actions = connect(&mut session, "a", at(10));
    let first = announced(&actions);
    assert_eq!(first.iter().map(|one| one.wait_timeout_ms).collect::<Vec<_>>(), [290_000, 20_000]);
    assert_eq!(first[0].container_instance_arn, "ARN:container-instance/default/1");
    assert!(matches!(sent(&actions)[2], ToAgent::Payload(_)), "the task comes after its interface");
    session.step(Event::Received(FromAgent::HeartbeatAck(HeartbeatAck::default())), at(60));
    let again = announced(&session.step(Event::Tick, at(70)));
    assert_eq!(
        again.iter().map(|one| one.wait_timeout_ms).collect::<Vec<_>>(),
        [230_000],
        "nobody waits for the other"
    );
    session.step(ack(&again[0].message_id), at(71));
    assert_eq!(announced(&connect(&mut session, "b", at(72))), []);
    session.step(announce("eni-3", 300_000), at(73));
    session.step(Event::Announced { attachment_arn: "eni-3".into() }, at(74));
    assert_eq!(announced(&connect(&mut session, "c", at(75))), []);
}

#[test]
fn messages_of_an_old_connection_acknowledge_nothing() {
    let mut session = session();
    connect(&mut session, "a", at(0));
    session.step(Event::Deliver(vec![task("t1", DesiredStatus::Running)]), at(1));
    connect(&mut session, "b", at(2));
    session.step(ack("a-2"), at(3));
    session.step(Event::Received(FromAgent::HeartbeatAck(HeartbeatAck::default())), at(50));
    assert_eq!(arns(&session.step(Event::Tick, at(70))), ["t1"]);
}
