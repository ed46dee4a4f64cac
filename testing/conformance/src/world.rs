//! A Berth that runs, its API, and the tasks of one case.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use api_ecs::operations::{DescribeTasks, RegisterTaskDefinition, RunTask, StopTask};
use client::{Client, ClientError, Credentials};
use kit::{patience, until};
use runtime::{LogPosition, LogReader};
use serde_json::{Value, json};
use shape::{Call, Value as _};

use crate::IMAGE;
use crate::seen::Seen;

/// One Berth, for all cases.
pub struct World {
    client: Client,
    runtime: tokio::runtime::Runtime,
    pub data_dir: PathBuf,
    /// A folder for what cases share with their containers.
    pub shared: PathBuf,
}

impl World {
    /// Speaks to the Berth at this address, which lives in this data directory.
    pub fn new(endpoint: &str, data_dir: PathBuf, shared: PathBuf) -> World {
        let keys = Credentials { access_key: "test".into(), secret: "test".into(), session_token: None };
        let client = Client::new(endpoint, keys, "us-east-1").expect("an address");
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        World { client, runtime: runtime.expect("a runtime"), data_dir, shared }
    }
}

impl World {
    /// For one case, by its name.
    pub fn bench(&self, name: &'static str) -> Bench<'_> {
        Bench::new(self, name)
    }
}

/// What one case works with.
pub struct Bench<'a> {
    pub world: &'a World,
    pub name: &'static str,
}

/// Why the API refused something.
#[derive(Debug)]
pub struct Refusal {
    pub code: String,
    pub message: String,
}

impl Refusal {
    /// The caller's mistake: what a model's list does not have is an invalid parameter, other mistakes are a client's.
    pub fn is_of_the_client(&self) -> bool {
        ["ClientException", "InvalidParameterException"].contains(&self.code.as_str())
    }
}

impl<'a> Bench<'a> {
    pub(crate) fn new(world: &'a World, name: &'static str) -> Bench<'a> {
        Bench { world, name }
    }

    /// One call of an API, in JSON. Members that the model does not have are a mistake of the case.
    pub fn call<C: Call>(&self, input: Value) -> Result<Value, Refusal> {
        let document = wire::json::decode(C::OPERATION.input, input.to_string().as_bytes()).expect("such an input");
        let text = |bytes: Vec<u8>| serde_json::from_slice::<Value>(&bytes).expect("the codec writes JSON");
        let understood = text(wire::json::encode(C::OPERATION.input, &document));
        assert_eq!(understood, input, "{}: the model knows less", C::OPERATION.name);
        let called = self.world.runtime.block_on(self.world.client.call::<C>(C::Input::from_document(document)));
        match called {
            Ok(output) => Ok(text(wire::json::encode(C::OPERATION.output, &output.into_document()))),
            Err(ClientError::Refused { code, message, .. }) => Err(Refusal { code, message }),
            Err(error) => panic!("{}: {error}", C::OPERATION.name),
        }
    }

    /// A folder of the machine that this case has for itself.
    pub fn folder(&self) -> PathBuf {
        let folder = self.world.shared.join(self.name);
        fs::create_dir_all(&folder).expect("the folder can be made");
        folder
    }

    /// Writes an object into the bucket `settings` of this Berth.
    pub fn put_object(&self, key: &str, content: &str) {
        // In us-east-1 a bucket may be made again and again.
        put("/settings", "");
        put(&format!("/settings/{key}"), content);
    }

    /// Registers a definition of these containers, each with what all cases have in common.
    pub fn register(&self, settings: Value, containers: Value) -> Result<String, Refusal> {
        let container = |given: &Value| {
            let mut all = json!({ "image": IMAGE, "memory": 32, "stopTimeout": 2 });
            merge(&mut all, given);
            // A case that wants none says null.
            all.as_object_mut().expect("an object").retain(|_, value| !value.is_null());
            all
        };
        let containers: Vec<Value> = containers.as_array().expect("a list").iter().map(container).collect();
        let mut input = json!({ "family": self.name, "containerDefinitions": containers });
        merge(&mut input, &settings);
        let answer = self.call::<RegisterTaskDefinition>(input)?;
        Ok(text(&answer["taskDefinition"]["taskDefinitionArn"]))
    }

    /// The same where there may be no instance for it yet.
    pub fn try_start(&self, definition: &str) -> Option<Task<'_>> {
        let answer = self.call::<RunTask>(json!({ "taskDefinition": definition })).ok()?;
        let arn = text(&answer["tasks"][0]["taskArn"]);
        (!arn.is_empty()).then(|| Task { bench: self, arn })
    }

    /// A task of a definition that was registered.
    pub fn start(&self, definition: &str, more: Value) -> Task<'_> {
        let mut input = json!({ "taskDefinition": definition });
        merge(&mut input, &more);
        let answer = self.call::<RunTask>(input).expect("it can be run");
        assert_eq!(answer["failures"], json!([]), "it is placed");
        Task { bench: self, arn: text(&answer["tasks"][0]["taskArn"]) }
    }

    /// A task of these containers.
    pub fn run(&self, settings: Value, containers: Value) -> Task<'_> {
        let definition = self.register(settings, containers).expect("it can be registered");
        self.start(&definition, json!({}))
    }

    /// The same with overrides.
    pub fn run_with(&self, settings: Value, containers: Value, overrides: Value) -> Task<'_> {
        let definition = self.register(settings, containers).expect("it can be registered");
        self.start(&definition, json!({ "overrides": overrides }))
    }

    /// Why these containers are not even registered.
    pub fn refused(&self, settings: Value, containers: Value) -> Refusal {
        match self.register(settings, containers) {
            Ok(arn) => panic!("{arn} should have been refused"),
            Err(refusal) => refusal,
        }
    }

    /// A task of one container, `web`, that does these things and ends.
    pub fn does(&self, settings: Value, more: Value, words: &[&str]) -> Task<'_> {
        let mut container = json!({ "name": "web", "command": words });
        merge(&mut container, &more);
        self.run(settings, json!([container]))
    }

    /// What the container `web` prints while it does these things.
    pub fn says(&self, settings: Value, more: Value, words: &[&str]) -> String {
        let task = self.does(settings, more, words);
        task.stopped();
        task.output("web")
    }

    /// What a container with these settings sees of itself and its surroundings.
    pub fn inspect(&self, settings: Value, more: Value) -> Seen {
        Seen::read(&self.says(settings, more, &["inspect"]))
    }
}

/// A request that nobody signed: its host says that it is for S3.
fn put(path: &str, content: &str) {
    use std::io::{Read as _, Write as _};
    let mut stream = std::net::TcpStream::connect("127.0.0.1:4566").expect("Berth listens");
    let head = format!(
        "PUT {path} HTTP/1.1\r\nHost: s3.localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        content.len()
    );
    stream.write_all((head + content).as_bytes()).expect("it takes the object");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
}

/// A task that was run. Dropping it stops it.
pub struct Task<'a> {
    bench: &'a Bench<'a>,
    pub arn: String,
}

impl Task<'_> {
    pub fn id(&self) -> &str {
        self.arn.rsplit('/').next().expect("an ARN has parts")
    }

    pub fn describe(&self) -> Value {
        self.bench.call::<DescribeTasks>(json!({ "tasks": [self.arn] })).expect("it is there")["tasks"][0].clone()
    }

    /// As soon as this is true of it.
    pub fn when(&self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        until(&format!("{} {what}", self.bench.name), || {
            last = self.describe();
            if is(&last) {
                return Some(());
            }
            std::thread::sleep(Duration::from_millis(40));
            None
        });
        last
    }

    pub fn running(&self) -> Value {
        let task = self.when("runs or stops", |task| ["RUNNING", "STOPPED"].iter().any(|at| task["lastStatus"] == *at));
        assert_eq!(task["lastStatus"], "RUNNING", "{task}");
        task
    }

    pub fn stopped(&self) -> Value {
        self.when("is STOPPED", |task| task["lastStatus"] == "STOPPED")
    }

    pub fn stop(&self, reason: &str) {
        self.bench.call::<StopTask>(json!({ "task": self.arn, "reason": reason })).expect("it can be stopped");
    }

    /// Everything that a container said. It should have ended, or be about to.
    pub fn output(&self, container: &str) -> String {
        self.read_log(container, patience(), |_| false)
    }

    /// What a container has said as soon as this is true of it.
    pub fn output_when(&self, container: &str, is: impl Fn(&str) -> bool) -> String {
        self.output_within(container, patience(), is)
    }

    pub fn output_within(&self, container: &str, patience: Duration, is: impl Fn(&str) -> bool) -> String {
        let said = self.read_log(container, patience, &is);
        assert!(is(&said), "{}: {container} has ended and said only {said:?}", self.bench.name);
        said
    }

    /// From the node's own files, which are complete when a container has ended; a restart continues in another directory.
    fn read_log(&self, container: &str, patience: Duration, enough: impl Fn(&str) -> bool) -> String {
        let dir = self.container_dir(container);
        let deadline = Instant::now() + patience;
        let mut reader = LogReader::open(dir, LogPosition::default());
        let mut said = String::new();
        while !enough(&said) {
            let left = deadline.saturating_duration_since(Instant::now());
            let next = async { tokio::time::timeout(left, reader.next()).await };
            let line = self.bench.world.runtime.block_on(next);
            let line = line.unwrap_or_else(|_| panic!("{}: {container} says only {said:?}", self.bench.name));
            let Some(line) = line.expect("the log can be read") else { break };
            said.push_str(&String::from_utf8_lossy(&line.text));
            if !line.partial {
                said.push('\n');
            }
        }
        said
    }

    /// How often a container was started again.
    pub fn run_dir(&self, container: &str, number: u32) -> PathBuf {
        let dir = self.container_dir(container);
        dir.with_file_name(format!("{}.{number}", dir.file_name().expect("a name").to_string_lossy()))
    }

    /// The directory of a container on the node.
    pub fn container_dir(&self, container: &str) -> PathBuf {
        let task = self.when("has been started", |task| {
            let has_id = named(task, container)["runtimeId"].is_string();
            assert!(has_id || task["lastStatus"] != "STOPPED", "{container} never ran: {task}");
            has_id
        });
        let id = text(&named(&task, container)["runtimeId"]);
        self.bench.world.data_dir.join("node/tasks").join(self.id()).join("containers").join(id)
    }

    /// The container's first process.
    pub fn pid(&self, container: &str) -> u32 {
        let path = self.container_dir(container).join("pid");
        fs::read_to_string(path).expect("it was started").trim().parse().expect("a number")
    }

    /// The file of a container's cgroup that has the first of these names, which v1 has, or the second, of v2.
    pub fn cgroup(&self, container: &str, controller: &str, names: [&str; 2]) -> Option<String> {
        setting(&cgroup_of(self.pid(container), controller), names)
    }

    /// The same of the task as a whole.
    pub fn task_cgroup(&self, container: &str, controller: &str, names: [&str; 2]) -> Option<String> {
        setting(cgroup_of(self.pid(container), controller).parent().expect("it is inside of one"), names)
    }
}

impl Drop for Task<'_> {
    fn drop(&mut self) {
        // The server may be what is missing, and one panic says enough.
        if std::thread::panicking() {
            return;
        }
        let _ = self.bench.call::<StopTask>(json!({ "task": self.arn }));
    }
}

fn setting(dir: &Path, names: [&str; 2]) -> Option<String> {
    names.iter().find_map(|name| fs::read_to_string(dir.join(name)).ok()).map(|text| text.trim().to_owned())
}

fn cgroup_of(pid: u32, controller: &str) -> PathBuf {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("it runs");
    let root = Path::new("/sys/fs/cgroup");
    let is_v2 = root.join("cgroup.controllers").exists();
    let path = text.lines().find_map(|line| {
        let (names, path) = line.split_once(':')?.1.split_once(":/")?;
        (is_v2 && names.is_empty() || names.split(',').any(|name| name == controller)).then_some(path)
    });
    let path = path.unwrap_or_else(|| panic!("no {controller} in {text}"));
    if is_v2 { root.join(path) } else { root.join(controller).join(path) }
}

/// A described task's container of this name.
pub fn named<'v>(task: &'v Value, name: &str) -> &'v Value {
    let containers = task["containers"].as_array().expect("it has containers");
    containers.iter().find(|container| container["name"] == name).unwrap_or_else(|| panic!("no {name} in {task}"))
}

/// The host port of a container's port.
pub fn host_port(task: &Value, container: &str, port: u16) -> u16 {
    let bindings = named(task, container)["networkBindings"].as_array().cloned().unwrap_or_default();
    let binding = bindings.iter().find(|binding| binding["containerPort"] == port);
    let port = binding.and_then(|binding| binding["hostPort"].as_u64()).unwrap_or_else(|| panic!("{port} in {task}"));
    u16::try_from(port).expect("a port")
}

pub fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// Puts the members of one object into another.
fn merge(into: &mut Value, from: &Value) {
    let (Some(into), Some(from)) = (into.as_object_mut(), from.as_object()) else { panic!("{from} is no object") };
    into.extend(from.clone());
}

/// `NAME=value` lines by their names.
pub fn pairs(lines: &[String]) -> BTreeMap<String, String> {
    let pair = |line: &String| line.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
    lines.iter().filter_map(pair).collect()
}
