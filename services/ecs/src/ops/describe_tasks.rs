use api_ecs::{DescribeTasksRequest, DescribeTasksResponse};
use model::TaskArn;

use crate::ctx::{Applied, Ctx, unchanged};
use crate::error::invalid;
use crate::limits::DESCRIBE_MAX;
use crate::{lookup, views};

pub(crate) fn apply(input: &DescribeTasksRequest, ctx: &mut Ctx<'_>) -> Applied<DescribeTasksResponse> {
    let cluster = lookup::cluster(ctx, input.cluster.as_deref())?;
    let wanted = input.tasks.clone().unwrap_or_default();
    if wanted.is_empty() {
        return Err(invalid("Tasks cannot be empty."));
    }
    if wanted.len() > DESCRIBE_MAX {
        return Err(invalid(format!("Tasks cannot have more than {DESCRIBE_MAX} elements.")));
    }
    let (mut tasks, mut failures) = (Vec::new(), Vec::new());
    for text in &wanted {
        match lookup::task(ctx, &cluster, text) {
            Some(task) => tasks.push(views::task(ctx.snapshot, &task, input.include.as_ref())),
            None if text.starts_with("arn:") => failures.push(views::failure(text, "MISSING")),
            None => failures.push(views::failure(TaskArn::new(&ctx.scope, &cluster.name, text), "MISSING")),
        }
    }
    unchanged(DescribeTasksResponse { tasks: Some(tasks), failures: Some(failures) })
}
