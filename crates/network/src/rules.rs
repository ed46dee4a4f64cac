//! The port map in the kernel, kept by one thread.
//!
//! Changes that arrive while a transaction is under way travel together in the next one. So a lone change
//! waits for nobody, and a thousand at once cost a few transactions.

use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::mpsc;

use crate::error::NetworkError;
use crate::nfnetlink::NfTables;
use crate::plan::{HostPort, Node, PORTS, PortChange, PortMap, Target, table_text};

/// The most edits in one transaction; the rest waits for the next.
const EDITS_MAX: usize = 1024;

pub(crate) enum Edit {
    Add(Vec<(HostPort, Target)>),
    Remove(Vec<HostPort>),
    /// Put the table back if somebody flushed it.
    Check,
}

struct Job {
    edit: Edit,
    done: mpsc::SyncSender<Result<(), String>>,
}

pub(crate) struct Rules {
    jobs: mpsc::Sender<Job>,
}

impl Rules {
    /// Replaces the table with one that holds `ports`, in one transaction, and starts the thread.
    pub fn start(node: Node, ports: PortMap) -> Result<Self, NetworkError> {
        let mut nftables = NfTables::open()?;
        nftables.generation()?;
        run_nft(&table_text(&node, &ports))?;
        let (jobs, inbox) = mpsc::channel();
        let mut keeper = Keeper { nftables, node, ports };
        std::thread::Builder::new()
            .name("port-rules".to_owned())
            .spawn(move || keeper.run(&inbox))
            .map_err(NetworkError::system("start a thread"))?;
        Ok(Self { jobs })
    }

    /// Returns when the kernel has it. Blocking.
    pub fn apply(&self, edit: Edit) -> Result<(), NetworkError> {
        let (done, answer) = mpsc::sync_channel(1);
        self.jobs.send(Job { edit, done }).map_err(|_| NetworkError::Closed)?;
        answer.recv().map_err(|_| NetworkError::Closed)?.map_err(|reason| NetworkError::Rules { reason })
    }
}

struct Keeper {
    nftables: NfTables,
    node: Node,
    /// What the kernel has.
    ports: PortMap,
}

impl Keeper {
    /// Until the last sender is gone.
    fn run(&mut self, inbox: &mpsc::Receiver<Job>) {
        while let Ok(first) = inbox.recv() {
            let mut jobs = vec![first];
            jobs.extend(inbox.try_iter().take(EDITS_MAX - 1));
            let answer = self.turn(&jobs).map_err(|error| error.chain());
            for job in jobs {
                // Nobody waits any more when the caller went away; the change stands.
                let _ = job.done.send(answer.clone());
            }
        }
    }

    fn turn(&mut self, jobs: &[Job]) -> Result<(), NetworkError> {
        let mut wanted = self.ports.clone();
        let mut check = false;
        for job in jobs {
            match &job.edit {
                Edit::Add(entries) => wanted.extend(entries.iter().copied()),
                Edit::Remove(ports) => wanted.retain(|port, _| !ports.contains(port)),
                Edit::Check => check = true,
            }
        }
        let change = PortChange::between(&self.ports, &wanted);
        let applied = self.nftables.apply(&self.node.table, PORTS, &change);
        let intact = match applied {
            Ok(()) if check => self.nftables.has_table(&self.node.table)?,
            Ok(()) => true,
            Err(NetworkError::NotPermitted { .. }) => return applied,
            Err(ref error) => {
                tracing::warn!(error = error.chain(), "the port map was refused; writing the whole table anew");
                false
            }
        };
        if !intact {
            // Somebody flushed the ruleset, or changed our table: what we want is known, so say it all again.
            run_nft(&table_text(&self.node, &wanted))?;
        }
        self.ports = wanted;
        Ok(())
    }
}

/// Removes our table with everything in it; fine when there is none. Blocking.
pub(crate) fn remove_table(table: &str) -> Result<(), NetworkError> {
    run_nft(&format!("table ip {table} {{}}\ndelete table ip {table}\n"))
}

fn run_nft(script: &str) -> Result<(), NetworkError> {
    let missing =
        |source| NetworkError::MissingProgram { program: "nft", hint: "install the package nftables", source };
    let mut child = Command::new("nft")
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(missing)?;
    let mut stdin = child.stdin.take().expect("stdin is a pipe");
    // When nft has gone already, its exit status and words tell more than the broken pipe.
    let _ = stdin.write_all(script.as_bytes());
    drop(stdin);
    let output = child.wait_with_output().map_err(NetworkError::system("wait for nft"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(NetworkError::Rules { reason: String::from_utf8_lossy(&output.stderr).trim().to_owned() })
}
