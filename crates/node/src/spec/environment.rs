//! A container's environment: what its links tell, the image's, its files', the definition's, and what the agent adds. The
//! later wins.

use agent::plan::{ContainerPlan, TaskPlan};
use images::ImageConfig;

use super::links::{self, Peer};

/// Where containers find the agent. Source: Amazon ECS Developer Guide, "task metadata endpoint".
const ENDPOINT: &str = "http://169.254.170.2";

/// `NAME=value`, in the order in which the runtime takes them. `files` are the variables of environment files.
pub fn environment(
    task: &TaskPlan,
    plan: &ContainerPlan,
    image: &ImageConfig,
    files: &[(String, String)],
    credentials_id: Option<&str>,
) -> Vec<String> {
    let of_files = files.iter().map(|(name, value)| format!("{name}={value}"));
    let given = plan.payload.environment.iter().map(|(name, value)| format!("{name}={value}"));
    let own = own(task, plan, files, credentials_id);
    image.environment.iter().cloned().chain(of_files).chain(given).chain(own).collect()
}

/// What a container's links tell it; everything else comes on top.
pub fn of_links(task: &TaskPlan, index: usize, peers: &[Option<Peer>]) -> Vec<String> {
    let of_link = |link: &String| {
        let name = link.split(':').next().unwrap_or(link);
        let peer = task.index_of(name).and_then(|index| peers.get(index)?.as_ref());
        peer.map(|peer| links::variables(task, index, link, peer)).unwrap_or_default()
    };
    task.containers[index].payload.links.iter().flat_map(of_link).collect()
}

/// The GPUs of a container, as the official agent says them.
pub fn of_gpus(task: &TaskPlan, plan: &ContainerPlan) -> Option<String> {
    let gpus: Vec<&str> = task.payload.gpus(&plan.name).collect();
    (!gpus.is_empty()).then(|| format!("NVIDIA_VISIBLE_DEVICES={}", gpus.join(",")))
}

fn own(task: &TaskPlan, plan: &ContainerPlan, files: &[(String, String)], credentials_id: Option<&str>) -> Vec<String> {
    let id = &plan.metadata_id;
    let mut variables = vec![
        format!("ECS_CONTAINER_METADATA_URI={ENDPOINT}/v3/{id}"),
        format!("ECS_CONTAINER_METADATA_URI_V4={ENDPOINT}/v4/{id}"),
        format!("ECS_AGENT_URI={ENDPOINT}/api/{id}"),
    ];
    if let Some(credentials) = credentials_id {
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
        let is_given = plan.payload.environment.contains_key(name) || files.iter().any(|(given, _)| given == name);
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
