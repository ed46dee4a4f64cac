//! The service as the front door sees it.

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use api_logs::{Error, Router};
use log_store::{ChangeError, LogStore, Page, Query, ReadError};
use shape::{Service, Timestamp};
use state::Ledger;

use crate::filters::Patterns;
use crate::live::LiveTails;
use crate::queries::Queries;
use crate::refusals::{self, broken};
use crate::sinks::{Deliveries, MetricSink, NoDestinations, NoMetrics};

pub(crate) type Clock = Arc<dyn Fn() -> Timestamp + Send + Sync>;

/// CloudWatch Logs over one log store, with its filters and definitions among the records of a ledger. Calls may be
/// concurrent.
pub struct LogsService {
    pub(crate) store: Arc<LogStore>,
    pub(crate) ledger: Arc<dyn Ledger>,
    pub(crate) clock: Clock,
    pub(crate) queries: Queries,
    pub(crate) live: Arc<LiveTails>,
    pub(crate) patterns: Patterns,
    pub(crate) metrics: Arc<dyn MetricSink>,
    pub(crate) deliveries: Arc<dyn Deliveries>,
}

impl LogsService {
    pub fn new(store: Arc<LogStore>, ledger: Arc<dyn Ledger>) -> LogsService {
        LogsService {
            store,
            ledger,
            clock: Arc::new(wall_clock),
            queries: Queries::new(),
            live: Arc::default(),
            patterns: Patterns::default(),
            metrics: Arc::new(NoMetrics),
            deliveries: Arc::new(NoDestinations),
        }
    }

    /// The service with a clock of the caller's.
    pub fn with_clock(self, clock: Arc<dyn Fn() -> Timestamp + Send + Sync>) -> LogsService {
        LogsService { clock, ..self }
    }

    /// The service with somebody who keeps the values of metric filters.
    pub fn with_metrics(self, metrics: Arc<dyn MetricSink>) -> LogsService {
        LogsService { metrics, ..self }
    }

    /// The service with somebody who takes what subscription filters deliver.
    pub fn with_deliveries(self, deliveries: Arc<dyn Deliveries>) -> LogsService {
        LogsService { deliveries, ..self }
    }

    /// What `wire::Gateway` takes.
    pub fn routed(self: Arc<Self>) -> Arc<dyn Service> {
        Arc::new(Router(self))
    }

    /// Gives back the space of events that retention has outlived. They are invisible long before; once an hour will do.
    pub async fn expire(&self) -> Result<(), ChangeError> {
        self.store.expire(self.now()).await
    }

    pub(crate) fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Reads where blocking is allowed.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        read: impl FnOnce(&LogStore) -> Result<T, ReadError> + Send + 'static,
    ) -> Result<T, Error> {
        let store = self.store.clone();
        let done = tokio::task::spawn_blocking(move || read(&store)).await;
        done.map_err(broken)?.map_err(refusals::read)
    }

    pub(crate) async fn page(
        &self,
        query: Query,
        accept: impl Fn(&str) -> bool + Send + 'static,
    ) -> Result<Page, Error> {
        self.blocking(move |store| store.read(&query, &accept)).await
    }
}

fn wall_clock() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
