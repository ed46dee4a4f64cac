//! The name of an image, as people write it.

use std::fmt;
use std::str::FromStr;

use blobs::Digest;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An image's name, with Docker's defaults filled in.
///
/// Shape: `[host[:port]/]path[:tag][@digest]`; without a host Docker Hub is meant, without a tag or digest `latest`.
/// Source: distribution/reference, "Grammar".
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reference {
    host: String,
    repository: String,
    tag: Option<String>,
    digest: Option<Digest>,
}

/// A text that names no image. The words are Docker's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    #[error("invalid reference format")]
    Format,
    #[error("invalid reference format: repository name ({name}) must be lowercase")]
    Uppercase { name: String },
}

const HUB: &str = "docker.io";
const NAME_BYTES_MAX: usize = 255;
const TAG_BYTES_MAX: usize = 128;

impl Reference {
    /// The registry's host, with its port if it has one.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The path below the host.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    pub fn digest(&self) -> Option<&Digest> {
        self.digest.as_ref()
    }

    /// What is asked of the registry: the digest, if there is one, else the tag.
    pub(crate) fn target(&self) -> String {
        match (&self.digest, &self.tag) {
            (Some(digest), _) => digest.to_string(),
            (None, tag) => tag.clone().unwrap_or_else(|| "latest".to_owned()),
        }
    }

    /// The name without tag and digest, as Docker shows it to people: Docker Hub goes without saying.
    pub fn familiar_name(&self) -> String {
        if self.host == HUB {
            return self.repository.strip_prefix("library/").unwrap_or(&self.repository).to_owned();
        }
        format!("{}/{}", self.host, self.repository)
    }

    /// The name as Docker shows it to people.
    pub fn familiar(&self) -> String {
        format!("{}{}", self.familiar_name(), self.suffix())
    }

    fn suffix(&self) -> String {
        let tag = self.tag.as_ref().map(|tag| format!(":{tag}")).unwrap_or_default();
        let digest = self.digest.as_ref().map(|digest| format!("@{digest}")).unwrap_or_default();
        format!("{tag}{digest}")
    }

    /// The account and region of a name in ECR's form, `ACCOUNT.dkr.ecr.REGION.amazonaws.com/…`.
    pub fn ecr_scope(&self) -> Option<(&str, &str)> {
        let (account, region, domain) = self.scope_and_domain()?;
        matches!(domain, "amazonaws.com" | "amazonaws.com.cn").then_some((account, region))
    }

    /// The account and region that the host names, whatever domain it is in.
    pub(crate) fn scope(&self) -> Option<(&str, &str)> {
        self.scope_and_domain().map(|(account, region, _)| (account, region))
    }

    fn scope_and_domain(&self) -> Option<(&str, &str, &str)> {
        let (account, rest) = self.host.split_once(".dkr.ecr.").or_else(|| self.host.split_once(".dkr.ecr-fips."))?;
        let (region, domain) = rest.split_once('.')?;
        let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        is_account.then_some((account, region, domain))
    }

    /// Whether both name the same repository, whatever their tags and digests.
    pub(crate) fn same_repository(&self, other: &Reference) -> bool {
        (&self.host, &self.repository) == (&other.host, &other.repository)
    }

    /// Whether the registry is on this machine, where plain HTTP is spoken.
    pub(crate) fn is_loopback(&self) -> bool {
        is_loopback(&self.host)
    }
}

/// Whether a host, with or without a port, is this machine.
fn is_loopback(host: &str) -> bool {
    let name = if let Some(rest) = host.strip_prefix('[') {
        rest.split(']').next().unwrap_or_default()
    } else {
        host.split(':').next().unwrap_or_default()
    };
    name == "localhost"
        || name.ends_with(".localhost")
        || name.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}{}", self.host, self.repository, self.suffix())
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    fn from_str(text: &str) -> Result<Reference, ReferenceError> {
        if text.len() > 1024 {
            return Err(ReferenceError::Format);
        }
        let (text, digest) = match text.split_once('@') {
            Some((text, digest)) => (text, Some(digest.parse().map_err(|_| ReferenceError::Format)?)),
            None => (text, None),
        };
        // A first component with a dot or a colon is a host, and so is `localhost`; anything else is Docker Hub's.
        let (host, rest) = match text.split_once('/') {
            Some((first, rest)) if first == "localhost" || first.contains(['.', ':']) => (first, rest),
            _ => (HUB, text),
        };
        let (path, tag) = match rest.rsplit_once(':') {
            Some((path, tag)) if !tag.contains('/') => (path, Some(tag)),
            _ => (rest, None),
        };
        if !is_host(host) || tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(ReferenceError::Format);
        }
        let host = if host == "index.docker.io" || host == "registry-1.docker.io" { HUB } else { host };
        let repository = if host == HUB && !path.contains('/') { format!("library/{path}") } else { path.to_owned() };
        if !repository.split('/').all(is_component) {
            if path.bytes().any(|byte| byte.is_ascii_uppercase()) && path.to_lowercase().split('/').all(is_component) {
                return Err(ReferenceError::Uppercase { name: repository });
            }
            return Err(ReferenceError::Format);
        }
        if host.len() + 1 + repository.len() > NAME_BYTES_MAX {
            return Err(ReferenceError::Format);
        }
        let tag = match (tag, &digest) {
            (None, None) => Some("latest".to_owned()),
            (tag, _) => tag.map(str::to_owned),
        };
        Ok(Reference { host: host.to_owned(), repository, tag, digest })
    }
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Reference {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Reference, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

fn is_host(host: &str) -> bool {
    let (name, port) = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, port)) if address.parse::<std::net::Ipv6Addr>().is_ok() => ("v6", port.strip_prefix(':')),
            _ => return false,
        },
        None => match host.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (host, None),
        },
    };
    let label = |label: &str| {
        !label.is_empty()
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    name.split('.').all(label) && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

fn is_tag(tag: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    tag.len() <= TAG_BYTES_MAX
        && tag.bytes().next().is_some_and(is_word)
        && tag.bytes().all(|byte| is_word(byte) || byte == b'.' || byte == b'-')
}

/// Runs of `[a-z0-9]` joined by `.`, `_`, `__` or dashes.
fn is_component(text: &str) -> bool {
    let is_alphanumeric = |character: char| character.is_ascii_lowercase() || character.is_ascii_digit();
    let separators = text.split(is_alphanumeric).filter(|separator| !separator.is_empty());
    let good = |separator: &str| matches!(separator, "." | "_" | "__") || separator.bytes().all(|byte| byte == b'-');
    text.starts_with(is_alphanumeric) && text.ends_with(is_alphanumeric) && separators.into_iter().all(good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_as_docker_reads_them() {
        let digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let pinned = format!("web@{digest}");
        let both = format!("127.0.0.1:4566/team/web:1@{digest}");
        for (text, full, familiar) in [
            ("nginx", "docker.io/library/nginx:latest", "nginx:latest"),
            ("library/nginx", "docker.io/library/nginx:latest", "nginx:latest"),
            ("team/web:1", "docker.io/team/web:1", "team/web:1"),
            ("localhost/web", "localhost/web:latest", "localhost/web:latest"),
            ("localhost:4566/web:v1", "localhost:4566/web:v1", "localhost:4566/web:v1"),
            ("[::1]:4566/web", "[::1]:4566/web:latest", "[::1]:4566/web:latest"),
            ("index.docker.io/nginx", "docker.io/library/nginx:latest", "nginx:latest"),
            (
                "public.ecr.aws/docker/library/httpd:2.4",
                "public.ecr.aws/docker/library/httpd:2.4",
                "public.ecr.aws/docker/library/httpd:2.4",
            ),
            (&pinned, &format!("docker.io/library/{pinned}"), &pinned),
            (&both, &both, &both),
        ] {
            let reference: Reference = text.parse().unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!((reference.to_string().as_str(), reference.familiar().as_str()), (full, familiar), "{text}");
            assert_eq!(reference.to_string().parse::<Reference>().unwrap(), reference, "{text}");
        }
    }

    #[test]
    fn what_docker_refuses_is_refused() {
        for bad in [
            "",
            ":",
            "/",
            "a:",
            "a:1:2",
            "a//b",
            "a@sha256:1",
            "a b",
            "-a",
            "a/-b",
            "h.x:99999/a",
            "a/../b",
            "..",
            "a:é",
            "[x]:1/a",
        ] {
            assert_eq!(bad.parse::<Reference>(), Err(ReferenceError::Format), "{bad}");
        }
        let error = "UP:1".parse::<Reference>().unwrap_err();
        assert_eq!(error.to_string(), "invalid reference format: repository name (library/UP) must be lowercase");
    }

    #[test]
    fn the_ecr_form_names_account_and_region() {
        let reference: Reference = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/team/web:1".parse().unwrap();
        assert_eq!(reference.ecr_scope(), Some(("123456789012", "eu-west-1")));
        assert_eq!("x.dkr.ecr.eu-west-1.amazonaws.com/web".parse::<Reference>().unwrap().ecr_scope(), None);
        assert!("localhost:4566/a".parse::<Reference>().unwrap().is_loopback());
        assert!("127.9.9.9/a".parse::<Reference>().unwrap().is_loopback());
        assert!(!"10.0.0.1:4566/a".parse::<Reference>().unwrap().is_loopback());
    }
}
