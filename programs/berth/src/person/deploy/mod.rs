//! `berth deploy watch`: a deployment as it happens, with its bounds, and what it waits for.

mod bars;
mod frame;
mod proceed;
mod stages;
mod view;
mod waits;

use std::time::Duration;

use client::ClientError;
use tokio::time::{MissedTickBehavior, interval};
use view::{View, Watcher};

use super::cluster::Cluster;
use super::output::Output;
use super::screen::Screen;
use super::words::last;
use super::{Endpoint, endpoint, now, target};

/// How often a service is looked at. A deployment of a few tasks takes no longer than some seconds.
const REFRESH: Duration = Duration::from_millis(250);

#[derive(clap::Subcommand)]
pub enum Command {
    /// Draws the deployment of a service until it has come to its end: 0 when it completed, 1 when it failed.
    Watch(Args),
    /// Says to a deployment that waits at a pause that it may go on, or is to go back.
    Continue(proceed::Args),
}

#[derive(clap::Args)]
pub struct Args {
    /// The service, by its name or ARN.
    service: String,
    /// The cluster it is in.
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// Stay when it has come to its end, for the next one.
    #[arg(long, short)]
    follow: bool,
    /// One look, and no more.
    #[arg(long, conflicts_with = "follow")]
    once: bool,
}

pub async fn run(endpoint: &Endpoint, command: Command) -> anyhow::Result<()> {
    let args = match command {
        Command::Watch(args) => args,
        Command::Continue(args) => return proceed::run(endpoint, args).await,
    };
    let output = Output::new();
    let cluster = target::cluster_of(&args.service).map(str::to_owned).or(args.cluster.clone());
    let cluster = Cluster::new(endpoint.client_for(&args.service)?, cluster);
    let mut watcher = Watcher::new(cluster, last(&args.service));
    let first = watcher.look().await?;
    let mut shown = match output.is_terminal && !args.once {
        true => Shown::Drawn(Screen::open(output)?),
        false => Shown::Told { output, last: String::new() },
    };
    let watched = async {
        if args.once {
            shown.show(&first, "")?;
            return Ok(first);
        }
        watch(&mut shown, &mut watcher, first, args.follow).await
    };
    let end = tokio::select! {
        end = watched => Some(end?),
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            None
        }
    };
    shown.leave(end.as_ref())?;
    match end.filter(|_| !args.once).and_then(|end| end.failure()) {
        Some(reason) => Err(anyhow::anyhow!("{reason}")),
        None => Ok(()),
    }
}

/// Ends with the last view, when nothing of a deployment is left to see.
async fn watch(shown: &mut Shown, watcher: &mut Watcher, first: View, follow: bool) -> anyhow::Result<View> {
    let mut ticks = interval(REFRESH);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.tick().await;
    let (mut view, mut trouble) = (first, String::new());
    loop {
        shown.show(&view, &trouble)?;
        if view.is_over() && !follow && trouble.is_empty() {
            return Ok(view);
        }
        ticks.tick().await;
        trouble.clear();
        match watcher.look().await {
            Ok(next) => view = next,
            // What was seen last stays, under a line that says so.
            Err(error) if error.is::<ClientError>() => trouble = format!("{}\n", endpoint::sentence(&error)),
            Err(error) => return Err(error),
        }
    }
}

enum Shown {
    Drawn(Screen),
    /// Without a terminal: a picture for each change, and nothing in between.
    Told {
        output: Output,
        last: String,
    },
}

impl Shown {
    fn show(&mut self, view: &View, trouble: &str) -> anyhow::Result<()> {
        match self {
            Shown::Drawn(screen) => {
                screen.draw(|columns, paint| format!("{trouble}{}", frame::frame(view, columns, now(), paint)))?;
            }
            Shown::Told { output, last } => {
                let text = frame::line(view, output.paint);
                if text != *last {
                    output.write(&format!("{}  {text}", super::words::moment(now())))?;
                    *last = text;
                }
            }
        }
        Ok(())
    }

    /// The last picture stays on the terminal when the second screen has gone.
    fn leave(self, end: Option<&View>) -> anyhow::Result<()> {
        if let (Shown::Drawn(screen), Some(view)) = (self, end) {
            let mut output = screen.close()?;
            let text = frame::frame(view, output.size().columns, now(), output.paint);
            output.write(&text)?;
        }
        Ok(())
    }
}
