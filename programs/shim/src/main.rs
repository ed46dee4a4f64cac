//! The small program beside every task: it outlives the agent, holds the containers' output, and remembers how they ended.
//!
//! One per task, one thread, no async runtime and no JSON library, because a thousand of them must fit on a machine.
//! It starts containers through an OCI runtime by the standard command contract and knows nothing of ECS.
//!
//! Its life. It serves `shim.sock` in its directory to any number of clients, and ends when a client asks for it and no
//! container is left running. An agent that dies changes nothing: the next one connects and hears the whole state.
//! Once its socket is gone from the directory nobody can ever ask again; then it kills its containers and ends.
//!
//! Under the name `docker-init` or `pause` it is another program, which runs inside of containers: see [`init`].
//!
//! Start reading at [`shim::Shim::serve`]. A container's life is in [`container`], its start in [`launch`].

mod client;
mod console;
mod container;
mod exit;
mod failure;
mod init;
mod launch;
mod output;
mod overlay;
mod ring;
mod shim;
mod sys;

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    match init::role(args.next().as_deref()) {
        Some(init::Role::Init) => return init::run(args),
        Some(init::Role::Pause) => return init::pause(),
        None => {}
    }
    let dir = match (args.next(), args.next(), args.next()) {
        (Some(flag), Some(dir), None) if flag == "--dir" => PathBuf::from(dir),
        _ => {
            eprintln!("usage: berth-shim --dir TASK_DIRECTORY");
            return ExitCode::from(2);
        }
    };
    match shim::Shim::open(&dir).and_then(shim::Shim::serve) {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => {
            eprintln!("berth-shim: {}: {err}", dir.display());
            ExitCode::FAILURE
        }
    }
}
