//! Idempotency: what was answered to a client token.

use serde::{Deserialize, Serialize};
use stdx::Timestamp;

use crate::{Scope, Versioned};

/// A client token that was used, and what came of it. A repeat with the same request gets the same resources;
/// a repeat with another request is a conflict.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientToken {
    pub scope: Scope,
    pub operation: String,
    pub token: String,
    /// A digest of the request, without the token.
    pub request: String,
    /// The names of what was made: task ids of a RunTask, the service of a CreateService.
    pub resources: Vec<String>,
    pub used_at: Timestamp,
}

impl Versioned for ClientToken {
    const VERSION: u32 = 1;
}
