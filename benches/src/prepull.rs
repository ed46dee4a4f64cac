//! A rolling deployment of an image with a large layer, over two instances, with and without pulling it in advance.
//!
//! Two tasks, one on each instance, replaced one after the other: the second instance's pull is what can be spared.

use std::process::Stdio;
use std::time::Duration;

use kit::{Machine, until, workspace};

use crate::figures::Times;

const ROUNDS: usize = 3;
/// Of the large layer; half of it does not compress.
const MEGABYTES: usize = 240;
const REGISTRY: &str = "127.0.0.1:4566";

pub fn run() {
    let (with, without) = (measure(true), measure(false));
    println!("| rolling deployment, a layer of {MEGABYTES} MB, two instances | in advance, s | without, s | ratio |");
    println!("|---|---|---|---|");
    let row = |what: &str, of: fn(&Figures) -> &Times| {
        let (with, without) = (of(&with).median_seconds(), of(&without).median_seconds());
        println!("| {what} | {with:.2} | {without:.2} | {:.1} |", without / with);
    };
    row("the second task, from its start to RUNNING", |figures| &figures.second);
    row("the first task, from its start to RUNNING", |figures| &figures.first);
    row("the whole deployment, 10 s of proof for each task included", |figures| &figures.whole);
}

struct Figures {
    first: Times,
    second: Times,
    whole: Times,
}

fn measure(in_advance: bool) -> Figures {
    let machine = two_nodes(in_advance);
    let mut rounds: Vec<[Duration; 3]> = Vec::new();
    for round in 0..=ROUNDS {
        push(&machine, round);
        let said = machine.python(&deploy(round));
        let seconds: Vec<Duration> =
            said.split_whitespace().map(|text| Duration::from_secs_f64(text.parse().expect("seconds"))).collect();
        // The first deployment begins with nothing.
        rounds.extend(<[Duration; 3]>::try_from(seconds).ok());
    }
    machine.python("ecs.delete_service(service='web', force=True)\nuntil('all have ended', lambda: not ecs.list_tasks()['taskArns'])");
    let column = |at: usize| Times::new(rounds.iter().map(|round| round[at]).collect());
    Figures { first: column(0), second: column(1), whole: column(2) }
}

/// A server, and two nodes beside it whose images are their own.
fn two_nodes(in_advance: bool) -> Machine {
    let mut machine = Machine::new();
    let server = machine.dir().join("server").display().to_string();
    let mut arguments = vec!["server", "--data-dir", &server];
    if !in_advance {
        arguments.push("--no-prepull");
    }
    let mut server = machine.berth(&arguments);
    server.stdout(Stdio::null());
    machine.spawn(server);
    until("the server answers", || machine.run(&format!("curl -fs http://{REGISTRY}/_berth/health")).ok());
    machine.python("ecs.create_cluster(clusterName='default')");
    for name in ["one", "two"] {
        let dir = machine.dir().join(name).display().to_string();
        let mut agent = machine.berth(&["agent", "--data-dir", &dir]);
        agent.stdout(Stdio::null());
        machine.spawn(agent);
    }
    machine.python(
        "until('both have joined', lambda: ecs.describe_clusters()['clusters'][0]['registeredContainerInstancesCount'] == 2)",
    );
    machine
}

/// The sample with one more layer, another one each time.
fn push(machine: &Machine, round: usize) {
    let layout = machine.dir().join("large");
    let script = format!(
        r#"
import gzip, hashlib, io, os, random, shutil, tarfile
top, sample = "{}", "{}"
shutil.rmtree(top, ignore_errors=True)
shutil.copytree(sample, top)
blobs = top + "/blobs/sha256/"
def keep(data):
    name = hashlib.sha256(data).hexdigest()
    open(blobs + name, "wb").write(data)
    return {{"digest": "sha256:" + name, "size": len(data)}}
def read(descriptor): return json.load(open(blobs + descriptor["digest"].split(":")[1]))
index = json.load(open(top + "/index.json"))
manifest = read(index["manifests"][0])
config = read(manifest["config"])
numbers = random.Random({round})
text = io.BytesIO()
with tarfile.open(fileobj=text, mode="w") as tar:
    for number in range({MEGABYTES}):
        info = tarfile.TarInfo(f"data/file{{number}}")
        info.size, info.mode = 1000 * 1000, 0o644
        tar.addfile(info, io.BytesIO(numbers.randbytes(500 * 1000) + bytes(500 * 1000)))
text = text.getvalue()
config["rootfs"]["diff_ids"].append("sha256:" + hashlib.sha256(text).hexdigest())
config.pop("history", None)
manifest["layers"].append(dict(keep(gzip.compress(text, 1)), mediaType="application/vnd.oci.image.layer.v1.tar+gzip"))
manifest["config"].update(keep(json.dumps(config).encode()))
index["manifests"] = [dict(index["manifests"][0], **keep(json.dumps(manifest).encode()),
    annotations={{"org.opencontainers.image.ref.name": "large"}})]
open(top + "/index.json", "w").write(json.dumps(index))
"#,
        layout.display(),
        workspace().join("target/sample/hello-world-1").display(),
    );
    machine.python(&script);
    let (from, to) = (layout.display(), format!("docker://{REGISTRY}/web:{round}"));
    machine
        .run(&format!("skopeo --insecure-policy copy --quiet --dest-tls-verify=false oci:{from}:large {to}"))
        .expect("skopeo copies");
}

/// Prints the seconds of the first task, of the second, and of the whole; nothing of the first deployment.
fn deploy(round: usize) -> String {
    format!(
        r#"
register("web", [hello(image="{REGISTRY}/web:{round}", memory=16)])
number = {round}
began = time.monotonic()
if number == 0:
    ecs.create_service(serviceName="web", taskDefinition="web", desiredCount=2, placementConstraints=[{{"type": "distinctInstance"}}],
        deploymentConfiguration={{"minimumHealthyPercent": 50, "maximumPercent": 100}})
else:
    ecs.update_service(service="web", taskDefinition="web")
def through():
    found = ecs.describe_services(services=["web"])["services"][0]["deployments"]
    return len(found) == 1 and found[0]["rolloutState"] == "COMPLETED"
until("the deployment is through", through, 300)
whole = time.monotonic() - began
tasks = ecs.describe_tasks(tasks=ecs.list_tasks(serviceName="web")["taskArns"])["tasks"]
tasks = sorted((t for t in tasks if t["taskDefinitionArn"].endswith(":%d" % (number + 1))), key=lambda t: t["createdAt"])
assert len(tasks) == 2, tasks
if number > 0:
    for t in tasks: print((t["startedAt"] - t["createdAt"]).total_seconds())
    print(whole)
"#
    )
}
