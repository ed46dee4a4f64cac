//! One container's life: starting, running, exited; or starting, failed. Then its runtime's state is deleted.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use shim_api::log::Stream;
use shim_api::{ContainerState, ContainerStatus, ExitRecord, RunRequest};

use crate::console::Console;
use crate::launch::{self, Files, Launch};
use crate::output::Output;
use crate::{exit, sys};

/// Who waits for an answer: a client's id and its request's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asker {
    pub client: u64,
    pub seq: u64,
}

pub struct Container {
    run: RunRequest,
    dir: PathBuf,
    phase: Phase,
    cleanup: Cleanup,
    output: Option<Output>,
    /// Open as long as the container lives; a pipe's only writer.
    _stdin: Option<io::PipeWriter>,
    /// Until its terminal has come.
    console: Option<Console>,
    /// Who wants to hear when the cleanup is done.
    deleters: Vec<Asker>,
}

enum Phase {
    Starting { runtime_pid: i32, asker: Asker },
    Running { pid: i32, started_at: u64 },
    Exited(ExitRecord),
    Failed { message: String },
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Cleanup {
    NotYet,
    Deleting { runtime_pid: i32 },
    Done,
}

/// What the end of a child meant to a container.
pub enum Ended {
    /// It was the runtime at its start, and the program runs now. It may have ended already: look among the strays.
    Started { asker: Asker, pid: i32 },
    /// It was the runtime at its start, and the program does not run.
    Failed { asker: Asker, message: String },
    /// It was the container.
    Exited,
    /// It was the runtime at its cleanup, and these wanted to know.
    CleanedUp { deleters: Vec<Asker> },
}

impl Container {
    pub fn launch(run: RunRequest, dir: &Path, asker: Asker, oom_score: Option<&str>) -> io::Result<Container> {
        let Launch { runtime_pid, output, stdin, console } = launch::launch(&run, dir, oom_score)?;
        Ok(Container {
            run,
            dir: dir.to_owned(),
            phase: Phase::Starting { runtime_pid, asker },
            cleanup: Cleanup::NotYet,
            output: Some(output),
            _stdin: stdin,
            console,
            deleters: Vec::new(),
        })
    }

    pub fn id(&self) -> &str {
        &self.run.id
    }

    pub fn output(&mut self) -> Option<&mut Output> {
        self.output.as_mut()
    }

    pub fn is_starting(&self) -> bool {
        matches!(self.phase, Phase::Starting { .. })
    }

    /// Starting or running.
    pub fn is_alive(&self) -> bool {
        matches!(self.phase, Phase::Starting { .. } | Phase::Running { .. })
    }

    pub fn is_cleaned_up(&self) -> bool {
        self.cleanup == Cleanup::Done
    }

    pub fn status(&self) -> ContainerStatus {
        let state = match &self.phase {
            Phase::Starting { .. } => ContainerState::Starting,
            Phase::Running { pid, started_at } => ContainerState::Running { pid: *pid, started_at: *started_at },
            Phase::Exited(record) => ContainerState::Exited(record.clone()),
            Phase::Failed { message } => ContainerState::Failed { message: message.clone() },
        };
        ContainerStatus { id: self.run.id.clone(), state }
    }

    /// Sends a signal to the container's first process. A start that hangs can be killed as well; it then fails.
    pub fn signal(&self, signal: i32) -> io::Result<()> {
        match self.phase {
            Phase::Running { pid, .. } => sys::kill(pid, signal),
            Phase::Starting { runtime_pid, .. } if signal == libc::SIGKILL => sys::kill(runtime_pid, signal),
            _ => Err(io::Error::from_raw_os_error(libc::ESRCH)),
        }
    }

    /// Remembers who wants to hear of the cleanup's end.
    pub fn wait_for_cleanup(&mut self, asker: Asker) {
        self.deleters.push(asker);
    }

    /// What the end of this child means here, if it was ours.
    pub fn ended(&mut self, pid: i32, status: i32, buffer: &mut [u8]) -> Option<Ended> {
        match self.phase {
            Phase::Starting { runtime_pid, asker } if runtime_pid == pid => Some(self.started(status, asker, buffer)),
            Phase::Running { pid: own, started_at } if own == pid => {
                self.exited(pid, status, started_at, buffer);
                Some(Ended::Exited)
            }
            _ if self.cleanup == (Cleanup::Deleting { runtime_pid: pid }) => {
                self.cleanup = Cleanup::Done;
                Some(Ended::CleanedUp { deleters: std::mem::take(&mut self.deleters) })
            }
            _ => None,
        }
    }

    /// A terminal that does not come is a container that says nothing; it runs all the same.
    fn take_terminal(&mut self) {
        let Some(console) = self.console.take() else { return };
        let taken = console.take().and_then(|terminal: File| match &mut self.output {
            Some(output) => output.add(terminal, Stream::Stdout),
            None => Ok(()),
        });
        if let Err(err) = taken {
            eprintln!("berth-shim: the terminal of {} did not come: {err}", self.run.id);
        }
    }

    fn started(&mut self, status: i32, asker: Asker, buffer: &mut [u8]) -> Ended {
        if status == 0 {
            self.take_terminal();
        }
        let files = Files::new(&self.dir, &self.run);
        match files.read_pid() {
            Some(pid) if status == 0 => {
                failpoint::place("shim.started");
                self.phase = Phase::Running { pid, started_at: sys::now() };
                Ended::Started { asker, pid }
            }
            _ => {
                let message = files.failure(status);
                self.phase = Phase::Failed { message: message.clone() };
                self.finish_output(buffer);
                self.begin_cleanup();
                Ended::Failed { asker, message }
            }
        }
    }

    /// The log is complete and the record is on disk before anybody is told.
    fn exited(&mut self, pid: i32, status: i32, started_at: u64, buffer: &mut [u8]) {
        failpoint::place("shim.exit");
        self.finish_output(buffer);
        let signal = libc::WIFSIGNALED(status).then(|| libc::WTERMSIG(status));
        let record = ExitRecord {
            pid,
            exit_code: signal.map_or_else(|| libc::WEXITSTATUS(status), |signal| 128 + signal),
            signal,
            oom_killed: exit::oom_killed(self.run.oom_file.as_deref()),
            started_at,
            finished_at: sys::now(),
            lost: false,
        };
        if let Err(err) = exit::write(&self.dir, &record) {
            eprintln!("berth-shim: failed to write the exit record of {}: {err}", self.run.id);
        }
        failpoint::place("shim.recorded");
        self.phase = Phase::Exited(record);
        self.begin_cleanup();
    }

    fn finish_output(&mut self, buffer: &mut [u8]) {
        if let Some(mut output) = self.output.take() {
            output.finish(buffer);
        }
    }

    fn begin_cleanup(&mut self) {
        self.cleanup = match launch::delete(&self.run) {
            Ok(runtime_pid) => Cleanup::Deleting { runtime_pid },
            Err(err) => {
                // The agent removes the cgroup and the directories itself; nothing more can be done here.
                eprintln!("berth-shim: failed to execute {:?}: {err}", self.run.oci_runtime);
                Cleanup::Done
            }
        };
    }
}
