//! Every target for a moment: its seeds, and what becomes of them. `BERTH_FUZZ_SECONDS` makes the moment longer,
//! `BERTH_FUZZ_INPUTS` counts inputs instead, and `BERTH_FUZZ_SEED` chooses others than the same ones each time.

use std::fs;
use std::path::Path;
use std::str::FromStr;
use std::time::{Duration, Instant};

use fuzz_targets::{Mutator, TARGETS, folder, run};

/// All targets together stay below a minute of one core.
const SECONDS: f64 = 1.5;

/// The input that is being tried; it outlives a panic as a file.
struct Trying {
    target: &'static str,
    input: Vec<u8>,
}

impl Drop for Trying {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{}.input", self.target));
            match fs::write(&path, &self.input) {
                Ok(()) => eprintln!("the input is kept in {}", path.display()),
                Err(error) => eprintln!("the input {:?} could not be kept: {error}", self.input),
            }
        }
    }
}

fn setting<T: FromStr>(name: &str, default: T) -> T {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = folder().join("seeds").join(target);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

fn briefly(name: &str) {
    let target = TARGETS.iter().find(|target| target.name == name).unwrap();
    let seeds = seeds(name);
    assert!(!seeds.is_empty(), "{name} has no seeds");
    let mut trying = Trying { target: target.name, input: Vec::new() };
    for seed in &seeds {
        trying.input = seed.clone();
        run(name, &trying.input);
    }
    let inputs_max = setting("BERTH_FUZZ_INPUTS", 0);
    let until = Instant::now() + Duration::from_secs_f64(setting("BERTH_FUZZ_SECONDS", SECONDS));
    let mut mutator = Mutator::new(setting("BERTH_FUZZ_SEED", 1), seeds, target.bytes_max);
    let mut inputs = 0u64;
    while if inputs_max > 0 { inputs < inputs_max } else { Instant::now() < until } {
        trying.input = mutator.next_input();
        run(name, &trying.input);
        inputs += 1;
    }
    println!("{name}: {inputs} inputs");
    assert!(inputs > 0);
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(#[test] fn $name() { briefly(stringify!($name)) })*

        /// The list in the library, this one, and the programs of `cargo fuzz` are the same.
        #[test]
        fn every_target_is_driven() {
            let listed: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
            assert_eq!(listed, [$(stringify!($name)),*]);
            let manifest = fs::read_to_string(folder().join("Cargo.toml")).unwrap();
            for name in listed {
                assert!(manifest.contains(&format!("\nname = \"{name}\"\npath = \"fuzz_targets/{name}.rs\"\n")), "{name}");
                let source = fs::read_to_string(folder().join(format!("fuzz_targets/{name}.rs"))).unwrap();
                assert!(source.contains(&format!("fuzz_targets::run(\"{name}\", input)")), "{name}");
            }
        }
    };
}

targets! {
    acs_frames agent_records api_answers aws_chunked cluster_query compressed dates ecs_calls filter_pattern gateway image_config
    image_manifest image_reference insights_query json_input log_options log_store query_input registry_manifest registry_requests
    rest_xml_input session_frames shim_frames sigv4 state_records store_history tar_entries tar_layers tcs_frames upgrade_query users
}
