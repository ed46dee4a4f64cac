//! Where a thing lives: an account in a region. Nothing is visible across scopes.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// An account and a region.
///
/// Shape: twelve digits, and a region name such as `us-east-1`. Any region name is a region of its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Scope {
    pub account: Arc<str>,
    pub region: Arc<str>,
}

impl Scope {
    pub fn new(account: &str, region: &str) -> Self {
        Scope { account: account.into(), region: region.into() }
    }

    /// The first part of every ARN in this region. China and GovCloud have their own.
    ///
    /// Source: AWS General Reference, "Amazon Resource Names", partitions.
    pub fn partition(&self) -> &'static str {
        match &*self.region {
            region if region.starts_with("cn-") => "aws-cn",
            region if region.starts_with("us-gov-") => "aws-us-gov",
            _ => "aws",
        }
    }
}

/// `123456789012/eu-west-1`, as it begins every key in the store.
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.account, self.region)
    }
}
