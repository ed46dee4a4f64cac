//! Room on a disk that is nearly full: what containers have written, once their tasks have stopped.
//!
//! It is kept for a while for whoever wants to look at it; a node that cannot write any more is worse. Logs, exit codes and volumes stay.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use agent::plan::TaskPlan;

use crate::limits::DISK_FULL_PERCENT;
use crate::{Machine, names};

/// A container's writable layer, in its directory.
const WRITTEN: [&str; 2] = ["upper", "work"];

impl Machine {
    /// Of one task, which nothing of may run any more; nothing while there is room on the disk.
    pub(crate) async fn make_room_of(&self, plan: &TaskPlan) {
        if self.is_nearly_full().await {
            let dir = self.tasks_dir().join(names::task_id(plan).to_string());
            remove(vec![dir]).await;
        }
    }

    /// Of all tasks that have stopped.
    pub(crate) async fn make_room_of_stopped(&self) {
        let entries = fs::read_dir(self.tasks_dir()).into_iter().flatten().flatten();
        let stopped = entries.filter(|entry| !self.may_run(&entry.file_name().to_string_lossy()));
        remove(stopped.map(|entry| entry.path()).collect()).await;
    }

    async fn is_nearly_full(&self) -> bool {
        self.images().disk_use().await.is_ok_and(|used| used.percent() >= DISK_FULL_PERCENT)
    }

    fn tasks_dir(&self) -> PathBuf {
        self.config.node_dir.join("tasks")
    }
}

async fn remove(tasks: Vec<PathBuf>) {
    let removed = tokio::task::spawn_blocking(move || tasks.iter().filter(|task| remove_written(task)).count());
    let tasks = removed.await.unwrap_or_default();
    if tasks > 0 {
        tracing::warn!(
            tasks,
            "the disk is nearly full; what stopped tasks have written into their containers is removed"
        );
    }
}

/// True when there was something.
fn remove_written(task: &Path) -> bool {
    let mut found = false;
    for container in fs::read_dir(task.join("containers")).into_iter().flatten().flatten() {
        for layer in WRITTEN.map(|name| container.path().join(name)) {
            match fs::remove_dir_all(&layer) {
                Ok(()) => found = true,
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => tracing::warn!(path = %layer.display(), %error, "a stopped task's files stay"),
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_goes_and_what_was_said_stays() {
        let dir = tempfile::tempdir().unwrap();
        let container = dir.path().join("containers/web");
        for path in ["upper/big", "work/work", "log"] {
            fs::create_dir_all(container.join(path)).unwrap();
        }
        fs::write(container.join("exit.json"), "{}").unwrap();
        assert!(remove_written(dir.path()));
        let mut left: Vec<_> = fs::read_dir(&container).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        left.sort();
        assert_eq!(left, ["exit.json", "log"]);
        assert!(!remove_written(dir.path()), "there is nothing left");
        assert!(!remove_written(&dir.path().join("gone")));
    }
}
