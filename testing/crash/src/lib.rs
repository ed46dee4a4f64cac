//! Kills Berth at random points under a random load, and looks what is true afterwards.
//!
//! A round: clients run, stop, create, update, deploy, delete and execute at random, containers of many kinds; the server, the agent, shims, or all of them die, by
//! `kill -9` at a random moment or at a fail point of their own; what died is started again. Then everything that was
//! acknowledged must be there once: tasks, services, exit codes, log lines. And nothing may be there that nobody owns.
//!
//! The same seed gives the same load and the same plan of deaths. When they happen is the machine's business, so a seed that
//! fails does so again often rather than always.
//!
//! Start at [`run`]. `berth.rs` has the processes under test, `load.py` the clients and what they remember, `plan.rs` the
//! dice.

#![forbid(unsafe_code)]

mod berth;
mod image;
mod load;
mod plan;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use kit::Machine;

use berth::Berth;
use load::Load;
use plan::{Death, Dice};

pub use berth::Shape;

pub struct Options {
    pub seed: u64,
    pub rounds: u64,
    pub shape: Shape,
    /// How long anything may take until it is as it must be.
    pub patience: Duration,
    /// Says what each round did.
    pub verbose: bool,
}

/// What a run of rounds came to.
#[derive(Debug, Default)]
pub struct Outcome {
    pub rounds: u64,
    pub deaths: u64,
    pub shims_killed: u64,
    /// Calls that were answered and calls that were not, and tasks that were followed to their end.
    pub counts: String,
}

/// Of a machine that does nothing else.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Runs rounds until the last one, or until something is not as it must be.
pub fn run(options: &Options) -> anyhow::Result<Outcome> {
    let machine = Machine::new();
    let mut world = World::start(&machine, options)?;
    let mut outcome = Outcome::default();
    for round in 0..options.rounds {
        let mut story = String::new();
        let done = world.round(round, &mut outcome, &mut story);
        if options.verbose {
            println!("round {round}:{story}");
        }
        if let Err(error) = done {
            let (seed, said, kept) = (options.seed, world.berth.said(), world.berth.kept_of(&error.to_string()));
            let at = format!("round {round} of seed {seed} ({:?}):{story}", options.shape);
            return Err(error.context(format!("{at}\nberth said:\n{said}\nthe node keeps:\n{kept}\nit failed")));
        }
        outcome.rounds += 1;
    }
    outcome.counts = world.load.count()?;
    Ok(outcome)
}

struct World<'m> {
    machine: &'m Machine,
    berth: Berth<'m>,
    load: Load,
    seed: u64,
    patience: Duration,
}

impl<'m> World<'m> {
    fn start(machine: &'m Machine, options: &Options) -> anyhow::Result<World<'m>> {
        let marks = machine.dir().join("marks");
        std::fs::create_dir_all(&marks).context("failed to make the folder of marks")?;
        let image = image::write(machine.dir())?;
        let mut berth = Berth::new(machine, options.shape);
        berth.start_first(options.patience)?;
        berth.load_image(&image)?;
        let mut load = Load::start(machine, &marks, &berth.node_dir(), options.patience)?;
        load.prepare()?;
        Ok(World { machine, berth, load, seed: options.seed, patience: options.patience })
    }

    fn round(&mut self, round: u64, outcome: &mut Outcome, story: &mut String) -> anyhow::Result<()> {
        let mut dice = Dice::new(self.seed.wrapping_mul(1_000_003).wrapping_add(round));
        let death = Death::draw(&mut dice, self.berth.shape());
        let _ = write!(story, " {death}");
        self.load.begin(dice.number(), death.takes_any_shim())?;
        if let Some(point) = &death.point {
            // Where it dies is decided when a process starts, so the ones that will die take over from those that run.
            self.berth.kill_all();
            self.berth.start(point)?;
            self.berth.until_one_died(death.after);
            outcome.deaths += 1;
        } else {
            std::thread::sleep(death.after);
        }
        let shims = death.shims.map(|share| self.berth.kill_shims(&mut dice, share)).unwrap_or_default();
        let _ = write!(story, ", {} shims", shims.len());
        outcome.shims_killed += shims.len() as u64;
        // Who was to die at a fail point and has not come there yet would die later, when nobody starts it again.
        if death.server || death.awaits_server() {
            self.berth.kill_server();
        }
        if death.agent || death.awaits_agent() {
            self.berth.kill_agent();
        }
        outcome.deaths += 1;
        self.load.end()?;
        self.load.shims_killed(&shims)?;
        self.berth.start("")?;
        if let Some(pause) = death.again {
            // While it still recovers.
            std::thread::sleep(pause);
            self.berth.kill_all();
            outcome.deaths += 1;
            self.berth.start("")?;
        }
        self.berth.until_ready(self.patience)?;
        let began = Instant::now();
        let live = self.load.check()?;
        self.look(&live)?;
        let _ = write!(story, ", {} live, settled in {} ms", live.len(), began.elapsed().as_millis());
        Ok(())
    }

    /// What the machine has must be what the API says, and nothing else.
    fn look(&self, live: &BTreeSet<String>) -> anyhow::Result<()> {
        let deadline = Instant::now() + self.patience;
        loop {
            let (running, mut unowned) = (self.machine.running(), self.machine.unowned(live));
            // The sessions are over, of which these were.
            unowned.extend(kit::processes(&self.load.executed()).into_iter().map(|(_, line)| line));
            unowned.extend(self.machine.executions());
            if running == *live && unowned.is_empty() {
                return Ok(());
            }
            if Instant::now() > deadline {
                ensure!(unowned.is_empty(), "nobody owns: {unowned:#?}; tasks: {live:?}");
                ensure!(running == *live, "these tasks have processes: {running:?}; these should: {live:?}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
