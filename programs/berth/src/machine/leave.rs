//! When a person or a supervisor wants the program to end.

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGINT and SIGTERM.
pub struct Leave {
    interrupt: Signal,
    terminate: Signal,
}

impl Leave {
    pub fn listen() -> anyhow::Result<Leave> {
        let listen = |kind| signal(kind).context("cannot listen to signals");
        Ok(Leave { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    /// Waits for the next one.
    pub async fn asked(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
