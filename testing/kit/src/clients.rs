//! The clients that people have: the aws CLI, boto3, skopeo, curl.

use std::process::{Command, Output};

use crate::Machine;

/// Comes before every boto3 script.
pub const BOTO: &str = r#"
import boto3, json, os, sys, time, urllib.request
from botocore.config import Config
def client(name): return boto3.client(name, config=Config(retries={"max_attempts": 0}))
ecs, logs, ecr, sts = client("ecs"), client("logs"), client("ecr"), client("sts")
def until(what, ask, seconds=int(os.environ["PATIENCE_SECONDS"])):
    end = time.monotonic() + seconds
    while True:
        answer = ask()
        if answer: return answer
        assert time.monotonic() < end, "it did not happen in time: " + what
        time.sleep(0.02)
def task(arn): return ecs.describe_tasks(tasks=[arn])["tasks"][0]
def running(arn): return until(arn + " is RUNNING", lambda: (t := task(arn))["lastStatus"] == "RUNNING" and t)
def stopped(arn): return until(arn + " is STOPPED", lambda: (t := task(arn))["lastStatus"] == "STOPPED" and t)
def port(t): return t["containers"][0]["networkBindings"][0]["hostPort"]
def get(port, path="/"): return urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10).read().decode()
def refused(code, call, **input):
    try: call(**input)
    except Exception as error:
        assert error.response["Error"]["Code"] == code, error
        assert type(error).__name__ in (code, "ClientError"), type(error)
        return error.response["Error"]["Message"]
    raise SystemExit(f"it should have been refused with {code}")
def hello(**changes):
    container = {"name": "web", "image": "hello-world:1", "memory": 64, "essential": True,
                 "portMappings": [{"containerPort": 80}]}
    container.update(changes)
    return {k: v for k, v in container.items() if v is not None}
def register(family="hello", containers=None, **more):
    return ecs.register_task_definition(family=family, containerDefinitions=containers or [hello()], **more)["taskDefinition"]
def run(definition="hello", **more):
    answer = ecs.run_task(taskDefinition=definition, **more)
    assert not answer["failures"], answer["failures"]
    return [t["taskArn"] for t in answer["tasks"]]
"#;

impl Machine {
    /// A client of this host's Berth, with nothing of the real machine's configuration.
    pub fn client(&self, program: &str) -> Command {
        let mut command = self.command(program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.dir())
            .env("BERTH_DATA_DIR", self.data_dir())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("AWS_DEFAULT_REGION", "us-east-1")
            .env("AWS_PAGER", "")
            .env("PATIENCE_SECONDS", crate::patience().as_secs().to_string())
            .env("PYTHONUNBUFFERED", "1");
        command
    }

    /// The aws CLI 2 of Debian, with a line as a person types it. Standard error when it fails.
    pub fn aws(&self, line: &str) -> Result<String, String> {
        // That version is older than AWS_ENDPOINT_URL.
        let words = ["--endpoint-url", "http://127.0.0.1:4566"].into_iter().chain(line.split_whitespace());
        said(&self.client("/usr/bin/aws").args(words).output().expect("the aws CLI runs"))
    }

    /// Runs a boto3 script after [`BOTO`] and gives what it printed.
    ///
    /// # Panics
    ///
    /// When the script fails.
    pub fn python(&self, script: &str) -> String {
        let script = format!("{BOTO}\n{script}");
        let output = self.client("python3").args(["-c", &script]).output().expect("python3 runs");
        said(&output).unwrap_or_else(|error| panic!("the script failed:\n{error}"))
    }

    /// Any other client, with a line as a person types it.
    pub fn run(&self, line: &str) -> Result<String, String> {
        let mut words = line.split_whitespace();
        let program = words.next().expect("a line has a first word");
        let output = self.client(program).args(words).output().unwrap_or_else(|error| panic!("{program}: {error}"));
        said(&output)
    }

    /// `berth` as a person uses it.
    pub fn person(&self, line: &str) -> Result<String, String> {
        let output = self.client(&crate::berth().display().to_string()).args(line.split_whitespace()).output();
        said(&output.expect("berth runs"))
    }
}

fn said(output: &Output) -> Result<String, String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    match output.status.success() {
        true => Ok(text(&output.stdout)),
        false => Err(text(&[&output.stdout[..], &output.stderr[..]].concat())),
    }
}
