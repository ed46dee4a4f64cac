//! What runs on a machine: the control plane, a node, or both in one process tree.
//!
//! `up` is a [`control`] and a [`member`] that speak to each other over the same protocols as on two machines. `dirs` says
//! where everything is kept, `parts` writes out the small programs that this one carries.

pub mod agent;
mod builtin_registry;
mod bulk;
mod control;
mod demo;
mod dirs;
mod leave;
mod listen;
mod member;
mod parts;
mod pressure;
mod pulls;
mod retention;
pub mod server;
mod slim;
mod summary;
pub mod up;
mod upstreams;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use tracing_subscriber::EnvFilter;

/// Threads that serve. Two are enough for a laptop, and containers want the other cores.
const WORKERS: usize = 2;
/// Threads for what waits for a disk or the kernel. Hundreds at once are no faster, and stay as long as there is work for one.
const BLOCKING_MAX: usize = 32;

/// The same as [`run`], for what shall take little memory rather than use every core.
pub fn run_small(command: impl Future<Output = anyhow::Result<()>>) -> ExitCode {
    runtime::share_one_heap();
    run(command)
}

/// Runs one command to its end: 0 when it left as it was asked to, 1 when it could not run.
pub fn run(command: impl Future<Output = anyhow::Result<()>>) -> ExitCode {
    let filter = EnvFilter::try_from_env("BERTH_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(colours).compact().init();
    if let Err(error) = runtime::raise_open_files() {
        tracing::warn!(%error, "the number of open files stays as it is");
    }
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(WORKERS).max_blocking_threads(BLOCKING_MAX).enable_all().build();
    let done = runtime.map_err(anyhow::Error::from).and_then(|runtime| runtime.block_on(command));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "berth: {}", sentence(&error));
            ExitCode::FAILURE
        }
    }
}

/// The error and its causes, each thing said once: many an error repeats its cause in its own words.
fn sentence(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        let said = cause.split(" (os error").next().unwrap_or(&cause).to_lowercase();
        if text.is_empty() {
            text = cause;
        } else if !text.to_lowercase().contains(&said) {
            text.push_str(": ");
            text.push_str(&cause);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let full = std::io::Error::from_raw_os_error(28);
        let error =
            anyhow::Error::new(full).context("failed to write: no space left on device").context("cannot start");
        assert_eq!(sentence(&error), "cannot start: failed to write: no space left on device");
        assert_eq!(sentence(&anyhow::anyhow!("inner").context("outer")), "outer: inner");
    }
}
