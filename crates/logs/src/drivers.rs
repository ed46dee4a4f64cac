//! Opening a container's log driver, and what was opened.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use runtime::Ring;
use tokio::sync::Semaphore;

use crate::awslogs::{AwslogsOptions, Courier, KnownStreams, Outlet};
use crate::bell::Bell;
use crate::fluentd::{self, Fluentd, FluentdOptions};
use crate::follow::{self, Following};
use crate::gelf::{Gelf, GelfOptions};
use crate::journald::{self, Journald};
use crate::json_file::{JsonFile, JsonFileError, JsonFileOptions};
use crate::limits::{BUFFER_BYTES, BUFFER_BYTES_MAX, DELIVERIES_MAX, OPEN_ATTEMPTS, PEERS_MAX, SINKS_MAX};
use crate::options::{self, Mode, OptionError};
use crate::post::{self, Connects, Postman, Protocol, SendError};
use crate::recent::Recent;
use crate::sink::{CreateError, LogSink, SinkError};
use crate::splunk::{self, Splunk, SplunkError, SplunkOptions};
use crate::subject::{AttributeError, Subject};
use crate::syslog::{Syslog, SyslogOptions};
use crate::tag::{self, TagError};
use crate::tls::TlsError;

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
    #[error("{0}")]
    Splunk(SplunkError),
    #[error("{0}")]
    Tag(TagError),
    #[error("{0}")]
    Attributes(AttributeError),
    #[error("{0}")]
    Tls(TlsError),
    #[error("x509: certificate is not valid for any name: {0}")]
    ServerName(String),
    #[error("{0}")]
    Connect(SendError),
}

impl From<fluentd::Unfit> for StartError {
    fn from(unfit: fluentd::Unfit) -> StartError {
        match unfit {
            fluentd::Unfit::Tls(error) => StartError::Tls(error),
            fluentd::Unfit::Attributes(error) => StartError::Attributes(error),
        }
    }
}

impl From<splunk::Unfit> for StartError {
    fn from(unfit: splunk::Unfit) -> StartError {
        match unfit {
            splunk::Unfit::Tls(error) => StartError::Tls(error),
            splunk::Unfit::Attributes(error) => StartError::Attributes(error),
            splunk::Unfit::Name(name) => StartError::ServerName(name),
        }
    }
}

type Sinks = Box<dyn Fn(&Destination) -> Result<Arc<dyn LogSink>, SinkError> + Send + Sync>;

/// The log drivers of a node.
pub struct Drivers {
    sinks: Sinks,
    outlets: Mutex<Recent<Destination, Arc<Outlet>>>,
    known: Arc<KnownStreams>,
    file_deliveries: Arc<Semaphore>,
    /// By driver and address.
    peers: Mutex<Recent<String, Arc<Semaphore>>>,
    journal: PathBuf,
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
            peers: Mutex::new(Recent::new(PEERS_MAX)),
            journal: PathBuf::from(journald::SOCKET),
            bell: Arc::new(Bell::new()),
        }
    }

    /// A journal that listens elsewhere.
    pub fn with_journal(self, socket: PathBuf) -> Drivers {
        Drivers { journal: socket, ..self }
    }

    /// Checks the options, makes group and stream, or connects to a peer. An error fails the container's start, in Docker's
    /// words.
    ///
    /// One round trip at most for a group that exists, none for a stream that was opened before, and none in
    /// non-blocking mode, whose containers start in any case: there the stream is made while the container runs. May be
    /// called concurrently with itself and with everything else.
    pub async fn open(
        &self,
        driver: &str,
        options: &BTreeMap<String, String>,
        subject: &Subject,
    ) -> Result<Driver, DriverError> {
        let mut driver = self.understand(driver, options, subject)?;
        match &mut driver.kind {
            Kind::Awslogs(courier) if driver.waits => {
                let made = courier.make(OPEN_ATTEMPTS).await;
                made.map_err(|error| DriverError::Start(StartError::Create(error)))?;
            }
            Kind::Post { postman, .. } if driver.waits => {
                let connected = postman.connect().await;
                connected.map_err(|error| DriverError::Start(StartError::Connect(error)))?;
            }
            _ => {}
        }
        Ok(driver)
    }

    /// The driver of a container that runs already, for an agent that comes back. Only the options are checked: that a
    /// sink is out of reach must not keep anybody from following.
    pub fn resume(
        &self,
        driver: &str,
        options: &BTreeMap<String, String>,
        subject: &Subject,
    ) -> Result<Driver, DriverError> {
        self.understand(driver, options, subject)
    }

    fn understand(
        &self,
        name: &str,
        options: &BTreeMap<String, String>,
        subject: &Subject,
    ) -> Result<Driver, DriverError> {
        if name == "none" {
            return Ok(self.driver(Kind::None, Ring::default(), false));
        }
        let mut options = options.clone();
        let mode = options::common(&mut options).map_err(DriverError::Option)?;
        let (waits, ring) = (mode == Mode::Blocking, mode.ring());
        let begun = |error| DriverError::Start(error);
        let tag = || tag::expand(options.get("tag").map(String::as_str), subject).map_err(StartError::Tag);
        let kind = match name {
            "awslogs" => {
                AwslogsOptions::check(&options).map_err(DriverError::Option)?;
                let options = AwslogsOptions::parse(&options).map_err(DriverError::Start)?;
                let outlet = self.outlet(&options.destination).map_err(DriverError::Start)?;
                Kind::Awslogs(Box::new(Courier::new(options, outlet, self.known.clone())))
            }
            "json-file" => {
                JsonFileOptions::check(&options).map_err(DriverError::Option)?;
                let file = JsonFileOptions::parse(&options);
                let file = file.map_err(|error| begun(StartError::JsonFile(error)))?;
                let mut attributes = subject
                    .attributes(&options, str::to_owned)
                    .map_err(|error| begun(StartError::Attributes(error)))?;
                if options.get("tag").is_some_and(|tag| !tag.is_empty()) {
                    attributes.insert("tag".to_owned(), tag().map_err(begun)?);
                }
                Kind::JsonFile { options: file, attributes, deliveries: self.file_deliveries.clone() }
            }
            "syslog" => {
                let parsed = SyslogOptions::parse(&options).map_err(DriverError::Option)?;
                let peer = format!("{:?}", parsed.address);
                let syslog = Syslog::new(parsed, tag().map_err(begun)?, subject);
                self.post("syslog", &peer, syslog.map_err(|error| begun(StartError::Tls(error)))?)
            }
            "journald" => {
                journald::check(&options).map_err(DriverError::Option)?;
                let journald = Journald::new(&self.journal, &options, &tag().map_err(begun)?, subject);
                self.post("journald", "", journald.map_err(|error| begun(StartError::Attributes(error)))?)
            }
            "gelf" => {
                let parsed = GelfOptions::parse(&options).map_err(DriverError::Option)?;
                let gelf = Gelf::new(parsed, &options, &tag().map_err(begun)?, subject);
                let gelf = gelf.map_err(|error| begun(StartError::Attributes(error)))?;
                self.post("gelf", options.get("gelf-address").map_or("", String::as_str), gelf)
            }
            "fluentd" => {
                let parsed = FluentdOptions::parse(&options).map_err(DriverError::Option)?;
                let (is_async, limit) = (parsed.is_async, parsed.buffer_limit);
                let peer = format!("{:?}", parsed.address);
                let fluentd = Fluentd::new(parsed, &options, tag().map_err(begun)?, subject);
                let kind = self.post("fluentd", &peer, fluentd.map_err(|unfit| begun(unfit.into()))?);
                if is_async && waits {
                    // The container neither waits for its peer nor is held up by it.
                    let bytes = limit.unwrap_or(BUFFER_BYTES).clamp(BUFFER_BYTES, BUFFER_BYTES_MAX);
                    return Ok(self.driver(kind, Mode::NonBlocking { buffer_bytes: bytes }.ring(), false));
                }
                kind
            }
            "splunk" => {
                SplunkOptions::check(&options).map_err(DriverError::Option)?;
                let parsed = SplunkOptions::parse(&options).map_err(|error| begun(StartError::Splunk(error)))?;
                let peer = parsed.url.to_string();
                let splunk = Splunk::new(parsed, &options, tag().map_err(begun)?, subject);
                self.post("splunk", &peer, splunk.map_err(|unfit| begun(unfit.into()))?)
            }
            other => return Err(DriverError::Unknown(other.to_owned())),
        };
        Ok(self.driver(kind, ring, waits))
    }

    fn driver(&self, kind: Kind, ring: Ring, waits: bool) -> Driver {
        Driver { kind, ring, waits, bell: self.bell.clone() }
    }

    fn post(&self, driver: &'static str, peer: &str, protocol: impl Protocol + 'static) -> Kind {
        let mut peers = self.peers.lock().unwrap_or_else(PoisonError::into_inner);
        let key = format!("{driver} {peer}");
        let deliveries = peers.get(&key).cloned().unwrap_or_else(post::deliveries);
        peers.insert(key, deliveries.clone());
        Kind::Post { postman: Box::new(Postman::new(driver, protocol)), deliveries }
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
    /// A start waits for the stream or the peer.
    waits: bool,
    bell: Arc<Bell>,
}

enum Kind {
    None,
    JsonFile { options: JsonFileOptions, attributes: BTreeMap<String, String>, deliveries: Arc<Semaphore> },
    Awslogs(Box<Courier>),
    Post { postman: Box<dyn Connects>, deliveries: Arc<Semaphore> },
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
            Kind::JsonFile { options, attributes, deliveries } => {
                let file = JsonFile::new(&container_dir, options, &attributes);
                follow::follow(container_dir, Box::new(file), deliveries, &self.bell)
            }
            Kind::Awslogs(courier) => {
                let deliveries = courier.deliveries();
                follow::follow(container_dir, courier, deliveries, &self.bell)
            }
            Kind::Post { postman, deliveries } => follow::follow(container_dir, postman, deliveries, &self.bell),
        }
    }
}
