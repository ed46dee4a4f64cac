//! One run of a control plane, as the others know of it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use stdx::Timestamp;

use crate::Versioned;

/// A lease: while it is renewed, its holder answers for the agents that are connected to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replica {
    pub id: String,
    pub renewed_at: Timestamp,
}

impl Replica {
    pub const RENEWED_EVERY: Duration = Duration::from_secs(30);
    /// A holder that is silent for so long is gone, and cannot say any more that its agents are.
    pub const KEPT: Duration = Duration::from_secs(2 * 60);

    pub fn is_gone(&self, now: Timestamp) -> bool {
        self.renewed_at + Self::KEPT <= now
    }
}

impl Versioned for Replica {
    const VERSION: u32 = 1;
}
