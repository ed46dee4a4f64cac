//! Plays a script: the agent's half of a conversation is sent, the control plane's half is expected.

mod matching;
mod script;
mod stage;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use matching::Memory;
pub use script::{Line, Step, parse};
use stage::{PATIENCE, Socket, Stage};

pub fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/conversations")
}

pub fn read(name: &str) -> Vec<Line> {
    let path = folder().join(format!("{name}.txt"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    parse(&text)
}

pub async fn play(name: &str) {
    let lines = read(name);
    let iam = lines.iter().any(|line| matches!(line.step, Step::Iam));
    let mut actor = Actor {
        stage: Stage::new(iam).await,
        memory: Memory::default(),
        sockets: BTreeMap::new(),
        acks: Acks::All,
        last: Last::Nothing,
        answer: (0, Value::Null),
        refused: None,
    };
    actor.play(name, lines).await;
}

/// Which messages the agent acknowledges.
#[derive(PartialEq)]
enum Acks {
    All,
    AllButNext,
    None,
}

/// What `duplicate` does again.
enum Last {
    Nothing,
    Call(String, Value),
    Frame(String, String),
}

struct Actor {
    stage: Stage,
    memory: Memory,
    sockets: BTreeMap<String, (Socket, bool)>,
    acks: Acks,
    last: Last,
    answer: (u16, Value),
    refused: Option<(u16, Value)>,
}

impl Actor {
    async fn play(&mut self, name: &str, lines: Vec<Line>) {
        let mut lines = lines.into_iter().peekable();
        while let Some(line) = lines.next() {
            let place = format!("{name}.txt:{}: {}", line.number, line.text);
            match line.step {
                Step::With(other) => Box::pin(self.play(&other, read(&other))).await,
                Step::Until(operation, input) => {
                    let Some(Step::Answer(expected)) = lines.next().map(|line| line.step) else {
                        panic!("{place}: the next line says what is waited for");
                    };
                    self.until(&place, &operation, &input, &expected).await;
                }
                step => {
                    let done = tokio::time::timeout(PATIENCE * 2, self.step(step)).await;
                    done.unwrap_or_else(|_| panic!("{place}: it takes too long"))
                        .unwrap_or_else(|why| panic!("{place}: {why}"));
                }
            }
        }
    }

    async fn step(&mut self, step: Step) -> Result<(), String> {
        match step {
            Step::Sections(_) | Step::Iam => {}
            Step::With(_) | Step::Until(..) => unreachable!("these are played by the caller"),
            Step::Call(operation, input) => {
                let input = self.memory.filled(&input);
                self.answer = self.stage.call(&operation, &input).await;
                self.last = Last::Call(operation, input);
            }
            Step::Answer(expected) => {
                let (status, answer) = &self.answer;
                if *status != 200 {
                    return Err(format!("it was refused: {status} {answer}"));
                }
                self.memory.expect(&expected, answer)?;
            }
            Step::Refusal(status, code, message) => {
                let (found, answer) = &self.answer;
                let expected = json!({"__type": format!("~{code}"), "message": format!("~{message}")});
                if *found != status {
                    return Err(format!("it was answered: {found} {answer}"));
                }
                self.memory.expect(&expected, answer)?;
            }
            Step::Connect { socket, telemetry, query } => self.connect(socket, telemetry, query).await,
            Step::RefusedUpgrade(status, expected) => {
                let (found, body) = self.refused.take().ok_or("the upgrade was not refused")?;
                if found != status {
                    return Err(format!("it was refused with {found} {body}"));
                }
                self.memory.expect(&expected, &body)?;
            }
            Step::Send { socket, message_type, message } => {
                let message = self.memory.filled(&message);
                let text = json!({"type": message_type, "message": message}).to_string();
                self.send(socket, text).await;
            }
            Step::SendRaw { socket, text } => self.send(socket, text).await,
            Step::Receive { socket, message_type, message } => self.receive(&socket, &message_type, &message).await?,
            Step::DropAck { all } => self.acks = if all { Acks::None } else { Acks::AllButNext },
            Step::Duplicate => match std::mem::replace(&mut self.last, Last::Nothing) {
                Last::Nothing => return Err("nothing was said yet".into()),
                Last::Call(operation, input) => {
                    self.answer = self.stage.call(&operation, &input).await;
                    self.last = Last::Call(operation, input);
                }
                Last::Frame(socket, text) => self.send(socket, text).await,
            },
            Step::Delay(duration) => self.stage.clock.advance(duration),
            Step::Close { socket, code } => {
                let (socket, _) = self.sockets.remove(&socket).ok_or("there is no such socket")?;
                let answered = socket.close(code).await;
                if answered != code {
                    return Err(format!("the close was answered with {answered}"));
                }
            }
            Step::Cut(socket) => drop(self.sockets.remove(&socket).ok_or("there is no such socket")?),
            Step::Closed { socket, code, reason } => self.closed(&socket, code, &reason).await?,
            Step::Restart => self.stage.restart().await,
        }
        Ok(())
    }

    async fn connect(&mut self, name: String, telemetry: bool, changes: Vec<(String, String)>) {
        let known = |name: &str| self.memory.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let cluster = if known("cluster").is_empty() { "default".to_owned() } else { known("cluster") };
        let mut query: BTreeMap<&str, String> = match telemetry {
            false => BTreeMap::from([
                ("clusterArn", cluster),
                ("containerInstanceArn", known("instance")),
                ("dockerVersion", "DockerVersion: 20.10.24".to_owned()),
                ("protocolVersion", "2".to_owned()),
                ("sendCredentials", "true".to_owned()),
                ("seqNum", "1".to_owned()),
            ]),
            true => BTreeMap::from([
                ("cluster", cluster),
                ("containerInstance", known("instance")),
                ("dockerVersion", "20.10.24".to_owned()),
            ]),
        };
        query.extend([("agentHash", "a8b3e7d3".to_owned()), ("agentVersion", "1.105.1".to_owned())]);
        let mut secret = None;
        for (name, value) in &changes {
            let value = match value.strip_prefix('$') {
                Some(remembered) => known(remembered),
                None => value.replace('_', " "),
            };
            match name.as_str() {
                "secret" => secret = Some(value),
                name => _ = query.insert(name, value),
            }
        }
        let query: Vec<(String, String)> = query.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let path = if telemetry { "/tcs/ws" } else { "/acs/ws" };
        match self.stage.upgrade(path, &query, secret.as_deref()).await {
            Ok(socket) => _ = self.sockets.insert(name, (socket, telemetry)),
            Err(refusal) => self.refused = Some(refusal),
        }
    }

    async fn send(&mut self, name: String, text: String) {
        let (socket, telemetry) = self.sockets.get_mut(&name).expect("there is no such socket");
        // What is not JSON is sent as it is; a message on TCS has its header lines before it.
        let frame = match *telemetry && text.starts_with('{') {
            true => format!("{}{text}", self.stage.telemetry_headers(&text)),
            false => text.clone(),
        };
        socket.send(&frame).await;
        self.last = Last::Frame(name, text);
    }

    /// Heartbeats and manifests come when they like: they are passed over, and acknowledged, unless they are what is expected.
    async fn receive(&mut self, name: &str, message_type: &str, expected: &Value) -> Result<(), String> {
        loop {
            let (socket, _) = self.sockets.get_mut(name).ok_or("there is no such socket")?;
            let text = socket.text().await.map_err(|end| format!("the connection ended: {end:?}"))?;
            let envelope: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
            let (found, message) = (envelope["type"].as_str().unwrap_or_default(), &envelope["message"]);
            let is_it = found == message_type;
            if !is_it && !matches!(found, "HeartbeatMessage" | "TaskManifestMessage") {
                return Err(format!("instead came {text}"));
            }
            if is_it {
                self.memory.expect(expected, message)?;
            }
            match (&self.acks, is_it) {
                (Acks::AllButNext, true) => self.acks = Acks::All,
                (Acks::None, _) => {}
                _ => self.acknowledge(name, found, message).await,
            }
            if is_it {
                return Ok(());
            }
        }
    }

    /// As the official agent does, at once.
    async fn acknowledge(&mut self, name: &str, message_type: &str, message: &Value) {
        let id = &message["messageId"];
        let copied = json!({
            "cluster": message["clusterArn"], "containerInstance": message["containerInstanceArn"], "messageId": id,
        });
        let answer = match message_type {
            "HeartbeatMessage" => json!({"type": "HeartbeatAckRequest", "message": {"messageId": id}}),
            "PayloadMessage"
            | "TaskManifestMessage"
            | "AttachTaskNetworkInterfacesMessage"
            | "AttachInstanceNetworkInterfacesMessage"
            | "ConfirmAttachmentMessage" => {
                json!({"type": "AckRequest", "message": copied})
            }
            _ => return,
        };
        let (socket, _) = self.sockets.get_mut(name).expect("a message came over it");
        socket.send(&answer.to_string()).await;
    }

    async fn closed(&mut self, name: &str, code: u16, reason: &str) -> Result<(), String> {
        let (mut socket, _) = self.sockets.remove(name).ok_or("there is no such socket")?;
        loop {
            let Err((found, why)) = socket.text().await else { continue };
            if found != code || !why.contains(reason) {
                return Err(format!("it was closed with {found} {why}"));
            }
            return Ok(());
        }
    }

    async fn until(&mut self, place: &str, operation: &str, input: &Value, expected: &Value) {
        let input = self.memory.filled(input);
        let deadline = tokio::time::Instant::now() + PATIENCE;
        loop {
            let (status, answer) = self.stage.call(operation, &input).await;
            let matches = match status {
                200 => self.memory.expect(expected, &answer),
                _ => Err(format!("{status} {answer}")),
            };
            let Err(why) = matches else { return };
            assert!(tokio::time::Instant::now() < deadline, "{place}: it did not happen in time: {why}");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}
