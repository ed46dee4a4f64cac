//! One container's log stream, and how it comes to be.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::drivers::Destination;
use crate::limits::{ANSWER_WAIT, DELIVERIES_MAX, KNOWN_STREAMS_MAX, OPEN_PAUSE};
use crate::recent::Recent;
use crate::sink::{CreateError, Event, Fault, LogSink, SinkError};

/// A sink, and how many batches may be on their way to it.
pub(crate) struct Outlet {
    pub sink: Arc<dyn LogSink>,
    pub deliveries: Arc<Semaphore>,
}

impl Outlet {
    pub fn new(sink: Arc<dyn LogSink>) -> Outlet {
        Outlet { sink, deliveries: Arc::new(Semaphore::new(DELIVERIES_MAX)) }
    }
}

type StreamKey = (Destination, String, String);

/// Streams that were there when we last looked: a container that is started again asks nobody.
pub(crate) struct KnownStreams(Mutex<Recent<StreamKey, ()>>);

impl KnownStreams {
    pub fn new() -> KnownStreams {
        KnownStreams(Mutex::new(Recent::new(KNOWN_STREAMS_MAX)))
    }

    fn with<T>(&self, act: impl FnOnce(&mut Recent<StreamKey, ()>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

pub(crate) struct LogStream {
    pub destination: Destination,
    pub group: String,
    pub name: String,
    /// Whether the options allow to make the one and the other.
    pub create_group: bool,
    pub create_stream: bool,
    pub outlet: Arc<Outlet>,
    pub known: Arc<KnownStreams>,
}

#[derive(Clone, Copy)]
enum Create {
    Group,
    Stream,
}

impl LogStream {
    /// Makes the stream, unless it is known to exist, and its group if that is allowed and needed.
    ///
    /// The stream is tried first: almost always its group exists, and this is on the way of a container's start. What
    /// may pass is tried `attempts` times.
    pub async fn create(&self, attempts: u32) -> Result<(), CreateError> {
        if !self.create_stream || self.known.with(|known| known.get(&self.key()).is_some()) {
            return Ok(());
        }
        let mut created = self.try_create(Create::Stream, attempts).await;
        if self.create_group && created.as_ref().is_err_and(|error| error.fault() == Fault::Missing) {
            self.try_create(Create::Group, attempts).await.map_err(CreateError::Group)?;
            created = self.try_create(Create::Stream, attempts).await;
        }
        created.map_err(CreateError::Stream)?;
        self.known.with(|known| known.insert(self.key(), ()));
        Ok(())
    }

    /// Makes the stream again, which somebody has deleted.
    pub async fn recreate(&self) -> Result<(), CreateError> {
        self.known.with(|known| known.remove(&self.key()));
        self.create(1).await
    }

    pub async fn put(&self, events: &[Event]) -> Result<(), SinkError> {
        let put = answered(self.outlet.sink.put(&self.group, &self.name, events)).await;
        done_is_done(put)
    }

    /// The events from one time to another, both included, each with the time at which it arrived.
    pub async fn stored(&self, from_ms: i64, to_ms: i64) -> Result<Vec<(i64, Event)>, SinkError> {
        answered(self.outlet.sink.stored(&self.group, &self.name, from_ms, to_ms)).await
    }

    async fn try_create(&self, what: Create, attempts: u32) -> Result<(), SinkError> {
        let mut pause = OPEN_PAUSE;
        for _ in 1..attempts {
            match self.create_once(what).await {
                Err(error) if error.fault() == Fault::Passing => pause = slept(pause).await,
                decided => return decided,
            }
        }
        self.create_once(what).await
    }

    async fn create_once(&self, what: Create) -> Result<(), SinkError> {
        let sink = &self.outlet.sink;
        let created = match what {
            Create::Group => answered(sink.create_group(&self.group)).await,
            Create::Stream => answered(sink.create_stream(&self.group, &self.name)).await,
        };
        done_is_done(created)
    }

    fn key(&self) -> StreamKey {
        (self.destination.clone(), self.group.clone(), self.name.clone())
    }
}

async fn slept(pause: Duration) -> Duration {
    tokio::time::sleep(pause).await;
    pause * 2
}

/// A sink that never answers is one that is out of reach.
async fn answered<T>(call: impl Future<Output = Result<T, SinkError>>) -> Result<T, SinkError> {
    match tokio::time::timeout(ANSWER_WAIT, call).await {
        Ok(answer) => answer,
        Err(_) => Err(SinkError::Unreachable(format!("no answer within {} s", ANSWER_WAIT.as_secs()))),
    }
}

fn done_is_done(answer: Result<(), SinkError>) -> Result<(), SinkError> {
    match answer {
        Err(error) if error.fault() == Fault::Done => Ok(()),
        answer => answer,
    }
}
