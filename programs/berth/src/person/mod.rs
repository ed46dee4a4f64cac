//! A person's tools. They speak the public APIs, and print for somebody who is tired.
//!
//! What is pure stands apart and is tested as text: `paint` and `table` lay out, `words` says times, names and ports.
//! `cluster` asks the API and follows its pages; `output` is the only place that writes to the terminal.

mod capacity;
mod cluster;
pub mod deploy;
mod endpoint;
pub mod events;
pub mod exec;
pub mod explain;
mod http;
pub mod image;
pub mod logs;
mod node;
mod output;
mod paint;
pub mod ps;
mod screen;
mod table;
mod target;
pub mod top;
pub mod words;

use std::future::Future;
use std::io::Write;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

pub use endpoint::Endpoint;
use output::OutputError;
use stdx::Timestamp;

/// Runs one command to its end. 0 when it did what was asked, 1 when it could not; clap answers bad usage with 2.
pub fn run(command: impl Future<Output = anyhow::Result<()>>) -> ExitCode {
    run_for_code(async { command.await.map(|()| ExitCode::SUCCESS) })
}

/// The same for a command that has an exit code of its own.
pub fn run_for_code(command: impl Future<Output = anyhow::Result<ExitCode>>) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail(&format!("failed to start: {error}")),
    };
    match runtime.block_on(command) {
        Ok(code) => code,
        // Whoever read us has seen enough: `berth logs web | head`.
        Err(error) if matches!(error.downcast_ref(), Some(OutputError::Closed)) => ExitCode::SUCCESS,
        Err(error) => fail(&endpoint::sentence(&error)),
    }
}

fn fail(message: &str) -> ExitCode {
    note(message);
    ExitCode::FAILURE
}

/// For the person, beside the output. Not `eprintln!`: that panics when standard error is closed.
fn note(message: &str) {
    let _ = writeln!(std::io::stderr(), "berth: {message}");
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
