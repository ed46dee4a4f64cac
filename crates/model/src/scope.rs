//! Where a thing lives: an account in a region. Nothing is visible across scopes.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use serde::de::Visitor;
use serde::{Deserialize, Deserializer, Serialize};

/// An account and a region.
///
/// Shape: twelve digits, and a region name such as `us-east-1`. Any region name is a region of its own.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Scope {
    #[serde(deserialize_with = "shared")]
    pub account: Arc<str>,
    #[serde(deserialize_with = "shared")]
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

/// Reads a text that very many records have in common: those that are read one after another keep it together.
fn shared<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<str>, D::Error> {
    struct Shared;

    impl Visitor<'_> for Shared {
        type Value = Arc<str>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text")
        }

        fn visit_str<E>(self, text: &str) -> Result<Arc<str>, E> {
            Ok(known(text))
        }
    }

    deserializer.deserialize_str(Shared)
}

/// How many texts are remembered; the scopes of a store are few, and most often there is one.
const KNOWN_MAX: usize = 8;

/// The text as it was read before on this thread, if that is not long ago.
fn known(text: &str) -> Arc<str> {
    thread_local! {
        static KNOWN: RefCell<VecDeque<Arc<str>>> = const { RefCell::new(VecDeque::new()) };
    }
    KNOWN.with_borrow_mut(|known| {
        if let Some(known) = known.iter().find(|known| ***known == *text) {
            return Arc::clone(known);
        }
        known.truncate(KNOWN_MAX - 1);
        known.push_front(text.into());
        Arc::clone(&known[0])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_that_are_read_share_their_texts() {
        let read = || serde_json::from_str::<Scope>(r#"{"account":"123456789012","region":"us-east-1"}"#).unwrap();
        let (one, other) = (read(), read());
        assert_eq!(one, Scope::new("123456789012", "us-east-1"));
        assert!(Arc::ptr_eq(&one.account, &other.account) && Arc::ptr_eq(&one.region, &other.region));
        for number in 0..100 {
            let text = format!(r#"{{"account":"{number:012}","region":"r"}}"#);
            assert_eq!(*serde_json::from_str::<Scope>(&text).unwrap().account, format!("{number:012}"));
        }
    }
}
