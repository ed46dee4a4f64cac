//! How many tasks each revision has while two of them run side by side.

use model::service::DeploymentConfiguration;
use model::{Deployment, DeploymentStatus, LifecycleStage, RolloutState, Service, Weight};
use state::Snapshot;
use stdx::Timestamp;

use super::begin::is_completed;
use super::stages::{Facts, Side};
use crate::service::view::ServiceView;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    Full,
    Gone,
    /// Gone in a moment in which the one that serves is whole and has all the traffic.
    Spare,
    /// Nothing is started and nothing is stopped.
    AsIs,
}

/// How many tasks a deployment should have now.
pub fn wanted_of(service: &Service, deployment: &Deployment) -> u32 {
    let is_primary = deployment.status == DeploymentStatus::Primary;
    let is_full = if super::is_on(service) { size(service, deployment) == Size::Full } else { is_primary };
    if is_full { service.desired_count } else { 0 }
}

/// The colours that are brought to a size, each as a service that has no other: blue first, for it serves.
pub(super) fn sized(service: &Service, facts: &Facts) -> Vec<Service> {
    let mut deployments: Vec<&Deployment> = service.deployments.iter().collect();
    deployments.sort_by_key(|one| (!is_source(service, one), one.status != DeploymentStatus::Primary));
    let serves = if super::stage(service) == Some(LifecycleStage::CleanUp) { Some(facts.green) } else { facts.blue };
    let is_dispensable = serves.is_some_and(|side| side.is_full) && shifted(service);
    let sized = deployments.into_iter().filter_map(|one| match size(service, one) {
        Size::Full => Some(colour(service, one, service.desired_count)),
        Size::Gone => Some(colour(service, one, 0)),
        Size::Spare if is_dispensable => Some(colour(service, one, 0)),
        Size::Spare | Size::AsIs => None,
    });
    sized.collect()
}

/// What the stages depend on.
pub(super) fn facts(snapshot: &Snapshot, service: &Service, now: Timestamp) -> Facts {
    let look = |deployment: &Deployment| {
        let colour = colour(service, deployment, service.desired_count);
        side(&ServiceView::new(snapshot, &colour, now).alone())
    };
    let source = service.deployments.iter().find(|one| is_source(service, one));
    let all = ServiceView::new(snapshot, service, now);
    let of_neither = |deployment: &Deployment| {
        deployment.status != DeploymentStatus::Primary
            && !is_source(service, deployment)
            && all.live.iter().any(|task| deployment.has(task))
    };
    Facts {
        green: service.primary().map(look).unwrap_or_default(),
        blue: source.filter(|source| is_completed(service, source)).map(look),
        others: service.deployments.iter().any(of_neither),
        is_rollback: service.primary().is_some_and(|primary| primary.is_rollback()),
    }
}

fn side(view: &ServiceView<'_>) -> Side {
    let ready = view.current.iter().filter(|task| view.counts(task)).count();
    Side {
        is_full: ready >= view.service.desired_count as usize,
        works: ready > 0,
        awaited: view.current.iter().filter_map(|task| view.awaited_at(task)).min(),
    }
}

fn size(service: &Service, deployment: &Deployment) -> Size {
    let Some(primary) = service.primary() else { return Size::AsIs };
    let Some(lifecycle) = primary.lifecycle.as_ref() else { return Size::AsIs };
    let serves = service.weights(deployment).is_some_and(|(production, _)| production > Weight::NONE);
    let has_failed = primary.rollout_state == RolloutState::Failed;
    let source = service.deployments.iter().find(|one| is_source(service, one));
    let is_safe = source.is_some_and(|source| is_completed(service, source));
    if deployment.id == primary.id {
        return match lifecycle.stage {
            // What has failed is started no more, unless somebody needs it.
            _ if has_failed => {
                if serves {
                    Size::Full
                } else {
                    Size::AsIs
                }
            }
            LifecycleStage::ReconcileService | LifecycleStage::PreScaleUp => Size::Gone,
            _ => Size::Full,
        };
    }
    if lifecycle.stage == LifecycleStage::CleanUp {
        return if has_failed { Size::AsIs } else { Size::Spare };
    }
    if is_source(service, deployment) {
        // The one that failed is kept whole only until its traffic is back. The one that never stood is kept as it is.
        let is_kept = if primary.is_rollback() { serves } else { is_completed(service, deployment) };
        return if is_kept { Size::Full } else { Size::AsIs };
    }
    if is_safe && !has_failed && !primary.is_rollback() { Size::Spare } else { Size::AsIs }
}

/// True when whoever routes the traffic has done what was last wanted of it.
fn shifted(service: &Service) -> bool {
    let lifecycle = service.primary().and_then(|primary| primary.lifecycle.as_ref());
    lifecycle.is_some_and(|lifecycle| lifecycle.production.is_applied())
}

pub(super) fn is_source(service: &Service, deployment: &Deployment) -> bool {
    let lifecycle = service.primary().and_then(|primary| primary.lifecycle.as_ref());
    lifecycle.is_some_and(|lifecycle| lifecycle.source.as_ref() == Some(&deployment.id))
}

/// The bounds of the deployment configuration are those of a rolling deployment. Within a colour the defaults hold: what is to be
/// replaced stays until another does its work.
fn colour(service: &Service, deployment: &Deployment, desired_count: u32) -> Service {
    let (status, rollout_state) = (DeploymentStatus::Primary, RolloutState::InProgress);
    let mut colour = Service {
        deployments: vec![Deployment { status, rollout_state, ..deployment.clone() }],
        desired_count,
        ..service.clone()
    };
    let DeploymentConfiguration { minimum_healthy_percent, maximum_percent, .. } = DeploymentConfiguration::default();
    colour.deployment_configuration.minimum_healthy_percent = minimum_healthy_percent;
    colour.deployment_configuration.maximum_percent = maximum_percent;
    colour
}
