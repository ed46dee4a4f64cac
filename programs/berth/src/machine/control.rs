//! A control plane: its store, its services, its registry, on one port.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use blobs::{BlobStore, Blobs};
use controlplane::{ControlPlane, Retention, Served, SystemClock, Tls};
use log_store::LogStore;
use registry::Registry;
use service_ecr::EcrService;
use service_ecs::{EcsService, Environment};
use service_logs::LogsService;
use service_s3::S3Service;
use service_sts::StsService;
use stdx::{Ids, Timestamp};
use store_embedded::EmbeddedEngine;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use wire::{AuthMode, Gateway};

use super::bulk::Bulk;
use super::dirs::DataDir;
use super::upstreams::CacheRules;

/// How often logs look for events that retention has outlived.
const EXPIRE_EVERY: Duration = Duration::from_secs(3600);

/// How often lifecycle policies look for images whose time has come, beside whenever one is put. ECR takes up to a day.
const EXPIRE_IMAGES_EVERY: Duration = Duration::from_secs(600);

/// How often bytes that no object has any more are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(900);

/// A control plane that answers.
pub struct Control {
    pub plane: ControlPlane,
    pub registry: Arc<Registry>,
    /// The blobs of a node in this process; also the registry's, unless those are in an object store.
    pub blobs: Blobs,
    served: Served,
    expiry: Vec<JoinHandle<()>>,
}

/// The wall clock and fresh ids.
struct World;

impl Environment for World {
    fn now(&self) -> Timestamp {
        controlplane::now()
    }

    fn ids(&self) -> Ids {
        controlplane::seed()
    }
}

impl Control {
    /// Returns when it is ready to answer.
    pub async fn start(
        dir: &DataDir,
        store: &std::path::Path,
        listener: TcpListener,
        tls: Option<Tls>,
        region: &str,
        retention: Retention,
        bulk: Option<Bulk>,
    ) -> anyhow::Result<Control> {
        let engine = EmbeddedEngine::open(store, store_embedded::Options::default())
            .with_context(|| format!("cannot open the store {}", store.display()))?;
        let plane = ControlPlane::start_at(Arc::new(engine), AuthMode::Open, Arc::new(SystemClock), retention)
            .await
            .with_context(|| format!("cannot read the records in {}", store.display()))?;
        let blobs = Blobs::open(dir.blobs()).context("cannot open the image blobs")?;
        let default_scope = registry::Scope::new(wire::OPEN_ACCOUNT, region)
            .with_context(|| format!("'{region}' is not the name of a region"))?;
        let config = registry::Config { default_scope, ..registry::Config::default() };
        let s3_local = Blobs::open(dir.s3()).context("cannot open the objects of S3")?;
        let mut s3_blobs = BlobStore::from(s3_local.clone());
        let (registry, log_store) = match bulk {
            None => (Registry::open(dir.registry(), blobs.clone(), config), LogStore::open(dir.logs())),
            Some(Bulk { registry, cache_bytes_max, logs, s3 }) => {
                s3_blobs = BlobStore::in_objects(s3_local, s3, cache_bytes_max);
                let dir_of_registry = dir.registry();
                // Its calls wait for the object store.
                let opened = tokio::task::spawn_blocking(move || {
                    Registry::open_in(dir_of_registry, registry, cache_bytes_max, config)
                });
                (opened.await?, LogStore::open_in(dir.logs(), logs, log_store::Options::default()))
            }
        };
        let registry = registry.context("cannot open the registry")?;
        let registry = Arc::new(registry.with_upstreams(Arc::new(CacheRules::default())));
        let log_store = Arc::new(log_store.context("cannot open the logs")?);
        let logs = Arc::new(LogsService::new(log_store, plane.ledger()));

        let s3 = Arc::new(S3Service::new(
            s3_blobs,
            plane.ledger(),
            Arc::new(controlplane::now),
            Arc::new(controlplane::seed),
        ));

        let ecs = EcsService::new(plane.ledger(), Arc::new(World)).with_exec(plane.exec());
        let ecr = EcrService::new(registry.clone());
        let gateway = Gateway::new(
            vec![
                Arc::new(api_ecs::Router(Arc::new(ecs))),
                ecr.clone().routed(),
                logs.clone().routed(),
                s3.clone().routed(),
                StsService::routed(),
            ],
            AuthMode::Open,
        );
        let router = plane.router(Arc::new(gateway), registry::router(registry.clone()));
        let served = match tls {
            Some(tls) => controlplane::serve_tls(listener, tls, router).context("cannot answer over TLS")?,
            None => controlplane::serve(listener, router),
        };
        let expiry = vec![tokio::spawn(expire(logs)), tokio::spawn(expire_images(ecr)), tokio::spawn(sweep(s3))];
        Ok(Control { plane, registry, blobs, served, expiry })
    }

    /// Answers what is under way, and ends.
    pub async fn leave(self) {
        self.expiry.iter().for_each(JoinHandle::abort);
        self.served.leave().await;
    }
}

async fn expire(logs: Arc<LogsService>) {
    loop {
        tokio::time::sleep(EXPIRE_EVERY).await;
        if let Err(error) = logs.expire().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "old log events could not be removed");
        }
    }
}

async fn sweep(s3: Arc<S3Service>) {
    loop {
        tokio::time::sleep(SWEEP_EVERY).await;
        if let Err(error) = s3.sweep().await {
            tracing::warn!(error = &error as &dyn std::error::Error, "bytes that no object has could not be removed");
        }
    }
}

async fn expire_images(ecr: EcrService) {
    if let Err(error) = ecr.finish_replication().await {
        tracing::warn!(error = &error as &dyn std::error::Error, "the copying of images could not be ended");
    }
    loop {
        if let Err(error) = ecr.apply_lifecycle_policies(controlplane::now()).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "lifecycle policies could not be applied");
        }
        // Whichever comes first: the time, or a policy.
        let _ = tokio::time::timeout(EXPIRE_IMAGES_EVERY, ecr.lifecycle_policy_put()).await;
    }
}
