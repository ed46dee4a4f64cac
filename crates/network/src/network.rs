//! The network of one node: attach, publish, release, recover.

use std::collections::BTreeSet;
use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};

use crate::config::NetworkConfig;
use crate::error::NetworkError;
use crate::netns;
use crate::node::NodeNetwork;
use crate::plan::{Binding, Mac, NetworkMode, PortMapping};

/// How often we look whether somebody flushed our table or started a Docker engine. It costs one message
/// to the kernel when nothing changed.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What a container got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// The network namespace to start the container in. None in `host` mode.
    pub netns: Option<PathBuf>,
    /// None in `host` and `none` mode.
    pub link: Option<Link>,
}

/// A container's interface, as seen from inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    pub interface: String,
    pub mac: Mac,
    pub ip: Ipv4Addr,
    pub prefix: u8,
    pub gateway: Ipv4Addr,
}

impl Attachment {
    /// A connection to what listens in the container on its loopback, as somebody inside would make it.
    ///
    /// A socket stays in the namespace that it was made in: only that takes a thread which goes there, and ends with it.
    pub async fn connect(&self, port: u16) -> io::Result<TcpStream> {
        let socket = match self.netns.clone() {
            None => TcpSocket::new_v4()?,
            Some(path) => {
                let make = move || netns::enter(&path).and_then(|()| TcpSocket::new_v4());
                let made = tokio::task::spawn_blocking(|| std::thread::spawn(make).join());
                match made.await.map_err(io::Error::other)? {
                    Ok(socket) => socket?,
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
        };
        socket.connect((Ipv4Addr::LOCALHOST, port).into()).await
    }
}

/// What became of the containers of an earlier run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Live, with everything that they had.
    pub kept: Vec<String>,
    /// Live, but their network is gone, as after a reboot; attach them anew.
    pub lost: Vec<String>,
    /// Not live; what they had is free again.
    pub released: Vec<String>,
}

/// A handle; clones share one node.
///
/// All calls may run at once and may be repeated; those on one container take turns. A call whose future is
/// dropped still runs to its end.
#[derive(Clone)]
pub struct Network {
    node: Arc<NodeNetwork>,
}

impl Network {
    /// Makes bridge and table where they are missing, and reads the records of an earlier run, whose
    /// containers stay reachable meanwhile. Call [`Network::recover`] next.
    ///
    /// Errors say what this machine lacks: a permission, a kernel feature, a program, a free subnet.
    pub async fn open(config: NetworkConfig) -> Result<Self, NetworkError> {
        let node = blocking(move || NodeNetwork::open(config)).await?;
        let network = Self { node: Arc::new(node) };
        tokio::spawn(keep_watch(Arc::downgrade(&network.node)));
        Ok(network)
    }

    /// Gives a container its namespace and its interface. The same call again gives the same answer; after a
    /// failure nothing is left.
    pub async fn attach(&self, id: &str, mode: NetworkMode) -> Result<Attachment, NetworkError> {
        self.run(id, move |node, id| node.attach(id, mode)).await
    }

    /// Opens host ports for an attached container; may run while the container starts.
    ///
    /// A host port of 0 is served from the dynamic range. The answer has the order of the mappings. In `host`
    /// mode ports are only checked, in `none` mode there are none to open. After a failure nothing is left.
    pub async fn publish(&self, id: &str, mappings: Vec<PortMapping>) -> Result<Vec<Binding>, NetworkError> {
        self.run(id, move |node, id| node.publish(id, &mappings)).await
    }

    /// Takes everything back. Fine when there is nothing, or half of it.
    pub async fn release(&self, id: &str) -> Result<(), NetworkError> {
        self.run(id, |node, id| node.release(id)).await
    }

    /// Keeps what the live containers have and releases the rest.
    pub async fn recover(&self, live: impl IntoIterator<Item = impl Into<String>>) -> Result<Recovered, NetworkError> {
        let live: BTreeSet<String> = live.into_iter().map(Into::into).collect();
        let node = self.node.clone();
        blocking(move || node.recover(&live)).await
    }

    /// The address under which containers reach this host.
    pub fn gateway(&self) -> Ipv4Addr {
        self.node.plan.subnet.gateway()
    }

    /// The containers' subnet, as it was chosen.
    pub fn subnet(&self) -> crate::Subnet {
        self.node.plan.subnet
    }

    /// Removes table, bridge and foreign accept rules, provided that no container is attached; with some
    /// attached everything stays, for the next run to find. Later calls get [`NetworkError::Closed`].
    pub async fn close(self) -> Result<(), NetworkError> {
        let node = self.node;
        blocking(move || node.close()).await
    }

    async fn run<T: Send + 'static>(
        &self,
        id: &str,
        work: impl FnOnce(&NodeNetwork, &str) -> Result<T, NetworkError> + Send + 'static,
    ) -> Result<T, NetworkError> {
        let (node, id) = (self.node.clone(), id.to_owned());
        blocking(move || node.in_turn(&id, work)).await
    }
}

/// Threads of the blocking pool, so that a container's dozen system calls hold up no other task.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, NetworkError> + Send + 'static,
) -> Result<T, NetworkError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(answer) => answer,
        Err(error) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Err(_) => Err(NetworkError::Closed),
    }
}

/// Ends with the node.
async fn keep_watch(node: Weak<NodeNetwork>) {
    let mut seen = None;
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let Some(node) = node.upgrade() else { return };
        let looked = blocking(move || node.look(seen)).await;
        match looked {
            Ok(generation) => seen = Some(generation),
            Err(NetworkError::Closed) => return,
            Err(error) => tracing::warn!(error = error.chain(), "cannot keep the network in order"),
        }
    }
}
