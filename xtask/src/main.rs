//! Chores of the workspace.
//!
//! `cargo xtask codegen [--check]` writes `api/` from `api/operations.toml` and the service models in botocore.
//! `cargo xtask tidy` checks what the compiler cannot: which crate may know which, and how long a file may be.
//! `cargo xtask sample-image` builds the sample application and packs it as an image, without any registry.
//! `cargo xtask dist` builds the program that people get: `target/release/berth`, with its small parts inside.
//! `cargo xtask crash [--seed N] [--rounds N] [--split] [--patience SECONDS] [--verbose]` kills Berth at random points and checks what is left.
//! `cargo xtask sim [--seed N] [--seeds N] [--verbose]` plays a whole Berth in memory, from seeds, and checks what must be true.
//! `cargo xtask fuzz` feeds every parser of outside bytes with nonsense.
//! It never runs as part of the product.

#![forbid(unsafe_code)]

mod codegen;
mod dist;
mod fuzz;
mod oci_layout;
mod sample_image;
mod small;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments.as_slice() {
        ["codegen"] => codegen::write(&workspace()),
        ["codegen", "--check"] => codegen::check(&workspace()),
        ["tidy"] => tidy::check(&workspace()),
        ["dist"] => dist::command(&workspace()),
        ["crash", rest @ ..] => harness("crash", &[], rest),
        ["sim", rest @ ..] => harness("sim", &["--release"], rest),
        ["fuzz", rest @ ..] => fuzz::command(&workspace(), rest),
        ["sample-image", rest @ ..] => sample_image::command(&workspace(), rest),
        _ => Err(anyhow::anyhow!(
            "usage: cargo xtask codegen [--check] | tidy | dist | crash [--seed N] [--rounds N] [--split] [--patience SECONDS] [--verbose] | \
             sim [--seed N] [--seeds N] [--verbose] [--keep-going] | sample-image [--version 1|2] [--out DIR] | fuzz [--seconds N | --inputs N] [TARGET…]"
        )),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Each harness looks at a whole Berth, so it is a program of its own.
fn harness(name: &str, profile: &[&str], arguments: &[&str]) -> anyhow::Result<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = std::process::Command::new(cargo);
    command.current_dir(workspace()).args(["run", "--quiet"]).args(profile);
    command.args(["--package", name, "--"]).args(arguments);
    anyhow::ensure!(command.status()?.success(), "it ended badly");
    Ok(())
}

/// The folder of the workspace: the parent of this package.
fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies inside the workspace").to_owned()
}
