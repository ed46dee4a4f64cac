//! `cargo xtask fuzz`: feeds every parser of outside bytes with nonsense.
//!
//! With a nightly compiler and `cargo fuzz` the inputs follow the code that they reach; without, the test of
//! `testing/fuzz-targets` tries mutated seeds for as long. Either stops at the first thing it finds.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// How long a target runs unless it is told otherwise.
const SECONDS: u64 = 60;

/// `[--seconds N | --inputs N] [TARGET…]`; without targets all of them.
pub fn command(workspace: &Path, arguments: &[&str]) -> Result<()> {
    let (limit, targets) = match arguments {
        ["--seconds", number, rest @ ..] => (Limit::Seconds(parsed(number)?), rest),
        ["--inputs", number, rest @ ..] => (Limit::Inputs(parsed(number)?), rest),
        rest => (Limit::Seconds(SECONDS), rest),
    };
    let known = targets_of(workspace)?;
    if let Some(unknown) = targets.iter().find(|target| !known.iter().any(|known| known == *target)) {
        bail!("there is no fuzz target {unknown}; there are {}", known.join(", "));
    }
    let chosen: Vec<&str> =
        if targets.is_empty() { known.iter().map(String::as_str).collect() } else { targets.to_vec() };
    if has_nightly() {
        follow(workspace, &limit, &chosen)
    } else {
        println!(
            "No nightly compiler with cargo-fuzz is here (`rustup toolchain install nightly`, `cargo install cargo-fuzz`): \
             trying mutated seeds instead."
        );
        mutate(workspace, &limit, &chosen)
    }
}

enum Limit {
    Seconds(u64),
    Inputs(u64),
}

fn parsed(number: &str) -> Result<u64> {
    number.parse().with_context(|| format!("{number} is not a number"))
}

/// The names in `fuzz/Cargo.toml`; a test keeps them equal to those in the library.
fn targets_of(workspace: &Path) -> Result<Vec<String>> {
    let path = workspace.join("fuzz/Cargo.toml");
    let text = fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
    let manifest: toml::Value = toml::from_str(&text).with_context(|| format!("failed to parse {}", path.display()))?;
    let programs = manifest.get("bin").and_then(toml::Value::as_array);
    let name = |program: &toml::Value| program.get("name")?.as_str().map(str::to_owned);
    Ok(programs.into_iter().flatten().filter_map(name).collect())
}

fn has_nightly() -> bool {
    let mut asked = Command::new("cargo");
    asked.args(["+nightly", "fuzz", "--version"]).stdout(Stdio::null()).stderr(Stdio::null());
    asked.status().is_ok_and(|status| status.success())
}

fn follow(workspace: &Path, limit: &Limit, targets: &[&str]) -> Result<()> {
    // The versions that everything else is built with.
    let lock = workspace.join("fuzz/Cargo.lock");
    fs::copy(workspace.join("Cargo.lock"), &lock).with_context(|| format!("failed to write {}", lock.display()))?;
    let limit = match limit {
        Limit::Seconds(seconds) => format!("-max_total_time={seconds}"),
        Limit::Inputs(inputs) => format!("-runs={inputs}"),
    };
    for target in targets {
        let corpus = workspace.join("fuzz/corpus").join(target);
        fs::create_dir_all(&corpus).with_context(|| format!("failed to make {}", corpus.display()))?;
        let mut run = Command::new("cargo");
        // No sanitizer: what is behind these forbids unsafe code, but for the decompressors, and without it many more inputs are tried.
        run.args(["+nightly", "fuzz", "run", "--release", "--debug-assertions", "--sanitizer", "none", target]);
        run.arg(format!("fuzz/corpus/{target}")).arg(format!("fuzz/seeds/{target}"));
        run.args(["--", &limit, "-timeout=20", "-rss_limit_mb=2048", "-max_len=8192", "-print_final_stats=1"]);
        checked(run.current_dir(workspace), target)?;
    }
    Ok(())
}

fn mutate(workspace: &Path, limit: &Limit, targets: &[&str]) -> Result<()> {
    for target in targets {
        let mut run = Command::new("cargo");
        run.args(["test", "--release", "--quiet", "--package", "fuzz-targets", "--test", "short"]);
        run.args(["--", "--exact", "--nocapture", target]);
        match limit {
            Limit::Seconds(seconds) => run.env("BERTH_FUZZ_SECONDS", seconds.to_string()),
            Limit::Inputs(inputs) => run.env("BERTH_FUZZ_INPUTS", inputs.to_string()),
        };
        checked(run.current_dir(workspace), target)?;
    }
    Ok(())
}

fn checked(command: &mut Command, target: &str) -> Result<()> {
    let status = command.status().with_context(|| format!("failed to run {target}"))?;
    if !status.success() {
        bail!("{target} found something: the input is named above");
    }
    Ok(())
}
