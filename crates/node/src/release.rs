//! Giving back what a task had. Each step is tried, whatever became of the others.

use std::io;
use std::sync::Arc;

use agent::plan::TaskPlan;
use futures::future::{join, join_all};
use runtime::{ContainerRuntime as _, Task};

use crate::limits::{KILLED_WITHIN, LOGS_DELIVERED_WITHIN};
use crate::local::LocalTask;
use crate::{Machine, firelens, names, watch};

impl Machine {
    /// Network, shim and cgroup go; the directory stays. Logs are waited for, but not for long: they are delivered on.
    pub(crate) async fn release_task(&self, plan: &Arc<TaskPlan>) {
        // Also of a task that nobody has begun here: its preparation may be on its way, and must find the door closed.
        let task = self.local(plan);
        let _closed = task.close().await;
        self.find_shim(&task).await;
        if let Some(shim) = task.shim.get() {
            kill_all(&**shim).await;
        }
        self.release_shared_memory(&plan.id);
        failpoint::place("node.release");
        let networks = join_all(task.containers.iter().map(|container| self.network.release(&container.runtime_id)));
        let shim = async {
            match task.shim.get() {
                Some(shim) => shim.end().await,
                None => Ok(()),
            }
        };
        let ((networks, shim), ()) = join(join(networks, shim), deliver_logs(&task)).await;
        for error in networks.into_iter().filter_map(Result::err) {
            tracing::error!(task = plan.id, error = crate::failure::chain(&error), "a network was not given back");
        }
        if let Err(error) = shim {
            tracing::error!(task = plan.id, %error, "a task's shim was not ended");
        }
        self.make_room_of(plan).await;
        firelens::release(&self.config.state_dir, plan);
        task.containers.iter().for_each(|container| container.let_image_go());
        failpoint::place("node.released");
    }

    /// A task whose shim was not opened may have a directory and a cgroup all the same.
    async fn find_shim(&self, task: &LocalTask) {
        if task.shim.initialized() {
            return;
        }
        match self.runtime.find_task(&names::task_id(&task.plan)).await {
            Ok(Some(shim)) => drop(task.shim.set(shim)),
            Ok(None) => {}
            Err(error) => tracing::error!(task = task.plan.id, %error, "what was made for a task cannot be found"),
        }
    }

    pub(crate) async fn remove_task(&self, plan: &Arc<TaskPlan>) {
        self.release_task(plan).await;
        let Some(task) = self.forget(plan) else { return };
        if let Some(shim) = task.shim.get()
            && let Err(error) = shim.close().await
        {
            tracing::error!(task = plan.id, %error, "a task's directory was not removed");
        }
        let volumes = self.folders(plan).task;
        let removed = tokio::task::spawn_blocking(move || std::fs::remove_dir_all(volumes)).await;
        match removed {
            Ok(Err(error)) if error.kind() != io::ErrorKind::NotFound => {
                tracing::error!(task = plan.id, %error, "a task's volumes were not removed");
            }
            _ => {}
        }
    }
}

/// Ends whatever still runs, which should be nothing.
pub(crate) async fn kill_all(shim: &dyn Task) {
    for status in shim.status().into_iter().filter(|status| status.state.is_alive()) {
        if let Err(error) = shim.kill(&status.id, libc::SIGKILL).await {
            tracing::error!(task = %shim.id(), container = %status.id, %error, "a container was not killed");
        }
        if tokio::time::timeout(KILLED_WITHIN, watch::end(shim, &status.id)).await.is_err() {
            tracing::error!(task = %shim.id(), container = %status.id, "a container does not end");
        }
    }
}

/// Following goes on by itself when this gives up waiting, until all is delivered or the directory is gone.
async fn deliver_logs(task: &LocalTask) {
    let followings = task.take_followings();
    let drained = join_all(followings.iter().map(|following| following.drained()));
    if tokio::time::timeout(LOGS_DELIVERED_WITHIN, drained).await.is_err() {
        tracing::warn!(task = task.plan.id, "a stopped task's logs are not delivered yet");
    }
}
