//! The agent communication socket: work comes down, acknowledgements go up.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use agent_api::close::{AfterClose, INACTIVE_INSTANCE_WAIT, UpgradeRefusal, after_close};
use agent_api::extras::ExecuteCommand;
use agent_api::payload::Payload;
use agent_api::query::AcsQuery;
use agent_api::{
    Ack, Decoded, FromAgent, HeartbeatAck, IamRoleCredentialsAck, Nack, RoleCredentials, RoleType, TaskManifest,
    TaskStopVerification, ToAgent,
};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::clock::{Backoff, jitter};
use crate::endpoints::{EndpointCache, socket_url};
use crate::exec;
use crate::limits::{CONNECTION_AGE, CONNECTION_AGE_JITTER, INACTIVITY, RECONNECT_AT_ONCE};
use crate::prepull::Prepulls;
use crate::registration::{AGENT_HASH, AGENT_VERSION, ENGINE_VERSION};
use crate::seams::ControlPlane;
use crate::socket::{ConnectError, Incoming, Socket};
use crate::tasks::{Accepted, Tasks};

pub struct Acs {
    pub control: Arc<dyn ControlPlane>,
    pub endpoints: Arc<EndpointCache>,
    pub tasks: Arc<Tasks>,
    pub cluster: String,
    pub container_instance_arn: String,
    /// Told at each upgrade that succeeded.
    pub connected: tokio::sync::watch::Sender<bool>,
    pub prepulls: Prepulls,
    /// They outlive a connection, and not this agent.
    pub sessions: Mutex<JoinSet<()>>,
}

/// What one connection remembers, and what outlives it.
#[derive(Default)]
struct Memory {
    connected_once: bool,
    /// The highest sequence number or timeline seen.
    timeline: Option<i64>,
    /// The manifest whose verification is awaited.
    manifest: Option<String>,
}

enum Ended {
    Reconnect(AfterClose),
    /// The official agent's rule for a deregistered instance.
    Inactive,
}

impl Ended {
    /// How long until the next try.
    fn wait(self, backoff: &mut Backoff) -> Duration {
        match self {
            Ended::Reconnect(AfterClose::ReconnectAtOnce) => {
                // There was a connection, and nothing was wrong with it. A control plane that is restarted again and again would else
                // be waited for longer each time: what it wants stopped would go on for minutes.
                backoff.reset();
                RECONNECT_AT_ONCE
            }
            Ended::Reconnect(AfterClose::BackOff) => backoff.next(),
            Ended::Inactive => INACTIVE_INSTANCE_WAIT,
        }
    }
}

impl Acs {
    /// Connects, and connects again, for ever.
    pub async fn run(self) {
        let mut memory = Memory::default();
        let mut backoff = Backoff::acs();
        loop {
            let began = Instant::now();
            let ended = self.session(&mut memory).await;
            self.connected.send_replace(false);
            if began.elapsed() > INACTIVITY {
                backoff.reset();
            }
            tokio::time::sleep(ended.wait(&mut backoff)).await;
        }
    }

    async fn session(&self, memory: &mut Memory) -> Ended {
        let mut socket = match self.connect(memory).await {
            Ok(socket) => socket,
            Err(Some(ConnectError::Refused(UpgradeRefusal::InactiveInstance(message)))) => {
                tracing::warn!(message, "this container instance was deregistered");
                return Ended::Inactive;
            }
            Err(error) => {
                if let Some(error) = error {
                    self.endpoints.doubt_after(&error).await;
                    tracing::warn!(error = &error as &dyn std::error::Error, "no ACS connection");
                }
                return Ended::Reconnect(AfterClose::BackOff);
            }
        };
        memory.connected_once = true;
        self.connected.send_replace(true);
        let (outbox, mut outgoing) = mpsc::unbounded_channel();
        let expires = Instant::now() + CONNECTION_AGE + jitter(CONNECTION_AGE_JITTER);
        let mut silent_until = Instant::now() + INACTIVITY + jitter(INACTIVITY);
        let mut expired = false;
        loop {
            tokio::select! {
                incoming = socket.next() => match incoming {
                    Incoming::Closed(code) => return Ended::Reconnect(after_close(code)),
                    Incoming::Text(text) => if self.received(&text, memory, &outbox) {
                        silent_until = Instant::now() + INACTIVITY + jitter(INACTIVITY);
                    },
                },
                Some(message) = outgoing.recv() => {
                    let message: FromAgent = message;
                    socket.send(message.encode()).await;
                }
                () = sleep_until(silent_until) => {
                    tracing::warn!("the control plane is silent on ACS");
                    return Ended::Reconnect(AfterClose::BackOff);
                }
                () = sleep_until(expires), if !expired => {
                    expired = true;
                    socket.close("connection expired").await;
                }
            }
        }
    }

    async fn connect(&self, memory: &Memory) -> Result<Socket, Option<ConnectError>> {
        let endpoint =
            self.endpoints.get(&*self.control, &self.container_instance_arn).await.and_then(|found| found.acs);
        let Some(endpoint) = endpoint else { return Err(None) };
        let query = AcsQuery {
            agent_hash: AGENT_HASH.to_owned(),
            agent_version: AGENT_VERSION.to_owned(),
            cluster_arn: self.cluster.clone(),
            container_instance_arn: self.container_instance_arn.clone(),
            docker_version: format!("DockerVersion: {ENGINE_VERSION}"),
            protocol_version: 2,
            send_credentials: !memory.connected_once,
            seq_num: 1,
        };
        let url = socket_url(&endpoint, &query.encode()).ok_or(ConnectError::Url(endpoint))?;
        let headers = self.control.sign(&url, "");
        Ok(Socket::connect(&url, headers).await?)
    }

    /// True when it was a message; unknown types and broken ones keep nothing alive.
    fn received(&self, text: &str, memory: &mut Memory, outbox: &mpsc::UnboundedSender<FromAgent>) -> bool {
        let message = match ToAgent::decode(text) {
            Ok(Decoded::Known(message)) => message,
            Ok(Decoded::Unknown { message_type }) => {
                tracing::debug!(message_type, "an unknown ACS message is skipped");
                return false;
            }
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "a broken ACS message is dropped");
                return false;
            }
        };
        let answer = match message {
            ToAgent::Heartbeat(heartbeat) => {
                Some(FromAgent::HeartbeatAck(HeartbeatAck { message_id: heartbeat.message_id }))
            }
            ToAgent::Payload(payload) => {
                self.payload(payload, memory, outbox.clone());
                None
            }
            ToAgent::IamRoleCredentials(message) if message.role_type != RoleType::Unknown => {
                let acknowledged = credentials_ack(message.message_id, &message.role_credentials);
                self.tasks.refresh_keys(&message.task_arn, message.role_credentials).then_some(acknowledged)
            }
            ToAgent::IamRoleCredentials(_) => None,
            ToAgent::TaskManifest(manifest) => {
                self.manifest(manifest, memory, outbox);
                None
            }
            ToAgent::TaskStopVerificationAck(confirmed) => {
                if memory.manifest.as_ref() == Some(&confirmed.message_id) {
                    memory.manifest = None;
                    confirmed.stop_tasks.iter().for_each(|task| self.tasks.stop(&task.task_arn));
                }
                None
            }
            // Interfaces and volumes that are attached at run time are for instances of EC2, which this is not.
            ToAgent::AttachTaskNetworkInterfaces(message) => {
                Some(ack(message.cluster_arn, message.container_instance_arn, message.message_id))
            }
            ToAgent::AttachInstanceNetworkInterfaces(message) => {
                Some(ack(message.cluster_arn, message.container_instance_arn, message.message_id))
            }
            ToAgent::ConfirmAttachment(message) => {
                Some(ack(message.cluster_arn, message.container_instance_arn, message.message_id))
            }
            ToAgent::StageUpdate(update) | ToAgent::PerformUpdate(update) => Some(FromAgent::Nack(Nack {
                cluster: update.cluster_arn,
                container_instance: update.container_instance_arn,
                message_id: update.message_id,
                reason: "Updates are disabled".to_owned(),
            })),
            ToAgent::ExecuteCommand(order) => {
                self.execute(order);
                None
            }
            ToAgent::Prepull(order) => {
                self.prepulls.order(order);
                None
            }
            ToAgent::Error(_) | ToAgent::Close(_) => None,
        };
        if let Some(answer) = answer {
            let _ = outbox.send(answer);
        }
        true
    }

    fn execute(&self, order: ExecuteCommand) {
        let (endpoints, control) = (self.endpoints.clone(), self.control.clone());
        let (tasks, instance) = (self.tasks.clone(), self.container_instance_arn.clone());
        let mut sessions = self.sessions.lock().unwrap_or_else(PoisonError::into_inner);
        while sessions.try_join_next().is_some() {}
        sessions.spawn(async move {
            let endpoint = endpoints.get(&*control, &instance).await.and_then(|found| found.acs);
            let Some(url) = endpoint.and_then(|endpoint| exec::channel_url(&endpoint, &order.path)) else { return };
            exec::serve(order, &url, &tasks, control).await;
        });
    }

    fn payload(&self, payload: Payload, memory: &mut Memory, outbox: mpsc::UnboundedSender<FromAgent>) {
        if payload.message_id.is_empty() || payload.cluster_arn.is_empty() || payload.container_instance_arn.is_empty()
        {
            return;
        }
        memory.timeline = memory.timeline.max(payload.seq_num).max(payload.timeline);
        let keys = payload.tasks.iter().flat_map(|task| [&task.role_credentials, &task.execution_role_credentials]);
        for keys in keys.flatten() {
            let _ = outbox.send(credentials_ack(payload.message_id.clone(), keys));
        }
        let accepted = self.tasks.accept(payload.tasks);
        let answer = ack(payload.cluster_arn, payload.container_instance_arn, payload.message_id);
        tokio::spawn(async move {
            if accepted.await == Accepted::Durably {
                failpoint::place("agent.accepted");
                // Nobody listens when the connection is gone: the payload comes again, and is known then.
                let _ = outbox.send(answer);
            }
        });
    }

    fn manifest(&self, manifest: TaskManifest, memory: &mut Memory, outbox: &mpsc::UnboundedSender<FromAgent>) {
        if memory.timeline.is_some_and(|seen| manifest.timeline <= seen) {
            return;
        }
        memory.timeline = Some(manifest.timeline);
        let message_id = manifest.message_id;
        let _ = outbox.send(ack(manifest.cluster_arn, manifest.container_instance_arn, message_id.clone()));
        let stop_candidates = self.tasks.strangers(&manifest.tasks);
        if !stop_candidates.is_empty() {
            memory.manifest = Some(message_id.clone());
            let _ = outbox.send(FromAgent::TaskStopVerification(TaskStopVerification { message_id, stop_candidates }));
        }
    }
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
    use super::*;

    #[test]
    fn a_good_connection_begins_the_waits_anew() {
        let mut backoff = Backoff::acs();
        // A control plane dies, is away for two attempts, and comes back: twenty times.
        for _ in 0..20 {
            assert_eq!(Ended::Reconnect(AfterClose::ReconnectAtOnce).wait(&mut backoff), RECONNECT_AT_ONCE);
            for _ in 0..2 {
                let wait = Ended::Reconnect(AfterClose::BackOff).wait(&mut backoff);
                assert!(wait <= Duration::from_millis(450), "{wait:?}");
            }
        }
    }

    #[test]
    fn a_deregistered_instance_waits_for_an_hour() {
        let mut backoff = Backoff::acs();
        assert_eq!(Ended::Inactive.wait(&mut backoff), Duration::from_secs(3600));
        assert!(Ended::Reconnect(AfterClose::ReconnectAtOnce).wait(&mut backoff) < Duration::from_millis(10));
        let first = Ended::Reconnect(AfterClose::BackOff).wait(&mut backoff);
        assert!(first >= Duration::from_millis(250) && first <= Duration::from_millis(300), "{first:?}");
        assert!(Ended::Reconnect(AfterClose::BackOff).wait(&mut backoff) > first);
    }
}
