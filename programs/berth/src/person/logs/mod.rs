//! `berth logs`: what tasks have written, and what they write.
//!
//! The way from a word to lines: `target` finds what was meant, [`plan`] says in which streams its containers write,
//! [`history`] reads what is there in the order of time, [`follow`] what comes. [`window`] keeps each event to one line.

mod follow;
mod here;
mod history;
mod line;
mod plan;
mod source;
mod window;

use std::time::Duration;

use follow::Ended;
use here::Here;
use line::{Printer, Streams};
use plan::{PlanError, Planner};
use source::{Life, Plan};
use window::Window;

use super::output::Output;
use super::words::parse_duration;
use super::{Endpoint, note, now};

#[derive(clap::Args)]
pub struct Args {
    /// A service, a task (its ARN, its id or how that begins), a family, or a log group that begins with a slash.
    target: String,
    /// Go on with what is written from now on, until Ctrl-C, or until the one task that is followed has stopped.
    #[arg(long, short)]
    follow: bool,
    /// Only the last lines.
    #[arg(long, short = 'n', value_name = "LINES")]
    tail: Option<usize>,
    /// Only what is not older than this: 45s, 10m, 1h30m, 2d.
    #[arg(long, value_name = "SPAN", value_parser = parse_duration)]
    since: Option<Duration>,
    /// The cluster to look in; without it, in all.
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,
    /// What the node on this machine still has, whatever the log driver: the last megabytes of each container. Without this it is
    /// read when nothing was written to CloudWatch Logs.
    #[arg(long)]
    node: bool,
    /// The data directory of `berth up` or `berth agent` on this machine.
    #[arg(long, env = "BERTH_DATA_DIR", default_value = "/var/lib/berth", value_name = "DIR")]
    data_dir: std::path::PathBuf,
}

/// There is nothing to read with `--node`.
#[derive(Debug, thiserror::Error)]
#[error(
    "the node on this machine has no log of {target}: is `berth up` or `berth agent` running here, and was its task here?"
)]
struct NotHere {
    target: String,
}

pub async fn run(endpoint: &Endpoint, args: Args) -> anyhow::Result<()> {
    let output = Output::new();
    let mut planner = Planner::find(endpoint, args.cluster.as_deref(), &args.target).await?;
    let plan = match planner.plan().await {
        Ok(plan) if !args.node => plan,
        planned => return left_here(&mut planner, &args, planned.err()).await,
    };
    let since = args.since.map_or(i64::MIN, |span| (now() - span).as_millis());
    let mut window = Window::new(plan.from.max(since).max(0));
    let streams = match (args.follow, plan.life) {
        // More may come.
        (true, Life::Endless) => Streams::Several,
        _ => history::streams_of(planner.client(), &plan).await?,
    };
    let mut printer = Printer::new(output, streams);
    if !args.follow {
        history::print(planner.client(), &plan, &mut window, args.tail, &mut printer).await?;
        if !printer.has_printed() {
            note(&silence(&args, &plan));
        }
        return Ok(());
    }
    let following = async {
        history::print(planner.client(), &plan, &mut window, args.tail, &mut printer).await?;
        follow::follow(&mut planner, plan, &mut window, &mut printer).await
    };
    tokio::select! {
        ended = following => ended.map(|Ended::Task| ()),
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
    }
}

/// Reads what the node has, when that is wanted or there is nothing else.
async fn left_here(planner: &mut Planner, args: &Args, otherwise: Option<anyhow::Error>) -> anyhow::Result<()> {
    let otherwise = match otherwise {
        Some(error) if !matches!(error.downcast_ref(), Some(PlanError::NoLogs { .. })) => return Err(error),
        otherwise => otherwise,
    };
    let ids = planner.task_ids().await?;
    let Some(here) = Here::find(args.data_dir.clone(), &ids).await else {
        // To ask on the machine that runs it is no advice for who just did.
        let otherwise = otherwise.filter(|_| !args.node);
        return Err(otherwise.unwrap_or_else(|| NotHere { target: args.target.clone() }.into()));
    };
    let since = args.since.map_or(i64::MIN, |span| (now() - span).as_millis());
    let printed = tokio::select! {
        printed = here.print(planner, args, since) => printed?,
        interrupted = tokio::signal::ctrl_c() => return Ok(interrupted?),
    };
    if !printed {
        note(&format!("{} has written nothing yet.", args.target));
    }
    Ok(())
}

/// For a person who expected lines.
fn silence(args: &Args, plan: &Plan) -> String {
    let target = &args.target;
    let groups = plan.groups().into_iter().collect::<Vec<_>>().join(", ");
    let when = if args.since.is_some() { " in that time" } else { " yet" };
    if groups.is_empty() {
        return format!(
            "no task of {target} is known any more. `berth logs` of its family or log group reads what older ones wrote."
        );
    }
    match target.starts_with('/') {
        true => format!("nothing was written to {groups}{when}."),
        false => format!("{target} has written nothing to {groups}{when}. `berth explain {target}` says how it is."),
    }
}
