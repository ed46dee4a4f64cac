//! From a container's specification to the OCI runtime's `config.json`. A pure function: nothing here looks at the machine.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::devices::DeviceNode;
use crate::host::Host;
use crate::users::User;
use crate::{ContainerSpec, Hook, Limits, Mount, MountSource, Namespace, RuntimeError, Stdin, capabilities, seccomp};

/// What was found out about the world for one container.
#[derive(Debug, Clone)]
pub struct Surroundings<'a> {
    pub host: &'a Host,
    pub user: User,
    pub devices: Vec<DeviceNode>,
    /// Absolute, from the root of the cgroup hierarchies.
    pub cgroup_path: String,
    /// The image has programs for the 32-bit half of the processor.
    pub has_32_bit_programs: bool,
    /// Files that are bind-mounted over the image's: target and source.
    pub etc_files: Vec<(&'static str, PathBuf)>,
}

/// The oldest version that has all we use; runtimes refuse newer ones than theirs.
const OCI_VERSION: &str = "1.0.2";

/// Docker's, for an image that sets none.
pub(crate) const PATH_DEFAULT: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// What Docker hides from containers: it tells about, or reaches, the machine.
const MASKED_PATHS: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

const READONLY_PATHS: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// The OCI configuration.
pub fn spec_json(spec: &ContainerSpec, around: &Surroundings<'_>) -> Result<Value, RuntimeError> {
    if spec.args.is_empty() {
        return Err(RuntimeError::InvalidSpec("no command specified".to_owned()));
    }
    let mut config = json!({
        "ociVersion": OCI_VERSION,
        "process": process(spec, around)?,
        "root": { "path": "rootfs", "readonly": spec.readonly_rootfs },
        "mounts": mounts(spec, around),
        "linux": linux(spec, around)?,
    });
    if !spec.hostname.is_empty() && spec.network != Namespace::Host {
        config["hostname"] = json!(spec.hostname);
    }
    if !spec.hooks.is_empty() {
        config["hooks"] = hooks(&spec.hooks);
    }
    Ok(config)
}

/// By the point of the container's life, each in the order in which they are given.
fn hooks(hooks: &[Hook]) -> Value {
    let mut stages = serde_json::Map::new();
    for hook in hooks {
        let mut entry = json!({ "path": hook.path, "args": hook.args, "env": hook.env });
        if let Some(seconds) = hook.timeout_seconds {
            entry["timeout"] = json!(seconds);
        }
        let stage = stages.entry(hook.stage.as_str()).or_insert_with(|| json!([]));
        stage.as_array_mut().expect("a stage is a list").push(entry);
    }
    Value::Object(stages)
}

fn process(spec: &ContainerSpec, around: &Surroundings<'_>) -> Result<Value, RuntimeError> {
    let host = around.host;
    let held = capabilities::effective(
        &spec.capabilities_added,
        &spec.capabilities_dropped,
        spec.privileged,
        host.capabilities,
    )?;
    // Without root the program starts without them; it can gain what the bounding set allows by executing a file that
    // carries them.
    let own = if around.user.uid == 0 { held.as_slice() } else { &[] };
    let mut process = json!({
        "terminal": spec.stdin == Stdin::Terminal,
        "user": {
            "uid": around.user.uid,
            "gid": around.user.gid,
            "additionalGids": additional_gids(spec, &around.user),
        },
        "args": spec.args,
        "env": environment(spec, &around.user),
        "cwd": if spec.cwd.is_empty() { "/" } else { &spec.cwd },
        "capabilities": { "bounding": held, "effective": own, "permitted": own },
        "oomScoreAdj": host.oom_score_adj,
    });
    if let Some(profile) = &spec.apparmor_profile {
        process["apparmorProfile"] = json!(profile);
    }
    if let Some(labels) = &spec.selinux {
        process["selinuxLabel"] = json!(labels.process);
    }
    // The key is left out rather than false: libcontainer takes its presence for a yes when it orders the filter.
    if spec.no_new_privileges {
        process["noNewPrivileges"] = json!(true);
    }
    let mut rlimits = Vec::new();
    for ulimit in &spec.ulimits {
        let name = ulimit.name.to_ascii_lowercase();
        let name = name.strip_prefix("rlimit_").unwrap_or(&name);
        if ulimit.soft > ulimit.hard {
            return Err(RuntimeError::InvalidSpec(format!("ulimit {name}: the soft limit is above the hard limit")));
        }
        rlimits.push(json!({
            "type": format!("RLIMIT_{}", name.to_ascii_uppercase()),
            "soft": host.attainable(name, ulimit.soft),
            "hard": host.attainable(name, ulimit.hard),
        }));
    }
    if !rlimits.is_empty() {
        process["rlimits"] = Value::Array(rlimits);
    }
    Ok(process)
}

fn additional_gids(spec: &ContainerSpec, user: &User) -> Vec<u32> {
    let mut gids = user.additional_gids.clone();
    for gid in &spec.additional_gids {
        if !gids.contains(gid) {
            gids.push(*gid);
        }
    }
    gids
}

/// One entry for each name, the last one's value, in the order of first mention.
fn environment(spec: &ContainerSpec, user: &User) -> Vec<String> {
    let name = |pair: &str| pair.split_once('=').map_or(pair, |(name, _)| name).to_owned();
    let mut env = vec![format!("PATH={PATH_DEFAULT}")];
    if !spec.hostname.is_empty() {
        env.push(format!("HOSTNAME={}", spec.hostname));
    }
    if spec.stdin == Stdin::Terminal {
        env.push("TERM=xterm".to_owned());
    }
    for pair in &spec.env {
        match env.iter_mut().find(|known| name(known) == name(pair)) {
            Some(known) => known.clone_from(pair),
            None => env.push(pair.clone()),
        }
    }
    if !env.iter().any(|pair| name(pair) == "HOME") {
        env.push(format!("HOME={}", user.home.as_deref().filter(|home| !home.is_empty()).unwrap_or("/")));
    }
    env
}

fn mounts(spec: &ContainerSpec, around: &Surroundings<'_>) -> Vec<Value> {
    let mount = |target: &str, kind: &str, options: &[&str]| json!({ "destination": target, "type": kind, "source": kind, "options": options });
    let readonly: &[&str] = if spec.privileged { &[] } else { &["ro"] };
    let sys = [readonly, &["nosuid", "noexec", "nodev"]].concat();
    let mut mounts = vec![
        mount("/proc", "proc", &["nosuid", "noexec", "nodev"]),
        mount("/dev", "tmpfs", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
        mount("/dev/pts", "devpts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]),
        mount("/dev/mqueue", "mqueue", &["nosuid", "noexec", "nodev"]),
        mount("/sys", "sysfs", &sys),
        mount("/sys/fs/cgroup", "cgroup", &sys),
    ];
    if let Some(bytes) = spec.shm_bytes {
        mounts.push(mount("/dev/shm", "tmpfs", &["nosuid", "noexec", "nodev", "mode=1777", &format!("size={bytes}")]));
    }
    let taken = |target: &str| spec.mounts.iter().any(|mount| mount.target == Path::new(target));
    mounts.retain(|mount| mount["destination"].as_str().is_none_or(|target| !taken(target)));
    for (target, source) in &around.etc_files {
        if !taken(target) {
            mounts.push(
                json!({ "destination": target, "type": "bind", "source": source, "options": ["rbind", "rprivate"] }),
            );
        }
    }
    // A mount inside another one must come after it.
    let mut own = spec.mounts.iter().collect::<Vec<_>>();
    own.sort_by_key(|mount| mount.target.components().count());
    mounts.extend(own.into_iter().map(own_mount));
    mounts
}

fn own_mount(mount: &Mount) -> Value {
    let access = if mount.readonly { "ro" } else { "rw" };
    match &mount.source {
        MountSource::Bind(source) | MountSource::Volume(source) => json!({
            "destination": mount.target,
            "type": "bind",
            "source": source,
            "options": ["rbind", "rprivate", access],
        }),
        MountSource::BindWith { source, options } => {
            let mut all = options.clone();
            if !options.iter().any(|option| option == "bind" || option == "rbind") {
                all.push("rbind".to_owned());
            }
            json!({ "destination": mount.target, "type": "bind", "source": source, "options": all })
        }
        MountSource::Tmpfs { size_bytes, options } => {
            let mut all = vec!["nosuid".to_owned(), "nodev".to_owned(), "noexec".to_owned(), access.to_owned()];
            all.extend(size_bytes.map(|size| format!("size={size}")));
            all.extend(options.iter().cloned());
            json!({ "destination": mount.target, "type": "tmpfs", "source": "tmpfs", "options": all })
        }
    }
}

fn linux(spec: &ContainerSpec, around: &Surroundings<'_>) -> Result<Value, RuntimeError> {
    let mut namespaces = vec![json!({ "type": "mount" })];
    // The host's name goes with the host's network, as in Docker.
    if spec.network != Namespace::Host {
        namespaces.push(json!({ "type": "uts" }));
    }
    // On v1 Docker shows the host's view, and the runtimes narrow it by bind mounts.
    if around.host.cgroup_v2 {
        namespaces.push(json!({ "type": "cgroup" }));
    }
    for (kind, namespace) in [("network", &spec.network), ("pid", &spec.pid), ("ipc", &spec.ipc)] {
        match namespace {
            Namespace::Private => namespaces.push(json!({ "type": kind })),
            Namespace::Path(path) => namespaces.push(json!({ "type": kind, "path": path })),
            Namespace::Host => {}
        }
    }
    let mut linux = json!({
        "namespaces": namespaces,
        "cgroupsPath": around.cgroup_path,
        "resources": resources(&spec.limits),
    });
    if let Some(labels) = &spec.selinux {
        linux["mountLabel"] = json!(labels.mount);
    }
    linux["resources"]["devices"] = device_rules(spec, &around.devices);
    if !around.devices.is_empty() {
        linux["devices"] = around.devices.iter().map(device).collect();
    }
    if !spec.sysctls.is_empty() {
        linux["sysctl"] = json!(spec.sysctls);
    }
    if !spec.privileged {
        linux["maskedPaths"] = json!(MASKED_PATHS);
        // A container must not raise its own limits. Not every runtime mounts the trees of v1 read-only when it is told to.
        let trees = around.host.cgroup_trees.iter().map(String::as_str);
        linux["readonlyPaths"] = READONLY_PATHS.into_iter().chain(trees).collect();
        let (added, dropped) = (&spec.capabilities_added, &spec.capabilities_dropped);
        let held = capabilities::effective(added, dropped, false, around.host.capabilities)?;
        linux["seccomp"] = seccomp::profile(&held, around.has_32_bit_programs);
    }
    Ok(linux)
}

fn resources(limits: &Limits) -> Value {
    let group = |fields: &[(&str, Option<u64>)]| {
        fields
            .iter()
            .filter_map(|(name, value)| Some(((*name).to_owned(), json!((*value)?))))
            .collect::<serde_json::Map<_, _>>()
    };
    let memory = group(&[
        ("limit", limits.memory_bytes),
        ("reservation", limits.memory_reservation_bytes),
        ("swap", limits.memory_swap_bytes),
        ("swappiness", limits.swappiness),
    ]);
    let mut cpu =
        group(&[("shares", limits.cpu_shares), ("quota", limits.cpu_quota_us), ("period", limits.cpu_period_us)]);
    if let Some(cpuset) = &limits.cpuset {
        cpu.insert("cpus".to_owned(), json!(cpuset));
    }
    let pids = group(&[("limit", limits.pids)]);
    let groups = [("memory", memory), ("cpu", cpu), ("pids", pids)];
    groups
        .into_iter()
        .filter(|(_, group)| !group.is_empty())
        .map(|(name, group)| (name, Value::Object(group)))
        .collect()
}

fn device(node: &DeviceNode) -> Value {
    json!({
        "path": node.path,
        "type": if node.block { "b" } else { "c" },
        "major": node.major,
        "minor": node.minor,
        "fileMode": node.mode,
        "uid": node.uid,
        "gid": node.gid,
    })
}

/// Everything is forbidden but the container's own devices. Every OCI runtime adds what each container may have: making
/// nodes, and null, zero, full, random, urandom, tty, console, ptmx and the pseudo-terminals.
fn device_rules(spec: &ContainerSpec, nodes: &[DeviceNode]) -> Value {
    if spec.privileged {
        return json!([{ "allow": true, "access": "rwm" }]);
    }
    let mut rules = vec![json!({ "allow": false, "access": "rwm" })];
    for node in nodes {
        rules.push(json!({
            "allow": true,
            "type": if node.block { "b" } else { "c" },
            "major": node.major,
            "minor": node.minor,
            "access": node.access,
        }));
    }
    Value::Array(rules)
}
