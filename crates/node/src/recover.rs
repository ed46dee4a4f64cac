//! After an agent's restart: what is left of its containers is taken up again, and what is nobody's goes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use agent::plan::TaskPlan;
use agent::seams::{Remains, Run};
use futures::future::join_all;
use logs::{Drivers, Following};
use network::Attachment;
use runtime::{ContainerRuntime as _, ContainerState, ContainerStatus, Task};

use crate::burials::Burial;
use crate::keepsake::Keepsake;
use crate::launch::launched;
use crate::limits::ORPHANED_LOGS_WITHIN;
use crate::local::{LocalTask, Net};
use crate::release::kill_all;
use crate::{Machine, firelens, names, watch};

impl Machine {
    /// A task whose directory is here and that nobody names is ours and nobody's. Cgroups without a directory are left
    /// alone: an official agent has its tasks below the same one.
    pub(crate) async fn recover_runs(&self, runs: Vec<Run>, ended: Vec<Arc<TaskPlan>>) -> Vec<(Run, Remains)> {
        let live: BTreeMap<&str, &Arc<TaskPlan>> = runs.iter().map(|run| (run.task.id.as_str(), &run.task)).collect();
        let mut plans = live.clone();
        plans.extend(ended.iter().map(|plan| (plan.id.as_str(), plan)));
        let found = self.runtime.recover().await.unwrap_or_else(|error| {
            tracing::error!(%error, "the tasks of an earlier agent cannot be listed");
            Vec::new()
        });
        let mut orphans = Vec::new();
        for shim in found {
            match plans.get(shim.id().as_str()) {
                Some(plan) => self.take_up(plan, shim),
                None => orphans.push(shim),
            }
        }
        for plan in &ended {
            drop(self.local(plan).close().await);
        }
        join_all(orphans.iter().map(|orphan| kill_all(&**orphan))).await;
        self.recover_network(live.values()).await;
        let owned: BTreeSet<String> = plans.keys().map(|id| (*id).to_owned()).collect();
        drop((plans, live));
        self.release_strange_memory(&owned);
        self.remove_unowned(owned).await;
        self.bury(orphans);
        join_all(runs.into_iter().map(|run| async {
            let remains = self.remains(&run).await;
            (run, remains)
        }))
        .await
    }

    fn take_up(&self, plan: &Arc<TaskPlan>, shim: Arc<dyn Task>) {
        let task = self.local(plan);
        for container in shim.status() {
            let dir = shim.container_dir(&container.id);
            let Some(keepsake) = Keepsake::read(&dir).filter(|_| has_run(&container)) else { continue };
            let name = container.id.as_str();
            if let Some(known) = task.containers.iter().find(|known| name.starts_with(&known.runtime_id)) {
                known.note_image(keepsake.image.clone());
            }
            if let Some(following) = resume(self.logs(), &keepsake, &dir) {
                task.follow(following);
            }
        }
        // It is empty unless this is a second recovery, which finds the same.
        let _ = task.shim.set(shim);
    }

    async fn recover_network<'a>(&self, plans: impl Iterator<Item = &'a &'a Arc<TaskPlan>>) {
        let live = plans.flat_map(|plan| (0..plan.containers.len()).map(|index| names::runtime_id(plan, index)));
        match self.network.recover(live).await {
            Ok(recovered) if recovered.lost.is_empty() => {}
            Ok(recovered) => {
                tracing::warn!(containers = ?recovered.lost, "these containers have lost their network");
            }
            Err(error) => tracing::error!(error = crate::failure::chain(&error), "the network cannot be recovered"),
        }
    }

    /// Removes the volumes and log routers of tasks that nobody owns: out of the way at once, since the control plane may send such
    /// a task again, and then in the background.
    async fn remove_unowned(&self, owned: BTreeSet<String>) {
        let (volumes, routers) = (self.volumes_dir().join("tasks"), firelens::dir(&self.config.state_dir));
        let put_aside = move || [volumes, routers].iter().flat_map(|dir| put_aside(dir, &owned)).collect::<Vec<_>>();
        let aside = tokio::task::spawn_blocking(put_aside).await.unwrap_or_default();
        tokio::task::spawn_blocking(move || aside.iter().for_each(|path| remove(path)));
    }

    /// Removes tasks that nobody owns. In the background: logs may have to be delivered before.
    fn bury(&self, orphans: Vec<Arc<dyn Task>>) {
        for orphan in orphans {
            let (logs, burial) = (self.config.logs.clone(), self.burials.begin(orphan.id().as_str()));
            let burials = self.burials.clone();
            tokio::spawn(async move {
                bury(&*orphan, &logs, &burial).await;
                burials.end(orphan.id().as_str());
            });
        }
    }

    async fn remains(&self, run: &Run) -> Remains {
        let task = self.local(&run.task);
        let Some(shim) = task.shim.get().cloned() else { return Remains::Nothing };
        let id = names::run_id(run);
        if let Some(ContainerState::Starting) = watch::state(&*shim, &id) {
            decided(&*shim, &id).await;
        }
        match watch::state(&*shim, &id) {
            Some(ContainerState::Running { .. } | ContainerState::Starting) => self.running(run, &task, shim, id).await,
            Some(ContainerState::Exited(exit)) => Remains::Exited(watch::exit_of(&exit)),
            // It may be tried again, and then nothing of the first attempt may be in its way.
            Some(ContainerState::Failed { .. }) => {
                if let Err(error) = shim.remove(&id).await {
                    tracing::error!(task = run.task.id, %error, "a container that did not start cannot be removed");
                }
                Remains::Nothing
            }
            None => Remains::Nothing,
        }
    }

    async fn running(
        &self,
        run: &Run,
        task: &Arc<LocalTask>,
        shim: Arc<dyn Task>,
        id: runtime::ContainerId,
    ) -> Remains {
        let network = self.network(task, run.container).await.unwrap_or_else(|failure| {
            // It runs, and nobody stops it for what we cannot find.
            tracing::error!(task = run.task.id, reason = failure.reason(), "a container's network cannot be found");
            Net { attachment: Attachment { netns: None, link: None }, bindings: Vec::new() }
        });
        Remains::Running(launched(task, run.container, &network, shim, id))
    }
}

/// Until a start that was under way has succeeded or failed.
async fn decided(shim: &dyn Task, id: &runtime::ContainerId) {
    let mut events = shim.events();
    while let Some(ContainerState::Starting) = watch::state(shim, id) {
        if let Err(tokio::sync::broadcast::error::RecvError::Closed) = events.recv().await {
            return;
        }
    }
}

/// Goes on with a container's log where an earlier agent stopped.
fn resume(logs: &Drivers, keepsake: &Keepsake, container_dir: &Path) -> Option<Following> {
    let name = keepsake.log_driver.as_deref()?;
    // An agent of before knew no subject, and no driver that needs one.
    let subject = keepsake.log_subject.clone().unwrap_or_default();
    match logs.resume(name, &keepsake.log_options, &subject) {
        Ok(driver) => Some(driver.follow(container_dir.to_owned())),
        Err(error) => {
            tracing::error!(%error, dir = %container_dir.display(), "a container's log cannot be followed any more");
            logs::give_up(container_dir);
            None
        }
    }
}

/// One that failed to start has said nothing, and will not end: nobody waits for its log.
fn has_run(container: &ContainerStatus) -> bool {
    !matches!(container.state, ContainerState::Failed { .. })
}

/// Its logs need the directory and nothing else: shim and cgroup do not wait for somebody who may never take the lines.
async fn bury(task: &dyn Task, logs: &Drivers, burial: &Burial) {
    let dirs = task.status().into_iter().filter(has_run).map(|status| task.container_dir(&status.id));
    let followings: Vec<Following> = dirs.filter_map(|dir| resume(logs, &Keepsake::read(&dir)?, &dir)).collect();
    if let Some(_under_way) = burial.proceed().await
        && let Err(error) = task.end().await
    {
        tracing::error!(task = %task.id(), %error, "the shim of a task that nobody knows cannot be ended");
    }
    let drained = join_all(followings.iter().map(|following| following.drained()));
    let is_drained = tokio::time::timeout(ORPHANED_LOGS_WITHIN, drained).await.is_ok();
    let Some(_under_way) = burial.proceed().await else { return };
    if !is_drained {
        tracing::warn!(task = %task.id(), "the logs of a task that nobody knows were not delivered");
        followings.iter().for_each(Following::stop);
    }
    if let Err(error) = task.close().await {
        tracing::error!(task = %task.id(), %error, "a task that nobody knows cannot be removed");
    }
}

/// What an id never begins with.
const ASIDE: &str = ".gone-";

/// Gives what is unowned a name that no task has, and returns it. Blocking.
fn put_aside(dir: &Path, owned: &BTreeSet<String>) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let unowned = entries.filter_map(|entry| entry.file_name().into_string().ok()).filter(|name| !owned.contains(name));
    let renamed = unowned.filter_map(|name| {
        let (path, aside) = (dir.join(&name), dir.join(format!("{ASIDE}{name}")));
        if name.starts_with(ASIDE) {
            return Some(path);
        }
        // An earlier agent may have died when it had this aside and not yet removed.
        remove(&aside);
        match std::fs::rename(&path, &aside) {
            Ok(()) => Some(aside),
            Err(error) => {
                tracing::error!(path = %path.display(), %error, "what a task that nobody knows had cannot be removed");
                None
            }
        }
    });
    renamed.collect()
}

/// Blocking.
fn remove(path: &Path) {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            tracing::error!(path = %path.display(), %error, "what a task that nobody knows had cannot be removed");
        }
        _ => {}
    }
}
