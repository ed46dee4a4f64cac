//! The two edges of the agent's loop: the control plane's API above, the machine below. Each has a fake in the tests.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use agent_api::extras::{PrepullImage, SessionBucket, SessionLogs};
use api_ecs::{
    ContainerInstance, GetTaskProtectionRequest, GetTaskProtectionResponse, RegisterContainerInstanceRequest,
    SubmitTaskStateChangeRequest, UpdateTaskProtectionRequest, UpdateTaskProtectionResponse,
};
use async_trait::async_trait;
use stdx::Timestamp;
use task_engine::{Binding, Failure, Purpose};
use tokio::io::{AsyncRead, AsyncWrite};

use crate::plan::TaskPlan;

/// The calls of the ECS API that an agent makes.
#[async_trait]
pub trait ControlPlane: Send + Sync + 'static {
    async fn register(&self, request: RegisterContainerInstanceRequest) -> Result<ContainerInstance, ApiError>;
    async fn discover(&self, container_instance_arn: &str) -> Result<Endpoints, ApiError>;
    async fn submit(&self, report: SubmitTaskStateChangeRequest) -> Result<(), ApiError>;
    async fn protection(&self, request: GetTaskProtectionRequest) -> Result<GetTaskProtectionResponse, ApiError>;
    async fn protect(&self, request: UpdateTaskProtectionRequest) -> Result<UpdateTaskProtectionResponse, ApiError>;
    /// The tags of a task or a container instance, by name.
    async fn tags(&self, arn: &str) -> Result<BTreeMap<String, String>, ApiError> {
        Err(ApiError::Unavailable(format!("the tags of {arn} are out of reach")))
    }
    /// Appends lines, each with its time in milliseconds, to a stream of a log group that is there.
    async fn write_log(&self, logs: &SessionLogs, _stream: &str, _lines: &[(i64, String)]) -> Result<(), ApiError> {
        Err(ApiError::Unavailable(format!("log group {} is out of reach", logs.group)))
    }
    /// An object of a bucket, there as a whole when what is written has been shut down.
    async fn write_object(&self, bucket: &SessionBucket, _key: &str) -> Result<ObjectWriter, ApiError> {
        Err(ApiError::Unavailable(format!("bucket {} is out of reach", bucket.name)))
    }
    /// The header lines that sign a GET of `url`, a websocket's or the one that a telemetry frame pretends to be.
    fn sign(&self, url: &str, body: &str) -> Vec<(String, String)>;
}

/// The bytes of an object on their way.
pub type ObjectWriter = Pin<Box<dyn AsyncWrite + Send>>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    pub acs: Option<String>,
    pub tcs: Option<String>,
}

/// How a call failed, as far as the next step depends on it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// `InvalidParameterException`: saying it again will not help.
    #[error("the control plane finds a parameter invalid: {0}")]
    InvalidParameter(String),
    /// Another 4xx answer.
    #[error("the control plane refused: {code}: {message}")]
    Refused { code: String, message: String },
    /// A 5xx answer, throttling, or no answer.
    #[error("the control plane did not answer: {0}")]
    Unavailable(String),
}

/// One run of one container of a task.
#[derive(Clone, Debug)]
pub struct Run {
    pub task: Arc<TaskPlan>,
    /// Into [`TaskPlan::containers`].
    pub container: usize,
    /// 0 for the first, one more after each restart of its restart policy.
    pub number: u32,
}

/// Resolves when the container's process has ended; an agent that goes away just drops it.
pub type ExitWatch = Pin<Box<dyn Future<Output = Exit> + Send>>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    pub code: i32,
    pub oom_killed: bool,
    pub at: Timestamp,
}

pub struct Launched {
    pub runtime_id: String,
    pub bindings: Vec<Binding>,
    pub at: Timestamp,
    pub exit: ExitWatch,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pulled {
    pub digest: Option<String>,
    /// When a pull began and ended; `None` when the image was here already.
    pub times: Option<(Timestamp, Timestamp)>,
}

/// What is there of a container that an earlier agent knew.
pub enum Remains {
    Running(Launched),
    Exited(Exit),
    Nothing,
}

/// One sample of what a container uses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// CPU time since its start.
    pub cpu: Duration,
    pub memory_bytes: u64,
}

pub use crate::statistics::{BlockStatistics, CpuStatistics, MemoryStatistics, NetworkStatistics, Statistics, Traffic};

/// A program to start in a container that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execute {
    pub command: Vec<String>,
    pub streams: Streams,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Streams {
    /// Columns and rows, when they are known.
    Terminal(Option<(u16, u16)>),
    Pipes,
}

/// Such a program, from outside. Whoever drops its parts hangs up.
pub struct Attached {
    pub input: Box<dyn AsyncWrite + Send + Unpin>,
    pub output: Box<dyn AsyncRead + Send + Unpin>,
    /// Standard error, where it is apart.
    pub errors: Option<Box<dyn AsyncRead + Send + Unpin>>,
    pub control: Box<dyn AttachedControl>,
    /// Resolves to the exit code, or to why the program never ran.
    pub ended: Pin<Box<dyn Future<Output = Result<i32, String>> + Send>>,
}

pub trait AttachedControl: Send {
    fn resize(&self, columns: u16, rows: u16);
    fn hang_up(&self);
    fn kill(&self);
}

/// The machine. Every call may run at once with every other, and may be repeated.
#[async_trait]
pub trait Node: Send + Sync + 'static {
    /// The ids of the machine's GPUs.
    fn gpus(&self) -> Vec<String> {
        Vec::new()
    }
    /// A hint that the task's containers will be started soon.
    async fn prepare(&self, task: &Arc<TaskPlan>);
    /// Makes a container's image ready.
    async fn pull(&self, run: &Run) -> Result<Pulled, Failure>;
    /// Makes an image ready that no task needs yet. Whatever a task needs comes first.
    async fn prepull(&self, _image: &PrepullImage) -> Result<(), Failure> {
        Ok(())
    }
    /// Resolves when the process runs.
    async fn start(&self, run: &Run) -> Result<Launched, Failure>;
    /// The image's stop signal, or SIGTERM. Fine when the process has ended.
    async fn stop(&self, run: &Run);
    async fn kill(&self, run: &Run);
    /// Asks for the container's health or readiness: by its command, which has to exit with 0 in time, or by its probe. The error
    /// is for people: one line, and short.
    async fn check_health(&self, run: &Run, purpose: Purpose) -> Result<(), String>;
    /// Starts one more program in a container that runs. The error is for whoever asked.
    async fn execute(&self, _run: &Run, _execute: &Execute) -> Result<Attached, String> {
        Err("this container instance cannot execute commands".to_owned())
    }
    /// What each uses now; nothing of one that does not run. One question for all of them: they are asked together.
    async fn usages(&self, runs: &[Run]) -> Vec<Option<Usage>>;
    /// All that is counted of one that runs, for whoever asks about it alone.
    async fn statistics(&self, _run: &Run) -> Option<Statistics> {
        None
    }
    /// Everything has stopped: gives network and shim back. The directory stays.
    async fn release(&self, task: &Arc<TaskPlan>);
    /// Removes the task's directory.
    async fn remove(&self, task: &Arc<TaskPlan>);
    /// After a restart: what is left of these runs. The tasks that have `ended` have none; their logs go on, and what they wrote stays
    /// until it is removed. Whatever else of ours is found on the machine goes now.
    async fn recover(&self, runs: Vec<Run>, ended: Vec<Arc<TaskPlan>>) -> Vec<(Run, Remains)>;
}
