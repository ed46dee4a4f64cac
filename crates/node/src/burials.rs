//! Tasks of an earlier agent that nobody owns are removed in the background, and while that lasts the control plane may send one of
//! them again: it had not heard that it was accepted. Then it is somebody's, and is not removed.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Those under way, by the task's id.
#[derive(Default)]
pub struct Burials(Mutex<BTreeMap<String, Arc<Burial>>>);

/// True once it is called off. Held while the task is removed.
#[derive(Default)]
pub struct Burial(tokio::sync::Mutex<bool>);

impl Burials {
    pub fn begin(&self, task: &str) -> Arc<Burial> {
        self.lock().entry(task.to_owned()).or_default().clone()
    }

    pub fn end(&self, task: &str) {
        self.lock().remove(task);
    }

    /// For whoever makes something of a task: when this returns nobody removes it, or it has been removed.
    pub async fn call_off(&self, task: &str) {
        let burial = self.lock().get(task).cloned();
        if let Some(burial) = burial {
            *burial.0.lock().await = true;
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Burial>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Burial {
    /// Nobody calls it off as long as what this returns is held; `None` when somebody has.
    pub async fn proceed(&self) -> Option<tokio::sync::MutexGuard<'_, bool>> {
        Some(self.0.lock().await).filter(|called_off| !**called_off)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_task_that_is_wanted_again_is_not_removed() {
        let burials = Burials::default();
        burials.call_off("t").await;
        let burial = burials.begin("t");
        drop(burial.proceed().await.expect("nobody has called this one off"));
        burials.call_off("t").await;
        assert!(burial.proceed().await.is_none());
    }

    #[tokio::test]
    async fn a_removal_that_has_begun_is_waited_for() {
        let burials = Burials::default();
        let burial = burials.begin("t");
        let under_way = burial.proceed().await;
        let mut call = Box::pin(burials.call_off("t"));
        assert!(futures::poll!(&mut call).is_pending());
        drop(under_way);
        call.await;
        burials.end("t");
        burials.call_off("t").await;
    }
}
