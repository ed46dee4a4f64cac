//! One more process in a running container that somebody talks to: a person's shell, or a command in a pipe.

use std::io;
use std::os::fd::AsRawFd as _;
use std::path::Path;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixListener;

use crate::RuntimeError;
use crate::exec::{Files, process_of, write_process};
use crate::terminal::{SIZE_DEFAULT, Terminal};

/// How a process is talked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attach {
    /// A pseudo-terminal of the container's own, with so many columns and rows; without them, of the usual size.
    Terminal(Option<(u16, u16)>),
    Pipes,
}

/// The process, from outside. Whoever drops its parts hangs up.
pub struct Attached {
    pub input: Box<dyn AsyncWrite + Send + Unpin>,
    pub output: Box<dyn AsyncRead + Send + Unpin>,
    /// Standard error, where it is apart.
    pub errors: Option<Box<dyn AsyncRead + Send + Unpin>>,
    pub control: AttachedControl,
    pub ended: AttachedEnd,
}

/// Resolves to the exit code as a shell has it, or to why the program never ran.
pub type AttachedEnd = Pin<Box<dyn Future<Output = Result<i32, String>> + Send>>;

#[derive(Clone)]
pub struct AttachedControl {
    terminal: Option<Terminal>,
    process: Arc<Process>,
}

impl AttachedControl {
    /// Nothing without a terminal.
    pub fn resize(&self, columns: u16, rows: u16) {
        if let Some(terminal) = &self.terminal
            && let Err(error) = terminal.resize((columns, rows))
        {
            tracing::debug!(%error, "a terminal was not resized");
        }
    }

    /// Tells the program and what it leads that nobody listens any more.
    pub fn hang_up(&self) {
        self.process.signal(libc::SIGHUP);
    }

    pub fn kill(&self) {
        self.process.signal(libc::SIGKILL);
    }
}

/// What is signalled: as long as it has not ended, its numbers are its own.
struct Process {
    files: Files,
    /// The OCI runtime's.
    helper: Option<i32>,
    ended: AtomicBool,
}

impl Process {
    fn signal(&self, signal: i32) {
        if self.ended.load(Ordering::Acquire) {
            return;
        }
        // The program leads a session of its own. Before it is there, its maker is not waited for.
        let (pid, signal) = match self.files.pid() {
            Some(pid) => (-pid, signal),
            None => (self.helper.unwrap_or_default(), libc::SIGKILL),
        };
        if pid != 0 {
            // SAFETY: no memory is involved.
            let _ = unsafe { libc::kill(pid, signal) };
        }
    }
}

/// Hangs up when nobody waits for the end any more.
struct Guard(Arc<Process>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.signal(libc::SIGHUP);
    }
}

/// How long the OCI runtime may take to send the terminal.
const TERMINAL_WITHIN: Duration = Duration::from_secs(20);
/// What a program is told of the terminal when the container's own environment does not say.
const TERM: &str = "TERM=xterm";

/// Where things are for an OCI runtime.
pub(crate) struct Place<'a> {
    pub oci: &'a Path,
    pub oci_root: &'a Path,
    pub container: &'a str,
    pub bundle: &'a Path,
}

pub(crate) async fn attach(place: Place<'_>, args: &[String], attach: Attach) -> Result<Attached, RuntimeError> {
    let files = Files::new(place.bundle);
    let mut process = process_of(&place.bundle.join("config.json")).await?;
    process["args"] = args.into();
    process["terminal"] = matches!(attach, Attach::Terminal(_)).into();
    if matches!(attach, Attach::Terminal(_)) {
        say_which_terminal(&mut process);
    }
    let uid = process["user"]["uid"].as_u64().and_then(|uid| u32::try_from(uid).ok()).unwrap_or(0);
    write_process(&files.process, &process).await?;
    match attach {
        Attach::Pipes => with_pipes(&place, files),
        Attach::Terminal(size) => with_terminal(&place, files, size.unwrap_or(SIZE_DEFAULT), uid).await,
    }
}

fn say_which_terminal(process: &mut serde_json::Value) {
    if !process["env"].is_array() {
        process["env"] = serde_json::json!([]);
    }
    if let Some(env) = process["env"].as_array_mut()
        && !env.iter().any(|one| one.as_str().is_some_and(|one| one.starts_with("TERM=")))
    {
        env.push(TERM.into());
    }
}

fn command(place: &Place<'_>, files: &Files) -> tokio::process::Command {
    let mut command = tokio::process::Command::new(place.oci);
    command.arg("--root").arg(place.oci_root).arg("--log").arg(&files.log).args(["--log-format", "json"]);
    command.args(["exec", "--pid-file"]).arg(&files.pid).arg("--process").arg(&files.process);
    command
}

fn spawn(place: &Place<'_>, command: &mut tokio::process::Command) -> Result<tokio::process::Child, RuntimeError> {
    let child = command.arg(place.container).spawn().map_err(RuntimeError::io("execute", place.oci))?;
    crate::open_files::as_given(child.id());
    Ok(child)
}

fn with_pipes(place: &Place<'_>, files: Files) -> Result<Attached, RuntimeError> {
    let mut command = command(place, &files);
    let mut child = spawn(place, command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()))?;
    let missing = || RuntimeError::io("talk to", place.oci)(io::ErrorKind::BrokenPipe.into());
    let (input, output) = (child.stdin.take().ok_or_else(missing)?, child.stdout.take().ok_or_else(missing)?);
    let errors = child.stderr.take().ok_or_else(missing)?;
    let (process, ended) = watch(child, files);
    Ok(Attached {
        input: Box::new(input),
        output: Box::new(output),
        errors: Some(Box::new(errors)),
        control: AttachedControl { terminal: None, process },
        ended,
    })
}

async fn with_terminal(place: &Place<'_>, files: Files, size: (u16, u16), uid: u32) -> Result<Attached, RuntimeError> {
    let listener = listen(&files.socket).map_err(RuntimeError::io("listen on", &files.socket))?;
    let mut command = command(place, &files);
    command.arg("--console-socket").arg(&files.socket);
    let mut child = spawn(place, command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()))?;
    // The program begins when this is dropped: not before the terminal is as it should be.
    let word = child.stdin.take();
    let socket = files.socket.clone();
    let arrival = async {
        let (stream, _) = listener.accept().await?;
        Terminal::receive(&stream).await
    };
    let arrived = tokio::select! {
        biased;
        arrived = tokio::time::timeout(TERMINAL_WITHIN, arrival) => arrived.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())),
        _ = child.wait() => Err(io::ErrorKind::BrokenPipe.into()),
    };
    let terminal = match arrived {
        Ok(terminal) => terminal,
        Err(error) => {
            let _ = child.start_kill();
            return match files.reason() {
                Some(reason) => Err(RuntimeError::CannotExecute { reason }),
                None => Err(RuntimeError::io("receive a terminal over", &socket)(error)),
            };
        }
    };
    let prepared = terminal.resize(size).and_then(|()| if uid == 0 { Ok(()) } else { terminal.give(uid) });
    if let Err(error) = prepared {
        // The program has it open all the same.
        tracing::debug!(%error, "a terminal is not quite as it should be");
    }
    drop(word);
    let (process, ended) = watch(child, files);
    Ok(Attached {
        input: Box::new(terminal.clone()),
        output: Box::new(terminal.clone()),
        errors: None,
        control: AttachedControl { terminal: Some(terminal), process },
        ended,
    })
}

fn watch(mut child: tokio::process::Child, files: Files) -> (Arc<Process>, AttachedEnd) {
    let helper = child.id().and_then(|id| i32::try_from(id).ok());
    let process = Arc::new(Process { files, helper, ended: AtomicBool::new(false) });
    let guard = Guard(process.clone());
    let ended = Box::pin(async move {
        let status = child.wait().await;
        guard.0.ended.store(true, Ordering::Release);
        let reason = guard.0.files.reason();
        guard.0.files.remove();
        let status = status.map_err(|error| error.to_string())?;
        match reason {
            Some(reason) if !status.success() => Err(reason),
            _ => Ok(status.code().unwrap_or(128 + libc::SIGKILL)),
        }
    });
    (process, ended)
}

/// A socket's address holds 107 bytes; a path by way of an open descriptor is always shorter.
fn listen(path: &Path) -> io::Result<UnixListener> {
    let (Some(dir), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let dir = std::fs::File::open(dir)?;
    UnixListener::bind(Path::new("/proc/self/fd").join(dir.as_raw_fd().to_string()).join(name))
}
