//! `berth agent`: a node of a control plane that is somewhere else.

use std::io::Write;
use std::path::PathBuf;

use super::dirs::{self, DataDir};
use super::leave::Leave;
use super::member::{Member, Membership};
use super::pressure::DiskPressure;
use super::slim;

#[derive(clap::Args)]
pub struct Args {
    /// The control plane.
    #[arg(long, env = "ECS_BACKEND_HOST", value_name = "URL", default_value = "http://127.0.0.1:4566")]
    server: String,
    /// The cluster to join; it must exist.
    #[arg(long, env = "ECS_CLUSTER", value_name = "NAME", default_value = "default")]
    cluster: String,
    /// Join as an external instance, as ECS Anywhere does.
    #[arg(long, env = "ECS_EXTERNAL")]
    external: bool,
    /// Attributes for placement: `rack=7`. May be repeated.
    #[arg(long = "attribute", value_name = "NAME=VALUE", value_parser = attribute)]
    attributes: Vec<(String, String)>,
    /// Where the node keeps everything; one directory for each node of a machine.
    #[arg(long, env = "BERTH_DATA_DIR", value_name = "DIR", default_value = dirs::DEFAULT)]
    data_dir: PathBuf,
    #[command(flatten)]
    disk_pressure: DiskPressure,
}

fn attribute(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
    pair.map(|(name, value)| (name.to_owned(), value.to_owned())).ok_or_else(|| format!("{text} is not NAME=VALUE"))
}

/// Runs tasks until it is told to leave. The tasks go on, and the next agent with this data directory finds them.
pub async fn run(region: String, args: Args) -> anyhow::Result<()> {
    let mut leave = Leave::listen()?;
    let dir = DataDir::take(&args.data_dir)?;
    let membership = Membership {
        server: args.server.trim_end_matches('/').to_owned(),
        cluster: args.cluster,
        region,
        external: args.external,
        attributes: args.attributes.into_iter().collect(),
        disk_pressure: args.disk_pressure,
        registry: None,
    };
    let (server, cluster) = (membership.server.clone(), membership.cluster.clone());
    let joined = Member::join(&dir, membership);
    let member = tokio::select! {
        joined = joined => joined?,
        () = leave.asked() => return Ok(()),
    };
    let mut out = std::io::stdout();
    let _ = writeln!(out, "This machine is container instance {} of cluster {cluster} at {server}.", member.arn());
    let _ = writeln!(out, "Ctrl-C ends the agent and leaves its tasks running; the next agent takes them up again.");
    tokio::select! {
        () = leave.asked() => {}
        () = slim::program_and_heap() => {}
    }
    member.detach();
    Ok(())
}
