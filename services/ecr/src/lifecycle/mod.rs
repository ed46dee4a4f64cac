//! Lifecycle policies: which images of a repository have had their time.
//!
//! [`parse`] reads a policy, [`evaluate`] decides, purely, and [`apply`] lets the registry delete what was decided on.

mod apply;
mod evaluate;
mod parse;

use api_ecr::{Error, ErrorCode};
use blobs::Digest;
use registry::RepositoryKey;
use serde::{Deserialize, Serialize};
use shape::Timestamp;

pub use apply::Applied;
pub(crate) use apply::{apply_all, plan};
pub(crate) use parse::parse;

use crate::refusals::refuse;

/// A policy that was read and found sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Policy {
    /// The one that goes first is first. No two have the same priority.
    rules: Vec<Rule>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Rule {
    priority: i32,
    selection: Selection,
    keep: Keep,
}

/// The images that a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Selection {
    Any,
    Untagged,
    /// For each of these, some tag of the image begins with it.
    Prefixes(Vec<String>),
    /// For each of these, some tag of the image fits it. A star stands for any characters or none.
    Patterns(Vec<String>),
}

/// What stays of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keep {
    Newest(usize),
    PushedWithinDays(u64),
}

/// A repository's policy as it is on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LifecycleRecord {
    version: u32,
    pub(crate) text: String,
    pub(crate) last_evaluated_at: Option<Timestamp>,
}

impl LifecycleRecord {
    pub(crate) const NAME: &str = "lifecycle-policy";

    pub(crate) fn new(text: String) -> LifecycleRecord {
        LifecycleRecord { version: 1, text, last_evaluated_at: None }
    }

    /// AWS answers with the beginning of time when there was no evaluation yet.
    pub(crate) fn shown_evaluation(&self) -> Timestamp {
        self.last_evaluated_at.unwrap_or_default()
    }
}

/// What a policy would have expired when somebody asked, as it is on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PreviewRecord {
    version: u32,
    pub(crate) text: String,
    pub(crate) started_at: Timestamp,
    pub(crate) expiring: Vec<Expiring>,
}

impl PreviewRecord {
    pub(crate) const NAME: &str = "lifecycle-preview";

    pub(crate) fn new(text: String, started_at: Timestamp, expiring: Vec<Expiring>) -> PreviewRecord {
        PreviewRecord { version: 1, text, started_at, expiring }
    }
}

/// An image that a policy expires.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Expiring {
    pub(crate) digest: Digest,
    pub(crate) tags: Vec<registry::Tag>,
    pub(crate) pushed_at: Timestamp,
    /// The rule that expires it.
    pub(crate) rule_priority: i32,
}

pub(crate) fn policy_not_found(key: &RepositoryKey) -> Error {
    let message = format!(
        "Lifecycle policy does not exist for the repository with name '{}' in the registry with id '{}'",
        key.name,
        key.scope.account()
    );
    refuse(ErrorCode::LifecyclePolicyNotFoundException, message)
}
