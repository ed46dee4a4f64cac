//! One more process in a running container: a health check's.

use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::RuntimeError;

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

/// The names of these files must differ while they are there.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// Runs `args` as the container's own program runs: its user, environment, directory and confinement.
///
/// The OCI runtime is called from here and not by the shim: what it starts is no part of the container's life, and ends
/// with the container's cgroup if nobody waits for it any more.
pub async fn exec(
    oci: &Path,
    oci_root: &Path,
    container: &str,
    bundle: &Path,
    args: &[String],
    timeout: Duration,
) -> Result<Executed, RuntimeError> {
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = |suffix: &str| bundle.join(format!("exec-{}-{number}.{suffix}", std::process::id()));
    let files = Files { process: name("json"), pid: name("pid") };
    let process = process(&bundle.join("config.json"), args).await?;
    tokio::fs::write(&files.process, process).await.map_err(RuntimeError::io("write", &files.process))?;
    let child = tokio::process::Command::new(oci)
        .arg("--root")
        .arg(oci_root)
        .args(["exec", "--pid-file"])
        .arg(&files.pid)
        .arg("--process")
        .arg(&files.process)
        .arg(container)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .map_err(RuntimeError::io("execute", oci))?;
    crate::open_files::as_given(child.id());
    let mut running = Running { child, files, ended: false };
    match tokio::time::timeout(timeout, running.child.wait()).await {
        Ok(status) => {
            running.ended = true;
            let status = status.map_err(RuntimeError::io("wait for", oci))?;
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

/// The `process` of the container's own configuration, with other arguments.
async fn process(config: &Path, args: &[String]) -> Result<String, RuntimeError> {
    let text = tokio::fs::read(config).await.map_err(RuntimeError::io("read", config))?;
    let invalid = |source: serde_json::Error| RuntimeError::io("parse", config)(io::Error::from(source));
    let mut config: serde_json::Value = serde_json::from_slice(&text).map_err(invalid)?;
    let mut process = config["process"].take();
    process["args"] = args.into();
    Ok(process.to_string())
}

struct Files {
    process: PathBuf,
    pid: PathBuf,
}

impl Drop for Files {
    fn drop(&mut self) {
        for path in [&self.process, &self.pid] {
            let _ = std::fs::remove_file(path);
        }
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
        let pid = std::fs::read_to_string(&self.files.pid).ok().and_then(|text| text.trim().parse::<i32>().ok());
        match pid.filter(|pid| *pid > 1) {
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
