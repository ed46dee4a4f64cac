//! The figures of docs/performance.md: Berth and its peer, side by side, in one run on one machine.
//!
//! `make bench` prints them as tables. Quote ratios and medians: a machine of two cores is noisy. Everything runs in a network
//! namespace of its own and ends with the run.

#![forbid(unsafe_code)]

mod agent;
mod berth;
mod containers;
mod control;
mod ctr;
mod docker;
mod exec;
mod figures;
mod first_line;
mod fleet;
mod footprint;
mod images;
mod lines;
mod moto;
mod prepull;
mod rates;
mod records;
mod scale;
mod services;

use berth::Network;
use kit::{Docker, Machine};

/// Launches that are measured.
const LAUNCHES: usize = 200;
/// Docker's take ten times as long, and fewer say as much.
const PEER_LAUNCHES: usize = 50;
/// Launches that are in flight together.
const TOGETHER: usize = 8;
const REPLACEMENTS: usize = 10;
const STARTS: usize = 10;
/// Idle tasks, to see what one more costs.
const IDLE_TASKS: usize = 50;
/// Services that have all they want.
const IDLE_SERVICES: usize = 10_000;
/// What one container prints.
const LINES: u64 = 1_000_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => all(),
        ["inside", "launches", definition, count, together] => {
            let number = |text: &str| text.parse().expect("a number");
            runtime().block_on(berth::inside(definition, number(count), number(together)));
        }
        ["inside", "rates", endpoint, operation, clients, subnet] => {
            let clients = clients.parse().expect("a number");
            runtime().block_on(rates::inside(endpoint, operation, clients, subnet));
        }
        ["inside", "scale", instances, tasks, by, server] => {
            let number = |text: &str| text.parse().expect("a number");
            let (instances, tasks) = (number(instances), number(tasks));
            let size = scale::Size { instances, tasks, by_services: by == "services" };
            runtime().block_on(scale::inside(size, server.parse().expect("a process")));
        }
        ["inside", "idle-services", services, server] => {
            let services = services.parse().expect("a number");
            runtime().block_on(scale::inside_idle(services, server.parse().expect("a process")));
        }
        ["inside", "agent"] => runtime().block_on(agent::run()),
        ["launches"] => launches(),
        ["ctr"] => beside_ctr(),
        ["lines"] => {
            let mut machine = Machine::new();
            start(&mut machine);
            let ours = lines::berth(&machine, LINES);
            let engine = Docker::start(&machine);
            docker::Bench::new(&machine, &engine).clear();
            print_lines(&ours, &lines::docker(&machine, &engine, LINES));
        }
        ["control"] => control::run(),
        ["transitions"] => control::transitions(),
        ["recovery"] => control::recovery(),
        ["rates"] => control::rates(),
        ["scale", ref rest @ ..] if scale::Size::read(rest).is_some() => {
            scale::run(scale::Size::read(rest).expect("it has just been read"));
        }
        ["idle-services"] => scale::idle_services(IDLE_SERVICES),
        ["idle-services", services] => scale::idle_services(services.parse().expect("a number")),
        ["images"] => images::run(),
        ["prepull"] => prepull::run(),
        ["containers"] => {
            let mut machine = Machine::new();
            start(&mut machine);
            containers::starts(&machine);
        }
        ["exec"] => {
            let mut machine = Machine::new();
            start(&mut machine);
            exec::run(&machine);
        }
        ["idle"] => containers::idle(),
        ["services"] => {
            let mut machine = Machine::new();
            start(&mut machine);
            let ours = services::berth(&machine);
            services::print(&ours, &services::swarm(&machine, &Docker::start(&machine)));
        }
        _ => {
            eprintln!(
                "usage: bench [launches | ctr | lines | control | transitions | recovery | rates | images | prepull | containers | exec | idle \
                 | services \
                 | scale [--instances N] [--tasks N] [--services] | idle-services [N]]"
            );
            std::process::exit(2);
        }
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// Berth with the sample's image, and nothing running.
fn start(machine: &mut Machine) {
    machine.start(&["--demo"]);
    machine.python("ecs.delete_service(service='sample', force=True)\nuntil('it is gone', lambda: not ecs.list_tasks()['taskArns'])");
    footprint::settle();
}

/// Berth's launches alone, for whoever makes them faster.
fn launches() {
    let mut machine = Machine::new();
    start(&mut machine);
    let bench = berth::Bench::new(&machine);
    for together in [1, TOGETHER] {
        let launches = bench.launches(Network::Bridge, LAUNCHES, together);
        let (p50, p99) = (launches.times.median(), launches.times.percentile(99));
        println!("{together} at once: p50 {p50} ms, p99 {p99} ms, {:.0} a second", launches.per_second);
    }
}

/// Tasks without a network beside containers of containerd's own client, which makes none.
fn beside_ctr() {
    let mut machine = Machine::new();
    start(&mut machine);
    let ours = berth::Bench::new(&machine);
    let ours = [1, TOGETHER].map(|together| ours.launches(Network::None, LAUNCHES, together));
    let engine = Docker::start(&machine);
    let peer = ctr::Bench::new(&machine, &engine);
    let theirs = [1, TOGETHER].map(|together| peer.launches(PEER_LAUNCHES, together));
    peer.clear();
    println!(
        "| launch: cached image, no network | p50 ms | p99 ms | a second | `ctr run -d` p50 ms | p99 ms | a second | ratio of p50 |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for (what, (ours, (theirs, peer_rate))) in
        ["one after another", "8 at once"].into_iter().zip(ours.iter().zip(&theirs))
    {
        let ratio = theirs.median_seconds() / ours.times.median_seconds();
        let (p50, p99, rate) = (ours.times.median(), ours.times.percentile(99), ours.per_second);
        let (peer_p50, peer_p99) = (theirs.median(), theirs.percentile(99));
        println!("| {what} | {p50} | {p99} | {rate:.0} | {peer_p50} | {peer_p99} | {peer_rate:.1} | {ratio:.1} |");
    }
}

fn all() {
    let mut machine = Machine::new();
    let starts = footprint::starts(&mut machine, STARTS);
    start(&mut machine);
    let idle = footprint::memory(&machine);

    let bench = berth::Bench::new(&machine);
    let (one, many) = [1, TOGETHER].map(|together| bench.launches(Network::Bridge, LAUNCHES, together)).into();
    let replaced = bench.replacements(REPLACEMENTS);
    bench.run_tasks(IDLE_TASKS);
    footprint::settle();
    let loaded = footprint::memory(&machine);
    bench.stop_tasks();

    let engine = Docker::start(&machine);
    let peer = docker::Bench::new(&machine, &engine);
    let (peer_one, peer_many) = (peer.launches(PEER_LAUNCHES, 1), peer.launches(PEER_LAUNCHES, TOGETHER));
    peer.clear();
    let (printed, peer_printed) = (lines::berth(&machine, LINES), lines::docker(&machine, &engine, LINES));

    println!(
        "| launch: cached image, bridge network, one dynamic port | p50 ms | p99 ms | a second | `docker run -d -p` p50 ms | p99 ms | a second | ratio of p50 |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for (what, ours, theirs) in [("one after another", &one, &peer_one), ("8 at once", &many, &peer_many)] {
        let ratio = theirs.times.median_seconds() / ours.times.median_seconds();
        let (p50, p99, rate) = (ours.times.median(), ours.times.percentile(99), ours.per_second);
        let (peer_p50, peer_p99, peer_rate) = (theirs.times.median(), theirs.times.percentile(99), theirs.per_second);
        println!("| {what} | {p50} | {p99} | {rate:.0} | {peer_p50} | {peer_p99} | {peer_rate:.1} | {ratio:.1} |");
    }
    println!(
        "\n| call → first line of the program's output | p50 ms | p99 ms | `docker run -d -p` p50 ms | p99 ms | ratio of p50 |"
    );
    println!("|---|---|---|---|---|---|");
    for (what, ours, theirs) in [("one after another", &one, &peer_one), ("8 at once", &many, &peer_many)] {
        let (ours, theirs) = (&ours.first_lines, &theirs.first_lines);
        let ratio = theirs.median_seconds() / ours.median_seconds();
        let (p50, p99, peer_p50, peer_p99) =
            (ours.median(), ours.percentile(99), theirs.median(), theirs.percentile(99));
        println!("| {what} | {p50} | {p99} | {peer_p50} | {peer_p99} | {ratio:.1} |");
    }
    println!("\n| Berth alone | p50 ms | worst ms | of |\n|---|---|---|---|");
    println!(
        "| `kill -9` of a service's container → its replacement answers | {} | {} | {} |",
        replaced.median(),
        replaced.worst(),
        replaced.len()
    );
    println!("| `berth up`: start → ready | {} | {} | {} |", starts.median(), starts.worst(), starts.len());
    println!("\n| memory | KiB |\n|---|---|");
    println!("| idle, {} process: resident | {} |", idle.processes, idle.resident_kib);
    println!(
        "| {} tasks, {} processes: resident, shims included | {} |",
        loaded.shims, loaded.processes, loaded.resident_kib
    );
    let shims = loaded.shims.max(1) as u64;
    println!("| one shim: resident | {} |", loaded.shim_resident_kib / shims);
    println!("| one shim: private and dirty | {} |", loaded.shim_private_kib / shims);
    println!();
    print_lines(&printed, &peer_printed);
}

fn print_lines(ours: &lines::Printed, theirs: &lines::Printed) {
    println!(
        "| {} lines of one container | arrived | lines a second | lines a second and core | bytes on disk a line |",
        ours.lines
    );
    println!("|---|---|---|---|---|");
    for (who, it) in
        [("Berth: printed → GetLogEvents has the last", ours), ("Docker, json-file: run → `docker logs`", theirs)]
    {
        let (second, core, bytes) = (it.per_second(), it.per_core(), it.disk_bytes_per_line());
        println!("| {who} | {} | {second:.0} | {core:.0} | {bytes:.1} |", it.arrived);
    }
}
