//! What every [`ContainerRuntime`](crate::ContainerRuntime) must do, as one test.

use std::time::Duration;

use tokio::time::timeout;

use crate::{
    ContainerId, ContainerRuntime, ContainerSpec, ContainerState, Executed, Limits, RuntimeError, Task, TaskId,
};

/// Far longer than anything in the exam takes.
const PATIENCE: Duration = Duration::from_secs(30);

/// Panics where the runtime errs. `sleeper` makes containers that run until they are killed by `SIGTERM`.
pub async fn exam(runtime: &dyn ContainerRuntime, id: &TaskId, sleeper: impl Fn(ContainerId) -> ContainerSpec) {
    let web = "web".parse::<ContainerId>().expect("a name");
    let task = runtime.open_task(id, &Limits::default()).await.expect("a new task opens");
    assert_eq!(task.id(), id);
    assert!(task.status().is_empty());

    // What never was is neither killed nor removed, and that is no error.
    task.kill(&web, libc::SIGTERM).await.expect("killing nothing");
    task.remove(&web).await.expect("removing nothing");

    let started = task.start(&sleeper(web.clone())).await.expect("it starts");
    let again = task.start(&sleeper(web.clone())).await.expect("starting twice is starting once");
    assert_eq!(started, again);
    let reopened = runtime.open_task(id, &Limits::default()).await.expect("an open task opens");
    assert!(matches!(reopened.status().as_slice(), [one] if one.id == web && one.state.is_alive()));

    let refused = task.remove(&web).await;
    assert!(matches!(refused, Err(RuntimeError::StillRunning { .. })), "{refused:?}");
    let refused = task.close().await;
    assert!(matches!(refused, Err(RuntimeError::StillRunning { .. })), "{refused:?}");

    let refused = task.end().await;
    assert!(matches!(refused, Err(RuntimeError::StillRunning { .. })), "{refused:?}");

    task.kill(&web, libc::SIGTERM).await.expect("it can be killed");
    match wait_for_end(&*task, &web).await {
        ContainerState::Exited(exit) => {
            assert_eq!((exit.code, exit.signal, exit.pid), (143, Some(libc::SIGTERM), started.pid));
        }
        other => panic!("{other:?}"),
    }
    task.kill(&web, libc::SIGKILL).await.expect("killing the dead");
    let refused = task.start(&sleeper(web.clone())).await;
    assert!(matches!(refused, Err(RuntimeError::AlreadyEnded { .. })), "{refused:?}");

    let executed = task.exec(&web, &["true".to_owned()], PATIENCE).await;
    assert!(!matches!(executed, Ok(Executed::Exited(0))), "{executed:?}");

    task.end().await.expect("it ends");
    task.end().await.expect("ending twice is ending once");
    assert!(matches!(task.status().as_slice(), [one] if one.id == web), "what ended is still known");
    task.remove(&web).await.expect("it is removed");
    task.remove(&web).await.expect("removing twice is removing once");
    assert!(task.status().is_empty());
    task.close().await.expect("it closes");
    task.close().await.expect("closing twice is closing once");
    assert!(runtime.recover().await.expect("recovery").iter().all(|task| task.id() != id));
}

/// Returns a container's last state: exited or failed.
pub async fn wait_for_end(task: &dyn Task, container: &ContainerId) -> ContainerState {
    let ended = async {
        let mut events = task.events();
        loop {
            let status = task.status().into_iter().find(|status| status.id == *container);
            match status {
                Some(status) if !status.state.is_alive() => return status.state,
                // An error means that events were missed, so it is time to look again.
                _ => drop(events.recv().await),
            }
        }
    };
    timeout(PATIENCE, ended).await.expect("the container ends")
}
