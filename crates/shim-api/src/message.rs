//! What a shim says.

use crate::ExitRecord;
use crate::line::{LineReader, LineWriter, ParseError};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// The answer to `Hello`.
    Hello { version: u32, pid: i32 },
    /// The state a container is in: part of a status list, or a change that a subscriber hears of.
    Container(ContainerStatus),
    /// The request with this `seq` was done.
    Done { seq: u64 },
    /// The request with this `seq` was not done.
    Refused { seq: u64, reason: Refusal, message: String },
}

/// Why a request was refused; the message beside it is for a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The line could not be understood.
    BadRequest,
    /// No such container.
    NotFound,
    /// The container is not in a state that allows this.
    WrongState,
    /// The OCI runtime failed; the message ends with what it logged.
    RuntimeFailed,
    /// The operating system refused.
    System,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContainerStatus {
    pub id: String,
    pub state: ContainerState,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ContainerState {
    Starting,
    /// `started_at` is in nanoseconds since the Unix epoch.
    Running {
        pid: i32,
        started_at: u64,
    },
    Exited(ExitRecord),
    /// It never ran.
    Failed {
        message: String,
    },
    /// It was deleted; the last thing heard of it.
    Gone,
}

impl Refusal {
    fn name(self) -> &'static str {
        match self {
            Refusal::BadRequest => "bad-request",
            Refusal::NotFound => "not-found",
            Refusal::WrongState => "wrong-state",
            Refusal::RuntimeFailed => "runtime-failed",
            Refusal::System => "system",
        }
    }

    fn from_name(name: &str) -> Option<Refusal> {
        [Refusal::BadRequest, Refusal::NotFound, Refusal::WrongState, Refusal::RuntimeFailed, Refusal::System]
            .into_iter()
            .find(|refusal| refusal.name() == name)
    }
}

impl Message {
    pub fn encode(&self) -> String {
        match self {
            Message::Hello { version, pid } => LineWriter::new("hello").number("version", version).number("pid", pid),
            Message::Container(status) => status.encode(),
            Message::Done { seq } => LineWriter::new("done").number("seq", seq),
            Message::Refused { seq, reason, message } => {
                LineWriter::new("refused").number("seq", seq).text("reason", reason.name()).text("message", message)
            }
        }
        .finish()
    }

    pub fn decode(line: &str) -> Result<Message, ParseError> {
        let line = LineReader::new(line)?;
        Ok(match line.verb {
            "hello" => Message::Hello { version: line.number("version")?, pid: line.number("pid")? },
            "container" => Message::Container(ContainerStatus::decode(&line)?),
            "done" => Message::Done { seq: line.number("seq")? },
            "refused" => {
                let name = line.text("reason")?;
                let reason = Refusal::from_name(&name).ok_or(ParseError::Invalid { field: "reason", value: name })?;
                Message::Refused { seq: line.number("seq")?, reason, message: line.text("message")? }
            }
            verb => return Err(ParseError::UnknownVerb(verb.to_owned())),
        })
    }
}

impl ContainerStatus {
    fn encode(&self) -> LineWriter {
        let line = |state| LineWriter::new("container").text("id", &self.id).text("state", state);
        match &self.state {
            ContainerState::Starting => line("starting"),
            ContainerState::Running { pid, started_at } => {
                line("running").number("pid", pid).number("started_at", started_at)
            }
            ContainerState::Exited(exit) => {
                let line = line("exited").number("pid", exit.pid).number("exit_code", exit.exit_code);
                let line = match exit.signal {
                    Some(signal) => line.number("signal", signal),
                    None => line,
                };
                line.number("oom_killed", exit.oom_killed)
                    .number("started_at", exit.started_at)
                    .number("finished_at", exit.finished_at)
            }
            ContainerState::Failed { message } => line("failed").text("message", message),
            ContainerState::Gone => line("gone"),
        }
    }

    fn decode(line: &LineReader<'_>) -> Result<ContainerStatus, ParseError> {
        let state = match line.text("state")?.as_str() {
            "starting" => ContainerState::Starting,
            "running" => ContainerState::Running { pid: line.number("pid")?, started_at: line.number("started_at")? },
            "exited" => ContainerState::Exited(ExitRecord {
                pid: line.number("pid")?,
                exit_code: line.number("exit_code")?,
                signal: line.optional("signal").map(|_| line.number("signal")).transpose()?,
                oom_killed: line.number("oom_killed")?,
                started_at: line.number("started_at")?,
                finished_at: line.number("finished_at")?,
                // A shim that can speak has seen the end.
                lost: false,
            }),
            "failed" => ContainerState::Failed { message: line.text("message")? },
            "gone" => ContainerState::Gone,
            other => return Err(ParseError::Invalid { field: "state", value: other.to_owned() }),
        };
        Ok(ContainerStatus { id: line.text("id")?, state })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(message: Message, golden: &str) {
        assert_eq!(message.encode(), golden);
        assert_eq!(Message::decode(golden).unwrap(), message);
    }

    fn container(state: ContainerState) -> Message {
        Message::Container(ContainerStatus { id: "web".into(), state })
    }

    #[test]
    fn messages_read_as_before() {
        check(Message::Hello { version: 1, pid: 99 }, "hello version=1 pid=99\n");
        check(Message::Done { seq: 3 }, "done seq=3\n");
        check(
            Message::Refused { seq: 3, reason: Refusal::RuntimeFailed, message: "exec: \"x\": not found".into() },
            "refused seq=3 reason=runtime-failed message=exec:%20\"x\":%20not%20found\n",
        );
        check(container(ContainerState::Starting), "container id=web state=starting\n");
        check(
            container(ContainerState::Running { pid: 42, started_at: 5 }),
            "container id=web state=running pid=42 started_at=5\n",
        );
        let exit = ExitRecord {
            pid: 42,
            exit_code: 0,
            signal: None,
            oom_killed: false,
            started_at: 5,
            finished_at: 6,
            lost: false,
        };
        check(
            container(ContainerState::Exited(exit.clone())),
            "container id=web state=exited pid=42 exit_code=0 oom_killed=false started_at=5 finished_at=6\n",
        );
        let killed = ExitRecord { exit_code: 137, signal: Some(9), oom_killed: true, ..exit };
        check(
            container(ContainerState::Exited(killed)),
            "container id=web state=exited pid=42 exit_code=137 signal=9 oom_killed=true started_at=5 finished_at=6\n",
        );
        check(
            container(ContainerState::Failed { message: "no rootfs".into() }),
            "container id=web state=failed message=no%20rootfs\n",
        );
        check(container(ContainerState::Gone), "container id=web state=gone\n");
    }
}
