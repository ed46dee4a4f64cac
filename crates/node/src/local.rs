//! What this process knows of one task: made when somebody first asks, forgotten when the task is removed.

use std::sync::{Arc, Mutex, PoisonError};

use agent::plan::TaskPlan;
use images::Image;
use logs::Following;
use network::{Attachment, Binding};
use tokio::sync::{OnceCell, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::names;
use crate::spec::Shared;

pub struct LocalTask {
    pub plan: Arc<TaskPlan>,
    /// Open, or found by a recovery.
    pub shim: OnceCell<Arc<dyn runtime::Task>>,
    /// What its containers have in common.
    pub shared: OnceCell<Shared>,
    /// By their index in the plan.
    pub containers: Vec<LocalContainer>,
    /// False once everything was given back. Held for reading while something is made.
    open: RwLock<bool>,
    followings: Mutex<Vec<Following>>,
}

pub struct LocalContainer {
    pub runtime_id: String,
    pub network: OnceCell<Net>,
    /// Held, so that no collection of images takes its layers away.
    image: Mutex<Option<Image>>,
    /// Its digest, also when an earlier agent started the container.
    image_digest: Mutex<Option<String>>,
}

/// What a container has of the network.
#[derive(Debug, Clone)]
pub struct Net {
    pub attachment: Attachment,
    pub bindings: Vec<Binding>,
}

impl LocalTask {
    pub fn new(plan: Arc<TaskPlan>) -> LocalTask {
        let container = |index| LocalContainer {
            runtime_id: names::runtime_id(&plan, index),
            network: OnceCell::new(),
            image: Mutex::default(),
            image_digest: Mutex::default(),
        };
        let containers = (0..plan.containers.len()).map(container).collect();
        let (shim, shared, open) = (OnceCell::new(), OnceCell::new(), RwLock::new(true));
        LocalTask { plan, shim, shared, containers, open, followings: Mutex::default() }
    }

    /// For those who make something. `None` once everything was given back.
    pub async fn enter(&self) -> Option<RwLockReadGuard<'_, bool>> {
        Some(self.open.read().await).filter(|open| **open)
    }

    /// False once everything was given back.
    pub fn may_run(&self) -> bool {
        self.open.try_read().map_or(true, |open| *open)
    }

    /// For those who give everything back: nothing is made meanwhile or afterwards.
    pub async fn close(&self) -> RwLockWriteGuard<'_, bool> {
        let mut open = self.open.write().await;
        *open = false;
        open
    }

    pub fn follow(&self, following: Following) {
        self.followings.lock().unwrap_or_else(PoisonError::into_inner).push(following);
    }

    pub fn take_followings(&self) -> Vec<Following> {
        std::mem::take(&mut *self.followings.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl LocalContainer {
    pub fn image(&self) -> Option<Image> {
        self.image.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn hold_image(&self, image: &Image) {
        *self.image.lock().unwrap_or_else(PoisonError::into_inner) = Some(image.clone());
        self.note_image(image.digest().to_string());
    }

    pub fn note_image(&self, digest: String) {
        *self.image_digest.lock().unwrap_or_else(PoisonError::into_inner) = Some(digest);
    }

    pub fn image_digest(&self) -> Option<String> {
        self.image_digest.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn let_image_go(&self) {
        *self.image.lock().unwrap_or_else(PoisonError::into_inner) = None;
        *self.image_digest.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}
