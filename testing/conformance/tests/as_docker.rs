//! What a container may do is what Docker lets it do: the same program in both, system call by system call. Needs root.

use std::collections::BTreeMap;

use conformance::seen::Seen;
use conformance::world::World;
use kit::{Docker, Machine};
use serde_json::{Value, json};

const INSIDE: &str = "CONFORMANCE_DOCKER";

/// A container definition, and the same for `docker run`.
const KINDS: [(&str, &str, &[&str]); 4] = [
    ("plain", "{}", &[]),
    (
        "with_more",
        r#"{"linuxParameters":{"capabilities":{"add":["SYS_ADMIN","SYS_PTRACE"]}}}"#,
        &["--cap-add=SYS_ADMIN", "--cap-add=SYS_PTRACE"],
    ),
    ("with_less", r#"{"linuxParameters":{"capabilities":{"drop":["ALL"]}}}"#, &["--cap-drop=ALL"]),
    (
        "somebody",
        r#"{"user":"1000:1000","dockerSecurityOptions":["no-new-privileges"]}"#,
        &["--user=1000:1000", "--security-opt=no-new-privileges"],
    ),
];

#[test]
fn containers_are_confined_as_dockers_are() {
    match std::env::var_os(INSIDE) {
        Some(dir) => of_berth(dir.into()),
        None => compare(),
    }
}

fn compare() {
    let mut machine = Machine::new();
    machine.start(&[]);
    let program = conformance::program();
    let layout = conformance::write_image(machine.dir(), &program);
    machine.person(&format!("image load {}", layout.display())).expect("the image is taken in");
    let mut client = machine.command(&std::env::current_exe().expect("this program").display().to_string());
    client.args(["--exact", "containers_are_confined_as_dockers_are", "--nocapture"]).env(INSIDE, machine.dir());
    assert!(client.status().expect("this program starts").success());
    let ours = std::fs::read_to_string(machine.dir().join("ours.json")).expect("it was written");
    let ours: BTreeMap<String, [String; 2]> = serde_json::from_str::<Value>(&ours)
        .expect("JSON")
        .as_object()
        .expect("an object")
        .iter()
        .map(|(name, said)| (name.clone(), [0, 1].map(|at| said[at].as_str().expect("text").to_owned())))
        .collect();

    let docker = Docker::start(&machine);
    let layer = machine.dir().join("layer.tar").display().to_string();
    docker.run(
        &machine,
        &["import", "--change", "ENTRYPOINT [\"/bin/probe\"]", "--change", "ENV PATH=/bin", &layer, "probe:1"],
    );
    for (name, _, options) in KINDS {
        let theirs = |word: &str| {
            let words = [&["run", "--rm", "--network=none"], options, &["probe:1", word]].concat();
            docker.run(&machine, &words)
        };
        let [calls, inspected] = &ours[name];
        let (ours, theirs_said) = (answers(calls), answers(&theirs("syscalls")));
        let different: Vec<_> =
            ours.iter().filter(|(number, ours)| !is_alike(**number, ours, &theirs_said[number])).collect();
        assert!(different.is_empty(), "{name}: {different:?} where Docker's are {theirs_said:?}");
        let (ours, theirs) = (Seen::read(inspected), Seen::read(&theirs("inspect")));
        for set in ["CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb", "NoNewPrivs", "Seccomp"] {
            assert_eq!(ours.status(set), theirs.status(set), "{name}: {set}");
        }
        // What Docker covers or makes read-only, and how its file systems are mounted.
        for line in theirs.text("mounts").lines() {
            let place = line.split(' ').nth(4).expect("a place");
            // Its own names, and trees of cgroups, which each machine has its own of.
            if place == "/" || place.starts_with("/etc/") || place.starts_with("/sys/fs/cgroup/") {
                continue;
            }
            let (own, theirs) = (ours.mount(place), theirs.mount(place).expect("it is there"));
            let own = own.unwrap_or_else(|| panic!("{name}: Docker has something at {place}: {theirs:?}"));
            let flags = |options: &str| {
                let mut flags: Vec<String> = options.split(',').map(str::to_owned).collect();
                flags.sort();
                flags
            };
            assert_eq!((flags(&own.0), &own.1), (flags(&theirs.0), &theirs.1), "{name}: {place}");
        }
        let devices = |seen: &Seen| seen.words("dev").into_iter().collect::<std::collections::BTreeSet<_>>();
        assert_eq!(devices(&ours), devices(&theirs), "{name}: devices");
        assert_eq!(ours.value("limits"), theirs.value("limits"), "{name}: limits");
    }
    drop(docker);
    assert!(machine.stop().success());
}

fn answers(said: &str) -> BTreeMap<u32, String> {
    let pair = |line: &str| {
        line.split_once(' ').map(|(number, answer)| (number.parse().expect("a number"), answer.to_owned()))
    };
    said.lines().filter_map(pair).collect()
}

const REFUSED: &str = "1";

/// Docker's profile of today is Berth's; the engine here may be older.
///
/// Source: moby, `profiles/seccomp/default.json`, its history: `name_to_handle_at`, `process_vm_readv`, `process_vm_writev` and
/// `pkey_*` are let through since version 23, the three calls of `io_uring` no more since version 25.
fn is_alike(number: u32, ours: &str, theirs: &str) -> bool {
    const ALLOWED_SINCE: [u32; 6] = [303, 310, 311, 329, 330, 331];
    const REFUSED_SINCE: [u32; 3] = [425, 426, 427];
    // What came later is to old engines a call that does not exist.
    const YOUNG: u32 = 449;
    ours == theirs
        || cfg!(target_arch = "x86_64") && ALLOWED_SINCE.contains(&number) && theirs == REFUSED
        || cfg!(target_arch = "x86_64") && REFUSED_SINCE.contains(&number) && ours == REFUSED
        || number > YOUNG
}

fn of_berth(dir: std::path::PathBuf) {
    let world = World::new("http://127.0.0.1:4566", dir.join("data"), dir.join("shared"));
    let mut said = serde_json::Map::new();
    for (name, more, _) in KINDS {
        let bench = world.bench(name);
        let more: Value = serde_json::from_str(more).expect("JSON");
        let words = |word: &str| bench.says(json!({ "networkMode": "none" }), more.clone(), &[word]);
        said.insert(name.to_owned(), json!([words("syscalls"), words("inspect")]));
    }
    std::fs::write(dir.join("ours.json"), Value::Object(said).to_string()).expect("the folder can be written");
}
