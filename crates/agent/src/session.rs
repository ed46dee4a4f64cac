//! The rules of the two sockets to the control plane, as functions of messages and times: what a message asks for, when the other side
//! counts as silent, when a connection is old, and how long until the next. [`crate::acs`] and [`crate::tcs`] have the sockets, the
//! simulator has simulated ones; both do what is said here.

use std::time::Duration;

use agent_api::close::{AfterClose, INACTIVE_INSTANCE_WAIT, after_close};
use agent_api::extras::{ExecuteCommand, Prepull};
use agent_api::payload::{self, Payload};
use agent_api::{
    Ack, FromAgent, HeartbeatAck, IamRoleCredentialsAck, ManifestTask, Nack, RoleCredentials, RoleType, TaskManifest,
    TaskStopVerification, ToAgent,
};
use stdx::Timestamp;
use task_engine::TaskStatus;

use crate::clock::Backoff;
use crate::limits::{CONNECTION_AGE, CONNECTION_AGE_JITTER, INACTIVITY, RECONNECT_AT_ONCE};

/// Draws a wait between nothing and what it is given.
pub type Jitter<'a> = &'a mut dyn FnMut(Duration) -> Duration;

/// What is to be done, in this sequence.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    Send(FromAgent),
    /// Take them on, stops before starts; what follows is sent when all of them are on the disk, and not at all if one cannot be.
    Accept(Vec<payload::Task>, FromAgent),
    Stop(String),
    /// Newer keys of a task; what follows is sent if it has a use for them.
    RefreshKeys(String, Box<RoleCredentials>, FromAgent),
    Execute(ExecuteCommand),
    Prepull(Prepull),
}

/// How a connection ended, or did not come to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    Closed(u16),
    /// The other side said nothing for too long.
    Silent,
    /// There was none.
    Failed,
    /// The instance was deregistered.
    Inactive,
}

/// What has come due on an open connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Give it up: [`Ended::Silent`].
    Silent,
    /// Close it in good order, and wait for the answer.
    Expired,
}

/// One socket after another, and the waits between them.
#[derive(Clone, Debug)]
pub struct Line {
    backoff: Backoff,
    /// Since when the current attempt has been made.
    since: Timestamp,
    silent_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
}

impl Line {
    pub fn acs() -> Line {
        Line::new(Backoff::acs())
    }

    pub fn tcs() -> Line {
        Line::new(Backoff::tcs())
    }

    fn new(backoff: Backoff) -> Line {
        Line { backoff, since: Timestamp::EPOCH, silent_at: None, expires_at: None }
    }

    /// An attempt begins.
    pub fn begins(&mut self, now: Timestamp) {
        self.since = now;
    }

    /// The upgrade has succeeded.
    pub fn opened(&mut self, now: Timestamp, jitter: Jitter<'_>) {
        self.expires_at = Some(now + CONNECTION_AGE + jitter(CONNECTION_AGE_JITTER));
        self.heard(now, jitter);
    }

    /// A message came that could be read. Unknown and broken ones keep nothing alive.
    pub fn heard(&mut self, now: Timestamp, jitter: Jitter<'_>) {
        self.silent_at = Some(now + INACTIVITY + jitter(INACTIVITY));
    }

    /// When to ask [`Line::due`].
    pub fn next(&self) -> Option<Timestamp> {
        [self.silent_at, self.expires_at].into_iter().flatten().min()
    }

    /// What has come due by now. Each is said once.
    pub fn due(&mut self, now: Timestamp) -> Option<Due> {
        let is_due = |at: &mut Option<Timestamp>| at.take_if(|at| *at <= now).is_some();
        if is_due(&mut self.silent_at) {
            return Some(Due::Silent);
        }
        is_due(&mut self.expires_at).then_some(Due::Expired)
    }

    /// How long until the next attempt.
    pub fn ended(&mut self, how: Ended, now: Timestamp, jitter: Jitter<'_>) -> Duration {
        (self.silent_at, self.expires_at) = (None, None);
        if now.since(self.since) > INACTIVITY {
            self.backoff.reset();
        }
        let after = match how {
            Ended::Closed(code) => after_close(code),
            Ended::Silent | Ended::Failed => AfterClose::BackOff,
            // The official agent's rule.
            Ended::Inactive => return INACTIVE_INSTANCE_WAIT,
        };
        match after {
            AfterClose::ReconnectAtOnce => {
                // There was a connection, and nothing was wrong with it. A control plane that is restarted again and again would else
                // be waited for longer each time: what it wants stopped would go on for minutes.
                self.backoff.reset();
                RECONNECT_AT_ONCE
            }
            AfterClose::BackOff => self.backoff.next_with(jitter),
        }
    }
}

/// What an agent remembers of its conversation on the agent communication socket, over all its connections.
#[derive(Clone, Debug)]
pub struct Session {
    pub line: Line,
    connected_once: bool,
    /// The highest sequence number or timeline seen.
    timeline: Option<i64>,
    /// The manifest whose verification is awaited.
    manifest: Option<String>,
}

impl Default for Session {
    fn default() -> Session {
        Session { line: Line::acs(), connected_once: false, timeline: None, manifest: None }
    }
}

impl Session {
    /// The first connection of an agent's life asks for the keys of all tasks.
    pub fn asks_for_credentials(&self) -> bool {
        !self.connected_once
    }

    pub fn opened(&mut self, now: Timestamp, jitter: Jitter<'_>) {
        self.connected_once = true;
        self.line.opened(now, jitter);
    }

    /// What a message asks for. `strangers` are those tasks here that a manifest does not want to run.
    pub fn received(
        &mut self,
        message: ToAgent,
        strangers: impl FnOnce(&[ManifestTask]) -> Vec<ManifestTask>,
    ) -> Vec<Effect> {
        let send = |message| vec![Effect::Send(message)];
        match message {
            ToAgent::Heartbeat(heartbeat) => {
                send(FromAgent::HeartbeatAck(HeartbeatAck { message_id: heartbeat.message_id }))
            }
            ToAgent::Payload(payload) => self.payload(payload),
            ToAgent::IamRoleCredentials(message) if message.role_type != RoleType::Unknown => {
                let acknowledged = credentials_ack(message.message_id, &message.role_credentials);
                vec![Effect::RefreshKeys(message.task_arn, Box::new(message.role_credentials), acknowledged)]
            }
            ToAgent::IamRoleCredentials(_) => Vec::new(),
            ToAgent::TaskManifest(manifest) => self.manifest(manifest, strangers),
            ToAgent::TaskStopVerificationAck(confirmed) => {
                if self.manifest.as_ref() != Some(&confirmed.message_id) {
                    return Vec::new();
                }
                self.manifest = None;
                confirmed.stop_tasks.into_iter().map(|task| Effect::Stop(task.task_arn)).collect()
            }
            // Interfaces and volumes that are attached at run time are for instances of EC2, which this is not.
            ToAgent::AttachTaskNetworkInterfaces(message) => {
                send(ack(message.cluster_arn, message.container_instance_arn, message.message_id))
            }
            ToAgent::AttachInstanceNetworkInterfaces(message) => {
                send(ack(message.cluster_arn, message.container_instance_arn, message.message_id))
            }
            ToAgent::ConfirmAttachment(message) => {
                send(ack(message.cluster_arn, message.container_instance_arn, message.message_id))
            }
            ToAgent::StageUpdate(update) | ToAgent::PerformUpdate(update) => send(FromAgent::Nack(Nack {
                cluster: update.cluster_arn,
                container_instance: update.container_instance_arn,
                message_id: update.message_id,
                reason: "Updates are disabled".to_owned(),
            })),
            ToAgent::ExecuteCommand(order) => vec![Effect::Execute(order)],
            ToAgent::Prepull(order) => vec![Effect::Prepull(order)],
            ToAgent::Error(_) | ToAgent::Close(_) => Vec::new(),
        }
    }

    fn payload(&mut self, payload: Payload) -> Vec<Effect> {
        if payload.message_id.is_empty() || payload.cluster_arn.is_empty() || payload.container_instance_arn.is_empty()
        {
            return Vec::new();
        }
        self.timeline = self.timeline.max(payload.seq_num).max(payload.timeline);
        let keys = payload.tasks.iter().flat_map(|task| [&task.role_credentials, &task.execution_role_credentials]);
        let acknowledged = keys.flatten().map(|keys| Effect::Send(credentials_ack(payload.message_id.clone(), keys)));
        let mut effects: Vec<Effect> = acknowledged.collect();
        let answer = ack(payload.cluster_arn, payload.container_instance_arn, payload.message_id);
        effects.push(Effect::Accept(payload.tasks, answer));
        effects
    }

    fn manifest(
        &mut self,
        manifest: TaskManifest,
        strangers: impl FnOnce(&[ManifestTask]) -> Vec<ManifestTask>,
    ) -> Vec<Effect> {
        // An older one says nothing about what has come since.
        if self.timeline.is_some_and(|seen| manifest.timeline <= seen) {
            return Vec::new();
        }
        self.timeline = Some(manifest.timeline);
        let message_id = manifest.message_id;
        let answer = ack(manifest.cluster_arn, manifest.container_instance_arn, message_id.clone());
        let mut effects = vec![Effect::Send(answer)];
        let stop_candidates = strangers(&manifest.tasks);
        if !stop_candidates.is_empty() {
            self.manifest = Some(message_id.clone());
            let verification = TaskStopVerification { message_id, stop_candidates };
            effects.push(Effect::Send(FromAgent::TaskStopVerification(verification)));
        }
        effects
    }
}

/// The tasks here, each with its cluster and its status, that a manifest does not want to run.
pub fn strangers<'a>(
    here: impl Iterator<Item = (&'a str, &'a str, TaskStatus)>,
    manifest: &[ManifestTask],
) -> Vec<ManifestTask> {
    let wanted = |arn: &str| {
        manifest.iter().any(|task| task.task_arn == arn && task.desired_status == TaskStatus::Running.name())
    };
    let strangers = here.filter(|(arn, _, status)| *status != TaskStatus::Stopped && !wanted(arn));
    strangers
        .map(|(arn, cluster, _)| ManifestTask {
            task_arn: arn.to_owned(),
            task_cluster_arn: cluster.to_owned(),
            desired_status: TaskStatus::Stopped.name().to_owned(),
        })
        .collect()
}

fn ack(cluster: String, container_instance: String, message_id: String) -> FromAgent {
    FromAgent::Ack(Ack { cluster, container_instance, message_id })
}

fn credentials_ack(message_id: String, credentials: &RoleCredentials) -> FromAgent {
    FromAgent::IamRoleCredentialsAck(IamRoleCredentialsAck {
        message_id,
        credentials_id: credentials.credentials_id.clone(),
        expiration: credentials.expiration.clone(),
    })
}

#[cfg(test)]
mod tests {
    use agent_api::TaskStopVerificationAck;
    use agent_api::close::code;

    use super::*;

    const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn none(_: Duration) -> Duration {
        Duration::ZERO
    }

    fn after(seconds: u64) -> Timestamp {
        START + Duration::from_secs(seconds)
    }

    #[test]
    fn a_good_connection_begins_the_waits_anew() {
        let mut line = Line::acs();
        line.begins(START);
        // A control plane dies, is away for two attempts, and comes back: twenty times.
        for _ in 0..20 {
            assert_eq!(line.ended(Ended::Closed(code::ABNORMAL), START, &mut none), RECONNECT_AT_ONCE);
            for _ in 0..2 {
                let wait = line.ended(Ended::Failed, START, &mut |most| most);
                assert!(wait <= Duration::from_millis(450), "{wait:?}");
            }
        }
    }

    #[test]
    fn a_deregistered_instance_waits_for_an_hour() {
        let mut line = Line::acs();
        line.begins(START);
        assert_eq!(line.ended(Ended::Inactive, START, &mut none), Duration::from_secs(3600));
        assert_eq!(line.ended(Ended::Closed(code::NORMAL), START, &mut none), RECONNECT_AT_ONCE);
        let waits = [(); 3].map(|()| line.ended(Ended::Closed(code::POLICY), START, &mut none).as_millis());
        assert_eq!(waits, [250, 375, 562]);
        // An attempt that lasted forgives those before it.
        assert_eq!(line.ended(Ended::Silent, after(61), &mut none).as_millis(), 250);
    }

    #[test]
    fn silence_ends_a_connection_and_age_closes_it() {
        let mut line = Line::tcs();
        line.begins(START);
        line.opened(START, &mut none);
        assert_eq!((line.next(), line.due(after(59))), (Some(after(60)), None));
        for minute in 0..30 {
            line.heard(after(minute * 60), &mut none);
        }
        assert_eq!(line.due(after(1800)), Some(Due::Silent), "what was last heard is a minute old");
        line.heard(after(1790), &mut none);
        assert_eq!((line.due(after(1800)), line.due(after(1800))), (Some(Due::Expired), None));
        assert_eq!(line.next(), Some(after(1850)), "it is still listened to");
    }

    fn manifest(id: &str, timeline: i64, tasks: &[&str]) -> ToAgent {
        let running = |arn: &&str| ManifestTask {
            task_arn: (*arn).to_owned(),
            desired_status: "RUNNING".to_owned(),
            ..ManifestTask::default()
        };
        ToAgent::TaskManifest(TaskManifest {
            message_id: id.to_owned(),
            timeline,
            tasks: tasks.iter().map(running).collect(),
            ..TaskManifest::default()
        })
    }

    /// Tasks a and b are here, and b has stopped.
    fn here(manifest: &[ManifestTask]) -> Vec<ManifestTask> {
        let tasks = [("a", "c", TaskStatus::Running), ("b", "c", TaskStatus::Stopped)];
        strangers(tasks.into_iter(), manifest)
    }

    #[test]
    fn a_stranger_is_stopped_only_after_a_second_question() {
        let mut session = Session::default();
        let effects = session.received(manifest("m1", 5, &["x"]), here);
        let [Effect::Send(FromAgent::Ack(_)), Effect::Send(FromAgent::TaskStopVerification(asked))] = &effects[..]
        else {
            panic!("{effects:?}")
        };
        assert_eq!(asked.stop_candidates.iter().map(|task| task.task_arn.as_str()).collect::<Vec<_>>(), ["a"]);
        let confirmed = |id: &str| {
            ToAgent::TaskStopVerificationAck(TaskStopVerificationAck {
                message_id: id.to_owned(),
                stop_tasks: vec![ManifestTask { task_arn: "a".to_owned(), ..ManifestTask::default() }],
                ..TaskStopVerificationAck::default()
            })
        };
        assert_eq!(session.received(confirmed("another"), here), []);
        assert_eq!(session.received(confirmed("m1"), here), [Effect::Stop("a".to_owned())]);
        assert_eq!(session.received(confirmed("m1"), here), [], "it was answered");
    }

    #[test]
    fn a_manifest_that_is_older_than_what_came_since_says_nothing() {
        let mut session = Session::default();
        let payload = Payload {
            message_id: "p".to_owned(),
            cluster_arn: "c".to_owned(),
            container_instance_arn: "i".to_owned(),
            seq_num: Some(7),
            ..Payload::default()
        };
        let accepted = session.received(ToAgent::Payload(payload.clone()), here);
        assert_eq!(accepted, [Effect::Accept(Vec::new(), ack("c".into(), "i".into(), "p".into()))]);
        assert_eq!(session.received(manifest("m1", 7, &[]), here), []);
        assert_eq!(session.received(manifest("m2", 8, &["a"]), here).len(), 1, "nobody here is a stranger");
        assert_eq!(session.received(ToAgent::Payload(Payload { message_id: String::new(), ..payload }), here), []);
    }

    #[test]
    fn keys_of_the_whole_instance_are_asked_for_once() {
        let mut session = Session::default();
        assert!(session.asks_for_credentials());
        session.opened(START, &mut none);
        session.line.ended(Ended::Silent, after(90), &mut none);
        assert!(!session.asks_for_credentials());
    }
}
