//! One more process in a running container: a health check's. Those that somebody talks to are in `attached`.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::attached::Place;
use crate::{RuntimeError, orphans};

/// How such a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Executed {
    /// As a shell reports it. A program that could not be executed, or a container that does not run, is no zero.
    Exited(i32),
    /// It took too long and was killed.
    TimedOut,
}

/// How long the OCI runtime may take after the program was killed.
const NOTED_WITHIN: Duration = Duration::from_secs(1);

/// Runs `args` as the container's own program runs: its user, environment, directory and confinement.
///
/// The OCI runtime is called from here and not by the shim: what it starts is no part of the container's life, and ends
/// with the container's cgroup if nobody waits for it any more.
pub async fn exec(place: Place<'_>, args: &[String], timeout: Duration) -> Result<Executed, RuntimeError> {
    let files = Files::new(place.bundle);
    let mut process = process_of(&place.bundle.join("config.json")).await?;
    process["args"] = args.into();
    process["terminal"] = false.into();
    write_process(&files.process, &process).await?;
    let child = tokio::process::Command::new(place.oci)
        .arg("--root")
        .arg(place.oci_root)
        .args(["exec", "--pid-file"])
        .arg(&files.pid)
        .arg("--process")
        .arg(&files.process)
        .arg(place.container)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(RuntimeError::io("execute", place.oci))?;
    crate::open_files::as_given(child.id());
    let mut running = Running { child, files, ended: false };
    match tokio::time::timeout(timeout, running.child.wait()).await {
        Ok(status) => {
            running.ended = true;
            let status = status.map_err(RuntimeError::io("wait for", place.oci))?;
            Ok(Executed::Exited(status.code().unwrap_or(128 + libc::SIGKILL)))
        }
        Err(_) => {
            running.kill();
            // The runtime takes note of the end and ends as well. If it does not, nobody misses it.
            running.ended = tokio::time::timeout(NOTED_WITHIN, running.child.wait()).await.is_ok();
            Ok(Executed::TimedOut)
        }
    }
}

/// The `process` of the container's own configuration.
pub(crate) async fn process_of(config: &Path) -> Result<serde_json::Value, RuntimeError> {
    let text = tokio::fs::read(config).await.map_err(RuntimeError::io("read", config))?;
    let invalid = |source: serde_json::Error| RuntimeError::io("parse", config)(io::Error::from(source));
    let mut config: serde_json::Value = serde_json::from_slice(&text).map_err(invalid)?;
    Ok(config["process"].take())
}

pub(crate) async fn write_process(path: &Path, process: &serde_json::Value) -> Result<(), RuntimeError> {
    tokio::fs::write(path, process.to_string()).await.map_err(RuntimeError::io("write", path))
}

/// The names of these files must differ while they are there.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// What is left in the bundle for the OCI runtime, and by it, as long as its call lasts.
pub(crate) struct Files {
    pub process: PathBuf,
    pub pid: PathBuf,
    pub log: PathBuf,
    pub socket: PathBuf,
}

impl Files {
    pub fn new(bundle: &Path) -> Files {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = |suffix: &str| bundle.join(format!("exec-{}-{number}.{suffix}", std::process::id()));
        Files { process: name("json"), pid: name("pid"), log: name("log"), socket: name("sock") }
    }

    /// The program's number, once it has one.
    pub fn pid(&self) -> Option<i32> {
        read_pid(&self.pid)
    }

    /// Why the OCI runtime did not run the program: its last error.
    pub fn reason(&self) -> Option<String> {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        log.lines().rev().find_map(|line| {
            let line: serde_json::Value = serde_json::from_str(line).ok()?;
            let is_error = matches!(line["level"].as_str()?, "error" | "fatal" | "panic");
            line["msg"].as_str().filter(|_| is_error).map(str::to_owned)
        })
    }
}

impl Files {
    /// They are worth nothing once the program has ended.
    pub fn remove(&self) {
        for path in [&self.process, &self.pid, &self.log, &self.socket] {
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        self.remove();
    }
}

fn read_pid(path: &Path) -> Option<i32> {
    let pid = std::fs::read_to_string(path).ok()?.trim().parse::<i32>().ok()?;
    Some(pid).filter(|pid| *pid > 1)
}

/// Ends what an earlier process began to execute in a container and did not see the end of: nobody waits for it.
/// Only what is still in the container's cgroup is killed, since a number may be somebody else's by now. Blocking.
pub(crate) fn end_forgotten(bundle: &Path, cgroup: &str) {
    let own = format!("exec-{}-", std::process::id());
    let entries = std::fs::read_dir(bundle).into_iter().flatten().filter_map(Result::ok);
    let is_forgotten = |name: &str| name.starts_with("exec-") && !name.starts_with(&own);
    let files = entries.filter(|entry| is_forgotten(&entry.file_name().to_string_lossy()));
    let files: Vec<PathBuf> = files.map(|entry| entry.path()).collect();
    let having =
        |extension: &'static str| files.iter().filter(move |path| path.extension() == Some(extension.as_ref()));
    // The runtimes first: one that was about to start a program would do so after the look for programs.
    for process in having("json") {
        if let Err(error) = orphans::end(process) {
            tracing::error!(path = %process.display(), %error, "what was executed in a container goes on");
        }
    }
    for pid in having("pid").filter_map(|path| read_pid(path)) {
        if std::fs::read_to_string(format!("/proc/{pid}/cgroup")).is_ok_and(|of| of.contains(cgroup)) {
            // SAFETY: no memory is involved.
            let _ = unsafe { libc::kill(-pid, libc::SIGKILL) };
        }
    }
    for path in &files {
        let _ = std::fs::remove_file(path);
    }
}

/// A call under way. It ends with the caller's interest.
struct Running {
    child: tokio::process::Child,
    files: Files,
    /// Then its number may be somebody else's.
    ended: bool,
}

impl Running {
    /// Kills the program, and not the runtime: a container whose first process ends waits for all others to be taken
    /// note of, and nobody but the runtime does that soon.
    fn kill(&mut self) {
        match self.files.pid() {
            // The program leads a session of its own, so what it started goes as well.
            // SAFETY: no memory is involved; its parent has not taken note of an end, so the number is still its own.
            Some(pid) => drop(unsafe { libc::kill(-pid, libc::SIGKILL) }),
            // It has not come that far. An error means that it ended by itself.
            None => drop(self.child.start_kill()),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.ended {
            self.kill();
        }
    }
}
