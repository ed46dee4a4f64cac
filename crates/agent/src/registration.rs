//! What the agent tells the control plane about its machine.

use std::collections::BTreeMap;

use api_ecs::{Attribute, PlatformDevice, RegisterContainerInstanceRequest, Resource, Tag};

use crate::config::AgentConfig;

/// The agent's version in both websocket URLs.
pub const AGENT_VERSION: &str = env!("CARGO_PKG_VERSION");

/// Stands for a build's commit; also how a control plane recognises an agent of Berth.
pub const AGENT_HASH: &str = "berth";

/// What stands where the official agent names its Docker engine.
pub const ENGINE_VERSION: &str = concat!("berth-", env!("CARGO_PKG_VERSION"));

/// What this agent can do, as names that task definitions are placed by.
const CAPABILITIES: &[&str] = &[
    "com.amazonaws.ecs.capability.privileged-container",
    "com.amazonaws.ecs.capability.docker-remote-api.1.17",
    "com.amazonaws.ecs.capability.docker-remote-api.1.18",
    "com.amazonaws.ecs.capability.docker-remote-api.1.19",
    "com.amazonaws.ecs.capability.docker-remote-api.1.20",
    "com.amazonaws.ecs.capability.docker-remote-api.1.21",
    "com.amazonaws.ecs.capability.docker-remote-api.1.22",
    "com.amazonaws.ecs.capability.docker-remote-api.1.23",
    "com.amazonaws.ecs.capability.docker-remote-api.1.24",
    "com.amazonaws.ecs.capability.docker-remote-api.1.25",
    "com.amazonaws.ecs.capability.docker-remote-api.1.26",
    "com.amazonaws.ecs.capability.docker-remote-api.1.27",
    "com.amazonaws.ecs.capability.docker-remote-api.1.28",
    "com.amazonaws.ecs.capability.docker-remote-api.1.29",
    "com.amazonaws.ecs.capability.docker-remote-api.1.30",
    "com.amazonaws.ecs.capability.docker-remote-api.1.31",
    "com.amazonaws.ecs.capability.docker-remote-api.1.32",
    "com.amazonaws.ecs.capability.docker-remote-api.1.44",
    "com.amazonaws.ecs.capability.logging-driver.json-file",
    "com.amazonaws.ecs.capability.logging-driver.awslogs",
    "com.amazonaws.ecs.capability.logging-driver.none",
    "com.amazonaws.ecs.capability.logging-driver.syslog",
    "com.amazonaws.ecs.capability.logging-driver.gelf",
    "com.amazonaws.ecs.capability.logging-driver.fluentd",
    "com.amazonaws.ecs.capability.logging-driver.splunk",
    "com.amazonaws.ecs.capability.logging-driver.awsfirelens",
    "ecs.capability.logging-driver.awsfirelens.log-driver-buffer-limit",
    "ecs.capability.firelens.fluentd",
    "ecs.capability.firelens.fluentbit",
    "ecs.capability.firelens.options.config.file",
    "ecs.capability.firelens.options.config.s3",
    "com.amazonaws.ecs.capability.ecr-auth",
    "com.amazonaws.ecs.capability.task-iam-role",
    "com.amazonaws.ecs.capability.task-iam-role-network-host",
    "ecs.capability.execution-role-ecr-pull",
    "ecs.capability.execution-role-awslogs",
    "ecs.capability.container-health-check",
    "ecs.capability.container-ordering",
    "ecs.capability.container-restart-policy",
    "ecs.capability.docker-plugin.local",
    "ecs.capability.env-files.s3",
    "ecs.capability.network.container-port-range",
    "ecs.capability.pid-ipc-namespace-sharing",
    "ecs.capability.logging-driver.awslogs.log-driver-buffer-size",
    "ecs.capability.task-cpu-mem-limit",
    "ecs.capability.full-sync",
    "ecs.capability.berth.image-prepull",
    // Ours: a task whose containers are probed has to find an agent that does it.
    "ecs.capability.berth.probes",
];

const PRIVILEGED: &str = "com.amazonaws.ecs.capability.privileged-container";

/// Source: systemd's documentation, "Native Journal Protocol".
const JOURNAL: &str = "/run/systemd/journal/socket";

/// Source: selinuxfs of the kernel, which is there when SELinux is enabled.
const SELINUX: &str = "/sys/fs/selinux/enforce";

/// Source: apparmor(7), `Y` when it is enabled.
const APPARMOR: &str = "/sys/module/apparmor/parameters/enabled";

/// The machine, as far as a registration tells about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    pub cpus: u32,
    pub memory_mib: u64,
    /// As Rust names it: `x86_64`, `aarch64`.
    pub architecture: &'static str,
    /// The ids of its GPUs.
    pub gpus: Vec<String>,
    /// The kernel confines programs by AppArmor's profiles.
    pub has_apparmor: bool,
    /// The kernel labels programs and files by SELinux.
    pub has_selinux: bool,
    /// There is a journal for the log driver `journald`.
    pub has_journal: bool,
}

impl Machine {
    /// Reads `/proc/meminfo`; a machine without one has no memory for tasks.
    pub fn detect() -> Machine {
        let meminfo = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
        let cpus =
            std::thread::available_parallelism().map_or(1, |count| u32::try_from(count.get()).unwrap_or(u32::MAX));
        Machine {
            cpus,
            memory_mib: memory_mib(&meminfo).unwrap_or(0),
            architecture: std::env::consts::ARCH,
            gpus: Vec::new(),
            has_apparmor: has_apparmor(),
            has_selinux: has_selinux(),
            has_journal: std::path::Path::new(JOURNAL).exists(),
        }
    }
}

/// True where the kernel labels programs and files by SELinux, whether it only warns or enforces.
pub fn has_selinux() -> bool {
    std::path::Path::new(SELINUX).exists()
}

/// True where the kernel confines programs by AppArmor's profiles.
pub fn has_apparmor() -> bool {
    std::fs::read(APPARMOR).is_ok_and(|enabled| enabled.starts_with(b"Y"))
}

fn memory_mib(meminfo: &str) -> Option<u64> {
    let line = meminfo.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kib / 1024)
}

/// The registration. One that names an existing instance leaves custom attributes out, as the official agent's does. `token` is the same
/// for every try, so that an answer that is lost makes no second instance.
pub fn request(
    config: &AgentConfig,
    machine: &Machine,
    existing: Option<&str>,
    token: String,
) -> RegisterContainerInstanceRequest {
    RegisterContainerInstanceRequest {
        client_token: Some(token),
        cluster: Some(config.cluster.clone()),
        container_instance_arn: existing.map(str::to_owned),
        instance_identity_document: Some(String::new()),
        instance_identity_document_signature: Some(String::new()),
        attributes: Some(attributes(config, machine, existing.is_none())),
        total_resources: Some(resources(config, machine)),
        tags: tags(config).filter(|_| existing.is_none()),
        platform_devices: Some(machine.gpus.iter().map(|gpu| platform_device(gpu)).collect())
            .filter(|devices: &Vec<PlatformDevice>| !devices.is_empty()),
        ..RegisterContainerInstanceRequest::default()
    }
}

fn tags(config: &AgentConfig) -> Option<Vec<Tag>> {
    let tag = |(key, value): (&String, &String)| Tag { key: Some(key.clone()), value: Some(value.clone()) };
    (!config.instance_tags.is_empty()).then(|| config.instance_tags.iter().map(tag).collect())
}

/// Source: the official agent, which tells its GPUs in this way.
fn platform_device(gpu: &str) -> PlatformDevice {
    PlatformDevice { id: Some(gpu.to_owned()), r#type: Some("GPU".to_owned()) }
}

fn attributes(config: &AgentConfig, machine: &Machine, first: bool) -> Vec<Attribute> {
    let capability = |name: &str| Attribute { name: Some(name.to_owned()), ..Attribute::default() };
    let valued = |name: &str, value: &str| Attribute { value: Some(value.to_owned()), ..capability(name) };
    let mut attributes: Vec<Attribute> = CAPABILITIES
        .iter()
        .filter(|name| **name != PRIVILEGED || !config.privileged_disabled)
        .map(|name| capability(name))
        .collect();
    if machine.has_journal {
        attributes.push(capability("com.amazonaws.ecs.capability.logging-driver.journald"));
    }
    if machine.has_apparmor {
        attributes.push(capability("com.amazonaws.ecs.capability.apparmor"));
    }
    if machine.has_selinux {
        attributes.push(capability("com.amazonaws.ecs.capability.selinux"));
    }
    if config.external {
        attributes.push(capability("ecs.capability.external"));
    }
    let architecture = match machine.architecture {
        "aarch64" => "arm64",
        other => other,
    };
    for (name, value) in [
        ("ecs.os-type", "linux"),
        ("ecs.os-family", "LINUX"),
        ("ecs.os-type-detailed", "LINUX"),
        ("ecs.cpu-architecture", architecture),
    ] {
        attributes.push(valued(name, value));
    }
    if first {
        attributes.extend(config.instance_attributes.iter().map(|(name, value)| valued(name, value)));
    }
    attributes
}

fn resources(config: &AgentConfig, machine: &Machine) -> Vec<Resource> {
    let integer = |name: &str, value: u64| Resource {
        name: Some(name.to_owned()),
        r#type: Some("INTEGER".to_owned()),
        integer_value: Some(i32::try_from(value).unwrap_or(i32::MAX)),
        ..Resource::default()
    };
    let set = |name: &str, values: Vec<String>| Resource {
        name: Some(name.to_owned()),
        r#type: Some("STRINGSET".to_owned()),
        string_set_value: Some(values),
        ..Resource::default()
    };
    vec![
        integer("CPU", u64::from(machine.cpus) * 1024),
        integer("MEMORY", machine.memory_mib.saturating_sub(config.reserved_memory_mib)),
        set("PORTS", config.reserved_ports.iter().map(u16::to_string).collect()),
        set("PORTS_UDP", config.reserved_ports_udp.iter().map(u16::to_string).collect()),
    ]
}

/// Every attribute that was sent with a value must come back with it. The first that did not, if any.
pub fn missing_attribute(sent: &[Attribute], echoed: &[Attribute]) -> Option<String> {
    let echoed: BTreeMap<&str, Option<&str>> =
        echoed.iter().filter_map(|attribute| Some((attribute.name.as_deref()?, attribute.value.as_deref()))).collect();
    let valued = sent.iter().filter_map(|attribute| Some((attribute.name.as_deref()?, attribute.value.as_deref()?)));
    let mut missing = valued.filter(|(name, value)| echoed.get(name).copied().flatten() != Some(*value));
    missing.next().map(|(name, _)| name.to_owned())
}

/// The zone that the control plane put the instance in.
pub fn availability_zone(attributes: &[Attribute]) -> Option<String> {
    let zone = attributes.iter().find(|attribute| attribute.name.as_deref() == Some("ecs.availability-zone"))?;
    zone.value.clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINE: Machine = Machine {
        cpus: 2,
        memory_mib: 24105,
        architecture: "x86_64",
        gpus: Vec::new(),
        has_apparmor: false,
        has_selinux: false,
        has_journal: false,
    };

    #[test]
    fn the_registration_names_the_machine() {
        let config = AgentConfig {
            reserved_memory_mib: 105,
            external: true,
            instance_attributes: BTreeMap::from([("rack".into(), "7".into())]),
            instance_tags: BTreeMap::from([("team".into(), "shop".into())]),
            reserved_ports_udp: vec![53],
            ..AgentConfig::new("http://h", "/n")
        };
        let first = request(&config, &MACHINE, None, "t".into());
        let resources = first.total_resources.unwrap();
        assert_eq!((resources[0].integer_value, resources[1].integer_value), (Some(2048), Some(24000)));
        assert_eq!(resources[2].string_set_value.as_ref().unwrap().join(" "), "22 2375 2376 51678 51679");
        assert_eq!(resources[3].string_set_value, Some(vec!["53".to_owned()]));
        assert_eq!(first.tags.as_deref().unwrap()[0].key.as_deref(), Some("team"));
        let has =
            |attributes: &[Attribute], name: &str| attributes.iter().any(|found| found.name.as_deref() == Some(name));
        let attributes = first.attributes.unwrap();
        for name in ["rack", "ecs.capability.external", "ecs.capability.full-sync", "ecs.os-type"] {
            assert!(has(&attributes, name), "{name}");
        }
        let journald = "com.amazonaws.ecs.capability.logging-driver.journald";
        let apparmor = "com.amazonaws.ecs.capability.apparmor";
        let selinux = "com.amazonaws.ecs.capability.selinux";
        assert!(!has(&attributes, journald) && !has(&attributes, apparmor) && !has(&attributes, selinux));
        assert_eq!(first.platform_devices, None);
        let gpus = vec!["GPU-1".to_owned()];
        let more = Machine { has_journal: true, has_apparmor: true, has_selinux: true, gpus, ..MACHINE };
        let more = request(&config, &more, None, "t".into());
        let attributes = more.attributes.unwrap();
        assert!(has(&attributes, journald) && has(&attributes, apparmor) && has(&attributes, selinux));
        let [gpu] = more.platform_devices.as_deref().unwrap() else { panic!("one GPU") };
        assert_eq!((gpu.id.as_deref(), gpu.r#type.as_deref()), (Some("GPU-1"), Some("GPU")));
        let again = request(&config, &MACHINE, Some("arn"), "t".into());
        assert_eq!(again.container_instance_arn.as_deref(), Some("arn"));
        assert_eq!(again.tags, None);
        let attributes = again.attributes.unwrap();
        assert!(!has(&attributes, "rack") && has(&attributes, PRIVILEGED));
        let without = AgentConfig { privileged_disabled: true, ..config };
        assert!(!has(&request(&without, &MACHINE, None, "t".into()).attributes.unwrap(), PRIVILEGED));
    }

    #[test]
    fn the_echo_is_checked_by_value() {
        let named = |name: &str, value: Option<&str>| Attribute {
            name: Some(name.into()),
            value: value.map(Into::into),
            ..Attribute::default()
        };
        let sent = [named("capability", None), named("os", Some("linux"))];
        assert_eq!(missing_attribute(&sent, &[named("os", Some("linux"))]), None);
        assert_eq!(missing_attribute(&sent, &[named("os", Some("bsd"))]), Some("os".into()));
        assert_eq!(missing_attribute(&sent, &[]), Some("os".into()));
        assert_eq!(availability_zone(&[named("ecs.availability-zone", Some("z"))]), Some("z".into()));
    }

    #[test]
    fn memory_is_read_in_mib() {
        assert_eq!(memory_mib("MemTotal:       24684000 kB\nMemFree: 1 kB\n"), Some(24105));
        assert_eq!(memory_mib(""), None);
        assert!(Machine::detect().memory_mib > 0);
    }
}
