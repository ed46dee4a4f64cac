//! Names of repositories and of what is in them.

use std::fmt;
use std::str::FromStr;

use blobs::Digest;
use serde::{Deserialize, Serialize};

use crate::RegistryError;
use crate::limits::{NAME_BYTES_MAX, TAG_BYTES_MAX};

/// A repository's name.
///
/// Shape: path components of `[a-z0-9]+` joined by `.`, `_`, `__` or dashes, with `/` between them; at most 256 bytes.
/// Source: OCI distribution specification, "Pulling manifests".
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepositoryName(String);

/// A tag.
///
/// Shape: `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`. Source: OCI distribution specification.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Tag(String);

/// What a client calls a manifest by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    Tag(Tag),
    Digest(Digest),
}

/// The account and region that a repository belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Scope {
    account: String,
    region: String,
}

/// One repository among all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RepositoryKey {
    pub scope: Scope,
    pub name: RepositoryName,
}

impl Scope {
    /// `None` unless `account` is twelve digits and `region` is letters, digits and dashes: both become directory names.
    pub fn new(account: &str, region: &str) -> Option<Scope> {
        let account_is_good = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        let region_is_good = (1..=40).contains(&region.len())
            && region.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        (account_is_good && region_is_good).then(|| Scope { account: account.to_owned(), region: region.to_owned() })
    }

    /// The scope that a host of the form `ACCOUNT.dkr.ecr.REGION.anything[:port]` names.
    pub fn of_host(host: &str) -> Option<Scope> {
        let host = host.rsplit_once(':').map_or(host, |(name, _port)| name);
        let mut labels = host.split('.');
        let account = labels.next()?;
        let is_ecr = labels.next() == Some("dkr") && matches!(labels.next(), Some("ecr" | "ecr-fips"));
        let region = labels.next()?;
        // One label more at least, so that `1.dkr.ecr.com` is not a region.
        labels.next()?;
        if is_ecr { Scope::new(account, region) } else { None }
    }

    /// The host that the scope's images are named with: AWS's, whoever serves it.
    ///
    /// Source: Amazon ECR API Reference, `Repository.repositoryUri`; China's regions have a domain of their own.
    pub fn host(&self) -> String {
        let suffix = if self.region.starts_with("cn-") { ".cn" } else { "" };
        format!("{}.dkr.ecr.{}.amazonaws.com{suffix}", self.account, self.region)
    }

    pub fn account(&self) -> &str {
        &self.account
    }

    pub fn region(&self) -> &str {
        &self.region
    }
}

impl RepositoryKey {
    pub fn new(scope: &Scope, name: RepositoryName) -> RepositoryKey {
        RepositoryKey { scope: scope.clone(), name }
    }
}

impl fmt::Display for RepositoryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.scope.host(), self.name)
    }
}

/// A component is runs of `[a-z0-9]` joined by one of the separators.
fn is_component(text: &str) -> bool {
    let mut separator = String::new();
    let mut after_alphanumeric = false;
    for character in text.chars() {
        match character {
            'a'..='z' | '0'..='9' => {
                let dashes = !separator.is_empty() && separator.bytes().all(|byte| byte == b'-');
                if !separator.is_empty()
                    && !(after_alphanumeric && (dashes || [".", "_", "__"].contains(&separator.as_str())))
                {
                    return false;
                }
                separator.clear();
                after_alphanumeric = true;
            }
            '.' | '_' | '-' => separator.push(character),
            _ => return false,
        }
    }
    after_alphanumeric && separator.is_empty()
}

impl FromStr for RepositoryName {
    type Err = RegistryError;

    fn from_str(text: &str) -> Result<RepositoryName, RegistryError> {
        if text.len() <= NAME_BYTES_MAX && text.split('/').all(is_component) {
            Ok(RepositoryName(text.to_owned()))
        } else {
            Err(RegistryError::NameInvalid { name: text.chars().take(NAME_BYTES_MAX).collect() })
        }
    }
}

impl RepositoryName {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Tag {
    type Err = RegistryError;

    fn from_str(text: &str) -> Result<Tag, RegistryError> {
        let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        let good = text.len() <= TAG_BYTES_MAX
            && text.bytes().next().is_some_and(is_word)
            && text.bytes().all(|byte| is_word(byte) || byte == b'.' || byte == b'-');
        if good {
            Ok(Tag(text.to_owned()))
        } else {
            Err(RegistryError::TagInvalid { tag: text.chars().take(TAG_BYTES_MAX).collect() })
        }
    }
}

impl Tag {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Target {
    type Err = RegistryError;

    fn from_str(text: &str) -> Result<Target, RegistryError> {
        if text.contains(':') {
            let digest =
                text.parse().map_err(|_| RegistryError::DigestInvalid { text: text.chars().take(100).collect() })?;
            Ok(Target::Digest(digest))
        } else {
            text.parse().map(Target::Tag)
        }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Tag(tag) => tag.fmt(f),
            Target::Digest(digest) => digest.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_specification() {
        for good in ["web", "team/web", "a/b/c", "a.b", "a_b", "a__b", "a---b", "0", "web-1.2/x"] {
            assert!(good.parse::<RepositoryName>().is_ok(), "{good}");
        }
        let long = "a".repeat(257);
        for bad in [
            "", "/", "a/", "/a", "a//b", "A", "a..b", "a___b", "-a", "a-", ".", "..", "a/../b", "_a", "a._b", "é",
            &long,
        ] {
            assert!(bad.parse::<RepositoryName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn tags_follow_the_specification() {
        for good in ["latest", "1", "v1.2-rc_3", "_x", &"x".repeat(128)] {
            assert!(good.parse::<Tag>().is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "-x", "a/b", "a:b", "a b", &"x".repeat(129)] {
            assert!(bad.parse::<Tag>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_host_names_account_and_region() {
        let scope = Scope::of_host("123456789012.dkr.ecr.eu-west-1.amazonaws.com:4566").unwrap();
        assert_eq!((scope.account(), scope.region()), ("123456789012", "eu-west-1"));
        assert!(Scope::of_host("123456789012.dkr.ecr.eu-west-1.localhost").is_some());
        for region in ["eu-west-1", "cn-north-1"] {
            let scope = Scope::new("123456789012", region).unwrap();
            assert_eq!(Scope::of_host(&scope.host()), Some(scope));
        }
        for other in [
            "127.0.0.1:4566",
            "localhost",
            "123.dkr.ecr.eu-west-1.amazonaws.com",
            "[::1]:4566",
            "123456789012.dkr.ecr.com",
            "",
        ] {
            assert!(Scope::of_host(other).is_none(), "{other}");
        }
    }
}
