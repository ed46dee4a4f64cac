//! The peer of the control plane: `moto_server` from PyPI, an imitation of AWS for tests, with the same calls.

use std::process::{Command, Stdio};

use kit::{Machine, until, workspace};

use crate::rates::{self, CLUSTER, DEFINITION, FULL_CLUSTER, OPERATIONS};

const ENDPOINT: &str = "http://127.0.0.1:5000";

pub fn rates(tasks: usize, clients: &[usize]) -> Vec<rates::Rate> {
    let server = install();
    let mut machine = Machine::new();
    let mut command = machine.command(&server);
    command.args(["-H", "127.0.0.1", "-p", "5000"]).stdout(Stdio::null()).stderr(Stdio::null());
    machine.spawn(command);
    until("moto_server answers", || {
        machine.run(&format!("curl -sf {ENDPOINT}/moto-api/data.json -o /dev/null")).is_ok().then_some(())
    });
    let script = format!(
        r#"
import boto3
at = dict(endpoint_url="{ENDPOINT}", region_name="us-east-1", aws_access_key_id="test", aws_secret_access_key="test")
ecs, ec2 = boto3.client("ecs", **at), boto3.client("ec2", **at)
subnet = ec2.describe_subnets()["Subnets"][0]["SubnetId"]
ecs.register_task_definition(family="{DEFINITION}", requiresCompatibilities=["FARGATE"], networkMode="awsvpc", cpu="256", memory="512",
    containerDefinitions=[dict(name="web", image="hello-world:1", cpu=1, memory=4)])
for cluster in ["{CLUSTER}", "{FULL_CLUSTER}"]:
    ecs.create_cluster(clusterName=cluster)
for _ in range({tasks} // 10):
    ecs.run_task(cluster="{FULL_CLUSTER}", taskDefinition="{DEFINITION}", count=10, launchType="FARGATE",
        networkConfiguration=dict(awsvpcConfiguration=dict(subnets=[subnet], securityGroups=[])))
print(subnet)
"#
    );
    let subnet = machine.python(&script);
    let measure =
        |(operation, clients): (&&str, &usize)| rates::measure(&machine, ENDPOINT, operation, *clients, subnet.trim());
    let pairs = OPERATIONS.iter().flat_map(|operation| clients.iter().map(move |clients| (operation, clients)));
    pairs.map(measure).collect()
}

/// In a virtual environment of its own, which is kept for the next time.
fn install() -> String {
    let home = workspace().join("target/moto");
    let server = home.join("bin/moto_server");
    if !server.exists() {
        let done = |command: &mut Command| assert!(command.status().expect("python3 runs").success());
        done(Command::new("python3").args(["-m", "venv"]).arg(&home));
        done(Command::new(home.join("bin/pip")).args(["install", "--quiet", "moto[server,ecs]"]));
    }
    server.display().to_string()
}
