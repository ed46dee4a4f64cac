//! One instance's ACS session, from the control plane's side: what was sent, what was acknowledged, what to send again.
//!
//! [`Session`] outlives connections. The control plane moves bytes, calls [`Session::step`] with what happened, and does
//! what the actions say. It gives no hints about what is missing: the session knows, and sends it again at reconnect.

mod attachments;
mod credentials;
mod tasks;

use std::time::Duration;

use stdx::Timestamp;

use crate::close::code;
use crate::payload::{DesiredStatus, Payload, Task};
use crate::{FromAgent, Heartbeat, ManifestTask, RoleType, TaskManifest, TaskStopVerificationAck, ToAgent};

use attachments::{Addressee, Attachments};
use credentials::Credentials;
use tasks::Tasks;

pub use attachments::Announcement;
pub use credentials::{REFRESH_BEFORE, TaskCredentials};

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
    /// Keys of a role of a task, the first ones or fresh ones. They travel with the task, or after it.
    Credentials(TaskCredentials),
    /// A network interface or a volume comes to the instance. It is told until the agent has heard it, or waits no more.
    Announce {
        attachment_arn: String,
        announcement: Announcement,
    },
    /// It is attached, or will never be.
    Announced {
        attachment_arn: String,
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
    /// These keys are about to end: answer with [`Event::Credentials`].
    RefreshCredentials {
        task_arn: String,
        role_type: RoleType,
    },
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
struct Connection {
    id: String,
    messages: u64,
    next_heartbeat: Timestamp,
    /// The last sign of the agent: its connect or an acknowledged heartbeat.
    heard_at: Timestamp,
    /// The message id of the last manifest, while its verification may still come.
    manifest: Option<String>,
}

#[derive(Clone, Debug)]
pub struct Session {
    cluster_arn: String,
    container_instance_arn: String,
    /// The last sequence number used; payloads and manifests share the line.
    seq_num: i64,
    tasks: Tasks,
    credentials: Credentials,
    attachments: Attachments,
    connection: Option<Connection>,
}

impl Session {
    /// `seq_num`: larger than any this instance ever saw. Milliseconds since 1970 serve well after a restart.
    pub fn new(cluster_arn: String, container_instance_arn: String, seq_num: i64) -> Session {
        Session {
            cluster_arn,
            container_instance_arn,
            seq_num,
            tasks: Tasks::default(),
            credentials: Credentials::default(),
            attachments: Attachments::default(),
            connection: None,
        }
    }

    pub fn connected(&self) -> bool {
        self.connection.is_some()
    }

    /// Tasks whose acknowledgement or whose effect is still missing.
    pub fn outstanding(&self) -> impl Iterator<Item = &str> {
        self.tasks.outstanding()
    }

    /// What to do about an event. The caller does the actions in order.
    pub fn step(&mut self, event: Event, now: Timestamp) -> Vec<Action> {
        let mut actions = Vec::new();
        match event {
            Event::Connected { connection, send_credentials } => self.connected_now(connection, now, send_credentials),
            Event::Disconnected => self.connection = None,
            Event::Deliver(tasks) => tasks.into_iter().for_each(|task| self.tasks.want(task)),
            Event::Credentials(keys) => self.credentials.put(keys, now),
            Event::Announce { attachment_arn, announcement } => {
                self.attachments.announce(attachment_arn, announcement, now)
            }
            Event::Announced { attachment_arn } => self.attachments.forget(&attachment_arn),
            Event::Manifest(tasks) => self.send_manifest(tasks, now, &mut actions),
            Event::ConfirmStops { message_id, tasks } => self.confirm_stops(message_id, tasks, now, &mut actions),
            Event::Reported { task_arn, status } => self.reported(&task_arn, status),
            Event::Forget { task_arn } => self.forget(&task_arn),
            Event::Received(message) => self.received(message, now, &mut actions),
            Event::Tick => {}
        }
        self.settle(now, &mut actions);
        actions
    }

    fn connected_now(&mut self, id: String, now: Timestamp, send_credentials: bool) {
        // The first heartbeat goes out at once: it tells both sides early that the socket works.
        self.connection = Some(Connection { id, messages: 0, next_heartbeat: now, heard_at: now, manifest: None });
        self.tasks.reconnected();
        self.credentials.reconnected(send_credentials);
        self.attachments.reconnected();
    }

    /// A stopped task ends every wait.
    fn reported(&mut self, task_arn: &str, status: DesiredStatus) {
        if status == DesiredStatus::Stopped {
            return self.forget(task_arn);
        }
        self.tasks.running(task_arn);
    }

    fn forget(&mut self, task_arn: &str) {
        self.tasks.forget(task_arn);
        self.credentials.forget(task_arn);
    }

    fn received(&mut self, message: FromAgent, now: Timestamp, actions: &mut Vec<Action>) {
        let Some(connection) = &mut self.connection else { return };
        connection.heard_at = now;
        match message {
            FromAgent::Ack(ack) => {
                self.tasks.acked(&ack.message_id);
                self.attachments.acked(&ack.message_id);
            }
            FromAgent::IamRoleCredentialsAck(ack) => self.credentials.acked(&ack),
            // What an agent thinks of an older manifest is answered by the newer one.
            FromAgent::TaskStopVerification(verification) => {
                if connection.manifest.as_deref() == Some(&verification.message_id) {
                    actions.push(Action::VerifyStops {
                        message_id: verification.message_id,
                        candidates: verification.stop_candidates,
                    });
                }
            }
            // That an image did not come is no matter of the session.
            FromAgent::Nack(_) | FromAgent::HeartbeatAck(_) | FromAgent::PrepullFailed(_) => {}
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
        let ending = self.credentials.ending(now);
        actions
            .extend(ending.into_iter().map(|(task_arn, role_type)| Action::RefreshCredentials { task_arn, role_type }));
        self.send_announcements(now, actions);
        self.send_payloads(now, actions);
        self.send_credentials(now, actions);
        self.send_heartbeat(now, actions);
        if let Some(at) = self.next_look(now) {
            actions.push(Action::LookAgain { at });
        }
    }

    /// Before the payloads: a task with its own interface is told after its interface.
    fn send_announcements(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        let Some(connection) = &mut self.connection else { return };
        let to = Addressee { cluster_arn: &self.cluster_arn, container_instance_arn: &self.container_instance_arn };
        let due = self.attachments.due(&to, now, || connection.next_message_id());
        actions.extend(due.into_iter().map(|message| Action::Send(Box::new(message))));
    }

    /// After the payloads, which carry the keys of the tasks that they start.
    fn send_credentials(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        let Some(connection) = &mut self.connection else { return };
        let due = self.credentials.due(now, || connection.next_message_id());
        actions.extend(due.into_iter().map(|message| Action::Send(Box::new(ToAgent::IamRoleCredentials(message)))));
    }

    fn send_payloads(&mut self, now: Timestamp, actions: &mut Vec<Action>) {
        for chunk in self.tasks.due(now).chunks(TASKS_MAX) {
            self.seq_num += 1;
            let Some(connection) = &mut self.connection else { return };
            let message_id = connection.next_message_id();
            let mut tasks = Vec::with_capacity(chunk.len());
            for arn in chunk {
                let Some(mut task) = self.tasks.send(arn, &message_id, now) else { continue };
                self.credentials.travel_in(&mut task, &message_id, now);
                tasks.push(task);
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
        // When there is nobody to send to, the next connect brings the next manifest.
        let Some(connection) = &mut self.connection else { return };
        self.seq_num += 1;
        let message_id = connection.next_message_id();
        connection.manifest = Some(message_id.clone());
        actions.push(Action::Send(Box::new(ToAgent::TaskManifest(TaskManifest {
            message_id,
            cluster_arn: self.cluster_arn.clone(),
            container_instance_arn: self.container_instance_arn.clone(),
            generated_at: now.as_millis(),
            timeline: self.seq_num,
            tasks,
        }))));
    }

    /// Once for each manifest, and only when there is something to stop: so it is with the agent.
    fn confirm_stops(
        &mut self,
        message_id: String,
        stop_tasks: Vec<ManifestTask>,
        now: Timestamp,
        actions: &mut Vec<Action>,
    ) {
        let Some(connection) = &mut self.connection else { return };
        if connection.manifest.take_if(|manifest| *manifest == message_id).is_some() && !stop_tasks.is_empty() {
            let generated_at = now.as_millis();
            let ack = TaskStopVerificationAck { message_id, generated_at, stop_tasks };
            actions.push(Action::Send(Box::new(ToAgent::TaskStopVerificationAck(ack))));
        }
    }

    fn next_look(&self, now: Timestamp) -> Option<Timestamp> {
        let connection = self.connection.as_ref()?;
        let others = [self.tasks.next_look(), self.credentials.next_look(now), self.attachments.next_look()];
        others.into_iter().flatten().chain([connection.next_heartbeat]).min()
    }
}

impl Connection {
    fn next_message_id(&mut self) -> String {
        self.messages += 1;
        format!("{}-{}", self.id, self.messages)
    }
}
