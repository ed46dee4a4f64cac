//! How a container is: by a command that runs in it, or by a probe that needs nothing in it.
//!
//! A probe is a socket of this process, made inside the container's network namespace: it reaches what listens on the
//! container's loopback, and no process is started. What it says when it fails is for people, one short line.

mod grpc;
mod http;

use std::time::Duration;

use agent::seams::Run;
use agent_api::extras::{Ask, Probe};
use runtime::Executed;
use task_engine::Purpose;
use tokio::net::TcpStream;

use crate::{Machine, limits, names};

impl Machine {
    pub(crate) async fn ask_health(&self, run: &Run, purpose: Purpose) -> Result<(), String> {
        let probes = run.task.containers[run.container].probes();
        let probe = probes.and_then(|probes| match purpose {
            Purpose::Health => probes.health.as_ref(),
            Purpose::Readiness => probes.ready.as_ref(),
        });
        match (probe, purpose) {
            (Some(probe), _) => self.probe(run, probe).await,
            (None, Purpose::Health) => self.run_check(run).await,
            (None, Purpose::Readiness) => Err("nothing says how to ask whether it is ready".to_owned()),
        }
    }

    async fn probe(&self, run: &Run, probe: &Probe) -> Result<(), String> {
        let known = self.known(&run.task);
        let network = known.as_ref().and_then(|task| task.containers[run.container].network.get());
        let Some(network) = network else { return Err("the container does not run".to_owned()) };
        let connect = async |port| network.attachment.connect(port).await;
        let timeout = Duration::from_secs(probe.timeout.into());
        ask(&probe.ask, timeout, connect).await
    }

    async fn run_check(&self, run: &Run) -> Result<(), String> {
        let shim = self.known(&run.task).and_then(|task| task.shim.get().cloned());
        let shim = shim.ok_or("the container does not run")?;
        let (args, timeout) = command(run).ok_or("there is no command to run")?;
        match shim.exec(&names::run_id(run), &args, timeout).await {
            Ok(Executed::Exited(0)) => Ok(()),
            Ok(Executed::Exited(code)) => Err(format!("the command exited with {code}")),
            Ok(Executed::TimedOut) => Err(format!("the command did not end within {timeout:?}")),
            Err(error) => {
                tracing::warn!(task = run.task.id, %error, "a health check cannot be run");
                Err("the command cannot be run".to_owned())
            }
        }
    }
}

/// The words to run and their time. Docker's forms; `None` when there is nothing to run.
fn command(run: &Run) -> Option<(Vec<String>, Duration)> {
    let check = run.task.containers[run.container].config.healthcheck.as_ref()?;
    let args = match check.test.split_first()? {
        (kind, words) if kind == "CMD" && !words.is_empty() => words.to_vec(),
        (kind, [text]) if kind == "CMD-SHELL" => vec!["/bin/sh".to_owned(), "-c".to_owned(), text.clone()],
        _ => return None,
    };
    let nanos = check.timeout.and_then(|nanos| u64::try_from(nanos).ok()).filter(|nanos| *nanos > 0);
    Some((args, nanos.map_or(limits::HEALTH_TIMEOUT, Duration::from_nanos)))
}

/// Connects, asks, and looks at the answer, all of it within `timeout`.
async fn ask<C>(ask: &Ask, timeout: Duration, connect: C) -> Result<(), String>
where
    C: AsyncFnOnce(u16) -> std::io::Result<TcpStream>,
{
    let port = match ask {
        Ask::Http { port, .. } | Ask::Tcp { port } | Ask::Grpc { port, .. } => *port,
    };
    let asking = async {
        let stream = connect(port).await.map_err(|error| refusal(&error))?;
        match ask {
            Ask::Tcp { .. } => Ok(()),
            Ask::Http { path, .. } => http::get(stream, port, path).await,
            Ask::Grpc { service, .. } => grpc::check(stream, port, service).await,
        }
    };
    let said = match tokio::time::timeout(timeout, asking).await {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(said)) => said,
        Err(_) => format!("did not answer within {timeout:?}"),
    };
    let said: String = said.chars().take(limits::PROBE_SAYS_CHARS).collect();
    Err(match ask {
        Ask::Http { path, .. } => format!("GET :{port}{path} {said}"),
        Ask::Tcp { .. } => format!("TCP :{port} {said}"),
        Ask::Grpc { service, .. } if service.is_empty() => format!("gRPC :{port} {said}"),
        Ask::Grpc { service, .. } => format!("gRPC :{port}/{service} {said}"),
    })
}

fn refusal(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::ConnectionRefused => "found nobody who listens".to_owned(),
        _ => format!("cannot connect: {error}"),
    }
}

/// Runs `asking` while the connection is driven by `driving`, which need not end.
async fn beside<T>(asking: impl Future<Output = T>, driving: impl Future) -> T {
    let driving = async {
        driving.await;
        std::future::pending().await
    };
    tokio::select! {
        biased;
        answer = asking => answer,
        never = driving => never,
    }
}

/// The chain of an error in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

#[cfg(test)]
mod tests;
