//! A large image: pulled and unpacked beside Docker, pushed and pulled beside Debian's `docker-registry`.

use std::fs::{self, File};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use kit::{Docker, Machine, until};

use crate::figures::Times;

/// Three times each, as the disk of a small machine has moods.
const TIMES: usize = 3;
const FILES: usize = 14_000;
const MEGABYTES: usize = 480;
const BERTH: &str = "127.0.0.1:4566";
const PEER: &str = "127.0.0.1:5000";

pub fn run() {
    let mut machine = Machine::new();
    machine.start(&[]);
    let engine = Docker::start(&machine);
    let registry = serve_peer(&mut machine);

    let rounds: Vec<Round> = (0..TIMES).map(|round| measure(&machine, &engine, round)).collect();
    let column = |column: fn(&Round) -> Duration| Times::new(rounds.iter().map(column).collect());
    let (ours, docker) = (column(|round| round.pull), column(|round| round.docker_pull));
    println!("| an image of {MEGABYTES} MB in {FILES} files, three layers | Berth, s | peer, s | ratio |");
    println!("|---|---|---|---|");
    row("pull and unpack, beside `docker pull` from the same registry", &ours, &docker);
    row("push by skopeo, beside `docker-registry`", &column(|round| round.push), &column(|round| round.peer_push));
    row("pull by skopeo, beside `docker-registry`", &column(|round| round.fetch), &column(|round| round.peer_fetch));
    drop(registry);
}

fn row(what: &str, ours: &Times, theirs: &Times) {
    let (ours, theirs) = (ours.median_seconds(), theirs.median_seconds());
    println!("| {what} | {ours:.2} | {theirs:.2} | {:.1} |", theirs / ours);
}

struct Round {
    push: Duration,
    peer_push: Duration,
    fetch: Duration,
    peer_fetch: Duration,
    pull: Duration,
    docker_pull: Duration,
}

fn measure(machine: &Machine, engine: &Docker, round: usize) -> Round {
    // A new one each time: nobody has a layer of it yet.
    make_image(machine, round);
    let skopeo = |arguments: String| {
        timed(|| machine.run(&format!("skopeo --insecure-policy copy --quiet {arguments}")).expect("skopeo copies"))
    };
    let from = format!("oci:{}:big", layout(machine).display());
    let push = |to: &str| skopeo(format!("--dest-tls-verify=false {from} docker://{to}/big{round}:1"));
    let fetch = |from: &str| {
        let to = machine.dir().join("fetched");
        let took = skopeo(format!("--src-tls-verify=false docker://{from}/big{round}:1 dir:{}", to.display()));
        fs::remove_dir_all(to).expect("it was fetched");
        took
    };
    // What went before must not be written in somebody else's time.
    let (push_ours, push_theirs) = (settled(|| push(BERTH)), settled(|| push(PEER)));
    let (fetch_ours, fetch_theirs) = (settled(|| fetch(BERTH)), settled(|| fetch(PEER)));
    // Nothing is removed in between: for minutes, ext4 gives no new file the place of one that was, and looks at each of those.
    let docker_pull = || timed(|| engine.run(machine, &["pull", "--quiet", &format!("{BERTH}/big{round}:1")]));
    let (docker_pull, pull) = match round % 2 {
        0 => (settled(docker_pull), settled(|| pull(machine, round))),
        _ => {
            let pull = settled(|| pull(machine, round));
            (settled(docker_pull), pull)
        }
    };
    Round { push: push_ours, peer_push: push_theirs, fetch: fetch_ours, peer_fetch: fetch_theirs, pull, docker_pull }
}

fn settled(work: impl FnOnce() -> Duration) -> Duration {
    let synced = Command::new("sync").status().expect("sync runs");
    assert!(synced.success());
    work()
}

fn timed<T>(work: impl FnOnce() -> T) -> Duration {
    let began = Instant::now();
    work();
    began.elapsed()
}

/// From the beginning of the pull to its end, by a task that needs the image.
fn pull(machine: &Machine, round: usize) -> Duration {
    let script = format!(
        r#"
register("big", [hello(image="{BERTH}/big{round}:1", command=["/nothing"], portMappings=[])])
t = stopped(run("big")[0])
print((t["pullStoppedAt"] - t["pullStartedAt"]).total_seconds())
"#
    );
    let seconds = machine.python(&script).trim().parse().expect("seconds");
    Duration::from_secs_f64(seconds)
}

fn layout(machine: &Machine) -> std::path::PathBuf {
    machine.dir().join("big-image")
}

/// Files that shrink to half, as programs do, in an OCI layout of three layers.
fn make_image(machine: &Machine, round: usize) {
    let script = format!(
        r#"
import hashlib, gzip, io, os, random, shutil, tarfile
top = "{}"
blobs = top + "/blobs/sha256/"
shutil.rmtree(top, ignore_errors=True)
os.makedirs(blobs)
def keep(data):
    name = hashlib.sha256(data).hexdigest()
    open(blobs + name, "wb").write(data)
    return {{"digest": "sha256:" + name, "size": len(data)}}
numbers = random.Random({round})
size = {MEGABYTES} * 1000 * 1000 // {FILES}
layers, diffs = [], []
for layer in range(3):
    text = io.BytesIO()
    with tarfile.open(fileobj=text, mode="w") as tar:
        for number in range(layer, {FILES}, 3):
            info = tarfile.TarInfo(f"usr/lib/part{{number % 97}}/file{{number}}")
            info.size, info.mode = size, 0o644
            half = numbers.randbytes(size // 2)
            tar.addfile(info, io.BytesIO(half + bytes(size - len(half))))
    text = text.getvalue()
    diffs.append("sha256:" + hashlib.sha256(text).hexdigest())
    layers.append(dict(keep(gzip.compress(text, 1)), mediaType="application/vnd.oci.image.layer.v1.tar+gzip"))
config = {{"architecture": "amd64", "os": "linux", "config": {{}}, "rootfs": {{"type": "layers", "diff_ids": diffs}}}}
config = dict(keep(json.dumps(config).encode()), mediaType="application/vnd.oci.image.config.v1+json")
manifest = {{"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json", "config": config, "layers": layers}}
manifest = dict(keep(json.dumps(manifest).encode()), mediaType=manifest["mediaType"],
    annotations={{"org.opencontainers.image.ref.name": "big"}})
open(top + "/oci-layout", "w").write('{{"imageLayoutVersion": "1.0.0"}}')
open(top + "/index.json", "w").write(json.dumps({{"schemaVersion": 2, "manifests": [manifest]}}))
"#,
        layout(machine).display()
    );
    machine.python(&script);
}

/// Debian's registry, with everything it keeps below the test's folder.
fn serve_peer(machine: &mut Machine) -> File {
    let dir = machine.dir().join("docker-registry");
    fs::create_dir_all(&dir).expect("the folder can be made");
    let config = format!(
        "version: 0.1\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: \"{PEER}\"}}\nlog: {{level: error}}\n",
        dir.join("data").display()
    );
    let path = dir.join("config.yml");
    fs::write(&path, config).expect("the folder can be written");
    let log = File::create(dir.join("log")).expect("the folder can be written");
    let mut command = machine.command("docker-registry");
    command.arg("serve").arg(&path).stdout(Stdio::null()).stderr(log.try_clone().expect("a file can be shared"));
    machine.spawn(command);
    until("docker-registry answers", || machine.run(&format!("curl -sf http://{PEER}/v2/")).is_ok().then_some(()));
    log
}
