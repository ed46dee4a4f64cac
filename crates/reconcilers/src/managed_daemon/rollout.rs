//! Which tasks of a managed daemon leave, and which instances get one: on so many instances at a time as the deployment
//! configuration says, the old task first.
//!
//! Source: Amazon ECS Developer Guide, "Daemon deployments", `drainPercent`.

use model::{ContainerInstance, DaemonStatus, Task};
use scheduler::Rejection;
use stdx::Timestamp;

use super::view::DaemonView;
use super::{Place, Standing};
use crate::daemon::{Superfluous, Why, superfluous};
use crate::service::view::works;

#[derive(Default)]
pub(crate) struct Rollout<'a> {
    pub stop: Vec<(Why, Vec<&'a Task>)>,
    /// The instances that may have a new task now.
    pub start: Vec<&'a ContainerInstance>,
    /// Why old tasks stay where they are.
    pub refused: Vec<Rejection>,
    pub look_again: Option<Timestamp>,
}

/// `is_open` says that the newest deployment has not failed: of one that has, what it has not replaced stays.
pub(crate) fn decide<'a>(view: &DaemonView<'a>, is_open: bool) -> Rollout<'a> {
    let mut rollout = Rollout::default();
    let on = |standing: Option<Standing>| {
        let places = view.places.iter().filter(move |place| standing.is_none_or(|one| one == place.standing));
        places.flat_map(|place| [&place.current[..], &place.old].concat()).collect::<Vec<&Task>>()
    };
    if view.daemon.status == DaemonStatus::DeleteInProgress {
        rollout.stop(Why::Deployment, on(None));
        return rollout;
    }
    rollout.stop(Why::Constraints, on(Some(Standing::Barred)));
    rollout.stop(Why::Drained, on(Some(Standing::Drained)));

    let eligible: Vec<&Place<'a>> = view.eligible().collect();
    let Superfluous { extra, sick, late, late_at } = superfluous(&eligible, &view.patience);
    if is_open {
        rollout.replace(view, &eligible);
    }
    rollout.stop(Why::Deployment, extra);
    rollout.stop(Why::Unhealthy, sick);
    if is_open {
        rollout.stop(Why::NeverReady, late);
        rollout.look_again = rollout.look_again.into_iter().chain(late_at).min();
    }
    let is_free = |place: &&&Place<'_>| place.all().next().is_none();
    rollout.start = eligible.iter().filter(is_free).map(|place| place.instance).collect();
    rollout
}

impl<'a> Rollout<'a> {
    fn replace(&mut self, view: &DaemonView<'a>, eligible: &[&Place<'a>]) {
        // On these the task has left, or its successor has to prove itself. Who cannot be reached holds nobody up.
        let moves = |place: &&&Place<'_>| {
            let works = place.old.iter().any(|task| works(task));
            let counts = place.current.iter().any(|task| view.proof.counts(task));
            place.instance.agent_connected && !works && !counts
        };
        let moving = eligible.iter().filter(moves).count();
        let room = view.daemon.configuration.batch(eligible.len()).saturating_sub(moving);
        // Nothing could follow what stands where the new one has no room.
        self.refused = eligible.iter().filter_map(|place| place.refusal.clone()).collect();
        let (mut working, mut idle): (Vec<&Task>, Vec<&Task>) = (Vec::new(), Vec::new());
        for place in eligible.iter().filter(|place| place.instance.agent_connected) {
            let (at_work, of_no_use): (Vec<&Task>, Vec<&Task>) = place.old.iter().partition(|task| works(task));
            working.extend(at_work.into_iter().filter(|_| place.refusal.is_none()));
            idle.extend(of_no_use);
        }
        working.sort_by_key(|task| (task.created_at, &task.id));
        if working.len() > room {
            self.look_again = view.proven_at();
        }
        working.truncate(room);
        idle.extend(working);
        self.stop(Why::Deployment, idle);
    }

    fn stop(&mut self, why: Why, tasks: Vec<&'a Task>) {
        if !tasks.is_empty() {
            self.stop.push((why, tasks));
        }
    }
}
