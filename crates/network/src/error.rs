//! What can go wrong, in words for a tired person at night.

use std::io;
use std::path::{Path, PathBuf};

use crate::Protocol;

#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// A static host port that another container or another process of the host has.
    #[error("host port {port}/{protocol} is already in use{}", by(.holder))]
    PortInUse { port: u16, protocol: Protocol, holder: Option<String> },

    #[error("no free {protocol} host port is left between {first} and {last}")]
    NoFreePort { protocol: Protocol, first: u16, last: u16 },

    #[error("no free container address is left in {subnet}")]
    NoFreeAddress { subnet: crate::Subnet },

    #[error("failed to {what}: the bridge is full, since the kernel lets one have 1,023 interfaces")]
    BridgeFull { what: String, source: io::Error },

    #[error(
        "`{id}` cannot name a container here: use 1 to 128 letters, digits, `-`, `_` or `.`, starting with a letter or digit"
    )]
    InvalidContainerId { id: String },

    #[error("container {id} has no network attachment to publish ports for")]
    NotAttached { id: String },

    #[error("container {id} is attached already, in {mode} mode")]
    AttachedDifferently { id: String, mode: crate::NetworkMode },

    #[error("container {id} has published other ports already: {bindings}")]
    PublishedDifferently { id: String, bindings: String },

    #[error("0 is not a container port")]
    ContainerPortZero,

    #[error("another Berth node on this machine uses {}; give this one other names and folders", run_dir.display())]
    InUse { run_dir: PathBuf },

    #[error("`{name}` is not a usable {what}: {why}")]
    InvalidConfig { what: &'static str, name: String, why: &'static str },

    #[error("every candidate subnet for {bridge} overlaps a route of this host; name a free one (wanted {wanted})")]
    NoFreeSubnet { bridge: String, wanted: crate::Subnet },

    #[error("{what} is not permitted: the node needs root, or CAP_NET_ADMIN and CAP_SYS_ADMIN")]
    NotPermitted { what: String, source: io::Error },

    #[error("this kernel has no {feature}: {hint}")]
    Unsupported { feature: &'static str, hint: &'static str, source: io::Error },

    #[error("the `{program}` program is missing: {hint}")]
    MissingProgram { program: &'static str, hint: &'static str, source: io::Error },

    #[error("failed to {what}")]
    Netlink { what: String, source: io::Error },

    #[error("the firewall refused our rules: {reason}")]
    Rules { reason: String },

    #[error("failed to {what} {}", path.display())]
    Io { what: &'static str, path: PathBuf, source: io::Error },

    #[error("failed to {what}")]
    System { what: &'static str, source: io::Error },

    #[error("the network of this node is shutting down")]
    Closed,
}

fn by(holder: &Option<String>) -> String {
    match holder {
        Some(id) => format!(" by container {id}"),
        None => String::new(),
    }
}

impl NetworkError {
    /// The whole chain of causes in one line.
    pub(crate) fn chain(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }

    pub(crate) fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { what, path, source }
    }

    pub(crate) fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => Self::NotPermitted { what: what.to_owned(), source },
            _ => Self::System { what, source },
        }
    }

    /// A netlink request that failed, told by what it means where the kernel's number says little.
    pub(crate) fn netlink(what: impl Into<String>, source: io::Error) -> Self {
        let what = what.into();
        match source.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => Self::NotPermitted { what, source },
            Some(libc::EXFULL) => Self::BridgeFull { what, source },
            Some(libc::EOPNOTSUPP) if what.contains("veth") => Self::Unsupported {
                feature: "veth",
                hint: "load it with `modprobe veth`, or enable CONFIG_VETH",
                source,
            },
            Some(libc::EOPNOTSUPP) if what.contains("bridge") => Self::Unsupported {
                feature: "bridge",
                hint: "load it with `modprobe bridge`, or enable CONFIG_BRIDGE",
                source,
            },
            _ => Self::Netlink { what, source },
        }
    }
}
