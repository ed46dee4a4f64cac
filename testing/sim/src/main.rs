//! `cargo xtask sim`: many stories by hand.

#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use clap::Parser;
use sim::world::Counts;
use sim::{Options, Scenario, shrink};

/// Plays the stories of seeds, and tells the shortest one that goes wrong.
#[derive(Parser)]
struct Args {
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// How many seeds.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// Tell the whole story of the first seed.
    #[arg(long)]
    verbose: bool,
    /// Stories that are played side by side; each of them is one thread's.
    #[arg(long, default_value_t = 2)]
    jobs: u64,
    /// Go on after a story that goes wrong, and name the seeds.
    #[arg(long)]
    keep_going: bool,
}

fn main() -> ExitCode {
    let args = Args::parse();
    if args.verbose {
        return tell(args.seed);
    }
    let (next, stop) = (AtomicU64::new(args.seed), AtomicBool::new(false));
    let (failed, counts) = (Mutex::new(Vec::new()), Mutex::new(Counts::default()));
    let end = args.seed + args.seeds;
    std::thread::scope(|scope| {
        for _ in 0..args.jobs {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        break;
                    }
                    let outcome = sim::run(&Scenario::of(seed), &Options::default());
                    *counts.lock().expect("nobody panics with it") += outcome.counts;
                    if let Some(violation) = outcome.violation {
                        println!("seed {seed}: {violation}");
                        failed.lock().expect("nobody panics with it").push((seed, violation));
                        stop.fetch_or(!args.keep_going, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let mut failed = failed.into_inner().expect("nobody panicked");
    failed.sort_by_key(|(seed, _)| *seed);
    let counts = counts.into_inner().expect("nobody panicked");
    println!(
        "{} seeds, {} failed: {} events, {} commits, {} conflicts, {} tasks, {} processes, {:.1} simulated hours",
        args.seeds,
        failed.len(),
        counts.events,
        counts.commits,
        counts.conflicts,
        counts.tasks_started,
        counts.processes,
        counts.lasted.as_secs_f64() / 3600.0
    );
    let Some((seed, violation)) = failed.first() else { return ExitCode::SUCCESS };
    println!("\nshrinking seed {seed} …\n");
    let options = Options::default();
    let short = shrink::shrink(&Scenario::of(*seed), &options, violation.checker);
    print!("{}", shrink::story(&short, &options));
    ExitCode::FAILURE
}

fn tell(seed: u64) -> ExitCode {
    let scenario = Scenario::of(seed);
    print!("{}", shrink::story(&scenario, &Options::default()));
    match sim::run(&scenario, &Options::default()).violation {
        None => ExitCode::SUCCESS,
        Some(_) => ExitCode::FAILURE,
    }
}
