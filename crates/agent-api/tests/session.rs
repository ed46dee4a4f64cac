//! The control plane's side of one instance's session.

use agent_api::payload::{DesiredStatus, Payload, Task};
use agent_api::session::{Action, Event, Session};
use agent_api::{Ack, FromAgent, HeartbeatAck, ManifestTask, TaskStopVerification, ToAgent};
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
fn a_restarted_agent_asks_for_credentials() {
    let actions = session().step(Event::Connected { connection: "a".into(), send_credentials: true }, at(0));
    assert_eq!(actions[0], Action::SendCredentials);
}

#[test]
fn a_manifest_is_verified_before_anything_stops() {
    let mut session = session();
    connect(&mut session, "a", at(0));
    let extra = ManifestTask { task_arn: "x".into(), desired_status: "STOPPED".into(), ..ManifestTask::default() };
    let actions = session.step(Event::Manifest(Vec::new()), at(1));
    let Action::Send(message) = &actions[0] else { panic!("{actions:?}") };
    let ToAgent::TaskManifest(manifest) = &**message else { panic!("{actions:?}") };
    assert_eq!(manifest.timeline, 101);
    let verification =
        TaskStopVerification { message_id: manifest.message_id.clone(), stop_candidates: vec![extra.clone()] };
    let actions = session.step(Event::Received(FromAgent::TaskStopVerification(verification)), at(2));
    assert_eq!(
        actions[0],
        Action::VerifyStops { message_id: manifest.message_id.clone(), candidates: vec![extra.clone()] }
    );
    let confirm = Event::ConfirmStops { message_id: manifest.message_id.clone(), tasks: vec![extra] };
    let actions = session.step(confirm, at(3));
    let Action::Send(message) = &actions[0] else { panic!("{actions:?}") };
    assert!(matches!(&**message, ToAgent::TaskStopVerificationAck(ack) if ack.message_id == manifest.message_id));
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
