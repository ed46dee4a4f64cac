//! The control plane's side: it answers calls as its script says, and lets a real [`Session`] lead each agent.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};

use agent::HttpControlPlane;
use agent::seams::{ApiError, ControlPlane, Endpoints};
use agent_api::close::UpgradeRefusal;
use agent_api::payload::{DesiredStatus, Task};
use agent_api::query::AcsQuery;
use agent_api::session::{Action, Event, Session};
use agent_api::{FromAgent, ManifestTask, ToAgent, tcs};
use api_ecs::{
    ContainerInstance, Failure, GetTaskProtectionRequest, GetTaskProtectionResponse, ProtectedTask,
    RegisterContainerInstanceRequest, SubmitTaskStateChangeRequest, UpdateTaskProtectionRequest,
    UpdateTaskProtectionResponse,
};
use async_trait::async_trait;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{Notify, mpsc};
use tokio::time::Instant;

use crate::machine::now;
use crate::payloads::{CLUSTER, INSTANCE, arn, describe};
use crate::rig::DEADLINE;
use crate::websockets::Outgoing;

pub struct Scripted {
    state: Mutex<State>,
    changed: Notify,
    signer: HttpControlPlane,
    /// `http://127.0.0.1:port`.
    pub url: String,
}

/// What happened, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Moment {
    Registered,
    Reported(String, String),
    AcsOpened,
}

pub struct State {
    pub history: Vec<Moment>,
    pub registrations: Vec<RegisterContainerInstanceRequest>,
    pub register_errors: VecDeque<ApiError>,
    /// This attribute does not come back from a registration.
    pub withheld: Option<String>,
    pub discoveries: usize,
    /// Nobody answers reports.
    pub down: bool,
    /// Answers to reports come late: everything else that can happen happens first.
    pub slow: bool,
    pub submit_errors: VecDeque<ApiError>,
    pub attempts: usize,
    /// What was asked about the protection of tasks, and granted.
    pub protection: Vec<UpdateTaskProtectionRequest>,
    pub reports: Vec<SubmitTaskStateChangeRequest>,
    /// Of tasks and instances, by their ARN.
    pub tags: BTreeMap<String, BTreeMap<String, String>>,
    /// Every upgrade of ACS is refused so.
    pub refusal: Option<UpgradeRefusal>,
    pub acs_refused: usize,
    pub acs: Vec<(Instant, AcsQuery)>,
    pub acs_closed: usize,
    pub from_agent: Vec<FromAgent>,
    pub verifications: Vec<(String, Vec<ManifestTask>)>,
    pub tcs_opened: usize,
    pub tcs_closed: usize,
    pub telemetry: Vec<Telemetry>,
    session: Session,
    acs_outbox: UnboundedSender<Outgoing>,
    tcs_outbox: UnboundedSender<Outgoing>,
}

#[derive(Clone, Debug)]
pub struct Telemetry {
    pub header_names: Vec<String>,
    pub signed: bool,
    pub message: tcs::FromAgent,
}

impl Scripted {
    /// `signer` stands for the agent's half of signing.
    pub fn new(url: String, signer: HttpControlPlane) -> Arc<Scripted> {
        let nobody = || mpsc::unbounded_channel().0;
        let state = State {
            history: Vec::new(),
            registrations: Vec::new(),
            register_errors: VecDeque::new(),
            withheld: None,
            discoveries: 0,
            down: false,
            slow: false,
            submit_errors: VecDeque::new(),
            attempts: 0,
            protection: Vec::new(),
            reports: Vec::new(),
            tags: BTreeMap::new(),
            refusal: None,
            acs_refused: 0,
            acs: Vec::new(),
            acs_closed: 0,
            from_agent: Vec::new(),
            verifications: Vec::new(),
            tcs_opened: 0,
            tcs_closed: 0,
            telemetry: Vec::new(),
            session: Session::new(CLUSTER.to_owned(), INSTANCE.to_owned(), now().as_millis()),
            acs_outbox: nobody(),
            tcs_outbox: nobody(),
        };
        Arc::new(Scripted { state: Mutex::new(state), changed: Notify::new(), signer, url })
    }

    pub fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let answer = change(&mut self.lock());
        self.changed.notify_waiters();
        answer
    }

    /// Waits until `look` finds something.
    pub async fn until<T>(&self, what: &str, mut look: impl FnMut(&State) -> Option<T>) -> T {
        let found = async {
            loop {
                let changed = self.changed.notified();
                if let Some(found) = look(&self.lock()) {
                    return found;
                }
                changed.await;
            }
        };
        match tokio::time::timeout(DEADLINE, found).await {
            Ok(found) => found,
            Err(_) => {
                let state = self.lock();
                panic!("{what} did not happen: {:#?}\n{:#?}", state.history, state.from_agent);
            }
        }
    }

    /// The first `count` reports about a task, in words.
    pub async fn reported(&self, task: &str, count: usize) -> Vec<String> {
        let arn = arn(task);
        self.until(&format!("report {count} of {task}"), |state| {
            let found = state.reports.iter().filter(|report| report.task.as_deref() == Some(&arn)).map(describe);
            let found: Vec<String> = found.collect();
            (found.len() >= count).then_some(found)
        })
        .await
    }

    /// How many reports about a task arrived so far.
    pub fn report_count(&self, task: &str) -> usize {
        let arn = arn(task);
        self.lock().reports.iter().filter(|report| report.task.as_deref() == Some(&arn)).count()
    }

    pub async fn acked(&self, message_id: &str) {
        self.until(&format!("the acknowledgement of {message_id}"), |state| state.acked(message_id).then_some(()))
            .await;
    }

    pub async fn received(&self, what: &str, is_it: impl Fn(&FromAgent) -> bool) -> FromAgent {
        self.until(what, |state| state.from_agent.iter().find(|message| is_it(message)).cloned()).await
    }

    pub async fn acs_connections(&self, count: usize) {
        self.until(&format!("ACS connection {count}"), |state| (state.acs.len() >= count).then_some(())).await;
    }

    pub fn deliver(&self, tasks: Vec<Task>) {
        self.step(Event::Deliver(tasks));
    }

    /// Sends a message that the session knows nothing of.
    pub fn send(&self, message: &ToAgent) {
        self.send_text(message.encode());
    }

    pub fn send_text(&self, text: String) {
        let _ = self.lock().acs_outbox.send(Outgoing::Text(text));
    }

    pub fn end_acs(&self, end: Outgoing) {
        let _ = self.lock().acs_outbox.send(end);
    }

    pub fn end_tcs(&self, end: Outgoing) {
        let _ = self.lock().tcs_outbox.send(end);
    }

    pub fn step(&self, event: Event) {
        self.change(|state| state.step(event));
    }

    pub fn acs_opened(&self, query: AcsQuery, outbox: UnboundedSender<Outgoing>) {
        self.change(|state| {
            state.history.push(Moment::AcsOpened);
            state.acs_outbox = outbox;
            let connection = format!("connection-{}", state.acs.len());
            let send_credentials = query.send_credentials;
            state.acs.push((Instant::now(), query));
            state.step(Event::Connected { connection, send_credentials });
        });
    }

    pub fn tcs_opened(&self, outbox: UnboundedSender<Outgoing>) {
        self.change(|state| {
            state.tcs_outbox = outbox;
            state.tcs_opened += 1;
        });
    }
}

impl State {
    pub fn acked(&self, message_id: &str) -> bool {
        self.from_agent.iter().any(|message| matches!(message, FromAgent::Ack(ack) if ack.message_id == message_id))
    }

    pub fn outstanding(&self) -> Vec<String> {
        self.session.outstanding().map(str::to_owned).collect()
    }

    pub fn step(&mut self, event: Event) {
        for action in self.session.step(event, now()) {
            match action {
                Action::Send(message) => drop(self.acs_outbox.send(Outgoing::Text(message.encode()))),
                Action::Close { code, .. } => drop(self.acs_outbox.send(Outgoing::Close(code))),
                Action::VerifyStops { message_id, candidates } => self.verifications.push((message_id, candidates)),
                // Tests are shorter than any of the session's waits.
                Action::RefreshCredentials { .. } | Action::LookAgain { .. } => {}
            }
        }
    }
}

#[async_trait]
impl ControlPlane for Scripted {
    async fn register(&self, request: RegisterContainerInstanceRequest) -> Result<ContainerInstance, ApiError> {
        self.change(|state| {
            state.registrations.push(request.clone());
            if let Some(error) = state.register_errors.pop_front() {
                return Err(error);
            }
            state.history.push(Moment::Registered);
            let mut attributes = request.attributes.unwrap_or_default();
            attributes.retain(|attribute| attribute.name != state.withheld);
            Ok(ContainerInstance {
                container_instance_arn: Some(request.container_instance_arn.unwrap_or(INSTANCE.to_owned())),
                attributes: Some(attributes),
                ..ContainerInstance::default()
            })
        })
    }

    async fn discover(&self, _: &str) -> Result<Endpoints, ApiError> {
        self.change(|state| state.discoveries += 1);
        Ok(Endpoints { acs: Some(format!("{}/acs/", self.url)), tcs: Some(format!("{}/tcs", self.url)) })
    }

    async fn submit(&self, report: SubmitTaskStateChangeRequest) -> Result<(), ApiError> {
        if self.lock().slow {
            for _ in 0..2000 {
                tokio::task::yield_now().await;
            }
        }
        self.change(|state| {
            state.attempts += 1;
            if state.down {
                return Err(ApiError::Unavailable("the script says so".to_owned()));
            }
            if let Some(error) = state.submit_errors.pop_front() {
                return Err(error);
            }
            let (task, status) = (report.task.clone().unwrap(), report.status.clone().unwrap());
            state.history.push(Moment::Reported(crate::payloads::id(&task).to_owned(), status.clone()));
            state.reports.push(report);
            match status.as_str() {
                "RUNNING" => state.step(Event::Reported { task_arn: task, status: DesiredStatus::Running }),
                "STOPPED" => state.step(Event::Reported { task_arn: task, status: DesiredStatus::Stopped }),
                _ => {}
            }
            Ok(())
        })
    }

    async fn protection(&self, request: GetTaskProtectionRequest) -> Result<GetTaskProtectionResponse, ApiError> {
        let state = self.lock();
        if state.down {
            return Err(ApiError::Unavailable("the script says so".to_owned()));
        }
        let arn = request.tasks.unwrap().remove(0);
        let protected = state.protection.iter().rev().find(|wanted| wanted.tasks == Some(vec![arn.clone()]));
        let enabled = protected.and_then(|wanted| wanted.protection_enabled);
        let task =
            ProtectedTask { task_arn: Some(arn), protection_enabled: enabled.or(Some(false)), expiration_date: None };
        Ok(GetTaskProtectionResponse { protected_tasks: Some(vec![task]), failures: None })
    }

    async fn protect(&self, request: UpdateTaskProtectionRequest) -> Result<UpdateTaskProtectionResponse, ApiError> {
        self.change(|state| {
            let arn = request.tasks.clone().unwrap().remove(0);
            if crate::payloads::id(&arn) == "standalone" {
                let failure = Failure { arn: Some(arn), reason: Some("TASK_NOT_VALID".to_owned()), detail: None };
                return Ok(UpdateTaskProtectionResponse { protected_tasks: None, failures: Some(vec![failure]) });
            }
            match request.expires_in_minutes {
                Some(minutes) if minutes < 1 => {
                    return Err(ApiError::InvalidParameter("expiresInMinutes must be between 1 and 2880.".to_owned()));
                }
                _ => {}
            }
            let task = ProtectedTask {
                task_arn: Some(arn),
                protection_enabled: request.protection_enabled,
                expiration_date: request.expires_in_minutes.map(|_| stdx::Timestamp::from_millis(1_795_384_329_000)),
            };
            state.protection.push(request);
            Ok(UpdateTaskProtectionResponse { protected_tasks: Some(vec![task]), failures: None })
        })
    }

    async fn tags(&self, arn: &str) -> Result<BTreeMap<String, String>, ApiError> {
        let state = self.lock();
        if state.down {
            return Err(ApiError::Unavailable("the script says so".to_owned()));
        }
        Ok(state.tags.get(arn).cloned().unwrap_or_default())
    }

    fn sign(&self, url: &str, body: &str) -> Vec<(String, String)> {
        self.signer.sign(url, body)
    }
}
