use api_ecs::{DescribeTaskSetsRequest, DescribeTaskSetsResponse};
use model::TaskSetArn;

use super::create_task_set::external_service;
use crate::ctx::{Applied, Ctx, unchanged};
use crate::{lookup, views};

/// Those that are named, or all of the service.
pub(crate) fn apply(input: &DescribeTaskSetsRequest, ctx: &mut Ctx<'_>) -> Applied<DescribeTaskSetsResponse> {
    let cluster = lookup::cluster(ctx, input.cluster.as_deref())?;
    let service = external_service(ctx, &cluster, input.service.as_deref())?;
    let shown = |set| views::task_set(ctx.snapshot, &service, set, input.include.as_ref());
    let wanted = input.task_sets.as_deref().unwrap_or_default();
    if wanted.is_empty() {
        let task_sets = service.task_sets.iter().map(shown).collect();
        return unchanged(DescribeTaskSetsResponse { task_sets: Some(task_sets), failures: Some(Vec::new()) });
    }
    let (mut task_sets, mut failures) = (Vec::new(), Vec::new());
    for text in wanted {
        let id = lookup::task_set_id(ctx, &service, text);
        match id.and_then(|id| service.task_sets.iter().find(|set| set.id == id)) {
            Some(set) => task_sets.push(shown(set)),
            None if text.starts_with("arn:") => failures.push(views::failure(text, "MISSING")),
            None => {
                let arn = TaskSetArn::new(&service.scope, &service.cluster, &service.name, text);
                failures.push(views::failure(arn, "MISSING"));
            }
        }
    }
    unchanged(DescribeTaskSetsResponse { task_sets: Some(task_sets), failures: Some(failures) })
}
