//! A container's environment: what its links tell, the image's, its files', the definition's, and what the agent adds. The
//! later wins.

use agent::plan::{ContainerPlan, TaskPlan};

use super::{Around, links};

/// Where containers find the agent. Source: Amazon ECS Developer Guide, "task metadata endpoint".
const ENDPOINT: &str = "http://169.254.170.2";

/// `NAME=value`, in the order in which the runtime takes them.
pub fn environment(task: &TaskPlan, index: usize, around: &Around<'_>) -> Vec<String> {
    let plan = &task.containers[index];
    let linked = plan.payload.links.iter().flat_map(|link| {
        let peer = task.index_of(link.split(':').next().unwrap_or(link)).and_then(|index| around.peers[index].as_ref());
        peer.map(|peer| links::variables(task, index, link, peer)).unwrap_or_default()
    });
    let pair = |(name, value): (&String, &String)| format!("{name}={value}");
    let files = around.file_variables.iter().map(|(name, value)| pair((name, value)));
    let given = plan.payload.environment.iter().map(pair);
    let image = around.image.environment.iter().cloned();
    linked.chain(image).chain(files).chain(given).chain(own(task, plan, around)).collect()
}

fn own(task: &TaskPlan, plan: &ContainerPlan, around: &Around<'_>) -> Vec<String> {
    let id = &plan.metadata_id;
    let mut variables = vec![
        format!("ECS_CONTAINER_METADATA_URI={ENDPOINT}/v3/{id}"),
        format!("ECS_CONTAINER_METADATA_URI_V4={ENDPOINT}/v4/{id}"),
        format!("ECS_AGENT_URI={ENDPOINT}/api/{id}"),
    ];
    if let Some(credentials) = around.credentials_id {
        variables.push(format!("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI=/v2/credentials/{credentials}"));
    }
    // What says where the task runs is a default: a definition may send its program to another region.
    let execution = match task.payload.launch_type.as_deref() {
        Some("FARGATE") => "AWS_ECS_FARGATE",
        _ => "AWS_ECS_EC2",
    };
    let region = region(task);
    let defaults = [("AWS_REGION", region), ("AWS_DEFAULT_REGION", region), ("AWS_EXECUTION_ENV", Some(execution))];
    for (name, value) in defaults {
        let is_given =
            plan.payload.environment.contains_key(name) || around.file_variables.iter().any(|(given, _)| given == name);
        if let Some(value) = value.filter(|_| !is_given) {
            variables.push(format!("{name}={value}"));
        }
    }
    variables
}

/// `arn:aws:ecs:REGION:...`
fn region(task: &TaskPlan) -> Option<&str> {
    task.arn().split(':').nth(3).filter(|region| !region.is_empty())
}
