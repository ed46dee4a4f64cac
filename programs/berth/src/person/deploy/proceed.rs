//! `berth deploy continue`: says to a paused deployment that it may go on, or is to go back.

use anyhow::bail;

use super::stages;
use crate::person::cluster::Cluster;
use crate::person::output::Output;
use crate::person::words::last;
use crate::person::{Endpoint, target};

#[derive(clap::Args)]
pub struct Args {
    /// The service, by its name or ARN.
    service: String,
    /// The cluster it is in.
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// Go back to the revision before.
    #[arg(long)]
    rollback: bool,
}

pub async fn run(endpoint: &Endpoint, args: Args) -> anyhow::Result<()> {
    let cluster = target::cluster_of(&args.service).map(str::to_owned).or(args.cluster.clone());
    let cluster = Cluster::new(endpoint.client_for(&args.service)?, cluster);
    let name = last(&args.service);
    cluster.service_or_say(name).await?;
    let newest = cluster.newest_service_deployment(name).await?.and_then(|brief| brief.service_deployment_arn);
    let detail = match newest {
        Some(arn) => cluster.service_deployment(&arn).await?,
        None => None,
    };
    let Some((arn, ids)) = detail.as_ref().and_then(|detail| {
        let ids: Vec<String> = stages::paused(detail).filter_map(|hook| hook.hook_id.clone()).collect();
        Some((detail.service_deployment_arn.clone()?, ids)).filter(|(_, ids)| !ids.is_empty())
    }) else {
        bail!("no lifecycle hook of the service {name} waits for somebody");
    };
    let (action, said) = if args.rollback { ("ROLLBACK", "goes back") } else { ("CONTINUE", "goes on") };
    for id in ids {
        cluster.continue_service_deployment(&arn, &id, action).await?;
        Output::new().write(&format!("{name} {said}: {id}\n"))?;
    }
    Ok(())
}
