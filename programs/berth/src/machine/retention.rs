//! What a control plane remembers of what is over.

use std::time::Duration;

use controlplane::Retention;

use crate::person::words::parse_duration;

/// How long stopped tasks can be listed and described. A stopped task takes 2.5 KiB of memory.
#[derive(clap::Args)]
pub struct RetentionArgs {
    /// How long a stopped task is kept: `1h`, `7d`.
    #[arg(long, value_name = "SPAN", value_parser = parse_duration, default_value = "7d")]
    stopped_tasks_kept: Duration,
    /// How many stopped tasks are kept at most; the oldest go first.
    #[arg(long, value_name = "COUNT", default_value_t = Retention::default().stopped_tasks_max)]
    stopped_tasks_max: usize,
    /// How long an instance may be without its agent until the tasks of services on it are replaced: `5m`; `0s` is never.
    #[arg(long, value_name = "SPAN", value_parser = parse_duration, default_value = "5m")]
    instance_lost_after: Duration,
}

impl RetentionArgs {
    pub fn read(&self) -> Retention {
        Retention {
            stopped_tasks_kept: self.stopped_tasks_kept,
            stopped_tasks_max: self.stopped_tasks_max,
            instance_lost_after: Some(self.instance_lost_after).filter(|span| !span.is_zero()),
        }
    }
}
