//! Where a deployment begins, and where the way back from it does.

use model::lifecycle::{Router, Shift};
use model::{Deployment, Lifecycle, LifecycleStage, Service, Weight};
use stdx::Timestamp;

use super::hooks;

/// What a deployment of the service that begins now has before it; nothing for a rolling one. It is asked before the new
/// deployment is among the service's.
pub fn begin(service: &Service, router: Router, now: Timestamp) -> Option<Lifecycle> {
    let configuration = &service.deployment_configuration;
    if configuration.strategy.is_rolling() {
        return None;
    }
    let source = source(service).map(|source| source.id.clone());
    let is_reconciled = service.deployments.len() < 2;
    // Whoever is alone has all the traffic.
    let production = if source.is_some() { Weight::NONE } else { Weight::ALL };
    let shift = |desired| Shift { desired, applied: router.is_nobody().then_some(desired) };
    Some(Lifecycle {
        strategy: configuration.strategy,
        bake_time_in_minutes: configuration.bake_time_in_minutes.unwrap_or(0),
        hooks: configuration.lifecycle_hooks.clone(),
        source,
        router,
        stage: if is_reconciled { LifecycleStage::PreScaleUp } else { LifecycleStage::ReconcileService },
        stage_at: now,
        production: shift(production),
        test: shift(Weight::NONE),
        steps: 0,
        step_at: None,
        runs: Vec::new(),
    })
}

/// The deployment that serves: the last one that completed, while it is still there; else the one that was to serve.
fn source(service: &Service) -> Option<&Deployment> {
    let find = |id: &str| service.deployments.iter().find(|one| one.id == id);
    let completed = service.deployments.iter().find(|one| is_completed(service, one));
    let of_newest = || {
        let newest = service.primary()?;
        let source = newest.lifecycle.as_ref().and_then(|lifecycle| lifecycle.source.as_deref());
        source.and_then(find).or(Some(newest))
    };
    completed.or_else(of_newest)
}

/// True for the deployment that completed last, and for the way back to it.
pub(super) fn is_completed(service: &Service, deployment: &Deployment) -> bool {
    service
        .last_completed
        .as_ref()
        .is_some_and(|last| last.id == deployment.id || deployment.adopted.contains(&last.id))
}

/// The stages of the way back from `failed`: its traffic goes back at once, and then it ends. No hook is asked.
pub(crate) fn way_back(failed: &Deployment, now: Timestamp) -> Option<Box<Lifecycle>> {
    let of_failed = failed.lifecycle.as_deref()?;
    let mut runs = of_failed.runs.clone();
    hooks::close(&mut runs, now);
    let back = |shift: Shift| Shift { desired: shift.desired.rest(), applied: shift.applied.map(Weight::rest) };
    Some(Box::new(Lifecycle {
        hooks: Vec::new(),
        source: Some(failed.id.clone()),
        stage: LifecycleStage::ScaleUp,
        stage_at: now,
        production: back(of_failed.production),
        test: back(of_failed.test),
        steps: 0,
        step_at: None,
        runs,
        ..of_failed.clone()
    }))
}
