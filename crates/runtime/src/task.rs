//! A task with a shim.

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use shim_api::{ExitRecord, Refusal, RequestBody};
use tokio::net::UnixStream;
use tokio::sync::broadcast;

use crate::attached::{self, Attach, Attached, Place};
use crate::board::Board;
use crate::exec::{end_forgotten, exec};
use crate::link::{self, Link, Listener, NotDone};
use crate::prepare::{ContainerDir, prepare, task_cgroup_path};
use crate::runtime::Environment;
use crate::state::timestamp;
use crate::{
    ContainerId, ContainerSpec, ContainerState, ContainerStatus, Event, Executed, Limits, RuntimeError, Started, Task,
    TaskId, orphans,
};

/// This much of what a shim said at last goes into an error.
const LAST_WORDS_BYTES: usize = 512;

pub struct ShimTask {
    id: TaskId,
    dir: PathBuf,
    environment: Arc<Environment>,
    board: Board,
    /// Held while a shim is started, looked for or mourned, so that only one of these happens at a time.
    link: tokio::sync::Mutex<Option<Arc<Link>>>,
    /// We asked the shim to end, so its end is no loss.
    closing: AtomicBool,
    this: Weak<ShimTask>,
}

impl ShimTask {
    pub fn new(id: TaskId, environment: Arc<Environment>) -> Arc<ShimTask> {
        Arc::new_cyclic(|this| ShimTask {
            dir: environment.config.tasks_dir.join(id.as_str()),
            id,
            environment,
            board: Board::new(),
            link: tokio::sync::Mutex::default(),
            closing: AtomicBool::new(false),
            this: this.clone(),
        })
    }

    /// Connects to the task's shim, or starts one.
    pub async fn open(&self, limits: &Limits) -> Result<(), RuntimeError> {
        self.link_within(limits).await.map(drop)
    }

    /// Something of it is on this machine.
    pub fn exists(&self) -> bool {
        self.dir.exists()
    }

    /// Connects to the task's shim, or settles what it left behind. Starts nothing.
    pub async fn recover(&self) -> Result<(), RuntimeError> {
        let mut link = self.link.lock().await;
        if link.as_ref().is_some_and(|link| !link.has_ended()) {
            return Ok(());
        }
        match self.connect().await? {
            Some(found) => {
                *link = Some(found);
                self.end_forgotten();
            }
            None => self.mourn().await?,
        }
        Ok(())
    }

    async fn link(&self) -> Result<Arc<Link>, RuntimeError> {
        self.link_within(&Limits::default()).await
    }

    /// The limits count for a task without a shim.
    async fn link_within(&self, limits: &Limits) -> Result<Arc<Link>, RuntimeError> {
        let mut link = self.link.lock().await;
        if let Some(link) = link.as_ref().filter(|link| !link.has_ended()) {
            return Ok(link.clone());
        }
        let parent = &self.environment.config.tasks_dir;
        fs::create_dir_all(parent).map_err(RuntimeError::io("create", parent))?;
        let fresh = match fs::create_dir(&self.dir) {
            Ok(()) => true,
            Err(err) if err.kind() == io::ErrorKind::AlreadyExists => false,
            Err(err) => return Err(RuntimeError::io("create", &self.dir)(err)),
        };
        // After the directory, by which the next agent finds the task; and not while somebody gives the cgroup back.
        self.limit(limits)?;
        let found = match fresh {
            true => None,
            false => self.connect().await?,
        };
        failpoint::place("runtime.open");
        let opened = match found {
            Some(found) => found,
            None => {
                if !fresh {
                    self.mourn().await?;
                }
                self.spawn().await?
            }
        };
        *link = Some(opened.clone());
        Ok(opened)
    }

    fn limit(&self, limits: &Limits) -> Result<(), RuntimeError> {
        if *limits == Limits::default() {
            return Ok(());
        }
        let cgroup = task_cgroup_path(&self.environment.config.cgroup_parent, &self.id);
        let made = self.environment.cgroups.ensure_task(&cgroup, limits);
        failpoint::place("runtime.limit");
        made.map_err(RuntimeError::io("limit cgroup", &cgroup))
    }

    fn place<'a>(&'a self, container: &'a ContainerId, oci_root: &'a Path, bundle: &'a Path) -> Place<'a> {
        Place { oci: &self.environment.config.oci, oci_root, container: container.as_str(), bundle }
    }

    /// Ends what an earlier process executed in the containers of this task.
    fn end_forgotten(&self) {
        for status in self.board.list() {
            let bundle = self.environment.container_dir(&self.id, &status.id).bundle();
            end_forgotten(&bundle, &self.environment.cgroup(&self.id, &status.id));
        }
    }

    /// A connection to a shim that lives, with its containers on the board.
    async fn connect(&self) -> Result<Option<Arc<Link>>, RuntimeError> {
        use io::ErrorKind::{ConnectionRefused, ConnectionReset, NotFound};

        let stream = match link::connect(&self.dir).await {
            Ok(stream) => stream,
            // Reset: it was killed while it had not yet accepted.
            Err(err) if matches!(err.kind(), NotFound | ConnectionRefused | ConnectionReset) => return Ok(None),
            Err(err) => return Err(RuntimeError::io("connect to the shim of", &self.dir)(err)),
        };
        let link = Arc::new(Link::open(stream, self.listener()));
        match link.request(RequestBody::Subscribe).await {
            Ok(()) => Ok(Some(link)),
            Err(NotDone::Gone) => Ok(None),
            Err(NotDone::Refused { message, .. }) => Err(self.refused(message)),
        }
    }

    /// A new shim. It gets its first connection as its standard input, so that nobody waits for its socket.
    async fn spawn(&self) -> Result<Arc<Link>, RuntimeError> {
        let gone = |reason: String| RuntimeError::ShimGone { task: self.id.clone(), reason };
        let program = self.environment.config.shim.clone();
        let dir = self.dir.clone();
        let started = tokio::task::spawn_blocking(move || spawn_shim(&program, &dir)).await;
        let (stream, mut child) =
            started.map_err(|err| gone(err.to_string()))?.map_err(|err| gone(format!("failed to start it: {err}")))?;
        // It is a child of ours until we end; somebody must take note of its end.
        tokio::spawn(async move { child.wait().await });
        let stream = UnixStream::from_std(stream).map_err(|err| gone(err.to_string()))?;
        self.closing.store(false, Ordering::Relaxed);
        let link = Arc::new(Link::open(stream, self.listener()));
        // Not waited for: a new shim has nothing to tell, and the next request waits in the same queue.
        let subscriber = link.clone();
        tokio::spawn(async move { subscriber.request(RequestBody::Subscribe).await });
        Ok(link)
    }

    fn listener(&self) -> Arc<dyn Listener> {
        Arc::new(Ear(self.this.clone()))
    }

    /// The shim is gone. Kills what it left, writes down how its containers ended, and says so.
    async fn mourn(&self) -> Result<(), RuntimeError> {
        let (dir, id, environment) = (self.dir.clone(), self.id.clone(), self.environment.clone());
        let known = self.board.list();
        let settled = tokio::task::spawn_blocking(move || settle(&dir, &id, &environment, &known)).await;
        let settled =
            settled.map_err(|err| RuntimeError::ShimGone { task: self.id.clone(), reason: err.to_string() })?;
        for (container, state) in settled? {
            self.board.set(&container, state);
        }
        Ok(())
    }

    fn refused(&self, message: String) -> RuntimeError {
        RuntimeError::Refused { task: self.id.clone(), message }
    }

    fn gone(&self) -> RuntimeError {
        let text = fs::read(self.dir.join("shim.log")).unwrap_or_default();
        let text = String::from_utf8_lossy(&text[text.len().saturating_sub(LAST_WORDS_BYTES)..]).trim().to_owned();
        let reason = if text.is_empty() { "the connection ended".to_owned() } else { text };
        RuntimeError::ShimGone { task: self.id.clone(), reason }
    }

    /// Waits until a start that somebody else began is decided.
    async fn wait_started(&self, container: &ContainerId) -> Result<Started, RuntimeError> {
        let mut events = self.board.subscribe();
        loop {
            match self.board.get(container) {
                Some(ContainerState::Starting) => {}
                Some(ContainerState::Running { pid, .. }) => return Ok(Started { pid }),
                Some(ContainerState::Exited(_)) => {
                    return Err(RuntimeError::AlreadyEnded { container: container.clone() });
                }
                Some(ContainerState::Failed { message }) => {
                    return Err(RuntimeError::CannotStart { container: container.clone(), message });
                }
                None => return Err(self.gone()),
            }
            if matches!(events.recv().await, Err(broadcast::error::RecvError::Closed)) {
                return Err(self.gone());
            }
        }
    }

    /// Nobody starts another shim as long as what this returns is held.
    async fn end_shim(&self) -> Result<tokio::sync::MutexGuard<'_, Option<Arc<Link>>>, RuntimeError> {
        let mut held = self.link.lock().await;
        let link = held.take().filter(|link| !link.has_ended());
        if link.is_none() {
            // It was killed, and nobody may have noticed yet: what it had begun to start would make anew what is about to be removed.
            self.mourn().await?;
        }
        if let Some(container) = self.board.any_alive() {
            *held = link;
            return Err(RuntimeError::StillRunning { container });
        }
        let Some(link) = link else { return Ok(held) };
        self.closing.store(true, Ordering::Relaxed);
        match link.request(RequestBody::Shutdown).await {
            Ok(()) => link.wait_for_end().await,
            // It was killed at this moment, and has left what it had begun.
            Err(NotDone::Gone) => {
                link.wait_for_end().await;
                self.mourn().await?;
            }
            Err(NotDone::Refused { message, .. }) => {
                self.closing.store(false, Ordering::Relaxed);
                *held = Some(link);
                return Err(self.refused(message));
            }
        }
        Ok(held)
    }

    async fn run(&self, spec: &ContainerSpec) -> Result<Started, RuntimeError> {
        let (spec_copy, id, environment) = (spec.clone(), self.id.clone(), self.environment.clone());
        // The shim, when it is a new one, starts while the container's directory is made.
        let link = self.link().await?;
        let prepared = tokio::task::spawn_blocking(move || prepare(&environment, &id, &spec_copy));
        let request = prepared.await.map_err(|err| self.refused(err.to_string()))??;
        match link.request(RequestBody::Run(Box::new(request))).await {
            // The shim says in what state the container is before it says that it is done.
            Ok(()) => match self.board.get(&spec.id) {
                Some(ContainerState::Running { pid, .. }) => Ok(Started { pid }),
                Some(ContainerState::Exited(exit)) => Ok(Started { pid: exit.pid }),
                _ => self.wait_started(&spec.id).await,
            },
            Err(NotDone::Refused { reason: Refusal::RuntimeFailed, message }) => {
                self.board.set(&spec.id, ContainerState::Failed { message: message.clone() });
                Err(RuntimeError::CannotStart { container: spec.id.clone(), message })
            }
            // Two callers at once: the other one was faster.
            Err(NotDone::Refused { reason: Refusal::WrongState, .. }) if self.board.get(&spec.id).is_some() => {
                self.wait_started(&spec.id).await
            }
            Err(NotDone::Refused { message, .. }) => Err(self.refused(message)),
            Err(NotDone::Gone) => Err(self.gone()),
        }
    }
}

#[async_trait]
impl Task for ShimTask {
    fn id(&self) -> &TaskId {
        &self.id
    }

    async fn start(&self, spec: &ContainerSpec) -> Result<Started, RuntimeError> {
        // Another process may have started it: a look at its shim comes first.
        self.link().await?;
        match self.board.get(&spec.id) {
            Some(_) => self.wait_started(&spec.id).await,
            None => self.run(spec).await,
        }
    }

    async fn kill(&self, container: &ContainerId, signal: i32) -> Result<(), RuntimeError> {
        if !self.board.get(container).is_some_and(|state| state.is_alive()) {
            return Ok(());
        }
        let link = self.link().await?;
        match link.request(RequestBody::Signal { id: container.to_string(), signal }).await {
            Ok(()) | Err(NotDone::Refused { reason: Refusal::NotFound | Refusal::WrongState, .. }) => Ok(()),
            Err(NotDone::Refused { message, .. }) => Err(self.refused(message)),
            // Whatever the shim left is being killed.
            Err(NotDone::Gone) => Ok(()),
        }
    }

    async fn exec(
        &self,
        container: &ContainerId,
        args: &[String],
        timeout: Duration,
    ) -> Result<Executed, RuntimeError> {
        let oci_root = self.environment.oci_root(&self.id);
        let bundle = self.environment.container_dir(&self.id, container).bundle();
        exec(self.place(container, &oci_root, &bundle), args, timeout).await
    }

    async fn attach(&self, container: &ContainerId, args: &[String], attach: Attach) -> Result<Attached, RuntimeError> {
        let oci_root = self.environment.oci_root(&self.id);
        let bundle = self.environment.container_dir(&self.id, container).bundle();
        attached::attach(self.place(container, &oci_root, &bundle), args, attach).await
    }

    fn status(&self) -> Vec<ContainerStatus> {
        self.board.list()
    }

    fn events(&self) -> broadcast::Receiver<Event> {
        self.board.subscribe()
    }

    async fn remove(&self, container: &ContainerId) -> Result<(), RuntimeError> {
        if self.board.get(container).is_some_and(|state| state.is_alive()) {
            return Err(RuntimeError::StillRunning { container: container.clone() });
        }
        let link = self.link.lock().await.clone();
        let mut is_gone = true;
        if let Some(link) = link.filter(|link| !link.has_ended()) {
            match link.request(RequestBody::Delete { id: container.to_string() }).await {
                Ok(()) | Err(NotDone::Refused { reason: Refusal::NotFound, .. }) => is_gone = false,
                Err(NotDone::Gone) => {}
                Err(NotDone::Refused { reason: Refusal::WrongState, .. }) => {
                    return Err(RuntimeError::StillRunning { container: container.clone() });
                }
                Err(NotDone::Refused { message, .. }) => return Err(self.refused(message)),
            }
        }
        let dir = self.environment.container_dir(&self.id, container);
        let cgroup = self.environment.cgroup(&self.id, container);
        let erased = move |environment: &Environment| {
            if is_gone {
                end_orphans(&dir)?;
            }
            erase_cgroup(environment, &cgroup)?;
            erase(&[&dir.state, &dir.disk])
        };
        blocking(&self.id, self.environment.clone(), erased).await?;
        self.board.remove(container);
        Ok(())
    }

    async fn end(&self) -> Result<(), RuntimeError> {
        let _link = self.end_shim().await?;
        // Its bundles are no use without a shim; where nothing is kept in memory they go with the rest.
        let state = match &self.environment.config.state_dir {
            Some(_) => self.environment.state_dir(&self.id),
            None => self.environment.oci_root(&self.id),
        };
        let id = self.id.clone();
        let erased = move |environment: &Environment| {
            erase_cgroups(environment, &id)?;
            erase(&[&state])
        };
        blocking(&self.id, self.environment.clone(), erased).await
    }

    async fn close(&self) -> Result<(), RuntimeError> {
        let _link = self.end_shim().await?;
        let (dir, state) = (self.dir.clone(), self.environment.state_dir(&self.id));
        let id = self.id.clone();
        let erased = move |environment: &Environment| {
            erase_cgroups(environment, &id)?;
            erase(&[&state, &dir])
        };
        blocking(&self.id, self.environment.clone(), erased).await?;
        for status in self.board.list() {
            self.board.remove(&status.id);
        }
        Ok(())
    }

    fn container_dir(&self, container: &ContainerId) -> PathBuf {
        self.environment.container_dir(&self.id, container).disk
    }
}

/// What a link calls; it does not keep the task alive.
struct Ear(Weak<ShimTask>);

impl Listener for Ear {
    fn changed(&self, status: shim_api::ContainerStatus) {
        let Some(task) = self.0.upgrade() else { return };
        // A shim has only the names we gave it.
        let Ok(id) = status.id.parse::<ContainerId>() else { return };
        let state = match status.state {
            shim_api::ContainerState::Starting => ContainerState::Starting,
            shim_api::ContainerState::Running { pid, started_at } => {
                ContainerState::Running { pid, started_at: timestamp(started_at) }
            }
            shim_api::ContainerState::Exited(record) => ContainerState::Exited((&record).into()),
            shim_api::ContainerState::Failed { message } => ContainerState::Failed { message },
            // It stays known until its files are gone as well.
            shim_api::ContainerState::Gone => return,
        };
        task.board.set(&id, state);
    }

    fn ended(self: Arc<Self>) {
        let Some(task) = self.0.upgrade().filter(|task| !task.closing.load(Ordering::Relaxed)) else { return };
        tokio::spawn(async move {
            let mut link = task.link.lock().await;
            // Somebody may have found a new shim by now, or the old one again.
            if link.as_ref().is_some_and(|link| link.has_ended()) {
                tracing::error!(task = %task.id, "the task's shim is gone");
                *link = None;
                if let Err(err) = task.mourn().await {
                    tracing::error!(task = %task.id, %err, "failed to settle what a shim left");
                }
            }
        });
    }
}

fn spawn_shim(program: &Path, dir: &Path) -> io::Result<(std::os::unix::net::UnixStream, tokio::process::Child)> {
    let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    ours.set_nonblocking(true)?;
    let log = File::options().create(true).append(true).open(dir.join("shim.log"))?;
    // Nothing of our environment may end up beside a task, except where programs are found and where a test lets them die.
    let child = tokio::process::Command::new(program)
        .arg("--dir")
        .arg(dir)
        .env_clear()
        .envs(["PATH", failpoint::VARIABLE].into_iter().filter_map(|name| Some((name, std::env::var_os(name)?))))
        .stdin(OwnedFd::from(theirs))
        .stdout(std::process::Stdio::null())
        .stderr(log)
        .spawn()?;
    crate::open_files::as_given(child.id());
    Ok((ours, child))
}

/// Those that a task's directory tells of.
fn containers(dir: &Path) -> Result<Vec<ContainerId>, RuntimeError> {
    let containers = dir.join(shim_api::CONTAINERS_NAME);
    let entries = match fs::read_dir(&containers) {
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(RuntimeError::io("list", &containers))?,
    };
    Ok(entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok()).collect())
}

/// How every container of a task without a shim ended. Those that still have processes lose them here.
fn settle(
    dir: &Path,
    id: &TaskId,
    environment: &Environment,
    known: &[ContainerStatus],
) -> Result<Vec<(ContainerId, ContainerState)>, RuntimeError> {
    let mut settled = Vec::new();
    for container in containers(dir)? {
        let dir = environment.container_dir(id, &container);
        let cgroup = environment.cgroup(id, &container);
        end_orphans(&dir)?;
        erase_cgroup(environment, &cgroup)?;
        let known = known.iter().find(|status| status.id == container).map(|status| &status.state);
        let record = fs::read_to_string(dir.exit()).ok().and_then(|text| ExitRecord::from_json(&text));
        let state = match (record, known, read_pid(&dir.pid())) {
            (Some(record), _, _) => ContainerState::Exited((&record).into()),
            (None, Some(ContainerState::Failed { message }), _) => ContainerState::Failed { message: message.clone() },
            (None, _, Some(pid)) => {
                let record = lost(pid, &dir.pid());
                fs::write(dir.exit(), record.to_json()).map_err(RuntimeError::io("write", dir.exit()))?;
                ContainerState::Exited((&record).into())
            }
            // It was about to be started by somebody who is gone, or is about to be started now.
            (None, None, None) => {
                let state = environment.oci_root(id).join(container.as_str());
                erase(&[&state])?;
                continue;
            }
            (None, _, None) => {
                let message = "the container's shim was killed before the container started".to_owned();
                ContainerState::Failed { message }
            }
        };
        settled.push((container, state));
    }
    Ok(settled)
}

fn read_pid(path: &Path) -> Option<i32> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The record of a container whose end nobody saw. Its process was there when its pid was written.
fn lost(pid: i32, pid_file: &Path) -> ExitRecord {
    let nanos = |time: SystemTime| {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
    };
    let finished_at = nanos(SystemTime::now());
    let started_at = fs::metadata(pid_file).and_then(|file| file.modified()).map_or(finished_at, nanos);
    let signal = Some(libc::SIGKILL);
    ExitRecord { pid, exit_code: 128 + libc::SIGKILL, signal, oom_killed: false, started_at, finished_at, lost: true }
}

/// What a killed shim had begun to start would make anew what is about to be removed. Without its bundle, which goes after this,
/// nothing is being started: a look at every process of the machine is saved for each container of each stopped task.
fn end_orphans(dir: &ContainerDir) -> Result<(), RuntimeError> {
    if !dir.bundle().exists() {
        return Ok(());
    }
    orphans::end(&dir.bundle()).map_err(RuntimeError::io("end what was started for", dir.bundle()))
}

/// Removes a cgroup with whatever is in it.
fn erase_cgroup(environment: &Environment, cgroup: &str) -> Result<(), RuntimeError> {
    environment.cgroups.kill_all(cgroup).map_err(RuntimeError::io("empty cgroup", cgroup))?;
    environment.cgroups.remove(cgroup).map_err(RuntimeError::io("remove cgroup", cgroup))
}

/// Removes all cgroups of a task with whatever is in them: its own, and those of its containers that are beside that.
fn erase_cgroups(environment: &Environment, task: &TaskId) -> Result<(), RuntimeError> {
    let own = task_cgroup_path(&environment.config.cgroup_parent, task);
    let dir = environment.config.tasks_dir.join(task.as_str());
    let beside = match dir.join(shim_api::CONTAINERS_NAME).exists() {
        true => containers(&dir)?.iter().map(|container| environment.cgroup(task, container)).collect(),
        // Nothing was started, or somebody removed the directory from under it.
        false => environment.cgroups.beside(&own),
    };
    beside.iter().chain([&own]).try_for_each(|cgroup| erase_cgroup(environment, cgroup))
}

fn erase(dirs: &[&Path]) -> Result<(), RuntimeError> {
    dirs.iter().try_for_each(|dir| match fs::remove_dir_all(dir) {
        Err(err) if err.kind() != io::ErrorKind::NotFound => Err(RuntimeError::io("remove", dir)(err)),
        _ => Ok(()),
    })
}

async fn blocking<T: Send + 'static>(
    task: &TaskId,
    environment: Arc<Environment>,
    work: impl FnOnce(&Environment) -> Result<T, RuntimeError> + Send + 'static,
) -> Result<T, RuntimeError> {
    let done = tokio::task::spawn_blocking(move || work(&environment)).await;
    done.map_err(|err| RuntimeError::Refused { task: task.clone(), message: err.to_string() })?
}
