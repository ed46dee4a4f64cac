//! From a bundle to a running program.

use std::ffi::CString;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use libcontainer::container::Container;
use libcontainer::container::builder::ContainerBuilder;
use libcontainer::syscall::syscall::SyscallType;

use crate::cgroups::{self, Joined};
use crate::device_policy;
use crate::executor::{ReportingExecutor, reason};
use crate::lifecycle;
use crate::masks;
use crate::options::{Create, Global};

/// Creates and starts; with `--detach` returns once the program runs.
pub fn run(global: &Global, create: &Create) -> Result<()> {
    let (mut report, writer) = io::pipe().context("failed to make a pipe")?;
    let built = build(global, create, File::from(OwnedFd::from(writer)));
    // This process's end of the pipe went into `build` and is closed, so the end of the pipe is the container's doing.
    let (mut container, joined) = built.map_err(|err| explained(&mut report, err))?;
    let started = container.start().context("failed to start").and_then(|()| executed(&mut report));
    if let Err(err) = started {
        undo(global, create, joined)?;
        return Err(err);
    }
    match create.detach {
        true => Ok(()),
        false => wait(&container),
    }
}

/// Everything up to the execution, which [`start`] brings.
pub fn create(global: &Global, create: &Create) -> Result<()> {
    std::fs::create_dir_all(&global.root).context("failed to make the state directory")?;
    let fifo = fifo_path(global, &create.id);
    make_fifo(&fifo)?;
    // Opened for both ways, opening does not wait for a peer; the container's first process keeps it open for `start`.
    let built = (|| {
        let report = OpenOptions::new().read(true).write(true).open(&fifo).context("failed to open the report")?;
        let mut reader = report.try_clone().context("failed to open the report")?;
        build(global, create, report).map_err(|err| explained_without_end(&mut reader, err))
    })();
    if built.is_err() {
        remove_fifo(global, &create.id)?;
    }
    built.map(drop)
}

/// Lets a created container's first process execute its program, and confirms that it did.
pub fn start(global: &Global, id: &str) -> Result<()> {
    let mut container = lifecycle::load(global, id)?;
    if !container.can_start() {
        bail!("cannot start a container that is {}", container.status());
    }
    let fifo = fifo_path(global, id);
    let mut report = File::open(&fifo).context("failed to open the report")?;
    container.start().context("failed to start")?;
    let executed = executed(&mut report);
    remove_fifo(global, id)?;
    executed
}

/// Forgets the channel between `create` and `start`, if it is there.
pub fn remove_fifo(global: &Global, id: &str) -> Result<()> {
    match std::fs::remove_file(fifo_path(global, id)) {
        Err(err) if err.kind() != io::ErrorKind::NotFound => Err(err).context("failed to remove the report"),
        _ => Ok(()),
    }
}

/// Also says which cgroups were joined, if that was not left to libcontainer.
fn build(global: &Global, create: &Create, report: File) -> Result<(Container, Option<Joined>)> {
    let Prepared { config, joined, written } = prepare(global, create)?;
    let built = build_container(global, create, report);
    let restored = written.map_or(Ok(()), |text| write_config(&create.bundle, &text));
    let container = match built {
        Ok(container) => container,
        Err(err) => {
            // libcontainer has cleaned up after itself.
            joined.map_or(Ok(()), |joined| joined.remove()).context("failed to clean up")?;
            return Err(err);
        }
    };
    let pid = container.pid().map_or(0, |pid| pid.as_raw());
    let completed = joined.as_ref().map_or(Ok(()), Joined::complete);
    match restored.and(completed).and_then(|()| device_policy::apply(&config, pid)) {
        Ok(()) => Ok((container, joined)),
        Err(err) => {
            undo(global, create, joined)?;
            Err(err)
        }
    }
}

/// Leaves nothing of a container that does not run.
fn undo(global: &Global, create: &Create, joined: Option<Joined>) -> Result<()> {
    let deleted = lifecycle::delete(global, &create.id, true);
    // It is tried in any case.
    let removed = joined.map_or(Ok(()), |joined| joined.remove());
    deleted.and(removed).context("failed to clean up")
}

fn build_container(global: &Global, create: &Create, report: File) -> Result<Container> {
    ContainerBuilder::new(create.id.clone(), SyscallType::default())
        .with_executor(ReportingExecutor::new(report))
        .with_root_path(&global.root)?
        .with_pid_file(create.pid_file.as_ref())?
        .with_console_socket(create.console_socket.as_ref())
        .validate_id()?
        .as_init(&create.bundle)
        .with_systemd(false)
        .with_detach(create.detach)
        .build()
        .context("failed to create the container")
}

/// A bundle that is ready for libcontainer.
struct Prepared {
    /// The configuration as it is left for libcontainer.
    config: serde_json::Value,
    joined: Option<Joined>,
    /// What is to be in `config.json` when libcontainer has read it: it says everything again.
    written: Option<String>,
}

/// What runc does before the container's first process exists, and libcontainer leaves out or does more slowly.
fn prepare(global: &Global, create: &Create) -> Result<Prepared> {
    let bundle = create.bundle.as_path();
    let mut text = std::fs::read_to_string(bundle.join(CONFIG_NAME)).context("failed to read config.json")?;
    let mut config: serde_json::Value = serde_json::from_str(&text).context("failed to parse config.json")?;
    let turned = masks::turn(&mut config);
    if turned {
        text = config.to_string();
    }
    if let Some(uid) = config["process"]["user"]["uid"].as_u64().and_then(|uid| u32::try_from(uid).ok()) {
        give_stdio(uid);
    }
    if let (Some(root), Some(cwd)) = (config["root"]["path"].as_str(), config["process"]["cwd"].as_str()) {
        make_working_directory(&bundle.join(root), cwd)?;
    }
    // The last: from here on a failure has something to undo.
    let joined = match global.root.join(&create.id).exists() {
        // libcontainer refuses, and nothing of the one that is there may be touched.
        true => None,
        false => {
            let paths =
                [Some(&global.root), Some(&create.bundle), create.pid_file.as_ref(), create.console_socket.as_ref()];
            let paths: Vec<&Path> = paths.into_iter().flatten().map(PathBuf::as_path).collect();
            cgroups::join(&mut config, &paths)?
        }
    };
    let written = match &joined {
        Some(_) => write_config(bundle, &config.to_string()),
        None if turned => write_config(bundle, &text),
        None => Ok(()),
    };
    if let Err(err) = written {
        joined.map_or(Ok(()), |joined| joined.remove())?;
        return Err(err);
    }
    Ok(Prepared { config, written: joined.is_some().then_some(text), joined })
}

const CONFIG_NAME: &str = "config.json";

fn write_config(bundle: &Path, text: &str) -> Result<()> {
    std::fs::write(bundle.join(CONFIG_NAME), text).context("failed to write config.json")
}

/// Gives the pipes to the container's user, or a program that opens `/dev/stdout` anew is refused.
fn give_stdio(uid: u32) {
    let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
    for stream in [stdin.as_fd(), stdout.as_fd(), stderr.as_fd()] {
        let Ok(metadata) = stream.try_clone_to_owned().map(File::from).and_then(|file| file.metadata()) else {
            continue;
        };
        if metadata.file_type().is_fifo() && metadata.uid() != uid {
            // Where it is not allowed the program still has its open streams.
            let _ = std::os::unix::fs::fchown(stream, Some(uid), None);
        }
    }
}

/// Makes the working directory inside the root file system if it is missing, as Docker and runc do.
fn make_working_directory(root: &Path, cwd: &str) -> Result<()> {
    let failed = |reason: String| anyhow!("chdir to cwd ({cwd:?}) set in config.json failed: {reason}");
    if !cwd.starts_with('/') {
        return Err(failed("it is not an absolute path".to_owned()));
    }
    // pathrs resolves every component below the root, so a symbolic link of the image cannot lead outside.
    let root = pathrs::Root::open(root).context("failed to open the root file system")?;
    match root.mkdir_all(cwd, &Permissions::from_mode(0o755)) {
        Ok(_) => Ok(()),
        Err(err) => match err.kind() {
            pathrs::error::ErrorKind::OsError(Some(libc::EROFS)) => Ok(()),
            pathrs::error::ErrorKind::OsError(Some(code)) => Err(failed(reason(&io::Error::from_raw_os_error(code)))),
            _ => Err(failed(err.to_string())),
        },
    }
}

/// Did the program replace the container's first process?
pub fn executed(report: &mut impl io::Read) -> Result<()> {
    let mut message = String::new();
    report.read_to_string(&mut message).context("failed to hear from the container")?;
    match message.is_empty() {
        true => Ok(()),
        false => bail!(message),
    }
}

/// What the first process said about its failure is better than what libcontainer makes of it.
pub fn explained(report: &mut impl io::Read, err: anyhow::Error) -> anyhow::Error {
    executed(report).err().unwrap_or(err)
}

/// As [`explained`], for a channel that has no end because this process writes to it as well.
fn explained_without_end(report: &mut File, err: anyhow::Error) -> anyhow::Error {
    let mut waiting: libc::c_int = 0;
    // SAFETY: the descriptor is open, and FIONREAD writes one int.
    let asked = unsafe { libc::ioctl(std::os::fd::AsRawFd::as_raw_fd(report), libc::FIONREAD, &mut waiting) };
    let waiting = u64::try_from(waiting).unwrap_or(0);
    match asked {
        0 if waiting > 0 => explained(&mut report.take(waiting), err),
        _ => err,
    }
}

/// Beside the container's state directory, which libcontainer insists on making itself.
fn fifo_path(global: &Global, id: &str) -> PathBuf {
    global.root.join(format!(".{id}.report"))
}

fn make_fifo(path: &Path) -> Result<()> {
    let text = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: `text` is a terminated string that lives until the call returns.
    match unsafe { libc::mkfifo(text.as_ptr(), 0o600) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()).context("failed to make the report"),
    }
}

/// Ends as the container ended.
fn wait(container: &Container) -> Result<()> {
    let pid = container.pid().context("the container has no process")?.as_raw();
    let mut status = 0;
    // SAFETY: the process is a child of this one, and `status` outlives the call.
    while unsafe { libc::waitpid(pid, &mut status, 0) } < 0 {
        let err = io::Error::last_os_error();
        if err.kind() != io::ErrorKind::Interrupted {
            return Err(err).context("failed to wait for the container");
        }
    }
    std::process::exit(lifecycle::exit_code(status));
}
