//! Why a container does not run, in the words of an agent with a Docker engine: users search for them.

use images::ImageError;
use logs::DriverError;
use network::{NetworkError, Protocol};
use runtime::RuntimeError;
use task_engine::{Failure, FailureKind};

/// The container cannot be made as its definition says.
pub fn create(message: impl std::fmt::Display) -> Failure {
    Failure::new(FailureKind::Create, format!("Error response from daemon: {message}"))
}

pub fn start(message: impl std::fmt::Display) -> Failure {
    Failure::new(FailureKind::Start, format!("Error response from daemon: {message}"))
}

/// The machine is at fault.
pub fn resource(error: &dyn std::error::Error) -> Failure {
    Failure::new(FailureKind::Resource, chain(error))
}

/// What this agent cannot do yet. It is no secret.
pub fn unavailable(what: impl std::fmt::Display) -> Failure {
    Failure::new(FailureKind::Resource, format!("{what} not available on this container instance"))
}

pub fn pull(error: &ImageError) -> Failure {
    let reason = error.cannot_pull_reason();
    let message = reason.strip_prefix(FailureKind::Pull.name()).and_then(|rest| rest.strip_prefix(": "));
    Failure::new(FailureKind::Pull, message.unwrap_or(&reason))
}

pub fn logging(error: &DriverError) -> Failure {
    if error.is_found_at_creation() { create(error) } else { start(error) }
}

pub fn runtime(error: &RuntimeError) -> Failure {
    match error {
        RuntimeError::CannotStart { message, .. } => start(format!(
            "failed to create task for container: failed to create shim task: OCI runtime create failed: unable to start \
             container process: {message}: unknown"
        )),
        RuntimeError::InvalidUser { reason, .. } => start(reason),
        RuntimeError::Io { action: "look at device", path, source } => {
            let why = words(source);
            start(format!("error gathering device information while adding custom device {path:?}: {why}"))
        }
        RuntimeError::InvalidSpec(message) => create(message),
        RuntimeError::CannotExecute { .. }
        | RuntimeError::ShimGone { .. }
        | RuntimeError::Refused { .. }
        | RuntimeError::Io { .. }
        | RuntimeError::AlreadyEnded { .. }
        | RuntimeError::StillRunning { .. } => resource(error),
    }
}

/// `endpoint` is the container's Docker name and id.
pub fn network(error: &NetworkError, endpoint: (&str, &str)) -> Failure {
    let (name, id) = endpoint;
    let external = |why: String| {
        start(format!("driver failed programming external connectivity on endpoint {name} ({id}): {why}"))
    };
    match error {
        NetworkError::PortInUse { port, protocol, .. } => {
            let suffix = if *protocol == Protocol::Udp { "/udp" } else { "" };
            external(format!("Bind for 0.0.0.0:{port}{suffix} failed: port is already allocated"))
        }
        NetworkError::NoFreePort { .. } => external(chain(error)),
        NetworkError::NoFreeAddress { .. } | NetworkError::BridgeFull { .. } => {
            start(format!("failed to create endpoint {name} on network bridge: {}", chain(error)))
        }
        _ => resource(error),
    }
}

/// The operating system's, in Go's lower case and without Rust's "(os error 2)".
pub fn words(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

/// The whole chain of causes in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Some errors say their cause themselves.
        let words = error.to_string();
        if !text.ends_with(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(failure: Failure, expected: &str) {
        assert_eq!(failure.reason(), expected);
    }

    #[test]
    fn the_words_that_users_search_for() {
        let container = "c".parse::<runtime::ContainerId>().unwrap();
        let message = "exec: \"nope\": executable file not found in $PATH".to_owned();
        check(
            runtime(&RuntimeError::CannotStart { container, message }),
            "CannotStartContainerError: Error response from daemon: failed to create task for container: failed to create shim \
             task: OCI runtime create failed: unable to start container process: exec: \"nope\": executable file not found in \
             $PATH: unknown",
        );
        let reason = "unable to find user web: no matching entries in passwd file".to_owned();
        check(
            runtime(&RuntimeError::InvalidUser { user: "web".to_owned(), reason }),
            "CannotStartContainerError: Error response from daemon: unable to find user web: no matching entries in passwd file",
        );
        let taken = NetworkError::PortInUse { port: 8080, protocol: Protocol::Tcp, holder: None };
        check(
            network(&taken, ("ecs-f-1-web-0", "abc")),
            "CannotStartContainerError: Error response from daemon: driver failed programming external connectivity on endpoint \
             ecs-f-1-web-0 (abc): Bind for 0.0.0.0:8080 failed: port is already allocated",
        );
        check(
            pull(&ImageError::NotHere { name: "a:1".to_owned() }),
            "CannotPullContainerError: Error response from daemon: No such image: a:1",
        );
    }
}
