//! One machine, one control plane, and as many agents one after the other as a test wants.

use std::sync::Arc;
use std::time::Duration;

use agent::{Agent, AgentConfig, AgentError, AgentHandle, Credentials, HttpControlPlane, MetadataListener};
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::control_plane::Scripted;
use crate::machine::Machine;
use crate::websockets;

/// For anything to happen. Far beyond what it takes, because the machine may be busy.
pub const DEADLINE: Duration = Duration::from_secs(30);

pub const SECRET: &str = "secret";

pub struct Rig {
    pub control: Arc<Scripted>,
    pub machine: Arc<Machine>,
    folder: TempDir,
}

impl Rig {
    pub async fn new() -> Rig {
        Rig::signing_with(SECRET).await
    }

    /// The control plane knows [`SECRET`]; the agent may think it is another.
    pub async fn signing_with(secret: &str) -> Rig {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let folder = tempfile::tempdir().unwrap();
        let mut config = AgentConfig::new(&url, folder.path());
        config.credentials = credentials(secret);
        let control = Scripted::new(url, HttpControlPlane::new(&config).unwrap());
        let routes = websockets::routes(control.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        Rig { control, machine: Arc::default(), folder }
    }

    pub fn config(&self) -> AgentConfig {
        AgentConfig {
            credentials: credentials(SECRET),
            stop_timeout: Duration::from_secs(1),
            ..AgentConfig::new(&self.control.url, self.folder.path())
        }
    }

    pub async fn try_start(&self, config: AgentConfig) -> Result<AgentHandle, AgentError> {
        Agent::start_with(config, self.control.clone(), self.machine.clone(), None).await
    }

    /// An agent that is registered and connected.
    pub async fn start(&self) -> AgentHandle {
        self.connect(None).await
    }

    pub async fn start_serving(&self, metadata: MetadataListener) -> AgentHandle {
        self.connect(Some(metadata)).await
    }

    async fn connect(&self, metadata: Option<MetadataListener>) -> AgentHandle {
        let (control, machine) = (self.control.clone(), self.machine.clone());
        let before = self.control.lock().acs.len();
        let agent = Agent::start_with(self.config(), control, machine, metadata).await.unwrap();
        self.control.acs_connections(before + 1).await;
        agent
    }

    pub fn folder(&self) -> &std::path::Path {
        self.folder.path()
    }
}

pub fn credentials(secret: &str) -> Credentials {
    let (access_key_id, secret_access_key) = ("AKIDEXAMPLE".to_owned(), secret.to_owned());
    Credentials { access_key_id, secret_access_key, session_token: None }
}
