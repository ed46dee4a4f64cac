//! What a turn that stops tasks takes for granted of the others.

use std::collections::BTreeSet;
use std::sync::Arc;

use model::{Service, Task, TaskStatus};
use state::{Record, Snapshot, Table};

use crate::Plan;
use crate::service::view::works;

/// A store takes ten thousand guards and changes in one commit. A service that is so large loses little by one task less.
const OTHERS_MAX: usize = 4000;

/// Whoever stops a task does so because others work. If one of those has changed since, the commit collides and the turn is
/// taken again: on a stale snapshot a service would else be brought below its minimum.
pub(crate) fn rely_on_others(snapshot: &Snapshot, service: &Service, plan: &mut Plan) {
    let prefix = Table::<Task>::key("");
    let written: BTreeSet<&str> =
        plan.changes.ops().map(|op| &**op.key()).filter(|key| key.starts_with(&*prefix)).collect();
    let is_written = |task: &&Arc<Task>| written.contains(&*Table::<Task>::key(&task.name()));
    let of_service = || snapshot.tasks.by("service", &service.name());
    // A turn that writes down what is there already, and does not only start, stops it.
    if written.is_empty() || !of_service().any(|task| is_written(&task)) {
        return;
    }
    let wanted = |task: &&Arc<Task>| task.desired_status == TaskStatus::Running && works(task) && !is_written(task);
    let others: Vec<String> = of_service().filter(wanted).take(OTHERS_MAX).map(|task| task.name()).collect();
    others.iter().for_each(|name| plan.changes.rely_on::<Task>(snapshot, name));
}
