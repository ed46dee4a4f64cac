//! Images that are brought before a task needs them: by the pull that a task would make, behind every task that waits for one,
//! and spared by the cleanup until their tasks have had time to come.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use agent_api::extras::PrepullImage;
use images::Image;
use task_engine::{Failure, FailureKind};
use tokio::sync::watch;

use crate::limits::{DISK_FULL_PERCENT, PREPULLED_KEPT, PREPULLED_MAX};
use crate::{Machine, failure};

/// A task that waits for its image, for as long as this lives.
pub(crate) struct Waits<'a>(&'a watch::Sender<usize>);

impl<'a> Waits<'a> {
    pub fn begin(waiting: &'a watch::Sender<usize>) -> Waits<'a> {
        waiting.send_modify(|count| *count += 1);
        Waits(waiting)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// What was brought in advance, held so that no cleanup takes it.
#[derive(Default)]
pub(crate) struct Prepulled {
    held: Vec<(Instant, Image)>,
}

impl Prepulled {
    fn hold(&mut self, image: Image, now: Instant) {
        self.held.retain(|(_, held)| held.digest() != image.digest());
        if self.held.len() == PREPULLED_MAX {
            self.held.remove(0);
        }
        self.held.push((now, image));
        self.forget(now, PREPULLED_KEPT);
    }

    fn forget(&mut self, now: Instant, kept: Duration) {
        self.held.retain(|(since, _)| now.duration_since(*since) < kept);
    }
}

impl Machine {
    pub(crate) async fn prepull_image(&self, wanted: &PrepullImage) -> Result<(), Failure> {
        // It never fails: the sender is ours.
        let _ = self.waiting.subscribe().wait_for(|waiting| *waiting == 0).await;
        let used = self.images().disk_use().await.map_err(|error| failure::resource(&error))?.percent();
        if used >= DISK_FULL_PERCENT {
            return Err(Failure::new(FailureKind::Resource, format!("the disk is {used} % full")));
        }
        let auth = self.auth(wanted.registry_authentication.as_ref())?;
        let on_progress = |progress: images::Progress| {
            if let Some(on_pull) = &self.config.on_pull {
                on_pull(&wanted.image, progress);
            }
        };
        let behavior = self.config.pull_behavior;
        let pulled = self.bring(&wanted.image, wanted.digest.as_deref(), &auth, behavior, &on_progress).await;
        let image = pulled.map_err(|error| failure::pull(&error))?;
        self.prepulled.lock().unwrap_or_else(PoisonError::into_inner).hold(image, Instant::now());
        Ok(())
    }

    /// Lets those go that have been kept so long; true when there were any. A running task holds its own image itself.
    pub(crate) fn let_prepulled_go(&self, kept: Duration) -> bool {
        let mut prepulled = self.prepulled.lock().unwrap_or_else(PoisonError::into_inner);
        let before = prepulled.held.len();
        prepulled.forget(Instant::now(), kept);
        prepulled.held.len() < before
    }
}
