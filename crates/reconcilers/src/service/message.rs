//! What a service says in its events, in the words of ECS.
//!
//! Source: Amazon ECS Developer Guide, "Amazon ECS service event messages".

use std::collections::BTreeMap;

use model::lifecycle::HookRun;
use model::{Task, stop_reason};
use scheduler::Explanation;

use super::rollout::Why;

/// How many tasks one message names; a message is for reading.
const NAMED_MAX: usize = 10;

const TROUBLESHOOTING: &str =
    "For more information, see the Troubleshooting section of the Amazon ECS Developer Guide.";

pub(crate) fn started(service: &str, ids: &[String]) -> String {
    format!("(service {service}) has started {} tasks: {}.", ids.len(), named(ids.iter().map(String::as_str)))
}

pub(crate) fn stopped(service: &str, tasks: &[&Task]) -> String {
    let names = named(tasks.iter().map(|task| task.id.as_str()));
    format!("(service {service}) has stopped {} running tasks: {names}.", tasks.len())
}

pub(crate) fn failed_health_checks(service: &str, task: &str) -> String {
    format!("(service {service}) (task {task}) failed container health checks.")
}

/// Of a daemon's task, whose instance has changed.
pub(crate) fn no_longer_satisfies(service: &str, task: &str) -> String {
    format!("(service {service}) (task {task}) no longer satisfies the placement constraints of the service.")
}

pub(crate) fn steady_state(service: &str) -> String {
    format!("(service {service}) has reached a steady state.")
}

pub(crate) fn deployment_completed(service: &str, deployment: &str) -> String {
    format!("(service {service}) (deployment {deployment}) deployment completed.")
}

pub(crate) fn deployment_failed(service: &str, deployment: &str, why: &str) -> String {
    format!("(service {service}) (deployment {deployment}) deployment failed: {why}.")
}

pub(crate) fn rolling_back(service: &str, deployment: &str) -> String {
    format!("(service {service}) rolling back to (deployment {deployment}).")
}

/// Ours: on AWS this is an event of EventBridge.
pub(crate) fn paused(service: &str, deployment: &str, run: &HookRun) -> String {
    let (stage, id) = (run.stage.as_str(), &run.id);
    format!("(service {service}) (deployment {deployment}) waits at {stage} until its hook {id} is continued.")
}

/// Ours.
pub(crate) fn alarms_ignored(service: &str, deployment: &str, alarms: &[String]) -> String {
    let names = alarms.join(", ");
    format!("(service {service}) (deployment {deployment}) watches no alarms, for some are on already: {names}.")
}

/// Ours: ECS goes on until its threshold.
pub(crate) fn failed_alike(service: &str, deployment: &str, count: usize, reason: &str) -> String {
    let reason = reason.trim_end_matches('.');
    format!("(service {service}) (deployment {deployment}) the first {count} tasks failed alike: {reason}.")
}

/// Ours: on AWS an image is pulled by its task alone, which then says so.
pub(crate) fn not_pulled_in_advance(service: &str, deployment: &str, image: &str) -> String {
    format!("(service {service}) (deployment {deployment}) the image {image} could not be pulled in advance ")
}

/// Why something cannot be done. It is said again only when it is resolved in between, or after hours; whom it was said of
/// makes no difference.
pub(crate) struct Cause {
    pub text: String,
    begins: String,
    ends: String,
}

impl Cause {
    fn new(begins: String, of: &str, ends: String) -> Cause {
        Cause { text: format!("{begins}{of}{ends}"), begins, ends }
    }

    pub fn is_in(&self, message: &str) -> bool {
        message.starts_with(&self.begins) && message.ends_with(&self.ends)
    }
}

/// Names the instance that came closest.
pub(crate) fn not_placed(service: &str, explanation: &Explanation) -> Cause {
    let begins = format!(
        "(service {service}) was unable to place a task because no container instance met all of its requirements. "
    );
    match explanation.closest() {
        None => Cause::new(
            begins,
            "",
            format!("Reason: No Container Instances were found in your cluster. {TROUBLESHOOTING}"),
        ),
        Some(closest) => Cause::new(
            begins,
            &format!("The closest matching (container-instance {})", closest.instance.id),
            format!(" {}. {TROUBLESHOOTING}", closest.why.sentence()),
        ),
    }
}

/// The definition is not there any more, or cannot be read.
pub(crate) fn nothing_to_place(service: &str) -> Cause {
    Cause::new(
        format!("(service {service}) was unable to place a task. "),
        "",
        format!("Reason: Internal error. {TROUBLESHOOTING}"),
    )
}

pub(crate) fn keeps_failing(service: &str) -> Cause {
    let text = format!("(service {service}) is unable to consistently start tasks successfully. ");
    Cause::new(text, "", TROUBLESHOOTING.to_owned())
}

pub(crate) fn stalled(service: &str) -> Cause {
    let text = format!(
        "(service {service}) was unable to stop or start tasks during a deployment because of the service deployment \
         configuration. "
    );
    Cause::new(text, "", "Update the minimumHealthyPercent or maximumPercent value and try again.".to_owned())
}

/// Task scale-in protection keeps these tasks, which would have left.
pub(crate) fn protected(service: &str, tasks: &[&Task]) -> Cause {
    let names = named(tasks.iter().map(|task| task.id.as_str()));
    Cause::new(
        format!("(service {service}) was unable to stop tasks because task scale-in protection is on: "),
        &names,
        ".".to_owned(),
    )
}

const UNEVEN: &str = "is not AZ balanced with ";
const EVEN: &str = "is AZ balanced with ";

/// Source of these: Amazon ECS Developer Guide, "Amazon ECS Availability Zone service rebalancing service event messages".
pub(crate) fn zones_are_uneven(service: &str, counts: &BTreeMap<&str, usize>) -> String {
    let mut counts = counts.iter();
    let first = counts.next().map(|(zone, count)| format!("{count} tasks in {zone}"));
    let zones: Vec<String> =
        first.into_iter().chain(counts.map(|(zone, count)| format!("{count} in {zone}"))).collect();
    format!("(service {service}) {UNEVEN}{}. AZ Rebalancing in progress.", listed(&zones))
}

pub(crate) fn zones_are_balanced(service: &str, counts: &BTreeMap<&str, usize>) -> String {
    let zones: Vec<String> = counts.iter().map(|(zone, count)| format!("{count} tasks in {zone}")).collect();
    format!("(service {service}) {EVEN}{}.", listed(&zones))
}

/// Rebalancing begins or ends with it.
pub(crate) fn is_about_zones(service: &str, message: &str) -> bool {
    begins_rebalancing(service, message) || ends_rebalancing(service, message)
}

pub(crate) fn begins_rebalancing(service: &str, message: &str) -> bool {
    message.strip_prefix(&*format!("(service {service}) ")).is_some_and(|text| text.starts_with(UNEVEN))
}

pub(crate) fn ends_rebalancing(service: &str, message: &str) -> bool {
    message.strip_prefix(&*format!("(service {service}) ")).is_some_and(|text| text.starts_with(EVEN))
}

pub(crate) fn started_in_zone(service: &str, zone: &str, ids: &[String]) -> String {
    let names = named(ids.iter().map(String::as_str));
    format!("(service {service}) has started {} tasks in {zone} to AZ Rebalance: {names}.", ids.len())
}

pub(crate) fn stopped_in_zone(service: &str, zone: &str, tasks: &[&Task]) -> String {
    let names = named(tasks.iter().map(|task| task.id.as_str()));
    format!("(service {service}) has stopped {} running tasks in {zone} due to AZ rebalancing: {names}.", tasks.len())
}

pub(crate) fn zone_is_full(service: &str, zone: &str) -> Cause {
    let text = format!(
        "(service {service}) is unable to place a task in {zone} because no container instance met all of its requirements."
    );
    Cause::new(text, "", String::new())
}

fn listed(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{}, and {last}", first.join(", ")),
    }
}

pub(crate) fn stopped_reason(why: Why, deployment: &str) -> String {
    match why {
        Why::Scaling | Why::Rebalancing => stop_reason::scaling(deployment),
        // What was never ready is given up elsewhere, each task with a reason of its own.
        Why::Unhealthy | Why::NeverReady => stop_reason::UNHEALTHY.to_owned(),
    }
}

fn named<'a>(ids: impl Iterator<Item = &'a str>) -> String {
    let ids: Vec<&str> = ids.collect();
    let mut text = ids.iter().take(NAMED_MAX).map(|id| format!("(task {id})")).collect::<Vec<_>>().join(" ");
    if ids.len() > NAMED_MAX {
        text.push_str(&format!(" and {} more", ids.len() - NAMED_MAX));
    }
    text
}
