//! State reports: strictly in order for one task, and patiently.

use std::sync::Arc;
use std::time::Duration;

use api_ecs::{ContainerStateChange, NetworkBinding, SubmitTaskStateChangeRequest};
use futures::future::BoxFuture;
use task_engine::{ContainerReport, ContainerStatus, Report};
use tokio::sync::{AcquireError, Semaphore, mpsc, oneshot, watch};

use crate::clock::{self, Backoff};
use crate::limits::{REASON_CHARS_MAX, REPORTS_IN_FLIGHT_MAX};
use crate::seams::{ApiError, ControlPlane};

/// Makes queues; one for each task.
#[derive(Clone)]
pub struct Reporter {
    control: Arc<dyn ControlPlane>,
    cluster: String,
    in_flight: Arc<Semaphore>,
    /// Reports that nobody has answered yet.
    unanswered: Arc<watch::Sender<usize>>,
}

struct Outgoing {
    request: SubmitTaskStateChangeRequest,
    /// It is not sent before this.
    after: BoxFuture<'static, ()>,
    answered: Option<oneshot::Sender<()>>,
}

/// The reports of one task. When it is dropped, what was queued is still sent.
#[derive(Clone)]
pub struct Queue {
    /// Boxed: a channel takes room for 32 of its messages at once.
    sender: mpsc::UnboundedSender<Box<Outgoing>>,
    cluster: String,
    task_arn: String,
    unanswered: Arc<watch::Sender<usize>>,
}

impl Reporter {
    pub fn new(control: Arc<dyn ControlPlane>, cluster: String) -> Reporter {
        let in_flight = Arc::new(Semaphore::new(REPORTS_IN_FLIGHT_MAX));
        Reporter { control, cluster, in_flight, unanswered: Arc::default() }
    }

    pub fn queue(&self, task_arn: &str) -> Queue {
        let (sender, receiver) = mpsc::unbounded_channel();
        tokio::spawn(send_all(self.clone(), receiver));
        let (cluster, task_arn) = (self.cluster.clone(), task_arn.to_owned());
        Queue { sender, cluster, task_arn, unanswered: self.unanswered.clone() }
    }

    /// Resolves when every report was answered.
    pub async fn settled(&self) {
        // It cannot fail: `self` holds the sender.
        let _ = self.unanswered.subscribe().wait_for(|count| *count == 0).await;
    }

    /// Sends no more, not even what is queued. A later agent on the same node tells it all again.
    pub fn close(&self) {
        self.in_flight.close();
    }

    /// For a task that never had a queue: it cannot be built, or it is not known here.
    pub fn stopped(&self, task_arn: &str, reason: &str) {
        let queue = self.queue(task_arn);
        let request = SubmitTaskStateChangeRequest {
            cluster: Some(self.cluster.clone()),
            task: Some(task_arn.to_owned()),
            status: Some("STOPPED".to_owned()),
            reason: Some(cut(reason)),
            ..SubmitTaskStateChangeRequest::default()
        };
        queue.enqueue(Outgoing { request, after: Box::pin(std::future::ready(())), answered: None });
    }
}

impl Queue {
    /// Sends it once `after` is over. The receiver resolves when the report was answered, or given up for good.
    pub fn send(&self, report: &Report, after: impl Future<Output = ()> + Send + 'static) -> oneshot::Receiver<()> {
        let (answered, receiver) = oneshot::channel();
        let request = request(&self.cluster, &self.task_arn, report);
        self.enqueue(Outgoing { request, after: Box::pin(after), answered: Some(answered) });
        receiver
    }

    fn enqueue(&self, outgoing: Outgoing) {
        self.unanswered.send_modify(|count| *count += 1);
        // Nobody takes it only after `close`.
        let _ = self.sender.send(Box::new(outgoing));
    }
}

async fn send_all(reporter: Reporter, mut receiver: mpsc::UnboundedReceiver<Box<Outgoing>>) {
    while let Some(outgoing) = receiver.recv().await {
        let Outgoing { request, after, answered } = *outgoing;
        after.await;
        // Boxed: most of the time there is nothing to send, and this waits for it.
        if Box::pin(send_one(&*reporter.control, &reporter.in_flight, &request)).await.is_err() {
            return;
        }
        reporter.unanswered.send_modify(|count| *count -= 1);
        if let Some(answered) = answered {
            let _ = answered.send(());
        }
    }
}

/// Until there is an answer that ends it. The waits are the official agent's; a wait holds up only its own task.
/// Errors: the reporter was closed.
async fn send_one(
    control: &dyn ControlPlane,
    in_flight: &Semaphore,
    request: &SubmitTaskStateChangeRequest,
) -> Result<(), AcquireError> {
    let mut unavailable = Backoff::new(Duration::from_millis(60), 2.0, Duration::from_secs(300), 1.0);
    let mut refused = Backoff::new(Duration::from_secs(1), 1.3, Duration::from_secs(30), 0.2);
    loop {
        let answer = {
            let _permit = in_flight.acquire().await?;
            control.submit(request.clone()).await
        };
        let task = request.task.as_deref().unwrap_or_default();
        let wait = match answer {
            Ok(()) => {
                failpoint::place("agent.reported");
                return Ok(());
            }
            Err(error @ ApiError::InvalidParameter(_)) => {
                tracing::warn!(task, %error, "a state report is dropped");
                return Ok(());
            }
            Err(error @ ApiError::Refused { .. }) => {
                tracing::warn!(task, %error, "a state report was refused");
                refused.next()
            }
            Err(error @ ApiError::Unavailable(_)) => {
                tracing::debug!(task, %error, "a state report waits");
                unavailable.next()
            }
        };
        tokio::time::sleep(wait).await;
    }
}

/// What is sent for a report. Pure.
pub fn request(cluster: &str, task_arn: &str, report: &Report) -> SubmitTaskStateChangeRequest {
    SubmitTaskStateChangeRequest {
        cluster: Some(cluster.to_owned()),
        task: Some(task_arn.to_owned()),
        status: Some(report.status.name().to_owned()),
        reason: Some(cut(&report.reason)),
        containers: Some(report.containers.iter().map(container).collect()),
        pull_started_at: report.pull_started_at.map(clock::to_wall),
        pull_stopped_at: report.pull_stopped_at.map(clock::to_wall),
        execution_stopped_at: report.execution_stopped_at.map(clock::to_wall),
        ..SubmitTaskStateChangeRequest::default()
    }
}

fn container(report: &ContainerReport) -> ContainerStateChange {
    let binding = |binding: &task_engine::Binding| {
        let (first, host_first) = (binding.container_port, binding.host_port);
        let named = NetworkBinding {
            bind_ip: Some(binding.bind_ip.clone()),
            protocol: Some(binding.protocol.clone()),
            ..NetworkBinding::default()
        };
        match binding.to {
            None => NetworkBinding {
                container_port: Some(i32::from(first)),
                host_port: Some(i32::from(host_first)),
                ..named
            },
            Some((last, host_last)) => NetworkBinding {
                container_port_range: Some(format!("{first}-{last}")),
                host_port_range: Some(format!("{host_first}-{host_last}")),
                ..named
            },
        }
    };
    ContainerStateChange {
        container_name: Some(report.name.clone()),
        image_digest: report.image_digest.clone(),
        runtime_id: report.runtime_id.clone(),
        exit_code: report.exit_code.filter(|_| report.status == ContainerStatus::Stopped),
        network_bindings: (!report.bindings.is_empty()).then(|| report.bindings.iter().map(binding).collect()),
        reason: report.reason.as_deref().map(cut),
        status: Some(report.status.name().to_owned()),
    }
}

fn cut(reason: &str) -> String {
    reason.chars().take(REASON_CHARS_MAX).collect()
}
