//! `cargo xtask crash`: many rounds of [`crash::run`], by hand.

#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Parser;
use crash::{Options, Shape};

/// Kills Berth at random points and looks what is true afterwards.
#[derive(Parser)]
struct Args {
    /// Where the dice begin; another one each time when absent.
    #[arg(long)]
    seed: Option<u64>,
    #[arg(long, default_value_t = 100)]
    rounds: u64,
    /// Server and agent in processes of their own.
    #[arg(long)]
    split: bool,
    /// How many seconds anything may take: more on a machine that is busy with other things.
    #[arg(long, default_value_t = crash::PATIENCE.as_secs())]
    patience: u64,
    /// Say what each round does.
    #[arg(long)]
    verbose: bool,
}

fn main() -> ExitCode {
    let Args { seed, rounds, split, patience, verbose } = Args::parse();
    let seed = seed.unwrap_or_else(|| {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.map_or(0, |since| since.as_millis() as u64 % 1_000_000_007)
    });
    let shape = if split { Shape::Split } else { Shape::Up };
    println!("seed {seed}, {rounds} rounds, {shape:?}");
    let began = Instant::now();
    match crash::run(&Options { seed, rounds, shape, patience: Duration::from_secs(patience), verbose }) {
        Ok(outcome) => {
            let (rounds, deaths, shims) = (outcome.rounds, outcome.deaths, outcome.shims_killed);
            println!("{rounds} rounds in {} s: {deaths} deaths and {shims} of shims", began.elapsed().as_secs());
            println!("{}", outcome.counts);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}
