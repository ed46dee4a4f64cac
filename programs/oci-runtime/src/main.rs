//! An OCI runtime in one short-lived process: it does one step of a container's life and exits.
//!
//! The work is libcontainer's. This program adds the command line that `runc` and `crun` share, so that a shim can call
//! any of the three, and one promise: `run` and `start` return success only when the container's program was executed.
//!
//! It never has a second thread. libcontainer forks with a raw `clone3` and allocates in the child, which deadlocks
//! when another thread held the allocator's lock at that moment.
//!
//! Start reading at [`launch`]. [`options`] is the command line, [`log`] where errors go.

mod cgroups;
mod device_policy;
mod executor;
mod launch;
mod lifecycle;
mod log;
mod masks;
mod mounts;
mod options;

use std::process::ExitCode;

use libcontainer::error::LibcontainerError;
use options::Command;

fn main() -> ExitCode {
    let (global, command) = match options::parse(std::env::args_os().skip(1)) {
        Ok(parsed) => parsed,
        Err(err) => {
            eprintln!("berth-oci: {err:#}");
            return ExitCode::from(2);
        }
    };
    let log = log::Log::open(&global);
    match run(&global, command) {
        Ok(code) => code,
        Err(err) => {
            let mut message = format!("{err:#}");
            // libcontainer's own words name the step and not the cause.
            if err.chain().any(|cause| cause.is::<LibcontainerError>())
                && let Some(note) = log.first_note()
            {
                message = format!("{message}: {note}");
            }
            log.fatal(&message);
            ExitCode::FAILURE
        }
    }
}

fn run(global: &options::Global, command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Run(create) => launch::run(global, &create)?,
        Command::Create(create) => launch::create(global, &create)?,
        Command::Start { id } => launch::start(global, &id)?,
        Command::State { id } => lifecycle::state(global, &id)?,
        Command::Kill { id, signal, all } => lifecycle::kill(global, &id, &signal, all)?,
        Command::Delete { id, force } => lifecycle::delete(global, &id, force)?,
        Command::Exec(exec) => return lifecycle::exec(global, exec),
        Command::Version => println!("berth-oci version {}\nspec: 1.0.2", env!("CARGO_PKG_VERSION")),
    }
    Ok(ExitCode::SUCCESS)
}
