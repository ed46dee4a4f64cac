//! What an instance has and what is taken of it; what a task has reserved.

use api_ecs::{Container, ContainerInstance, Resource, Task};

/// Of one kind, on one instance: CPU units or MiB of memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capacity {
    pub registered: i64,
    pub reserved: i64,
}

impl Capacity {
    /// `kind` is `CPU` or `MEMORY`.
    pub fn of(instance: &ContainerInstance, kind: &str) -> Capacity {
        let registered = amount(instance.registered_resources.as_deref(), kind);
        let remaining = amount(instance.remaining_resources.as_deref(), kind);
        Capacity { registered, reserved: registered - remaining }
    }

    /// `512/4096 12%`
    pub fn text(self) -> String {
        match self.percent() {
            Some(percent) => format!("{}/{} {percent}%", self.reserved, self.registered),
            None => String::new(),
        }
    }

    /// Nothing, of what is not there.
    pub fn percent(self) -> Option<i64> {
        (self.registered > 0).then(|| self.reserved * 100 / self.registered)
    }
}

fn amount(resources: Option<&[Resource]>, kind: &str) -> i64 {
    let found = resources.unwrap_or_default().iter().find(|resource| resource.name.as_deref() == Some(kind));
    found.and_then(|resource| resource.integer_value.map(i64::from).or(resource.long_value)).unwrap_or_default()
}

/// CPU units that a task has reserved: its own, or its containers' together.
pub fn cpu_units(task: &Task) -> i64 {
    number(task.cpu.as_deref()).unwrap_or_else(|| sum(task, |container| number(container.cpu.as_deref())))
}

/// MiB of memory that a task has reserved: its own, or its containers' soft limits, or else their hard ones.
pub fn memory_mib(task: &Task) -> i64 {
    let of_container = |container: &Container| {
        number(container.memory_reservation.as_deref()).or_else(|| number(container.memory.as_deref()))
    };
    number(task.memory.as_deref()).unwrap_or_else(|| sum(task, of_container))
}

/// Zero is how some clients write that nothing was said.
fn number(text: Option<&str>) -> Option<i64> {
    text.and_then(|text| text.parse().ok()).filter(|number| *number > 0)
}

fn sum(task: &Task, each: impl Fn(&Container) -> Option<i64>) -> i64 {
    task.containers.iter().flatten().filter_map(each).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_what_does_not_remain() {
        let resources = |cpu, memory| {
            let resource = |name: &str, value| Resource {
                name: Some(name.to_owned()),
                integer_value: Some(value),
                ..Resource::default()
            };
            Some(vec![resource("CPU", cpu), resource("MEMORY", memory)])
        };
        let instance = ContainerInstance {
            registered_resources: resources(4096, 0),
            remaining_resources: resources(3584, 0),
            ..ContainerInstance::default()
        };
        let check = |kind, expected| assert_eq!(Capacity::of(&instance, kind).text(), expected);
        check("CPU", "512/4096 12%");
        check("MEMORY", "");
        check("PORTS", "");
    }

    #[test]
    fn a_task_reserves_what_it_says_or_what_its_containers_say() {
        let container = |cpu: &str, soft: Option<&str>, hard: Option<&str>| Container {
            cpu: Some(cpu.to_owned()),
            memory_reservation: soft.map(str::to_owned),
            memory: hard.map(str::to_owned),
            ..Container::default()
        };
        let containers = Some(vec![container("10", Some("64"), Some("128")), container("0", None, Some("32"))]);
        let task = Task { containers, ..Task::default() };
        assert_eq!((cpu_units(&task), memory_mib(&task)), (10, 96));
        let task = Task { cpu: Some("256".to_owned()), memory: Some("512".to_owned()), ..task };
        assert_eq!((cpu_units(&task), memory_mib(&task)), (256, 512));
        assert_eq!((cpu_units(&Task::default()), memory_mib(&Task::default())), (0, 0));
    }
}
