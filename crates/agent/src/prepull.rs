//! Images that a deployment will need here soon: brought one after another, while nobody waits for them.

use std::sync::Arc;

use agent_api::FromAgent;
use agent_api::extras::{Prepull, PrepullFailed, PrepullImage};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::limits::PREPULLS_WAITING_MAX;
use crate::seams::Node;

/// Ends, with what it is about, when it is dropped.
pub struct Prepulls {
    waiting: mpsc::Sender<Waiting>,
    worker: JoinHandle<()>,
}

struct Waiting {
    deployment: String,
    image: PrepullImage,
    /// Of the connection over which it was asked for. When that is gone, nobody is told.
    outbox: mpsc::UnboundedSender<FromAgent>,
}

impl Prepulls {
    pub fn new(node: Arc<dyn Node>) -> Prepulls {
        let (waiting, mut next) = mpsc::channel::<Waiting>(PREPULLS_WAITING_MAX);
        let worker = tokio::spawn(async move {
            while let Some(Waiting { deployment, image, outbox }) = next.recv().await {
                // No task fails by this: one that needs the image pulls it, and says what is wrong with it.
                let Err(failure) = node.prepull(&image).await else {
                    tracing::info!(image = image.image, "an image is here for a deployment");
                    continue;
                };
                let (image, reason) = (image.image, failure.reason());
                tracing::warn!(image, reason, "an image was not pulled in advance; a task that needs it pulls it");
                let _ = outbox.send(FromAgent::PrepullFailed(PrepullFailed { deployment, image, reason }));
            }
        });
        Prepulls { waiting, worker }
    }

    pub fn order(&self, order: Prepull, outbox: &mpsc::UnboundedSender<FromAgent>) {
        let Prepull { deployment, images } = order;
        for image in images {
            let waiting = Waiting { deployment: deployment.clone(), image, outbox: outbox.clone() };
            if self.waiting.try_send(waiting).is_err() {
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
