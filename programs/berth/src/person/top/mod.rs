//! `berth top`: instances, services and tasks, each second anew.

mod frame;
mod usage;

use std::time::Duration;

use client::ClientError;
use frame::View;
use tokio::time::{MissedTickBehavior, interval};

use super::cluster::{Cluster, Which};
use super::output::Output;
use super::screen::Screen;
use super::{Endpoint, endpoint, now};

/// How often a terminal is drawn.
const REFRESH: Duration = Duration::from_secs(1);

#[derive(clap::Args)]
pub struct Args {
    /// The cluster to show.
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// One look, and no more. Without a terminal it is always so.
    #[arg(long)]
    once: bool,
}

pub async fn run(endpoint: &Endpoint, args: Args) -> anyhow::Result<()> {
    let mut output = Output::new();
    let cluster = Cluster::new(endpoint.client()?, args.cluster);
    let view = look(&cluster, endpoint).await?;
    if args.once || !output.is_terminal {
        return Ok(output.write(&frame::frame(&view, usize::MAX, now(), output.paint))?);
    }
    let mut screen = Screen::open(output)?;
    tokio::select! {
        ended = draw(&mut screen, view, &cluster, endpoint) => ended,
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
    }
}

async fn draw(screen: &mut Screen, first: View, cluster: &Cluster, endpoint: &Endpoint) -> anyhow::Result<()> {
    let mut ticks = interval(REFRESH);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    let mut view = first;
    let mut trouble = String::new();
    loop {
        screen.draw(|columns, paint| format!("{trouble}{}", frame::frame(&view, columns, now(), paint)))?;
        ticks.tick().await;
        trouble.clear();
        match look(cluster, endpoint).await {
            Ok(next) => view = next,
            // What was seen last stays, under a line that says so.
            Err(error) if error.is::<ClientError>() => trouble = format!("{}\n", endpoint::sentence(&error)),
            Err(error) => return Err(error),
        }
    }
}

async fn look(cluster: &Cluster, endpoint: &Endpoint) -> anyhow::Result<View> {
    let (instances, services, tasks, usage) = tokio::join!(
        cluster.instances(),
        cluster.services(),
        cluster.tasks(Which::Running, None),
        usage::ask(endpoint)
    );
    Ok(View {
        cluster: cluster.name().to_owned(),
        instances: instances?,
        services: services?,
        tasks: tasks?.tasks.unwrap_or_default(),
        usage,
    })
}
