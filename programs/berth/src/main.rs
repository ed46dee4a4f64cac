//! Every command of Berth, in one program.
//!
//! A command is a module with its `Args` and its `run`; a line in [`Command`] and a line in [`main`] make it known. The
//! ones in [`person`] are a person's tools: they speak the public APIs, as any client does, and see nothing else.

#![forbid(unsafe_code)]

mod machine;
mod person;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use machine::{agent, server, up};
use person::{deploy, events, exec, explain, image, logs, ps, top};

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
    /// Everything on this machine, in the foreground: a control plane, a node, a registry.
    Up(up::Args),
    /// A control plane without a node.
    Server(server::Args),
    /// A node of a control plane.
    Agent(agent::Args),
    /// The tasks of a cluster, and where they answer.
    Ps(ps::Args),
    /// What tasks have written, and what they write.
    Logs(logs::Args),
    /// A program in a container that runs.
    Exec(exec::Args),
    /// Instances, services and tasks, and what they use.
    Top(top::Args),
    /// How a task, a service or an instance is, why, and what to do about it.
    Explain(explain::Args),
    /// A deployment as it happens.
    #[command(subcommand)]
    Deploy(deploy::Command),
    /// What happened to a service, oldest first.
    Events(events::Args),
    /// The images of the node on this machine.
    #[command(subcommand)]
    Image(image::Command),
}

fn main() -> ExitCode {
    let Cli { endpoint, command } = Cli::parse();
    match command {
        Command::Up(args) => machine::run(up::run(endpoint.region(), args)),
        Command::Server(args) => machine::run(server::run(endpoint.region(), args)),
        Command::Agent(args) => machine::run_small(agent::run(endpoint.region(), args)),
        Command::Ps(args) => person::run(ps::run(&endpoint, args)),
        Command::Logs(args) => person::run(logs::run(&endpoint, args)),
        Command::Exec(args) => person::run_for_code(exec::run(&endpoint, args)),
        Command::Top(args) => person::run(top::run(&endpoint, args)),
        Command::Explain(args) => person::run(explain::run(&endpoint, args)),
        Command::Deploy(command) => person::run(deploy::run(&endpoint, command)),
        Command::Events(args) => person::run(events::run(&endpoint, args)),
        Command::Image(command) => person::run(image::run(command)),
    }
}
