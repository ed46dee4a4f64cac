//! From lines to a log stream.

use std::sync::Arc;
use std::time::Instant;

use async_trait::async_trait;
use runtime::{LogLine, LogPosition};
use tokio::sync::Semaphore;

use crate::awslogs::assemble::{Assembler, Multiline};
use crate::awslogs::batch::Batch;
use crate::awslogs::options::AwslogsOptions;
use crate::awslogs::stream::{KnownStreams, LogStream, Outlet};
use crate::follow::{Carrier, Delivery, Seldom};
use crate::sink::{CreateError, Fault, SinkError, now_ms};
use crate::underway::Mark;

/// Carries one container's events to its log stream.
pub(crate) struct Courier {
    stream: LogStream,
    assembler: Assembler,
    batch: Batch,
    /// The stream exists as far as we know, or there is no point in trying further.
    made: bool,
    dropped: Dropped,
}

/// Why a batch is not there.
enum Setback {
    Put(SinkError),
    Create(CreateError),
}

impl Setback {
    fn cause(&self) -> &SinkError {
        match self {
            Setback::Put(error) => error,
            Setback::Create(error) => error.cause(),
        }
    }

    fn text(&self) -> String {
        match self {
            Setback::Put(error) => format!("failed to put log events: {error}"),
            Setback::Create(error) => error.to_string(),
        }
    }
}

impl Courier {
    /// Nobody is asked yet whether the stream exists.
    pub fn new(options: AwslogsOptions, outlet: Arc<Outlet>, known: Arc<KnownStreams>) -> Courier {
        let multiline = options.multiline.map(|(pattern, wait)| Multiline::new(pattern, wait));
        let stream = LogStream {
            destination: options.destination,
            group: options.group,
            name: options.stream,
            create_group: options.create_group,
            create_stream: options.create_stream,
            outlet,
            known,
        };
        Courier {
            stream,
            assembler: Assembler::new(multiline),
            batch: Batch::default(),
            made: false,
            dropped: Dropped::default(),
        }
    }

    /// How many batches may be on their way to where this one's go.
    pub fn deliveries(&self) -> Arc<Semaphore> {
        self.stream.outlet.deliveries.clone()
    }

    /// Makes the stream.
    pub async fn make(&mut self, attempts: u32) -> Result<(), CreateError> {
        if !self.made {
            self.stream.create(attempts).await?;
            self.made = true;
        }
        Ok(())
    }

    fn load(&mut self) {
        while let Some(event) = self.assembler.first_ready()
            && self.batch.fits(event)
            && let Some(event) = self.assembler.take_ready()
        {
            self.batch.push(event);
        }
    }

    /// Puts the batch; a stream that is missing is made again, and its group, if the options allow it.
    async fn put(&mut self) -> Result<(), Setback> {
        let events = self.batch.in_order();
        if events.is_empty() {
            return Ok(());
        }
        match self.stream.put(events).await {
            Err(error) if error.fault() == Fault::Missing && self.stream.create_stream => {
                self.stream.recreate().await.map_err(Setback::Create)?;
                tracing::info!(group = self.stream.group, stream = self.stream.name, "made a deleted log stream again");
                self.stream.put(events).await.map_err(Setback::Put)
            }
            put => put.map_err(Setback::Put),
        }
    }
}

#[async_trait]
impl Carrier for Courier {
    fn take(&mut self, line: LogLine, start: LogPosition, now: Instant) {
        self.assembler.take(line, start, now);
        self.load();
    }

    fn rest(&mut self, now: Instant) {
        self.assembler.rest(now);
        self.load();
    }

    fn finish(&mut self) {
        self.assembler.finish();
        self.load();
    }

    fn is_full(&self) -> bool {
        self.assembler.first_ready().is_some()
    }

    fn has_cargo(&self) -> bool {
        !self.made || self.batch.len() > 0
    }

    fn due(&self) -> Option<Instant> {
        // A stream is there before its first line.
        if self.made { self.assembler.due() } else { Some(Instant::now()) }
    }

    fn resume_at(&self, read: LogPosition) -> LogPosition {
        self.assembler.resume_at(read)
    }

    async fn deliver(&mut self, ended: bool) -> Delivery {
        let setback = match self.make(1).await {
            // A non-blocking container runs without its stream, and that is tried again like what may pass.
            Err(error) if !ended => return Delivery::Later { reason: error.to_string(), unsure: false },
            Err(error) => Some(Setback::Create(error)),
            Ok(()) => self.put().await.err(),
        };
        if let Some(setback) = setback {
            if setback.cause().fault() == Fault::Passing {
                let unsure = matches!(setback, Setback::Put(SinkError::Unreachable(_)));
                return Delivery::Later { reason: setback.text(), unsure };
            }
            self.made = true;
            self.dropped.count(&self.stream, self.batch.len(), &setback);
        }
        self.batch.clear();
        self.load();
        Delivery::Done
    }

    fn forget(&mut self) {
        self.assembler.forget();
        self.batch.clear();
    }

    fn mark(&mut self) -> Option<Mark> {
        Mark::of(self.batch.in_order(), now_ms())
    }

    async fn has_arrived(&mut self, mark: &Mark) -> Result<bool, String> {
        match self.stream.stored(mark.first_ms, mark.last_ms).await {
            Ok(stored) => Ok(mark.is_among(&stored)),
            Err(error) if error.fault() == Fault::Passing => Err(format!("failed to look for log events: {error}")),
            // Who may not look delivers once more: twice is better than not at all.
            Err(error) => {
                tracing::warn!(group = self.stream.group, %error, "whether log events arrived cannot be seen");
                Ok(false)
            }
        }
    }
}

impl Drop for Courier {
    fn drop(&mut self) {
        if self.dropped.events > 0 {
            let (group, stream, dropped) = (&self.stream.group, &self.stream.name, self.dropped.events);
            tracing::warn!(group, stream, dropped, "log events were dropped in all");
        }
    }
}

/// Events that no retry could have saved. They are counted, and told once in a while.
#[derive(Default)]
struct Dropped {
    events: u64,
    told: Seldom,
}

impl Dropped {
    fn count(&mut self, stream: &LogStream, events: usize, setback: &Setback) {
        self.events += events as u64;
        if self.events > 0 && self.told.may() {
            let (group, stream, dropped) = (&stream.group, &stream.name, self.events);
            tracing::warn!(group, stream, dropped, error = setback.text(), "dropped log events that were refused");
        }
    }
}
