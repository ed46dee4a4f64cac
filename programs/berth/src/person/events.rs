//! `berth events`: what happened to a service, oldest first.

use api_ecs::ServiceEvent;

use super::cluster::Cluster;
use super::output::Output;
use super::paint::{Colour, Paint};
use super::words::{last, moment};
use super::{Endpoint, target};

#[derive(clap::Args)]
pub struct Args {
    /// The service, by its name or ARN.
    service: String,
    /// The cluster it is in.
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
}

pub async fn run(endpoint: &Endpoint, args: Args) -> anyhow::Result<()> {
    let mut output = Output::new();
    let cluster = target::cluster_of(&args.service).map(str::to_owned).or(args.cluster);
    let cluster = Cluster::new(endpoint.client_for(&args.service)?, cluster);
    let name = last(&args.service);
    let events = cluster.service_or_say(name).await?.events.unwrap_or_default();
    let text = match events.is_empty() {
        true => format!("Nothing has happened to service {name} yet. `berth explain {name}` shows how it is.\n"),
        false => events.iter().rev().map(|event| line(event, output.paint)).collect(),
    };
    Ok(output.write(&text)?)
}

/// AWS answers the newest event first; a person reads on from the top.
pub fn line(event: &ServiceEvent, paint: Paint) -> String {
    let at = event.created_at.map(moment).unwrap_or_default();
    format!("{}  {}\n", paint.text(&at, Some(Colour::Dim)), event.message.as_deref().unwrap_or_default())
}
