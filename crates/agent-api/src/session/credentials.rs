//! The keys of tasks' roles: which were sent, which the agent has, and when to ask for fresh ones.

use std::collections::BTreeMap;
use std::time::Duration;

use stdx::Timestamp;

use super::RESEND_AFTER;
use crate::payload::{DesiredStatus, Task};
use crate::{IamRoleCredentialsAck, IamRoleCredentialsMessage, RoleCredentials, RoleType};

/// Fresh keys are asked for this long before the old ones end, and at half of the life of keys that live shorter than twice
/// that. SDKs in containers begin to ask for new ones five to fifteen minutes before.
pub const REFRESH_BEFORE: Duration = Duration::from_secs(20 * 60);

/// The keys of one role of one task.
#[derive(Clone, Debug, PartialEq)]
pub struct TaskCredentials {
    pub task_arn: String,
    pub task_cluster_arn: String,
    pub role_type: RoleType,
    /// A refresh keeps the id that the first keys of a role had: containers hold a URL that is made of it.
    pub credentials: RoleCredentials,
    /// When they end. `credentials.expiration` says it too, in text that only the container's SDK reads.
    pub expires_at: Timestamp,
}

#[derive(Clone, Debug)]
struct Kept {
    keys: TaskCredentials,
    /// When fresh ones are due.
    refresh_at: Timestamp,
    /// The message that carries them on the current connection.
    message_id: Option<String>,
    sent_at: Timestamp,
    acked: bool,
}

impl Kept {
    /// Expired keys help nobody.
    fn to_send(&self, now: Timestamp) -> bool {
        let waits = self.message_id.is_some() && now.since(self.sent_at) < RESEND_AFTER;
        !self.acked && !waits && self.keys.expires_at > now
    }

    fn sent(&mut self, message_id: &str, now: Timestamp) {
        self.message_id = Some(message_id.to_owned());
        self.sent_at = now;
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Credentials(BTreeMap<(String, RoleType), Kept>);

impl Credentials {
    pub fn put(&mut self, mut keys: TaskCredentials, now: Timestamp) {
        let place = (keys.task_arn.clone(), keys.role_type);
        if let Some(known) = self.0.get(&place) {
            if known.keys == keys {
                return;
            }
            keys.credentials.credentials_id = known.keys.credentials.credentials_id.clone();
        }
        let before = REFRESH_BEFORE.min(keys.expires_at.since(now) / 2);
        let refresh_at = keys.expires_at - before;
        self.0.insert(place, Kept { keys, refresh_at, message_id: None, sent_at: now, acked: false });
    }

    pub fn forget(&mut self, task_arn: &str) {
        self.0.retain(|(of, _), _| of != task_arn);
    }

    /// A process that starts has no keys; one that only lost its connection has those that it acknowledged.
    pub fn reconnected(&mut self, send_all: bool) {
        for kept in self.0.values_mut() {
            kept.acked &= !send_all;
            kept.message_id = None;
        }
    }

    pub fn acked(&mut self, ack: &IamRoleCredentialsAck) {
        for kept in self.0.values_mut() {
            let is_it = kept.message_id.as_deref() == Some(&ack.message_id)
                && kept.keys.credentials.credentials_id == ack.credentials_id;
            kept.acked |= is_it;
        }
    }

    /// Puts a task's keys into the payload that starts it.
    pub fn travel_in(&mut self, task: &mut Task, message_id: &str, now: Timestamp) {
        if task.desired_status == DesiredStatus::Stopped {
            return;
        }
        for role in [RoleType::TaskApplication, RoleType::TaskExecution] {
            let Some(kept) = self.0.get_mut(&(task.arn.clone(), role)) else { continue };
            if kept.keys.expires_at <= now {
                continue;
            }
            let place = match role {
                RoleType::TaskExecution => &mut task.execution_role_credentials,
                _ => &mut task.role_credentials,
            };
            *place = Some(kept.keys.credentials.clone());
            if role == RoleType::TaskExecution {
                with_execution_role(task);
            }
            // A repeated payload repeats keys that the agent has; it acknowledges them once more, and that is all.
            kept.sent(message_id, now);
        }
    }

    /// The messages that are due, each with an id of its own.
    pub fn due(&mut self, now: Timestamp, mut id: impl FnMut() -> String) -> Vec<IamRoleCredentialsMessage> {
        let due = self.0.values_mut().filter(|kept| kept.to_send(now));
        due.map(|kept| {
            let message_id = id();
            kept.sent(&message_id, now);
            IamRoleCredentialsMessage {
                message_id,
                task_arn: kept.keys.task_arn.clone(),
                task_cluster_arn: Some(kept.keys.task_cluster_arn.clone()),
                role_type: kept.keys.role_type,
                role_credentials: kept.keys.credentials.clone(),
            }
        })
        .collect()
    }

    /// Whose keys are about to end. It is asked again after a while, should nobody answer.
    pub fn ending(&mut self, now: Timestamp) -> Vec<(String, RoleType)> {
        let ending = self.0.iter_mut().filter(|(_, kept)| kept.refresh_at <= now);
        ending
            .map(|(place, kept)| {
                kept.refresh_at = now + RESEND_AFTER;
                place.clone()
            })
            .collect()
    }

    pub fn next_look(&self, now: Timestamp) -> Option<Timestamp> {
        let resend = |kept: &Kept| {
            (!kept.acked && kept.message_id.is_some() && kept.keys.expires_at > now)
                .then(|| kept.sent_at + RESEND_AFTER)
        };
        let moments = self.0.values().flat_map(|kept| resend(kept).into_iter().chain([kept.refresh_at]));
        moments.min()
    }
}

/// The agent uses the role's keys where it would use its own: to ask ECR for a login, and for Docker's driver to write logs.
fn with_execution_role(task: &mut Task) {
    for container in &mut task.containers {
        if let Some(ecr) = container.registry_authentication.as_mut().and_then(|auth| auth.ecr_auth_data.as_mut()) {
            ecr.use_execution_role = true;
        }
        let logs = container.berth.as_ref().and_then(|extras| extras.log_configuration.as_ref());
        if logs.is_some_and(|logs| logs.log_driver == "awslogs") {
            container.logs_auth_strategy = Some("ExecutionRole".to_owned());
        }
    }
}
