//! Network interfaces and volumes that are announced to an instance before they are there.

use std::collections::BTreeMap;
use std::time::Duration;

use stdx::Timestamp;

use super::RESEND_AFTER;
use crate::ToAgent;
use crate::attachment::{AttachInstanceNetworkInterfaces, AttachTaskNetworkInterfaces, ConfirmAttachment};

/// Something to announce. Message id, cluster, instance and time are filled in by the session.
#[derive(Clone, Debug, PartialEq)]
pub enum Announcement {
    TaskNetworkInterfaces(AttachTaskNetworkInterfaces),
    InstanceNetworkInterfaces(AttachInstanceNetworkInterfaces),
    Volume(ConfirmAttachment),
}

impl Announcement {
    fn wait_timeout_ms(&mut self) -> &mut i64 {
        match self {
            Announcement::TaskNetworkInterfaces(message) => &mut message.wait_timeout_ms,
            Announcement::InstanceNetworkInterfaces(message) => &mut message.wait_timeout_ms,
            Announcement::Volume(message) => &mut message.wait_timeout_ms,
        }
    }
}

/// Who the announcements are for.
pub(super) struct Addressee<'a> {
    pub cluster_arn: &'a str,
    pub container_instance_arn: &'a str,
}

#[derive(Clone, Debug)]
struct Kept {
    announcement: Announcement,
    /// The agent gives up waiting then, and so do we.
    until: Timestamp,
    message_id: Option<String>,
    sent_at: Timestamp,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Attachments {
    /// By the attachment's ARN.
    kept: BTreeMap<String, Kept>,
}

impl Attachments {
    pub fn announce(&mut self, arn: String, mut announcement: Announcement, now: Timestamp) {
        let wait = u64::try_from(*announcement.wait_timeout_ms()).unwrap_or_default();
        let until = now + Duration::from_millis(wait);
        self.kept.entry(arn).or_insert(Kept { announcement, until, message_id: None, sent_at: now });
    }

    pub fn forget(&mut self, arn: &str) {
        self.kept.remove(arn);
    }

    pub fn reconnected(&mut self) {
        self.kept.values_mut().for_each(|kept| kept.message_id = None);
    }

    /// An agent that acknowledges keeps the announcement on its disk.
    pub fn acked(&mut self, message_id: &str) {
        self.kept.retain(|_, kept| kept.message_id.as_deref() != Some(message_id));
    }

    pub fn due(&mut self, to: &Addressee<'_>, now: Timestamp, mut id: impl FnMut() -> String) -> Vec<ToAgent> {
        self.kept.retain(|_, kept| kept.until > now);
        let waits = |kept: &Kept| kept.message_id.is_some() && now.since(kept.sent_at) < RESEND_AFTER;
        let due = self.kept.values_mut().filter(|kept| !waits(kept));
        due.map(|kept| {
            let message_id = id();
            (kept.message_id, kept.sent_at) = (Some(message_id.clone()), now);
            let left = i64::try_from(kept.until.since(now).as_millis()).unwrap_or(i64::MAX);
            message(kept.announcement.clone(), left, message_id, to, now)
        })
        .collect()
    }

    pub fn next_look(&self) -> Option<Timestamp> {
        self.kept.values().map(|kept| kept.until.min(kept.sent_at + RESEND_AFTER)).min()
    }
}

fn message(
    mut announcement: Announcement,
    left: i64,
    message_id: String,
    to: &Addressee<'_>,
    now: Timestamp,
) -> ToAgent {
    *announcement.wait_timeout_ms() = left;
    let (cluster_arn, container_instance_arn) = (to.cluster_arn.to_owned(), to.container_instance_arn.to_owned());
    let generated_at = now.as_millis();
    match announcement {
        Announcement::TaskNetworkInterfaces(rest) => {
            ToAgent::AttachTaskNetworkInterfaces(AttachTaskNetworkInterfaces {
                message_id,
                cluster_arn,
                container_instance_arn,
                generated_at,
                ..rest
            })
        }
        Announcement::InstanceNetworkInterfaces(rest) => {
            ToAgent::AttachInstanceNetworkInterfaces(AttachInstanceNetworkInterfaces {
                message_id,
                cluster_arn,
                container_instance_arn,
                generated_at,
                ..rest
            })
        }
        Announcement::Volume(rest) => ToAgent::ConfirmAttachment(ConfirmAttachment {
            message_id,
            cluster_arn,
            container_instance_arn,
            generated_at,
            ..rest
        }),
    }
}
