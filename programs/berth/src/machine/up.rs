//! `berth up`: a control plane and a node, in the foreground, until Ctrl-C.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use model::{ContainerInstanceArn, StopCode};
use state::{Changes, CommitError, Snapshot, transact};

use super::builtin_registry::BuiltInRegistry;
use super::bulk::BulkArgs;
use super::control::Control;
use super::demo;
use super::dirs::{self, DataDir};
use super::leave::Leave;
use super::listen::{self, Auth, TlsArgs};
use super::member::{Member, Membership, SharedRegistry};
use super::pressure::DiskPressure;
use super::retention::RetentionArgs;
use super::slim;
use super::summary::{self, Summary};

#[derive(clap::Args)]
pub struct Args {
    /// Where to answer.
    #[arg(long, value_name = "ADDRESS", default_value = listen::DEFAULT)]
    listen: SocketAddr,
    /// Who may do what.
    #[arg(long, value_enum, default_value = "open")]
    auth: Auth,
    #[command(flatten)]
    tls: TlsArgs,
    #[command(flatten)]
    retention: RetentionArgs,
    #[command(flatten)]
    bulk: BulkArgs,
    /// Let each task of a deployment pull its own image. Else the instances that will run a new deployment begin to pull when it begins.
    #[arg(long)]
    no_prepull: bool,
    /// Where everything is kept.
    #[arg(long, env = "BERTH_DATA_DIR", value_name = "DIR", default_value = dirs::DEFAULT)]
    data_dir: PathBuf,
    #[command(flatten)]
    disk_pressure: DiskPressure,
    /// Load the sample's images and run it as a service, if it is not there yet.
    #[arg(long)]
    demo: bool,
}

/// How long the agent's first connection may take before we say so.
const CONNECT_WITHIN: Duration = Duration::from_secs(30);

pub async fn run(region: String, args: Args) -> anyhow::Result<()> {
    let began = Instant::now();
    let mut leave = Leave::listen()?;
    anyhow::ensure!(rustix::process::geteuid().is_root(), "containers need root: run `sudo berth up`");
    let tls = args.tls.read()?;
    let dir = DataDir::take(&args.data_dir)?;
    let bulk = args.bulk.open(&dir).await?;
    let listener = listen::bind(args.listen, args.auth).await?;
    let (url, port) = (listen::url(&listener)?, listener.local_addr()?.port());
    let mut control = Control::start(&dir, &dir.store(), listener, tls, &region, args.retention.read(), bulk).await?;
    if !args.no_prepull {
        control.plane.prepull_images();
    }
    // Where the blobs are not the node's, it is not the node that makes room.
    let tidy = control.registry.is_shared().then(|| tokio::spawn(control.registry.clone().keep_tidy()));
    demo::ensure_cluster(&url, &region, "default").await?;
    let membership = Membership {
        server: url.clone(),
        cluster: "default".to_owned(),
        region: region.clone(),
        external: false,
        attributes: Default::default(),
        disk_pressure: args.disk_pressure,
        registry: Some(SharedRegistry { blobs: control.blobs.clone(), names: names(&control, port, &region)? }),
    };
    let member = tokio::select! {
        joined = Member::join(&dir, membership) => joined?,
        () = leave.asked() => return Ok(()),
    };
    let connected = tokio::time::timeout(CONNECT_WITHIN, async {
        member.connected().await;
        control.plane.until(|snapshot| takes_tasks(snapshot, member.arn())).await;
    });
    let connected = connected.await;
    anyhow::ensure!(connected.is_ok(), "the agent could not connect to {url} within {} s", CONNECT_WITHIN.as_secs());
    let ready = began.elapsed();
    let demo = match args.demo {
        true => tokio::select! {
            demo = demo::run(&url, &region, &member) => Some(demo?),
            () = leave.asked() => None,
        },
        false => None,
    };
    let mut out = std::io::stdout();
    let snapshot = control.plane.snapshot();
    let summary =
        Summary { url: &url, data_dir: dir.path(), region: &region, ready, demo: demo.as_ref(), snapshot: &snapshot };
    let _ = writeln!(out, "{}", summary::text(&summary));
    tokio::select! {
        () = leave.asked() => {}
        () = slim::program() => {}
    }
    tidy.inspect(tokio::task::JoinHandle::abort);
    let _ = writeln!(out, "\nStopping the tasks; Ctrl-C again leaves at once.");
    tokio::select! {
        () = stop(control, member) => { let _ = writeln!(out, "Everything is stopped. The same data directory brings it back."); }
        () = leave.asked() => { let _ = writeln!(out, "Left at once. What still runs is stopped when Berth comes back."); }
    }
    Ok(())
}

/// The connection is on record, so a task that is asked for now is placed.
fn takes_tasks(snapshot: &Snapshot, instance: &str) -> bool {
    let name = instance.parse::<ContainerInstanceArn>().map(|arn| format!("{}/{}/{}", arn.scope, arn.cluster, arn.id));
    let instance = name.ok().and_then(|name| snapshot.container_instances.get(&name));
    instance.is_some_and(|instance| instance.agent_connected)
}

fn names(control: &Control, port: u16, region: &str) -> anyhow::Result<Arc<BuiltInRegistry>> {
    let default_scope = registry::Scope::new(wire::OPEN_ACCOUNT, region)
        .ok_or_else(|| anyhow::anyhow!("'{region}' is not the name of a region"))?;
    Ok(Arc::new(BuiltInRegistry {
        registry: control.registry.clone(),
        blobs: control.blobs.clone(),
        default_scope,
        port,
    }))
}

/// In this order: nobody starts what is being stopped, every end is on record, and only then the server goes.
async fn stop(control: Control, member: Member) {
    control.plane.pause_services();
    let arn = member.arn().to_owned();
    if let Err(error) = announce(&control, &arn).await {
        tracing::warn!(%error, "why the tasks stop could not be recorded");
    }
    member.stop_tasks().await;
    control.leave().await;
}

/// Writes down why the tasks of this machine are about to end.
async fn announce(control: &Control, instance: &str) -> Result<(), CommitError> {
    let Ok(arn) = instance.parse::<ContainerInstanceArn>() else { return Ok(()) };
    let place = format!("{}/{}/{}", arn.scope, arn.cluster, arn.id);
    let reason = format!("Host container instance ({}) stopped.", arn.id);
    let now = controlplane::now();
    transact(&*control.plane.ledger(), |snapshot: &Snapshot| {
        let mut changes = Changes::new();
        for task in snapshot.tasks.by("live", &place) {
            let mut task = (**task).clone();
            task.request_stop(StopCode::TerminationNotice, &reason, now);
            changes.put(snapshot, &task);
        }
        Ok((changes, ()))
    })
    .await
}
