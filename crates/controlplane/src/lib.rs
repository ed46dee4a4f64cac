//! The loop: wake, snapshot, decide, commit; and the server around it.
//!
//! ```text
//! clients ──► server ──► wire::Gateway ──► services ──► StoreLedger ──► store::Engine
//!                                                           │ watch
//! agents  ◄──► agents (ACS, TCS) ◄───────── wakes ◄─────────┤
//!                                 loops (services, janitor) ◄┘
//! ```
//!
//! [`StoreLedger`] keeps the snapshot that everybody reads and says what a change touched. The [`loops`] decide again with
//! the pure `reconcilers`; [`agents`] brings what was decided to the container instances. Nothing here decides by itself, and
//! nothing here knows which store is behind the engine.
//!
//! Start reading at [`ControlPlane::start`].

#![forbid(unsafe_code)]

mod agenda;
mod agents;
mod clock;
mod doors;
mod exec;
pub mod hooks;
mod ledger;
mod loops;
mod server;
mod wake;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use axum::Router;
use state::{Ledger, Snapshot};
use store::Engine;
use tokio::task::JoinHandle;
use wire::{AuthMode, Gateway};

pub use clock::{Clock, ManualClock, SystemClock, now, seed};
pub use doors::{Tls, TlsError};
pub use ledger::{LoadError, StoreLedger};
pub use reconcilers::janitor::Retention;
pub use server::{Served, serve, serve_tls};

use agents::Hub;
use wake::Wakes;

/// What is decided here, without the loops and the sockets around it: functions of a snapshot and a time. The simulator
/// runs the same ones.
pub mod decide {
    pub use crate::agenda::{Agenda, Subject, plan};
    pub use crate::agents::{
        Arrival, Attendant, Effect, Look, admit, connected, disconnected, forgotten, health, renewed, status,
    };
    pub use crate::wake::{InstanceWake, ServiceWake, concerned};
}

/// A running control plane. Dropping it ends its loops and its agents' connections; the agents and their tasks go on.
pub struct ControlPlane {
    ledger: Arc<StoreLedger>,
    hub: Arc<Hub>,
    wakes: Arc<Wakes>,
    paused: Arc<AtomicBool>,
    loops: Vec<JoinHandle<()>>,
}

impl ControlPlane {
    /// Loads the records, and starts the loops over them.
    pub async fn start(engine: Arc<dyn Engine>, auth: AuthMode) -> Result<ControlPlane, LoadError> {
        ControlPlane::start_at(engine, auth, Arc::new(SystemClock), Retention::default()).await
    }

    /// The same, with a clock for the agents' sessions, and with how long stopped tasks are kept.
    pub async fn start_at(
        engine: Arc<dyn Engine>,
        auth: AuthMode,
        clock: Arc<dyn Clock>,
        retention: Retention,
    ) -> Result<ControlPlane, LoadError> {
        let wakes = Arc::new(Wakes::default());
        let ledger = StoreLedger::open(engine, wakes.clone()).await?;
        let hub = Hub::new(ledger.clone(), clock, auth);
        agents::forget_connections(&*ledger).await;
        let paused = Arc::new(AtomicBool::new(false));
        let loops = vec![
            tokio::spawn(loops::services(ledger.clone(), wakes.clone(), paused.clone())),
            tokio::spawn(loops::janitor(ledger.clone(), retention)),
            tokio::spawn(loops::lease(ledger.clone(), hub.replica.clone())),
            tokio::spawn(hub.clone().deliver(wakes.clone())),
        ];
        Ok(ControlPlane { ledger, hub, wakes, paused, loops })
    }

    /// Where the services read and write.
    pub fn ledger(&self) -> Arc<dyn Ledger> {
        self.ledger.clone()
    }

    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.ledger.snapshot()
    }

    /// From now on instances begin to pull what a new deployment will need there.
    pub fn prepull_images(&mut self) {
        self.loops.push(tokio::spawn(agents::prepull::run(self.hub.clone(), self.wakes.clone())));
    }

    /// The way to containers that run, for ExecuteCommand.
    pub fn exec(&self) -> Arc<dyn service_ecs::ExecSessions> {
        self.hub.clone()
    }

    /// Waits until the records are so.
    pub async fn until(&self, so: impl Fn(&Snapshot) -> bool) {
        self.ledger.until(so).await;
    }

    /// From now on no service is brought to its desired count: this machine is about to leave, and what it stops
    /// must not be started again.
    pub fn pause_services(&self) {
        self.paused.store(true, Ordering::Relaxed);
    }

    /// Everything that is answered on the one port: the AWS services, the agents' websockets, what Berth adds, and
    /// whatever else is given, such as the registry.
    pub fn router(&self, gateway: Arc<Gateway>, others: Router) -> Router {
        server::router(gateway, self.hub.clone(), others)
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        self.loops.iter().for_each(JoinHandle::abort);
        self.hub.abandon();
    }
}
