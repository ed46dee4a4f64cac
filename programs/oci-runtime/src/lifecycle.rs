//! The steps after the start.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, anyhow, bail};
use libcontainer::container::Container;
use libcontainer::container::builder::ContainerBuilder;
use libcontainer::error::LibcontainerError;
use libcontainer::signal::Signal;
use libcontainer::syscall::syscall::SyscallType;
use serde_json::json;

use crate::cgroups;
use crate::device_policy;
use crate::executor::ReportingExecutor;
use crate::launch;
use crate::options::{Exec, Global};

pub fn load(global: &Global, id: &str) -> Result<Container> {
    check_id(id)?;
    let dir = global.root.join(id);
    if !dir.is_dir() {
        bail!("container {id:?} does not exist");
    }
    Container::load(dir).with_context(|| format!("failed to load container {id:?}"))
}

/// An id is a directory's name, and must not lead anywhere else.
fn check_id(id: &str) -> Result<()> {
    match id.is_empty() || id.starts_with('.') || id.contains('/') {
        true => Err(anyhow!("{id:?} is not a container's name")),
        false => Ok(()),
    }
}

/// Prints the state as the OCI runtime specification has it.
pub fn state(global: &Global, id: &str) -> Result<()> {
    let container = load(global, id)?;
    let pid = match container.can_kill() {
        true => container.pid().map_or(0, |pid| pid.as_raw()),
        false => 0,
    };
    let state = json!({
        "ociVersion": "1.0.2",
        "id": container.id(),
        "status": container.status().to_string().to_lowercase(),
        "pid": pid,
        "bundle": container.bundle(),
    });
    println!("{state:#}");
    Ok(())
}

pub fn kill(global: &Global, id: &str, signal: &str, all: bool) -> Result<()> {
    let signal = Signal::try_from(signal)?;
    load(global, id)?.kill(signal, all).with_context(|| format!("failed to kill {id:?}"))
}

/// Forgets a container; with `force`, also one that runs, and it is no error when there is none.
pub fn delete(global: &Global, id: &str, force: bool) -> Result<()> {
    check_id(id)?;
    launch::remove_fifo(global, id)?;
    if force && !global.root.join(id).exists() {
        return Ok(());
    }
    match load(global, id)?.delete(force) {
        Ok(()) => Ok(()),
        Err(LibcontainerError::IncorrectStatus(status)) => {
            bail!("cannot delete container {id:?} that is {status}, except by force")
        }
        Err(err) => Err(err).with_context(|| format!("failed to delete {id:?}")),
    }
}

/// One more process in a running container.
pub fn exec(global: &Global, exec: Exec) -> Result<ExitCode> {
    check_id(&exec.id)?;
    let env = exec
        .env
        .iter()
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect::<HashMap<_, _>>();
    let (mut report, writer) = io::pipe().context("failed to make a pipe")?;
    let mut executor = ReportingExecutor::new(File::from(OwnedFd::from(writer)));
    if exec.console_socket.is_some() {
        // Our caller has the terminal now, and may have something to do with it before the program begins.
        let word = io::stdin().as_fd().try_clone_to_owned().context("failed to keep standard input")?;
        executor = executor.after(File::from(word));
    }
    let container = load(global, &exec.id)?;
    let config = config(&container)?;
    // A place below the container's cgroup is a matter of cgroup v2 alone, where nothing is joined here.
    let below = cgroup_below(&container, &config)?;
    let paths = [Some(&global.root), exec.process.as_ref(), exec.pid_file.as_ref(), exec.console_socket.as_ref()];
    let paths = paths.into_iter().flatten().chain([container.bundle()]).map(PathBuf::as_path);
    let joined = cgroups::join_running(&config, &paths.collect::<Vec<_>>())?;
    let built = ContainerBuilder::new(exec.id.clone(), SyscallType::default())
        .with_executor(executor)
        // libcontainer wants a socket for the terminal of a detached process alone, and does nothing else with the word.
        .with_console_socket(exec.console_socket.as_ref())
        .with_root_path(&global.root)?
        .with_pid_file(exec.pid_file.as_ref())?
        .validate_id()?
        .as_tenant()
        .with_sub_cgroup(below)
        .with_detach(exec.detach || exec.console_socket.is_some())
        .with_env(env)
        .with_cwd(exec.cwd)
        .with_container_args(exec.args)
        .with_process(exec.process)
        .build();
    if built.is_err() {
        reap();
    }
    let built = built.with_context(|| format!("failed to execute in {:?}", exec.id));
    let pid = built.map_err(|err| launch::explained(&mut report, err))?;
    if let Err(err) = launch::executed(&mut report) {
        reap();
        return Err(err);
    }
    if exec.detach {
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(joined) = joined {
        // What is left to do is to wait, and that is no part of the container.
        joined.leave()?;
    }
    let mut status = 0;
    // SAFETY: the process is a child of this one, and `status` outlives the call.
    while unsafe { libc::waitpid(pid.as_raw(), &mut status, 0) } < 0 {
        let err = io::Error::last_os_error();
        if err.kind() != io::ErrorKind::Interrupted {
            return Err(err).context("failed to wait for the process");
        }
    }
    Ok(ExitCode::from(u8::try_from(exit_code(status)).unwrap_or(u8::MAX)))
}

/// Where below the container's cgroup its first process is, on cgroup v2. A privileged container may have made cgroups of its
/// own, as systemd does, and then the kernel lets no process into the outermost.
fn cgroup_below(container: &Container, config: &serde_json::Value) -> Result<Option<String>> {
    if !device_policy::is_v2() {
        return Ok(None);
    }
    let Some(pid) = container.pid() else { return Ok(None) };
    // A process that has just ended has no cgroup; then there is nothing to join either, and libcontainer says so.
    let Ok(of_process) = fs::read_to_string(format!("/proc/{pid}/cgroup")) else { return Ok(None) };
    let Some(path) = of_process.lines().find_map(|line| line.strip_prefix("0::")) else { return Ok(None) };
    let below = config["linux"]["cgroupsPath"].as_str().and_then(|own| inside(own, path));
    Ok(below.map(str::to_owned))
}

/// What the container was made of.
fn config(container: &Container) -> Result<serde_json::Value> {
    let path = container.bundle().join("config.json");
    let text = fs::read_to_string(&path).with_context(|| format!("failed to read {}", path.display()))?;
    serde_json::from_str(&text).context("the configuration is no JSON")
}

/// What follows `own` in `path`, if that is a cgroup below it.
fn inside<'a>(own: &str, path: &'a str) -> Option<&'a str> {
    path.strip_prefix(own.trim_end_matches('/'))?.strip_prefix('/').filter(|below| !below.is_empty())
}

/// Takes note of the ends of all children. The last of them is in the container's pid namespace, and as long as nobody
/// has taken note of its end the container cannot end either.
fn reap() {
    let mut status = 0;
    // SAFETY: `status` outlives the call.
    while unsafe { libc::waitpid(-1, &mut status, 0) } > 0 {}
}

/// As a shell reports it.
pub fn exit_code(status: i32) -> i32 {
    match libc::WIFSIGNALED(status) {
        true => 128 + libc::WTERMSIG(status),
        false => libc::WEXITSTATUS(status),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cgroup_below_is_told_by_its_path() {
        let own = "/ecs/task/web";
        assert_eq!(inside(own, "/ecs/task/web/init.scope"), Some("init.scope"));
        assert_eq!(inside(own, "/ecs/task/web/a/b"), Some("a/b"));
        for other in [own, "/ecs/task/website", "/ecs/task", "/", "/ecs/task/web/"] {
            assert_eq!(inside(own, other), None, "{other}");
        }
    }
}
