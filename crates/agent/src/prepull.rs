//! Images that a deployment will need here soon: brought one after another, while nobody waits for them.

use std::sync::Arc;

use agent_api::extras::{Prepull, PrepullImage};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::limits::PREPULLS_WAITING_MAX;
use crate::seams::Node;

/// Ends, with what it is about, when it is dropped.
pub struct Prepulls {
    waiting: mpsc::Sender<PrepullImage>,
    worker: JoinHandle<()>,
}

impl Prepulls {
    pub fn new(node: Arc<dyn Node>) -> Prepulls {
        let (waiting, mut next) = mpsc::channel::<PrepullImage>(PREPULLS_WAITING_MAX);
        let worker = tokio::spawn(async move {
            while let Some(image) = next.recv().await {
                // No task fails by this: one that needs the image pulls it, and says what is wrong with it.
                match node.prepull(&image).await {
                    Ok(()) => tracing::info!(image = image.image, "an image is here for a deployment"),
                    Err(failure) => tracing::warn!(
                        image = image.image,
                        reason = failure.reason(),
                        "an image was not pulled in advance; a task that needs it pulls it"
                    ),
                }
            }
        });
        Prepulls { waiting, worker }
    }

    pub fn order(&self, order: Prepull) {
        let Prepull { deployment, images } = order;
        for image in images {
            if self.waiting.try_send(image).is_err() {
                return tracing::debug!(deployment, "too many images wait to be pulled in advance");
            }
        }
    }
}

impl Drop for Prepulls {
    fn drop(&mut self) {
        self.worker.abort();
    }
}
