//! Hearing how a container ends.

use std::sync::Arc;

use agent::seams::{Exit, ExitWatch};
use runtime::{ContainerId, ContainerState, Task};
use tokio::sync::broadcast::error::RecvError;

/// What is known of a container now.
pub fn state(task: &dyn Task, id: &ContainerId) -> Option<ContainerState> {
    task.status().into_iter().find(|status| status.id == *id).map(|status| status.state)
}

/// Resolves when the container has ended. It keeps the task's object alive, and nothing else.
pub fn exit(task: Arc<dyn Task>, id: ContainerId) -> ExitWatch {
    Box::pin(async move {
        match end(&*task, &id).await {
            Some(ContainerState::Exited(exit)) => self::exit_of(&exit),
            // It was removed, or never ran: nobody who watches it does that.
            _ => std::future::pending().await,
        }
    })
}

pub fn exit_of(exit: &runtime::Exit) -> Exit {
    Exit { code: exit.code, oom_killed: exit.oom_killed, at: exit.finished_at }
}

/// The last state of a container: exited or failed, or `None` when there is none of this name.
pub async fn end(task: &dyn Task, id: &ContainerId) -> Option<ContainerState> {
    let mut events = task.events();
    loop {
        match state(task, id) {
            Some(state) if state.is_alive() => {}
            ended => return ended,
        }
        // Events that were missed are no matter, the state is what counts.
        if let Err(RecvError::Closed) = events.recv().await {
            return state(task, id).filter(|state| !state.is_alive());
        }
    }
}
