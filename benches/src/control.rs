//! The control plane by itself: calls a second beside moto's, durable transitions, and what a million tasks take.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use kit::Machine;

use crate::rates::{self, OPERATIONS};
use crate::{footprint, moto, records};

const FEW: usize = 1_000;
const MANY: usize = 1_000_000;
const CLIENTS: [usize; 3] = [1, 8, 64];

pub fn run() {
    transitions();
    let (few, many) = (with_tasks(FEW, rates_of), with_tasks(MANY, rates_of));
    print_recovery(&few, &many);
    let peer = moto::rates(FEW, &CLIENTS);
    println!(
        "\n| calls a second (p99 ms) | clients | {FEW} tasks | {MANY} tasks | `moto_server`, {FEW} tasks | ratio at {FEW} |"
    );
    println!("|---|---|---|---|---|---|");
    for (index, operation) in OPERATIONS.iter().enumerate() {
        for (place, clients) in CLIENTS.iter().enumerate() {
            let at = index * CLIENTS.len() + place;
            let cell = |rate: &rates::Rate| format!("{:.0} ({})", rate.per_second, rate.times.percentile(99));
            let (ours, theirs) = (&few.rates[at], &peer[at]);
            let ratio = ours.per_second / theirs.per_second;
            println!(
                "| {operation} | {clients} | {} | {} | {} | {ratio:.0} |",
                cell(ours),
                cell(&many.rates[at]),
                cell(theirs)
            );
        }
    }
}

pub fn transitions() {
    let (burst, half) = records::transitions();
    println!("| durable task transitions on SQLite | a second | p50 ms | p99 ms |");
    println!("|---|---|---|---|");
    for (what, measured) in [("as many as it takes", burst), ("at half of that", half)] {
        let (p50, p99) = (measured.times.median(), measured.times.percentile(99));
        println!("| {what} | {:.0} | {p50} | {p99} |", measured.per_second);
    }
}

pub fn recovery() {
    let (few, many) = (with_tasks(FEW, |_| Vec::new()), with_tasks(MANY, |_| Vec::new()));
    print_recovery(&few, &many);
}

fn print_recovery(few: &Loaded, many: &Loaded) {
    println!("\n| recovery | of {FEW} tasks | of {MANY} tasks |");
    println!("|---|---|---|");
    println!("| start → ready, s | {:.2} | {:.2} |", few.ready.as_secs_f64(), many.ready.as_secs_f64());
    println!("| resident, MiB | {} | {} |", few.resident_kib / 1024, many.resident_kib / 1024);
    let a_task = (many.resident_kib - few.resident_kib) as f64 / (MANY - FEW) as f64;
    println!("| KiB a task | | {a_task:.2} |");
}

/// Berth's calls a second alone, for whoever makes them faster.
pub fn rates() {
    let few = with_tasks(FEW, rates_of);
    for (index, operation) in OPERATIONS.iter().enumerate() {
        for (place, clients) in CLIENTS.iter().enumerate() {
            let rate = &few.rates[index * CLIENTS.len() + place];
            println!(
                "{operation}, {clients} clients: {:.0} a second, p99 {} ms",
                rate.per_second,
                rate.times.percentile(99)
            );
        }
    }
}

struct Loaded {
    ready: Duration,
    resident_kib: u64,
    rates: Vec<rates::Rate>,
}

/// A Berth with so many tasks, none of them on this machine.
fn with_tasks(count: usize, measure: impl Fn(&Machine) -> Vec<rates::Rate>) -> Loaded {
    let mut machine = Machine::new();
    machine.start(&[]);
    machine.stop();
    records::seed(&machine.data_dir().join("store.db"), count);
    let began = Instant::now();
    machine.start(&[]);
    let ready = began.elapsed();
    footprint::settle();
    let resident_kib = footprint::memory(&machine).resident_kib;
    let rates = measure(&machine);
    Loaded { ready, resident_kib, rates }
}

fn rates_of(machine: &Machine) -> Vec<rates::Rate> {
    let mut agent = Agent::join(machine);
    let endpoint = "http://127.0.0.1:4566";
    let measure = |(operation, clients): (&&str, usize)| rates::measure(machine, endpoint, operation, clients, "");
    let pairs = OPERATIONS.iter().flat_map(|operation| CLIENTS.map(|clients| (operation, clients)));
    let rates = pairs.map(measure).collect();
    agent.leave();
    rates
}

/// An agent that takes every task and starts none.
struct Agent(Child);

impl Agent {
    fn join(machine: &Machine) -> Agent {
        let own = std::env::current_exe().expect("this program has a path");
        let mut command = machine.command(&own.display().to_string());
        command.args(["inside", "agent"]).stdout(Stdio::piped());
        let mut child = command.spawn().expect("this program runs");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("it is piped")).read_line(&mut line).expect("the agent speaks");
        assert_eq!(line, "joined\n");
        Agent(child)
    }

    fn leave(&mut self) {
        self.0.kill().expect("it is a child of ours");
        self.0.wait().expect("it is a child of ours");
    }
}
