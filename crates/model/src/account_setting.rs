//! A setting of an account: what somebody's new resources begin with.

use serde::{Deserialize, Serialize};

use crate::{Scope, Versioned};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AccountSetting {
    pub scope: Scope,
    /// The ARN of the user, the role, or the root user, who speaks for all that say nothing themselves.
    pub principal: String,
    pub name: String,
    pub value: String,
}

impl Versioned for AccountSetting {
    const VERSION: u32 = 1;
}
