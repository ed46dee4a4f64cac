//! Opening a container's log driver, and what was opened.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use runtime::Ring;
use tokio::sync::Semaphore;

use crate::awslogs::{AwslogsOptions, Courier, KnownStreams, Outlet};
use crate::bell::Bell;
use crate::follow::{self, Following};
use crate::json_file::{JsonFile, JsonFileError, JsonFileOptions};
use crate::limits::{DELIVERIES_MAX, OPEN_ATTEMPTS, SINKS_MAX};
use crate::options::{self, Mode, OptionError};
use crate::recent::Recent;
use crate::sink::{CreateError, LogSink, SinkError};

/// Where an `awslogs` driver wants its events to go.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Destination {
    /// `awslogs-region`.
    pub region: String,
    /// `awslogs-endpoint`: another URL than the node's own.
    pub endpoint: Option<String>,
    /// `awslogs-credentials-endpoint`: where the task's execution role has its keys, a path at 169.254.170.2.
    pub credentials_endpoint: Option<String>,
}

/// Why a container has no log driver, in Docker's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DriverError {
    #[error("logger: no log driver named '{0}' is registered")]
    Unknown(String),
    #[error("{0}")]
    Option(OptionError),
    #[error("failed to initialize logging driver: {0}")]
    Start(StartError),
}

impl DriverError {
    /// Docker finds this one when it creates the container, and the others when it starts it.
    pub fn is_found_at_creation(&self) -> bool {
        !matches!(self, DriverError::Start(_))
    }
}

/// What Docker finds only when it starts a container.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StartError {
    #[error("cannot determine region for awslogs driver")]
    Region,
    #[error("{0}")]
    Pattern(crate::awslogs::PatternError),
    #[error("could not initialize AWS SDK config: {0}")]
    Sink(SinkError),
    #[error("{0}")]
    Create(CreateError),
    #[error("{0}")]
    JsonFile(JsonFileError),
}

type Sinks = Box<dyn Fn(&Destination) -> Result<Arc<dyn LogSink>, SinkError> + Send + Sync>;

/// The log drivers of a node: `awslogs`, `json-file`, `none`.
pub struct Drivers {
    sinks: Sinks,
    outlets: Mutex<Recent<Destination, Arc<Outlet>>>,
    known: Arc<KnownStreams>,
    file_deliveries: Arc<Semaphore>,
    bell: Arc<Bell>,
}

impl Drivers {
    /// Every `awslogs` driver of a region goes to the same sink, which `sinks` is asked for once in a while.
    pub fn new(sinks: impl Fn(&str) -> Arc<dyn LogSink> + Send + Sync + 'static) -> Drivers {
        Drivers::by_destination(move |destination| Ok(sinks(&destination.region)))
    }

    /// The same for a node that honours `awslogs-endpoint` and `awslogs-credentials-endpoint`. A sink is kept and
    /// shared, so it must fetch new credentials by itself.
    pub fn by_destination(
        sinks: impl Fn(&Destination) -> Result<Arc<dyn LogSink>, SinkError> + Send + Sync + 'static,
    ) -> Drivers {
        Drivers {
            sinks: Box::new(sinks),
            outlets: Mutex::new(Recent::new(SINKS_MAX)),
            known: Arc::new(KnownStreams::new()),
            file_deliveries: Arc::new(Semaphore::new(DELIVERIES_MAX)),
            bell: Arc::new(Bell::new()),
        }
    }

    /// Checks the options, makes group and stream. An error fails the container's start, in Docker's words.
    ///
    /// One round trip at most for a group that exists, none for a stream that was opened before, and none in
    /// non-blocking mode, whose containers start in any case: there the stream is made while the container runs. May be
    /// called concurrently with itself and with everything else.
    pub async fn open(&self, driver: &str, options: &BTreeMap<String, String>) -> Result<Driver, DriverError> {
        let (mut driver, mode) = self.understand(driver, options)?;
        if let Kind::Awslogs(courier) = &mut driver.kind
            && mode == Mode::Blocking
        {
            let made = courier.make(OPEN_ATTEMPTS).await;
            made.map_err(|error| DriverError::Start(StartError::Create(error)))?;
        }
        Ok(driver)
    }

    /// The driver of a container that runs already, for an agent that comes back. Only the options are checked: that a
    /// sink is out of reach must not keep anybody from following.
    pub fn resume(&self, driver: &str, options: &BTreeMap<String, String>) -> Result<Driver, DriverError> {
        self.understand(driver, options).map(|(driver, _)| driver)
    }

    fn understand(&self, name: &str, options: &BTreeMap<String, String>) -> Result<(Driver, Mode), DriverError> {
        if name == "none" {
            return Ok((self.driver(Kind::None, Ring::default()), Mode::Blocking));
        }
        let mut options = options.clone();
        let mode = options::common(&mut options).map_err(DriverError::Option)?;
        let kind = match name {
            "awslogs" => {
                AwslogsOptions::check(&options).map_err(DriverError::Option)?;
                let options = AwslogsOptions::parse(&options).map_err(DriverError::Start)?;
                let outlet = self.outlet(&options.destination).map_err(DriverError::Start)?;
                Kind::Awslogs(Box::new(Courier::new(options, outlet, self.known.clone())))
            }
            "json-file" => {
                JsonFileOptions::check(&options).map_err(DriverError::Option)?;
                let options = JsonFileOptions::parse(&options);
                let options = options.map_err(|error| DriverError::Start(StartError::JsonFile(error)))?;
                Kind::JsonFile { options, deliveries: self.file_deliveries.clone() }
            }
            other => return Err(DriverError::Unknown(other.to_owned())),
        };
        Ok((self.driver(kind, mode.ring()), mode))
    }

    fn driver(&self, kind: Kind, ring: Ring) -> Driver {
        Driver { kind, ring, bell: self.bell.clone() }
    }

    fn outlet(&self, destination: &Destination) -> Result<Arc<Outlet>, StartError> {
        let outlets = || self.outlets.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(outlet) = outlets().get(destination) {
            return Ok(outlet.clone());
        }
        // Not under the lock: the sink is somebody else's code. Of two at once the later stays.
        let outlet = Arc::new(Outlet::new((self.sinks)(destination).map_err(StartError::Sink)?));
        outlets().insert(destination.clone(), outlet.clone());
        Ok(outlet)
    }
}

/// An open driver of one container.
pub struct Driver {
    kind: Kind,
    ring: Ring,
    bell: Arc<Bell>,
}

enum Kind {
    None,
    JsonFile { options: JsonFileOptions, deliveries: Arc<Semaphore> },
    Awslogs(Box<Courier>),
}

impl Driver {
    /// What the container's shim is told when it starts the container.
    pub fn ring(&self) -> Ring {
        self.ring
    }

    /// Follows one container's directory until it has ended and all is delivered; resumes where an earlier process left
    /// off. The directory need not exist yet. To be called in a tokio runtime.
    ///
    /// A container that never runs never ends: whoever hears of that calls [`Following::stop`].
    pub fn follow(self, container_dir: PathBuf) -> Following {
        match self.kind {
            Kind::None => Following::nothing(),
            Kind::JsonFile { options, deliveries } => {
                let file = JsonFile::new(&container_dir, options);
                follow::follow(container_dir, Box::new(file), deliveries, &self.bell)
            }
            Kind::Awslogs(courier) => {
                let deliveries = courier.deliveries();
                follow::follow(container_dir, courier, deliveries, &self.bell)
            }
        }
    }
}
