//! The loop: requests and children's ends in, messages out.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::{AsRawFd as _, RawFd};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use shim_api::{
    CONTAINERS_NAME, ContainerState, ContainerStatus, Message, PID_NAME, Refusal, Request, RequestBody, RunRequest,
    SOCKET_NAME, VERSION,
};

use crate::client::Client;
use crate::container::{Asker, Container, Ended};
use crate::output::READ_BYTES_MAX;
use crate::sys;

/// An agent needs one connection, a person with a debugger another.
const CLIENTS_MAX: usize = 16;

/// ECS allows ten containers in a task; pause and sidecar containers come on top.
const CONTAINERS_MAX: usize = 64;

/// Children that ended while a start was under way; one of them may be the container that was being started.
const STRAYS_MAX: usize = 1024;

/// How often to see whether the socket is still in its directory. Rare: it matters only when somebody removed it by hand.
const LOOK_AROUND_MS: i32 = 30_000;

/// How often to see whether a container that waits for its log may go on. Seven eighths of the log are undelivered then, so
/// whoever delivers has enough to do meanwhile.
const HELD_LOOK_MS: i32 = 50;

/// How long a container waits for its log when nobody is connected who delivers it. An agent that is restarted or replaced is
/// back long before; one that stays away must not stop what it left running.
const ALONE_MAX: Duration = Duration::from_secs(30);

pub struct Shim {
    signals: File,
    listener: UnixListener,
    /// Device and inode of the socket's file.
    socket: (u64, u64),
    /// Held for its lock.
    _pid_file: File,
    clients: Vec<Client>,
    clients_seen: u64,
    containers: Vec<Container>,
    strays: Vec<(i32, i32)>,
    /// The out-of-memory score to give back to containers, if we could lower our own.
    oom_score: Option<String>,
    shutdown: Option<Asker>,
    /// Nobody can reach us any more.
    abandoned: bool,
    /// Since when there has been no subscriber.
    alone_since: Option<Instant>,
    buffer: Vec<u8>,
}

impl Shim {
    /// Settles in the task's directory. Fails if another shim lives there.
    pub fn open(dir: &Path) -> io::Result<Shim> {
        std::env::set_current_dir(dir)?;
        let first_client = sys::take_stdin_socket()?;
        sys::detach()?;
        sys::reset_signal_actions();
        let mut pid_file = File::options().create(true).truncate(false).write(true).open(PID_NAME)?;
        sys::lock(&pid_file)?;
        pid_file.set_len(0)?;
        writeln!(pid_file, "{}", std::process::id())?;
        match std::fs::remove_file(SOCKET_NAME) {
            Err(err) if err.kind() != io::ErrorKind::NotFound => return Err(err),
            _ => {}
        }
        // Relative to the directory, so that the length of its path does not matter.
        let listener = UnixListener::bind(SOCKET_NAME)?;
        listener.set_nonblocking(true)?;
        let mut shim = Shim {
            signals: sys::signals()?,
            listener,
            socket: identity(Path::new(SOCKET_NAME))?,
            _pid_file: pid_file,
            clients: Vec::new(),
            clients_seen: 0,
            containers: Vec::new(),
            strays: Vec::new(),
            oom_score: lower_oom_score(),
            shutdown: None,
            abandoned: false,
            alone_since: Some(Instant::now()),
            buffer: vec![0; READ_BYTES_MAX],
        };
        if let Some(socket) = first_client {
            shim.add_client(UnixStream::from(socket));
        }
        Ok(shim)
    }

    pub fn serve(mut self) -> io::Result<()> {
        while !self.is_finished() {
            let ready = self.wait()?;
            if ready.is_empty() {
                self.look_around();
            }
            for fd in ready {
                self.handle(fd);
            }
            self.drop_closed_clients();
        }
        // Nobody who finds the socket may believe that somebody listens.
        if !self.abandoned {
            let _ = std::fs::remove_file(SOCKET_NAME);
            let _ = std::fs::remove_file(PID_NAME);
        }
        if let Some(asker) = self.shutdown {
            self.answer(asker, Ok(()));
        }
        Ok(())
    }

    fn is_finished(&self) -> bool {
        (self.shutdown.is_some() || self.abandoned) && self.containers.iter().all(Container::is_cleaned_up)
    }

    /// Somebody is there who delivers logs, or was until a moment ago.
    fn is_attended(&self) -> bool {
        self.alone_since.is_none_or(|since| since.elapsed() < ALONE_MAX)
    }

    /// The descriptors with something to do; none when it was just time to look around.
    fn wait(&mut self) -> io::Result<Vec<RawFd>> {
        let poll_for = |fd, events| libc::pollfd { fd, events, revents: 0 };
        let mut fds =
            vec![poll_for(self.signals.as_raw_fd(), libc::POLLIN), poll_for(self.listener.as_raw_fd(), libc::POLLIN)];
        for client in &self.clients {
            let events = libc::POLLIN | if client.has_unsent() { libc::POLLOUT } else { 0 };
            fds.push(poll_for(client.fd(), events));
        }
        let (attended, mut look_after) = (self.is_attended(), LOOK_AROUND_MS);
        for output in self.containers.iter_mut().filter_map(Container::output) {
            match output.is_held(attended) {
                true => look_after = HELD_LOOK_MS,
                false => fds.extend(output.fds().map(|fd| poll_for(fd, libc::POLLIN))),
            }
        }
        sys::poll(&mut fds, look_after)?;
        Ok(fds.iter().filter(|fd| fd.revents != 0).map(|fd| fd.fd).collect())
    }

    fn handle(&mut self, fd: RawFd) {
        if fd == self.signals.as_raw_fd() {
            sys::clear(&self.signals);
            self.reap();
        } else if fd == self.listener.as_raw_fd() {
            if let Ok((stream, _)) = self.listener.accept() {
                self.add_client(stream);
            }
        } else if let Some(client) = self.clients.iter_mut().find(|client| client.fd() == fd) {
            client.flush();
            let id = client.id;
            for line in client.read(&mut self.buffer) {
                self.request(id, &line);
            }
        } else {
            for container in &mut self.containers {
                if let Some(output) = container.output() {
                    output.read(fd, &mut self.buffer);
                }
            }
        }
    }

    fn add_client(&mut self, stream: UnixStream) {
        if self.clients.len() < CLIENTS_MAX
            && let Ok(client) = Client::new(self.clients_seen, stream)
        {
            self.clients_seen += 1;
            self.clients.push(client);
        }
    }

    fn drop_closed_clients(&mut self) {
        let before = self.clients.len();
        self.clients.retain(Client::is_open);
        if self.clients.len() < before {
            if !self.clients.iter().any(|client| client.subscribed) {
                self.alone_since.get_or_insert_with(Instant::now);
            }
            self.look_around();
        }
    }

    /// Has somebody removed our directory? Then nobody will ever ask for anything again.
    fn look_around(&mut self) {
        if self.abandoned || identity(Path::new(SOCKET_NAME)).is_ok_and(|found| found == self.socket) {
            return;
        }
        self.abandoned = true;
        for container in self.containers.iter().filter(|container| container.is_alive()) {
            let _ = container.signal(libc::SIGKILL);
        }
    }

    fn request(&mut self, client: u64, line: &str) {
        let (asker, body) = match Request::decode(line) {
            Ok(Request { seq, body }) => (Asker { client, seq }, body),
            Err(err) => {
                let message = err.to_string();
                // Without a number that could be read, the answer carries the one nobody uses.
                return self.answer(Asker { client, seq: 0 }, Err((Refusal::BadRequest, message)));
            }
        };
        match body {
            RequestBody::Hello => {
                let pid = i32::try_from(std::process::id()).unwrap_or(0);
                self.tell(client, &Message::Hello { version: VERSION, pid });
                self.answer(asker, Ok(()));
            }
            RequestBody::Status => self.status(asker),
            RequestBody::Subscribe => {
                if let Some(client) = self.clients.iter_mut().find(|found| found.id == client) {
                    client.subscribed = true;
                    self.alone_since = None;
                }
                self.status(asker);
            }
            RequestBody::Run(run) => self.run(asker, *run),
            RequestBody::Signal { id, signal } => {
                let result = match self.containers.iter().find(|container| container.id() == id) {
                    None => Err((Refusal::NotFound, format!("there is no container {id:?}"))),
                    Some(container) if !container.is_alive() => {
                        Err((Refusal::WrongState, format!("container {id:?} is not running")))
                    }
                    Some(container) => container.signal(signal).map_err(|err| (Refusal::System, err.to_string())),
                };
                self.answer(asker, result);
            }
            RequestBody::Delete { id } => self.delete(asker, &id),
            RequestBody::Shutdown => match self.containers.iter().find(|container| container.is_alive()) {
                Some(container) => {
                    let message = format!("container {:?} is running", container.id());
                    self.answer(asker, Err((Refusal::WrongState, message)));
                }
                None => self.shutdown = Some(asker),
            },
        }
    }

    fn status(&mut self, asker: Asker) {
        let list = self.containers.iter().map(Container::status).collect::<Vec<_>>();
        for status in list {
            self.tell(asker.client, &Message::Container(status));
        }
        self.answer(asker, Ok(()));
    }

    fn run(&mut self, asker: Asker, run: RunRequest) {
        if self.shutdown.is_some() || self.abandoned {
            return self.answer(asker, Err((Refusal::WrongState, "the shim is ending".to_owned())));
        }
        if self.containers.len() >= CONTAINERS_MAX {
            return self.answer(asker, Err((Refusal::WrongState, "too many containers".to_owned())));
        }
        if self.containers.iter().any(|container| container.id() == run.id) {
            return self.answer(asker, Err((Refusal::WrongState, format!("container {:?} exists", run.id))));
        }
        let dir = PathBuf::from(CONTAINERS_NAME).join(&run.id);
        let id = run.id.clone();
        match Container::launch(run, &dir, asker, self.oom_score.as_deref()) {
            Ok(container) => {
                self.containers.push(container);
                self.publish(&ContainerStatus { id, state: ContainerState::Starting });
            }
            Err(err) => self.answer(asker, Err((Refusal::RuntimeFailed, err.to_string()))),
        }
    }

    fn delete(&mut self, asker: Asker, id: &str) {
        let Some(index) = self.containers.iter().position(|container| container.id() == id) else {
            return self.answer(asker, Err((Refusal::NotFound, format!("there is no container {id:?}"))));
        };
        let container = &mut self.containers[index];
        if container.is_alive() {
            self.answer(asker, Err((Refusal::WrongState, format!("container {id:?} is running"))));
        } else if container.is_cleaned_up() {
            self.forget(index, vec![asker]);
        } else {
            container.wait_for_cleanup(asker);
        }
    }

    fn forget(&mut self, index: usize, askers: Vec<Asker>) {
        let container = self.containers.remove(index);
        self.publish(&ContainerStatus { id: container.id().to_owned(), state: ContainerState::Gone });
        for asker in askers {
            self.answer(asker, Ok(()));
        }
    }

    fn reap(&mut self) {
        while let Some((pid, status)) = sys::reap() {
            self.child_ended(pid, status);
        }
        if !self.containers.iter().any(Container::is_starting) {
            self.strays = Vec::new();
        }
    }

    fn child_ended(&mut self, pid: i32, status: i32) {
        let ended = self
            .containers
            .iter_mut()
            .enumerate()
            .find_map(|(index, container)| Some((index, container.ended(pid, status, &mut self.buffer)?)));
        let Some((index, ended)) = ended else {
            // A short container may end before its runtime does; it is known only once the runtime has said its id.
            if self.strays.len() < STRAYS_MAX {
                self.strays.push((pid, status));
            }
            return;
        };
        match ended {
            Ended::Started { asker, pid } => {
                let status = self.containers[index].status();
                self.publish(&status);
                self.answer(asker, Ok(()));
                if let Some(stray) = self.strays.iter().position(|&(stray, _)| stray == pid) {
                    let (pid, status) = self.strays.swap_remove(stray);
                    self.child_ended(pid, status);
                }
            }
            Ended::Failed { asker, message } => {
                let status = self.containers[index].status();
                self.publish(&status);
                self.answer(asker, Err((Refusal::RuntimeFailed, message)));
            }
            Ended::Exited => {
                let status = self.containers[index].status();
                self.publish(&status);
            }
            Ended::CleanedUp { deleters } if deleters.is_empty() => {}
            Ended::CleanedUp { deleters } => self.forget(index, deleters),
        }
    }

    fn publish(&mut self, status: &ContainerStatus) {
        let message = Message::Container(status.clone());
        for client in self.clients.iter_mut().filter(|client| client.subscribed) {
            client.send(&message);
        }
    }

    fn answer(&mut self, asker: Asker, result: Result<(), (Refusal, String)>) {
        let seq = asker.seq;
        let message = match result {
            Ok(()) => Message::Done { seq },
            Err((reason, message)) => Message::Refused { seq, reason, message },
        };
        self.tell(asker.client, &message);
    }

    fn tell(&mut self, client: u64, message: &Message) {
        if let Some(client) = self.clients.iter_mut().find(|found| found.id == client) {
            client.send(message);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    std::fs::symlink_metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

/// Makes the kernel prefer nearly anybody else when memory runs out, because an exit code would be lost with us.
/// Returns the old score, which containers get back. Without the privilege all stays as it was.
fn lower_oom_score() -> Option<String> {
    const FILE: &str = "/proc/self/oom_score_adj";
    let old = std::fs::read_to_string(FILE).ok()?.trim().to_owned();
    std::fs::write(FILE, "-999").ok()?;
    Some(old)
}
