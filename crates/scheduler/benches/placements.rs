//! What a placement costs: `cargo bench -p scheduler`.
//!
//! 10,000 instances in 6 zones, ten services that are spread by zone and then packed by memory, one of them with a constraint.
//! Each figure is the median of windows. The last part looks at rounds of one task, each committed before the next.

#![allow(clippy::disallowed_methods, reason = "whoever measures reads a clock")]

#[path = "../tests/cluster/mod.rs"]
mod cluster;

use std::hint::black_box;
use std::time::{Duration, Instant};

use cluster::{definition, instance, ledger, scope};
use model::container_instance::Attribute;
use model::task::LaunchType;
use model::{ContainerInstance, CpuUnits, MemoryMib, Reservation};
use scheduler::{Indexes, Launch, Request, Scheduler, Strategy};
use state::{Changes, Ledger, Snapshot};
use stdx::{Ids, Timestamp};

const ZONES: usize = 6;
const WINDOW: usize = 2_000;
const WINDOWS: usize = 11;

fn main() {
    println!("spread by zone, binpack by memory, a constraint on 1 of 10 tasks");
    for count in [100, 1_000, 10_000, 100_000] {
        filling(count, &[0]);
    }
    filling(10_000, &[0, 10_000, 100_000, 250_000, 500_000, 1_000_000]);
    println!("\nwithout a strategy: fewest tasks of the service, then fewest tasks");
    strategy(vec![]);
    println!("random");
    strategy(vec![Strategy::Random]);
    println!("spread by zone, one task of a service on an instance");
    distinct();
    println!("\na round for each task, 10,000 instances");
    rounds();
}

fn instances(count: usize) -> Vec<ContainerInstance> {
    let made = |number: usize| {
        let zone = format!("us-east-1{}", ['a', 'b', 'c', 'd', 'e', 'f'][number % ZONES]);
        let mut made = instance(&format!("{number:032x}"), &zone, 8_192, 16_384);
        let attribute = |name: &str, value: Option<&str>| Attribute { name: name.into(), value: value.map(Into::into) };
        made.attributes.push(attribute("ecs.availability-zone", Some(&zone)));
        made.attributes.push(attribute("ecs.instance-type", Some(["m5.large", "m5.xlarge"][number / ZONES % 2])));
        made.attributes.push(attribute("disk", Some(["ssd", "hdd", "ssd"][number / ZONES % 3])));
        made.attributes.extend((0..30).map(|number| attribute(&format!("ecs.capability.{number}"), None)));
        made
    };
    (0..count).map(made).collect()
}

/// The task of that number: of one of ten services, the last of which has a constraint.
fn requests(strategies: &[Strategy]) -> Vec<Request> {
    let made = |number: u32| Request {
        family: format!("web{number}"),
        group: format!("service:web{number}"),
        launch_type: LaunchType::Ec2,
        reservation: Reservation {
            cpu: CpuUnits(8 + number),
            memory: MemoryMib(32 + 8 * number),
            ..Reservation::default()
        },
        requires_attributes: (0..5).map(|of| Attribute { name: format!("ecs.capability.{of}"), value: None }).collect(),
        distinct_instance: false,
        member_of: match number {
            9 => vec![
                "attribute:disk == ssd and attribute:ecs.instance-type =~ m5.*".parse().expect("it is well formed"),
            ],
            _ => Vec::new(),
        },
        strategies: strategies.to_vec(),
        providers: Vec::new(),
    };
    (0..10).map(made).collect()
}

fn packed() -> Vec<Strategy> {
    vec![Strategy::Spread("ecs.availability-zone".into()), Strategy::BinpackMemory]
}

fn snapshot(instances: &[ContainerInstance]) -> Snapshot {
    (*ledger(instances).snapshot()).clone()
}

/// Measures at so many running tasks.
fn filling(count: usize, marks: &[usize]) {
    let snapshot = snapshot(&instances(count));
    let indexes = Indexes::default();
    let mut scheduler = Scheduler::new(&indexes, &snapshot, &scope(), "default", 1);
    let requests = requests(&packed());
    let mut running = 0;
    let mut place = |running: &mut usize| {
        let placed = scheduler.place(&requests[*running % requests.len()]);
        *running += usize::from(placed.is_some());
        placed.is_some()
    };
    place(&mut running);
    for mark in marks {
        while running < *mark {
            assert!(place(&mut running), "there is room for {mark}");
        }
        let rate = median(|| (0..WINDOW).filter(|_| place(&mut running)).count());
        println!("{count:>8} instances {mark:>10} running {rate:>10.0} placements/s");
    }
    let huge = Request {
        reservation: Reservation { memory: MemoryMib(1 << 20), ..Default::default() },
        ..requests[9].clone()
    };
    let begin = Instant::now();
    let refused = black_box((0..WINDOW).filter(|_| scheduler.place(&huge).is_none()).count());
    let each = begin.elapsed() / refused as u32;
    let begin = Instant::now();
    let explanation = scheduler.explain(&huge);
    println!(
        "{count:>8} instances: refused in {each:?}, all {} reasons in {:?}",
        explanation.rejections.len(),
        begin.elapsed()
    );
}

fn strategy(strategies: Vec<Strategy>) {
    let snapshot = snapshot(&instances(10_000));
    let indexes = Indexes::default();
    let mut scheduler = Scheduler::new(&indexes, &snapshot, &scope(), "default", 1);
    let requests = requests(&strategies);
    let mut running = 0;
    for mark in [0, 100_000] {
        while running < mark {
            assert!(scheduler.place(&requests[running % requests.len()]).is_some());
            running += 1;
        }
        let mut number = 0;
        let rate = median(|| {
            let placed = (0..WINDOW).filter(|at| scheduler.place(&requests[(number + at) % requests.len()]).is_some());
            let placed = placed.count();
            number += WINDOW;
            placed
        });
        running += WINDOW * WINDOWS;
        println!("{:>8} instances {mark:>10} running {rate:>10.0} placements/s", 10_000);
    }
}

fn distinct() {
    let snapshot = snapshot(&instances(10_000));
    let indexes = Indexes::default();
    let mut scheduler = Scheduler::new(&indexes, &snapshot, &scope(), "default", 1);
    let mut request = requests(&packed()).remove(0);
    request.distinct_instance = true;
    let mut rates = Vec::new();
    for _ in 0..5 {
        let begin = Instant::now();
        let placed = (0..1_900).filter(|_| scheduler.place(&request).is_some()).count();
        rates.push(placed as f64 / begin.elapsed().as_secs_f64());
    }
    println!(
        "{:>8} instances, the first and the last 1,900 of 9,500: {:.0} and {:.0} placements/s",
        10_000, rates[0], rates[4]
    );
}

/// As RunTask does it: an index that is kept, a snapshot that has moved, one task, a commit.
fn rounds() {
    let ledger = ledger(&instances(10_000));
    let indexes = Indexes::default();
    let (mut ids, requests) = (Ids::from_seed(1), requests(&packed()));
    let mut times: Vec<Duration> = Vec::new();
    for number in 0..WINDOW {
        let snapshot = ledger.snapshot();
        let request = &requests[number % requests.len()];
        let begin = Instant::now();
        let mut scheduler = Scheduler::new(&indexes, &snapshot, &scope(), "default", number as u64);
        let placement = scheduler.place(request).expect("there is room");
        drop(scheduler);
        times.push(begin.elapsed());
        let launch = Launch {
            definition: &definition(0, 0, &[]),
            request,
            cluster: "default",
            launch_type: LaunchType::Ec2,
            started_by: String::new(),
            overrides: None,
            tags: Vec::new(),
            execute_command_enabled: false,
        };
        let mut changes = Changes::new();
        launch.record(&placement, &snapshot, &mut changes, &mut ids, Timestamp::EPOCH);
        ledger.commit_now(&changes).expect("nobody else commits");
    }
    let first = times[0];
    times.sort();
    println!("the first, which makes the index: {first:?}; the median of all: {:?}", times[times.len() / 2]);
}

/// Of so many windows, the middle one: placements a second.
fn median(mut window: impl FnMut() -> usize) -> f64 {
    let mut rates: Vec<f64> = (0..WINDOWS)
        .map(|_| {
            let begin = Instant::now();
            let placed = window();
            placed as f64 / begin.elapsed().as_secs_f64()
        })
        .collect();
    rates.sort_by(f64::total_cmp);
    rates[WINDOWS / 2]
}
