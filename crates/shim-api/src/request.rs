//! What the agent asks of a shim.

use crate::line::{LineReader, LineWriter, ParseError};
use crate::log::{Ring, WhenFull};

/// One request. The shim answers with one `Message::Done` or `Message::Refused` that carries the same `seq`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Chosen by the client, unique on its connection.
    pub seq: u64,
    pub body: RequestBody,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestBody {
    /// Answered by `Message::Hello` before the `Done`.
    Hello,
    /// Start a container. `Done` comes when its program runs, `Refused` when it cannot.
    Run(Box<RunRequest>),
    /// Send a signal to a running container's first process.
    Signal { id: String, signal: i32 },
    /// Let the OCI runtime forget a container that has exited or failed, and forget it too.
    Delete { id: String },
    /// Answered by one `Message::Container` for each container, before the `Done`.
    Status,
    /// As `Status`, and from then on a `Message::Container` at each change.
    Subscribe,
    /// End the shim. Refused while a container is starting or running.
    Shutdown,
}

/// An overlay to mount on `<bundle>/rootfs`, in the container's own mount namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Overlay {
    /// Read-only directories, the topmost first, as overlayfs wants them.
    pub lower: Vec<String>,
    pub upper: String,
    pub work: String,
}

/// Everything a shim needs to start one container. All paths are absolute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunRequest {
    /// The container's name within its task; its directory is `containers/<id>`.
    pub id: String,
    /// The container's name for the OCI runtime, unique on the machine.
    pub oci_id: String,
    pub oci_runtime: String,
    /// The OCI runtime's state directory, its `--root`.
    pub oci_root: String,
    /// Its directory also takes what only the start needs: the runtime's log, and `netns`.
    pub bundle: String,
    /// Without one, `<bundle>/rootfs` is used as it is.
    pub overlay: Option<Overlay>,
    /// A network namespace's file, to be bound to `netns` in the bundle: in the container's mount namespace, the folder with
    /// everybody's namespaces is hidden.
    pub netns: Option<String>,
    /// A file with an `oom_kill N` line: `memory.oom_control` (v1) or `memory.events` (v2). Read when the container has exited.
    pub oom_file: Option<String>,
    pub ring: Ring,
    pub stdin: Stdin,
}

/// What a container reads, and whether it speaks to a terminal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Stdin {
    /// The end of a file, at once.
    #[default]
    Empty,
    /// A pipe on which nothing comes.
    Open,
    /// All three streams are one terminal.
    Terminal,
}

impl Stdin {
    fn name(self) -> &'static str {
        match self {
            Stdin::Empty => "empty",
            Stdin::Open => "open",
            Stdin::Terminal => "terminal",
        }
    }

    fn from_name(name: &str) -> Option<Stdin> {
        [Stdin::Empty, Stdin::Open, Stdin::Terminal].into_iter().find(|stdin| stdin.name() == name)
    }
}

impl Request {
    pub fn encode(&self) -> String {
        let line = |verb| LineWriter::new(verb).number("seq", self.seq);
        match &self.body {
            RequestBody::Hello => line("hello"),
            RequestBody::Run(run) => run.encode(line("run")),
            RequestBody::Signal { id, signal } => line("signal").text("id", id).number("signal", signal),
            RequestBody::Delete { id } => line("delete").text("id", id),
            RequestBody::Status => line("status"),
            RequestBody::Subscribe => line("subscribe"),
            RequestBody::Shutdown => line("shutdown"),
        }
        .finish()
    }

    pub fn decode(line: &str) -> Result<Request, ParseError> {
        let line = LineReader::new(line)?;
        let body = match line.verb {
            "hello" => RequestBody::Hello,
            "run" => RequestBody::Run(Box::new(RunRequest::decode(&line)?)),
            "signal" => RequestBody::Signal { id: line.text("id")?, signal: line.number("signal")? },
            "delete" => RequestBody::Delete { id: line.text("id")? },
            "status" => RequestBody::Status,
            "subscribe" => RequestBody::Subscribe,
            "shutdown" => RequestBody::Shutdown,
            verb => return Err(ParseError::UnknownVerb(verb.to_owned())),
        };
        Ok(Request { seq: line.number("seq")?, body })
    }
}

impl RunRequest {
    fn encode(&self, mut line: LineWriter) -> LineWriter {
        line = line
            .text("id", &self.id)
            .text("oci_id", &self.oci_id)
            .text("oci_runtime", &self.oci_runtime)
            .text("oci_root", &self.oci_root)
            .text("bundle", &self.bundle);
        if let Some(overlay) = &self.overlay {
            for lower in &overlay.lower {
                line = line.text("lower", lower);
            }
            line = line.text("upper", &overlay.upper).text("work", &overlay.work);
        }
        for (name, path) in [("netns", &self.netns), ("oom_file", &self.oom_file)] {
            if let Some(path) = path {
                line = line.text(name, path);
            }
        }
        if self.ring != Ring::default() {
            line = line.number("ring", self.ring.bytes).text("ring_full", self.ring.full.name());
        }
        if self.stdin != Stdin::Empty {
            line = line.text("stdin", self.stdin.name());
        }
        line
    }

    fn decode(line: &LineReader<'_>) -> Result<RunRequest, ParseError> {
        let lower = line.list("lower");
        let overlay = match lower.is_empty() {
            true => None,
            false => Some(Overlay { lower, upper: line.text("upper")?, work: line.text("work")? }),
        };
        Ok(RunRequest {
            id: container_id(line)?,
            oci_id: line.text("oci_id")?,
            oci_runtime: line.text("oci_runtime")?,
            oci_root: line.text("oci_root")?,
            bundle: line.text("bundle")?,
            overlay,
            netns: line.optional("netns").map(str::to_owned),
            oom_file: line.optional("oom_file").map(str::to_owned),
            ring: ring(line)?,
            stdin: stdin(line)?,
        })
    }
}

/// One that says nothing of it wants none.
fn stdin(line: &LineReader<'_>) -> Result<Stdin, ParseError> {
    if line.optional("stdin").is_none() {
        return Ok(Stdin::Empty);
    }
    let name = line.text("stdin")?;
    Stdin::from_name(&name).ok_or(ParseError::Invalid { field: "stdin", value: name })
}

/// One that says nothing of a ring is older than rings of several kinds.
fn ring(line: &LineReader<'_>) -> Result<Ring, ParseError> {
    if line.optional("ring").is_none() {
        return Ok(Ring::default());
    }
    let name = line.text("ring_full")?;
    let full = WhenFull::from_name(&name).ok_or(ParseError::Invalid { field: "ring_full", value: name })?;
    Ok(Ring { bytes: line.number("ring")?, full })
}

/// A container id becomes a directory name, so it must not lead anywhere else.
fn container_id(line: &LineReader<'_>) -> Result<String, ParseError> {
    let id = line.text("id")?;
    match id.is_empty() || id.starts_with('.') || id.contains('/') || id.len() > 255 {
        true => Err(ParseError::Invalid { field: "id", value: id }),
        false => Ok(id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(body: RequestBody, golden: &str) {
        let request = Request { seq: 7, body };
        assert_eq!(request.encode(), golden);
        assert_eq!(Request::decode(golden).unwrap(), request);
    }

    fn run() -> RunRequest {
        RunRequest {
            id: "web".into(),
            oci_id: "t1-web".into(),
            oci_runtime: "/bin/berth-oci".into(),
            oci_root: "/run/berth/oci".into(),
            bundle: "/d/my tasks/t1/containers/web/bundle".into(),
            overlay: Some(Overlay { lower: vec!["/l/2".into(), "/l/1".into()], upper: "/u".into(), work: "/w".into() }),
            netns: Some("/run/netns/web".into()),
            oom_file: Some("/sys/fs/cgroup/memory/ecs/t1/web/memory.oom_control".into()),
            ring: Ring::default(),
            stdin: Stdin::Empty,
        }
    }

    #[test]
    fn requests_read_as_before() {
        check(RequestBody::Hello, "hello seq=7\n");
        check(RequestBody::Signal { id: "web".into(), signal: 15 }, "signal seq=7 id=web signal=15\n");
        check(RequestBody::Delete { id: "web".into() }, "delete seq=7 id=web\n");
        check(RequestBody::Status, "status seq=7\n");
        check(RequestBody::Subscribe, "subscribe seq=7\n");
        check(RequestBody::Shutdown, "shutdown seq=7\n");
        check(
            RequestBody::Run(Box::new(run())),
            "run seq=7 id=web oci_id=t1-web oci_runtime=/bin/berth-oci oci_root=/run/berth/oci \
             bundle=/d/my%20tasks/t1/containers/web/bundle lower=/l/2 lower=/l/1 upper=/u work=/w \
             netns=/run/netns/web oom_file=/sys/fs/cgroup/memory/ecs/t1/web/memory.oom_control\n",
        );
        let bare = RunRequest { overlay: None, netns: None, oom_file: None, ..run() };
        check(
            RequestBody::Run(Box::new(bare)),
            "run seq=7 id=web oci_id=t1-web oci_runtime=/bin/berth-oci oci_root=/run/berth/oci \
             bundle=/d/my%20tasks/t1/containers/web/bundle\n",
        );
        for (stdin, name) in [(Stdin::Open, "open"), (Stdin::Terminal, "terminal")] {
            let golden = format!(
                "run seq=7 id=web oci_id=t1-web oci_runtime=/bin/berth-oci oci_root=/run/berth/oci \
                 bundle=/d/my%20tasks/t1/containers/web/bundle stdin={name}\n"
            );
            let bare = RunRequest { overlay: None, netns: None, oom_file: None, stdin, ..run() };
            check(RequestBody::Run(Box::new(bare)), &golden);
        }
        for (full, name) in [(WhenFull::Wait, "wait"), (WhenFull::Drop, "drop"), (WhenFull::Forget, "forget")] {
            let ring = Ring { bytes: 1_048_576, full };
            let golden = format!(
                "run seq=7 id=web oci_id=t1-web oci_runtime=/bin/berth-oci oci_root=/run/berth/oci \
                 bundle=/d/my%20tasks/t1/containers/web/bundle ring=1048576 ring_full={name}\n"
            );
            check(
                RequestBody::Run(Box::new(RunRequest { overlay: None, netns: None, oom_file: None, ring, ..run() })),
                &golden,
            );
        }
    }

    #[test]
    fn bad_requests_say_what_is_wrong() {
        let error = |line| Request::decode(line).unwrap_err().to_string();
        assert_eq!(error(""), "unknown verb \"\"");
        assert_eq!(error("jump seq=1"), "unknown verb \"jump\"");
        assert_eq!(error("delete seq=1"), "field id is missing");
        assert_eq!(error("status"), "field seq is missing");
        assert_eq!(error("signal seq=1 id=a signal=x"), "field signal has the invalid value \"x\"");
        assert_eq!(error("run seq=1 id=../x"), "field id has the invalid value \"../x\"");
    }

    #[test]
    fn fields_of_a_newer_peer_are_ignored() {
        assert!(Request::decode("status seq=1 colour=blue\n").is_ok());
    }
}
