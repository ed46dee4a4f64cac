//! Calling the OCI runtime.

use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use shim_api::log::Stream;
use shim_api::{RunRequest, Stdin};

use crate::console::Console;
use crate::failure;
use crate::output::Output;
use crate::overlay::Mount;
use crate::sys;

/// A runtime at work on a start.
pub struct Launch {
    pub runtime_pid: i32,
    pub output: Output,
    /// Held as long as the container lives: nothing is ever written to it.
    pub stdin: Option<io::PipeWriter>,
    /// Where its terminal will come from.
    pub console: Option<Console>,
}

/// The files around a start: in the container's directory, and in its bundle.
pub struct Files {
    dir: PathBuf,
    bundle: PathBuf,
}

impl Files {
    pub fn new(dir: &Path, run: &RunRequest) -> Files {
        Files { dir: dir.to_owned(), bundle: PathBuf::from(&run.bundle) }
    }

    fn log(&self) -> PathBuf {
        self.bundle.join("oci.log")
    }

    fn pid(&self) -> PathBuf {
        self.dir.join("pid")
    }

    /// What an earlier run of the same container left must not be taken for this one's.
    fn clear(&self) -> io::Result<()> {
        for path in [self.log(), self.pid(), self.dir.join(shim_api::EXIT_NAME)] {
            match std::fs::remove_file(path) {
                Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(err),
                _ => {}
            }
        }
        Ok(())
    }

    /// The container's first process, as the runtime wrote it down.
    pub fn read_pid(&self) -> Option<i32> {
        std::fs::read_to_string(self.pid()).ok()?.trim().parse().ok()
    }

    /// Why the runtime failed, in its own words if it had any.
    pub fn failure(&self, status: i32) -> String {
        let log = std::fs::read(self.log()).unwrap_or_default();
        failure::last_error(&String::from_utf8_lossy(&log)).unwrap_or_else(|| match libc::WIFSIGNALED(status) {
            true => format!("the OCI runtime was killed by signal {}", libc::WTERMSIG(status)),
            false => format!("the OCI runtime ended with status {}", libc::WEXITSTATUS(status)),
        })
    }
}

/// The network namespace of one container, and the folder that has those of all.
///
/// Each is a mount, and an OCI runtime reads the list of mounts a dozen times for each container. With a thousand of them
/// that takes longer than everything else.
struct Netns {
    file: CString,
    target: CString,
    /// Only one that is called `netns`, as it is the custom: nothing else is in there.
    folder: Option<CString>,
}

impl Netns {
    fn new(path: &str, bundle: &str) -> io::Result<Netns> {
        let target = Path::new(bundle).join(shim_api::NETNS_NAME);
        let folder = Path::new(path).parent().filter(|folder| folder.ends_with("netns"));
        let text = |path: &Path| CString::new(path.as_os_str().as_encoded_bytes());
        Ok(Netns { file: CString::new(path)?, target: text(&target)?, folder: folder.map(text).transpose()? })
    }

    /// In a mount namespace of our own.
    fn bring(&self) -> io::Result<()> {
        sys::bind(&self.file, &self.target)?;
        self.hide();
        Ok(())
    }

    /// A folder that is no mount itself cannot be hidden, and then the list is long.
    fn hide(&self) {
        if let Some(folder) = &self.folder {
            let _ = sys::detach_mount(folder);
        }
    }
}

/// Starts `<runtime> run --detach` with the container's pipes as its output, in a mount namespace where the root file
/// system is mounted. That namespace lives on as the container's, and the mount ends with it.
pub fn launch(run: &RunRequest, dir: &Path, oom_score: Option<&str>) -> io::Result<Launch> {
    let files = Files::new(dir, run);
    std::fs::create_dir_all(dir)?;
    files.clear()?;
    let mut output = Output::open(dir, run.ring)?;
    let (mut stdin, mut console) = (None, None);

    let rootfs = format!("{}/rootfs", run.bundle);
    let mount = run.overlay.as_ref().map(|overlay| Mount::new(overlay, &rootfs)).transpose()?;
    let netns = run.netns.as_ref().map(|path| Netns::new(path, &run.bundle)).transpose()?;
    if netns.is_some() {
        File::create(Path::new(&run.bundle).join(shim_api::NETNS_NAME))?;
    }
    let mut log = OpenOptions::new().create(true).append(true).open(files.log())?;
    let oom_score = oom_score.map(str::to_owned);

    let mut command = Command::new(&run.oci_runtime);
    command.arg("--root").arg(&run.oci_root).arg("--log").arg(files.log());
    command.args(["--log-format", "json", "run", "--detach", "--pid-file"]).arg(std::path::absolute(files.pid())?);
    command.stdin(Stdio::null());
    if run.stdin == Stdin::Terminal {
        let listening = Console::listen()?;
        command.arg("--console-socket").arg(listening.path()).stdout(Stdio::null()).stderr(Stdio::null());
        console = Some(listening);
    } else {
        let (stdout, stdout_writer) = io::pipe()?;
        let (stderr, stderr_writer) = io::pipe()?;
        output.add(stdout, Stream::Stdout)?;
        output.add(stderr, Stream::Stderr)?;
        command.stdout(stdout_writer).stderr(stderr_writer);
    }
    if run.stdin == Stdin::Open {
        let (reader, writer) = io::pipe()?;
        command.stdin(reader);
        stdin = Some(writer);
    }
    command.arg("--bundle").arg(&run.bundle).arg(&run.oci_id);
    command.env(shim_api::OWN_MOUNTS, "1");
    let prepare = move || {
        sys::unblock_signals()?;
        // A start that nobody sees to its end must not become a container after everybody has looked.
        sys::die_with_parent()?;
        if let Some(score) = &oom_score {
            let _ = std::fs::write("/proc/self/oom_score_adj", score);
        }
        let result = sys::unshare_mounts()
            .map_err(|err| (err, "make a mount namespace"))
            .and_then(|()| {
                netns.as_ref().map_or(Ok(()), Netns::bring).map_err(|err| (err, "find the network namespace"))
            })
            .and_then(|()| {
                mount.as_ref().map_or(Ok(()), Mount::mount).map_err(|err| (err, "mount the root file system"))
            });
        result.map_err(|(err, what)| {
            // Only the number crosses over to the parent; the words go where the runtime's would.
            let _ = log.write_all(failure::error_line(&format!("failed to {what}: {err}")).as_bytes());
            err
        })
    };
    // SAFETY: this process has one thread, so the child of the fork may allocate and use the standard library.
    unsafe { command.pre_exec(prepare) };
    let child = command.spawn().map_err(|err| {
        let text = std::fs::read_to_string(files.log()).unwrap_or_default();
        let reason = failure::last_error(&text);
        io::Error::new(err.kind(), reason.unwrap_or_else(|| format!("failed to execute {:?}: {err}", run.oci_runtime)))
    })?;
    failpoint::place("shim.launch");
    // The children are reaped together, by their ids, and dropping the handle does not wait.
    Ok(Launch { runtime_pid: pid(&child), output, stdin, console })
}

/// Starts `<runtime> delete --force`, which also removes the cgroup and whatever is still in it.
pub fn delete(run: &RunRequest) -> io::Result<i32> {
    let netns = run.netns.as_ref().map(|path| Netns::new(path, &run.bundle)).transpose()?;
    let mut command = Command::new(&run.oci_runtime);
    command.args(["--root", &run.oci_root, "delete", "--force", &run.oci_id]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::inherit());
    let prepare = move || {
        sys::unblock_signals()?;
        if let Some(netns) = &netns {
            sys::unshare_mounts()?;
            netns.hide();
        }
        Ok(())
    };
    // SAFETY: this process has one thread, and the closure makes system calls.
    unsafe { command.pre_exec(prepare) };
    let child = command.spawn()?;
    Ok(pid(&child))
}

fn pid(child: &std::process::Child) -> i32 {
    // A process id is a positive int by the kernel's own type.
    i32::try_from(child.id()).unwrap_or(i32::MAX)
}
