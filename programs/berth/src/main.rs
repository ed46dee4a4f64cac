//! Every command of Berth, in one program.
//!
//! A command is a module with its `Args` and its `run`; a line in [`Command`] and a line in [`main`] make it known. The
//! ones in [`person`] are a person's tools: they speak the public APIs, as any client does, and see nothing else.

#![forbid(unsafe_code)]

mod person;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use person::ps;

/// Amazon ECS that runs anywhere.
#[derive(Parser)]
#[command(name = "berth", version, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    endpoint: person::Endpoint,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// The tasks of a cluster, and where they answer.
    Ps(ps::Args),
}

fn main() -> ExitCode {
    let Cli { endpoint, command } = Cli::parse();
    match command {
        Command::Ps(args) => person::run(ps::run(&endpoint, args)),
    }
}
