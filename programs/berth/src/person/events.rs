//! `berth events`: what happened to a service, oldest first.

use api_ecs::ServiceEvent;
use shape::Timestamp;

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
fn line(event: &ServiceEvent, paint: Paint) -> String {
    line_of(event.created_at, event.message.as_deref().unwrap_or_default(), paint)
}

pub fn line_of(at: Option<Timestamp>, message: &str, paint: Paint) -> String {
    let at = at.map(moment).unwrap_or_default();
    format!("{}  {message}\n", paint.text(&at, Some(Colour::Dim)))
}
