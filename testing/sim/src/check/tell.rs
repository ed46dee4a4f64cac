//! What a commit has changed, as a person would tell it.

use model::{Service, Task};
use state::{Record, Snapshot, Touched};

use crate::engine::Batch;
use crate::node::short;
use crate::world::World;

impl World {
    /// Writes a commit into the history.
    pub(super) fn tell(&mut self, before: &Snapshot, batch: &Batch) {
        if !self.history.is_kept() {
            return;
        }
        let after = &batch.snapshot;
        let mut lines = Vec::new();
        for touched in &batch.touched {
            match touched {
                Touched::Task(task) => {
                    let name = task.name();
                    lines.extend(self.told_task(
                        before.tasks.get(&name).map(|one| &**one),
                        after.tasks.get(&name).map(|one| &**one),
                    ));
                }
                Touched::Service(service) => {
                    let name = Service::name(service);
                    let old = before.services.get(&name).map_or(0, |old| old.events.len());
                    let Some(service) = after.services.get(&name) else { continue };
                    let known =
                        before.services.get(&name).and_then(|old| old.events.first()).map(|event| event.id.clone());
                    let new = service.events.iter().take_while(|event| Some(&event.id) != known.as_ref());
                    let mut new: Vec<String> = new.map(|event| format!("event: {}", event.message)).collect();
                    new.reverse();
                    lines.extend(new);
                    let _ = old;
                }
                Touched::ContainerInstance(instance) => {
                    let name = instance.name();
                    let (was, is) = (before.container_instances.get(&name), after.container_instances.get(&name));
                    if let (Some(was), Some(is)) = (was, is)
                        && (was.status, was.agent_connected) != (is.status, is.agent_connected)
                    {
                        let connected = if is.agent_connected { "connected" } else { "not connected" };
                        lines.push(format!("instance {} is {}, {connected}", short(&is.id), is.status.as_str()));
                    }
                }
                Touched::Daemon(daemon) => lines.extend(super::daemons::told(before, after, &daemon.name())),
                Touched::Cluster | Touched::TaskDefinition | Touched::Bookkeeping => {}
            }
        }
        let author = batch.author.to_string();
        for line in lines {
            self.note(author.clone(), || line);
        }
    }

    fn told_task(&self, was: Option<&Task>, is: Option<&Task>) -> Option<String> {
        let Some(is) = is else { return was.map(|was| format!("{} is forgotten", short(&was.id))) };
        let id = short(&is.id);
        if was.is_none_or(|was| was.is_waiting()) && is.is_live() {
            let place = is.container_instance_arn().to_string();
            let node = self.nodes.iter().find(|node| node.arn().as_deref() == Some(&place));
            let node = node.map_or_else(|| short(&is.container_instance).to_owned(), |node| node.name());
            let what = match (is.is_waiting(), &is.capacity_provider) {
                (false, _) => format!("is placed on {node}"),
                (true, provider) => format!("waits for an instance of {}", provider.as_deref().unwrap_or_default()),
            };
            return Some(format!("{id} of {}, {}:{} {what}", is.group, is.family, is.revision));
        }
        let was = was?;
        if was.last_status != is.last_status {
            let why = if is.is_live() { String::new() } else { format!(": {:?}: {}", is.stop_code, is.stopped_reason) };
            return Some(format!("{id} is {}{why}", is.last_status.as_str()));
        }
        if was.desired_status != is.desired_status {
            return Some(format!("{id} is asked to stop: {}", is.stopped_reason));
        }
        (was.health != is.health).then(|| format!("{id} is {}", is.health.as_str()))
    }
}
