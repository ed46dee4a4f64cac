//! A person's tools. They speak the public APIs, and print for somebody who is tired.
//!
//! What is pure stands apart and is tested as text: `paint` and `table` lay out, `words` says times, names and ports.
//! `cluster` asks the API and follows its pages; `output` is the only place that writes to the terminal.

mod cluster;
mod endpoint;
mod output;
mod paint;
pub mod ps;
mod table;
mod words;

use std::future::Future;
use std::io::Write;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

pub use endpoint::Endpoint;
use output::OutputError;
use stdx::Timestamp;

/// Runs one command to its end. 0 when it did what was asked, 1 when it could not; clap answers bad usage with 2.
pub fn run(command: impl Future<Output = anyhow::Result<()>>) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("failed to start: {error}")),
    };
    match runtime.block_on(command) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever read us has seen enough: `berth logs web | head`.
        Err(error) if matches!(error.downcast_ref(), Some(OutputError::Closed)) => ExitCode::SUCCESS,
        Err(error) => fail(&endpoint::sentence(&error)),
    }
}

/// Not `eprintln!`: that panics when standard error is closed.
fn fail(message: &str) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "berth: {message}");
    ExitCode::FAILURE
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
