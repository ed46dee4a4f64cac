//! One instance's ACS session, from the control plane's side: what was sent, what was acknowledged, what to send again.
//!
//! [`Session`] outlives connections. The control plane moves bytes, calls [`Session::step`] with what happened, and does
//! what the actions say. It gives no hints about what is missing: the session knows, and sends it again at reconnect.

use std::collections::BTreeMap;
use std::time::Duration;

use stdx::Timestamp;

use crate::close::code;
use crate::payload::{DesiredStatus, Payload, Task};
use crate::{
    FromAgent, Heartbeat, IamRoleCredentialsMessage, ManifestTask, RoleCredentials, RoleType, TaskManifest,
    TaskStopVerificationAck, ToAgent,
};

/// The official agent hangs up after one to two minutes of silence.
pub const HEARTBEAT_EVERY: Duration = Duration::from_secs(30);

/// An agent of protocol version 2 expects the server to hang up when its acknowledgements stop coming.
pub const HEARTBEAT_ACK_WITHIN: Duration = Duration::from_secs(90);

/// An unacknowledged payload is sent again on the same connection after this long.
pub const RESEND_AFTER: Duration = Duration::from_secs(60);

/// Tasks in one payload message.
pub const TASKS_MAX: usize = 10;

/// What can happen.
#[derive(Clone, Debug)]
pub enum Event {
    /// An upgrade succeeded. `connection` is a fresh id; message ids are made of it. The caller drops an older socket.
    Connected {
        connection: String,
        send_credentials: bool,
    },
    /// The socket is gone.
    Disconnected,
    /// These tasks should be as they say. Idempotent: a task already on its way is not sent twice.
    Deliver(Vec<Task>),
    /// Fresh keys for a task that has already been delivered.
    Credentials {
        task_arn: String,
        task_cluster_arn: String,
        role_type: RoleType,
        credentials: RoleCredentials,
    },
    /// Everything that should be on the instance; the agent answers with what it would stop.
    Manifest(Vec<ManifestTask>),
    /// The tasks of a [`Action::VerifyStops`] that really should stop.
    ConfirmStops {
        message_id: String,
        tasks: Vec<ManifestTask>,
    },
    /// The agent's API reported this task. That ends a stop; a start must be acknowledged too, because an agent reports
    /// as soon as it can and acknowledges what it would remember after a crash.
    Reported {
        task_arn: String,
        status: DesiredStatus,
    },
    /// The control plane does not care for this task any more.
    Forget {
        task_arn: String,
    },
    Received(FromAgent),
    /// A moment named by [`Action::LookAgain`] has come. An early or a late one does no harm.
    Tick,
}

/// What to do about it, in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    Send(Box<ToAgent>),
    /// Close the socket. No `Disconnected` is needed after it.
    Close {
        code: u16,
        reason: &'static str,
    },
    /// The agent restarted and wants the credentials of all its tasks.
    SendCredentials,
    /// The agent would stop these: answer with [`Event::ConfirmStops`].
    VerifyStops {
        message_id: String,
        candidates: Vec<ManifestTask>,
    },
    /// Call `step` with a [`Event::Tick`] then. Replaces the earlier wish.
    LookAgain {
        at: Timestamp,
    },
}

#[derive(Clone, Debug)]
struct Wanted {
    task: Task,
    /// The message that carries it on the current connection.
    message_id: Option<String>,
    sent_at: Timestamp,
    acked: bool,
    /// It was acknowledged, on this connection or an earlier one.
    remembered: bool,
    /// It was reported RUNNING.
    running: bool,
}

impl Wanted {
    fn done(&self) -> bool {
        self.task.desired_status == DesiredStatus::Running && self.remembered && self.running
    }
}

#[derive(Clone, Debug)]
struct Connection {
    id: String,
    messages: u64,
    next_heartbeat: Timestamp,
    /// The last sign of the agent: its connect or an acknowledged heartbeat.
    heard_at: Timestamp,
}

#[derive(Clone, Debug)]
pub struct Session {
    cluster_arn: String,
    container_instance_arn: String,
    /// The last sequence number used; payloads and manifests share the line.
    seq_num: i64,
    wanted: BTreeMap<String, Wanted>,
    connection: Option<Connection>,
}

impl Session {
    /// `seq_num`: larger than any this instance ever saw. Milliseconds since 1970 serve well after a restart.
    pub fn new(cluster_arn: String, container_instance_arn: String, seq_num: i64) -> Session {
        Session { cluster_arn, container_instance_arn, seq_num, wanted: BTreeMap::new(), connection: None }
    }

    pub fn connected(&self) -> bool {
        self.connection.is_some()
    }

    /// Tasks whose acknowledgement or whose effect is still missing.
    pub fn outstanding(&self) -> impl Iterator<Item = &str> {
        self.wanted.keys().map(String::as_str)
    }

    /// What to do about an event. The caller does the actions in order.
    pub fn step(&mut self, event: Event, now: Timestamp) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Event::Connected { connection, send_credentials } => {
                self.connected_now(connection, now, send_credentials, &mut actions)
            }
            Event::Disconnected => self.connection = None,
            Event::Deliver(tasks) => tasks.into_iter().for_each(|task| self.want(task)),
            Event::Credentials { task_arn, task_cluster_arn, role_type, credentials } => {
                self.send(&mut actions, |message_id, _| {
                    ToAgent::IamRoleCredentials(IamRoleCredentialsMessage {
                        message_id,
                        task_arn,
                        task_cluster_arn: Some(task_cluster_arn),
                        role_type,
                        role_credentials: credentials,
                    })
                });
            }
            Event::Manifest(tasks) => self.send_manifest(tasks, now, &mut actions),
            Event::ConfirmStops { message_id, tasks } => self.send(&mut actions, |_, _| {
                ToAgent::TaskStopVerificationAck(TaskStopVerificationAck {
                    message_id,
                    generated_at: now.as_millis(),
                    stop_tasks: tasks,
                })
            }),
            Event::Reported { task_arn, status } => self.reported(&task_arn, status),
            Event::Forget { task_arn } => drop(self.wanted.remove(&task_arn)),
            Event::Received(message) => self.received(message, now, &mut actions),
            Event::Tick => {}
        }
        self.settle(now, &mut actions);
        actions
    }

    fn connected_now(&mut self, id: String, now: Timestamp, send_credentials: bool, actions: &mut Vec<Action>) {
        // The first heartbeat goes out at once: it tells both sides early that the socket works.
        self.connection = Some(Connection { id, messages: 0, next_heartbeat: now, heard_at: now });
        for wanted in self.wanted.values_mut() {
            (wanted.message_id, wanted.acked) = (None, false);
        }
        if send_credentials {
            actions.push(Action::SendCredentials);
        }
    }

    /// A stop replaces a start; a start never replaces a stop, because a task does not come back.
    fn want(&mut self, task: Task) {
        let known = self.wanted.get(&task.arn).map(|wanted| wanted.task.desired_status);
        match (known, task.desired_status) {
            (Some(DesiredStatus::Stopped), _) | (Some(DesiredStatus::Running), DesiredStatus::Running) => {}
            (None, _) | (Some(DesiredStatus::Running), DesiredStatus::Stopped) => {
                let (sent_at, acked, remembered, running) = (Timestamp::EPOCH, false, false, false);
                let wanted = Wanted { message_id: None, sent_at, acked, remembered, running, task };
                self.wanted.insert(wanted.task.arn.clone(), wanted);
            }
        }
    }

    /// A stopped task ends every wait.
    fn reported(&mut self, task_arn: &str, status: DesiredStatus) {
        let Some(wanted) = self.wanted.get_mut(task_arn) else { return };
        wanted.running = true;
        if status == DesiredStatus::Stopped || wanted.done() {
            self.wanted.remove(task_arn);
        }
    }

    fn received(&mut self, message: FromAgent, now: Timestamp, actions: &mut Vec<Action>) {
        let Some(connection) = &mut self.connection else { return };
        connection.heard_at = now;
        match message {
            FromAgent::Ack(ack) => {
                for wanted in self.wanted.values_mut() {
                    wanted.acked |= wanted.message_id.as_deref() == Some(&ack.message_id);
                    wanted.remembered |= wanted.acked;
                }
                self.wanted.retain(|_, wanted| !wanted.done());
            }
            FromAgent::TaskStopVerification(verification) => actions.push(Action::VerifyStops {
                message_id: verification.message_id,
                candidates: verification.stop_candidates,
            }),
            FromAgent::Nack(_) | FromAgent::HeartbeatAck(_) | FromAgent::IamRoleCredentialsAck(_) => {}
        }
    }

    /// Everything that is due, however it came to be due.
    fn settle(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        let Some(connection) = &self.connection else { return };
        if now.since(connection.heard_at) > HEARTBEAT_ACK_WITHIN {
            self.connection = None;
            // 1001, so that a living agent comes back at once.
            actions.push(Action::Close { code: code::GOING_AWAY, reason: "heartbeats were not acknowledged" });
            return;
        }
        self.send_payloads(now, actions);
        self.send_heartbeat(now, actions);
        if let Some(at) = self.next_look() {
            actions.push(Action::LookAgain { at });
        }
    }

    fn send_payloads(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        let due = |wanted: &Wanted| {
            wanted.message_id.is_none() || (!wanted.acked && now.since(wanted.sent_at) >= RESEND_AFTER)
        };
        let mut arns: Vec<String> =
            self.wanted.iter().filter(|(_, wanted)| due(wanted)).map(|(arn, _)| arn.clone()).collect();
        // Stops first: they free what the starts may need.
        arns.sort_by_key(|arn| self.wanted[arn].task.desired_status != DesiredStatus::Stopped);
        for chunk in arns.chunks(TASKS_MAX) {
            self.seq_num += 1;
            let Some(connection) = &mut self.connection else { return };
            let message_id = connection.next_message_id();
            let mut tasks = Vec::with_capacity(chunk.len());
            for arn in chunk {
                let Some(wanted) = self.wanted.get_mut(arn) else { continue };
                wanted.message_id = Some(message_id.clone());
                wanted.sent_at = now;
                tasks.push(wanted.task.clone());
            }
            actions.push(Action::Send(Box::new(ToAgent::Payload(Payload {
                message_id,
                cluster_arn: self.cluster_arn.clone(),
                container_instance_arn: self.container_instance_arn.clone(),
                generated_at: now.as_millis(),
                seq_num: Some(self.seq_num),
                timeline: None,
                tasks,
            }))));
        }
    }

    fn send_heartbeat(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        let Some(connection) = &mut self.connection else { return };
        if now < connection.next_heartbeat {
            return;
        }
        connection.next_heartbeat = now + HEARTBEAT_EVERY;
        let message_id = Some(connection.next_message_id());
        actions.push(Action::Send(Box::new(ToAgent::Heartbeat(Heartbeat { message_id, healthy: true }))));
    }

    fn send_manifest(&mut self, tasks: Vec<ManifestTask>, now: Timestamp, actions: &mut Vec<Action>) {
        self.seq_num += 1;
        let timeline = self.seq_num;
        let (cluster_arn, container_instance_arn) = (self.cluster_arn.clone(), self.container_instance_arn.clone());
        self.send(actions, |message_id, _| {
            ToAgent::TaskManifest(TaskManifest {
                message_id,
                cluster_arn,
                container_instance_arn,
                generated_at: now.as_millis(),
                timeline,
                tasks,
            })
        });
    }

    /// Sends when there is somebody to send to; what is lost otherwise is sent afresh after the next connect.
    fn send(&mut self, actions: &mut Vec<Action>, message: impl FnOnce(String, &Connection) -> ToAgent) {
        let Some(connection) = &mut self.connection else { return };
        let message_id = connection.next_message_id();
        actions.push(Action::Send(Box::new(message(message_id, connection))));
    }

    fn next_look(&self) -> Option<Timestamp> {
        let connection = self.connection.as_ref()?;
        let unacked = self.wanted.values().filter(|wanted| !wanted.acked && wanted.message_id.is_some());
        let resend = unacked.map(|wanted| wanted.sent_at + RESEND_AFTER).min();
        Some(resend.map_or(connection.next_heartbeat, |at| at.min(connection.next_heartbeat)))
    }
}

impl Connection {
    fn next_message_id(&mut self) -> String {
        self.messages += 1;
        format!("{}-{}", self.id, self.messages)
    }
}
