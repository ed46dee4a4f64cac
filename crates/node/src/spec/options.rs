//! The smaller settings of a container, and those that this agent must refuse.

use std::path::PathBuf;

use agent::plan::{ContainerPlan, TaskPlan};
use agent_api::docker;
use runtime::{Device, Namespace, SHM_BYTES, Stdin};
use task_engine::{Failure, FailureKind};

use super::Around;
use super::etc::HostFiles;
use crate::failure;

/// What would otherwise be silently different from what the definition says.
pub fn check(task: &TaskPlan, plan: &ContainerPlan, around: &Around<'_>) -> Result<(), Failure> {
    let payload = &plan.payload;
    for (what, mode) in [("pidMode", &task.payload.pid_mode), ("ipcMode", &task.payload.ipc_mode)] {
        match (what, mode.as_deref()) {
            (_, None | Some("" | "host" | "task")) | ("ipcMode", Some("none")) => {}
            (_, Some(other)) => return Err(failure::unavailable(format!("{what} {other} is"))),
        }
    }
    if !payload.secrets.is_empty() {
        return Err(failure::unavailable("unable to pull secrets or registry auth: secrets are"));
    }
    for name in plan.host.sysctls.keys() {
        check_sysctl(name, around.netns.is_none(), task.payload.ipc_mode.as_deref() == Some("host"))?;
    }
    Ok(())
}

/// Those that belong to a namespace of the container; any other would change the machine.
fn check_sysctl(name: &str, host_network: bool, host_ipc: bool) -> Result<(), Failure> {
    const IPC: [&str; 8] = [
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
    ];
    // A slash is a dot, and a dot a slash, when the first of both is a slash.
    let name = match name.find(['.', '/']).map(|at| name.as_bytes()[at]) {
        Some(b'/') => name.replace('/', "."),
        _ => name.to_owned(),
    };
    let is_plain = name.split('.').all(|part| !part.is_empty()) && !name.contains('/');
    let (is_ipc, is_net) = (IPC.contains(&name.as_str()) || name.starts_with("fs.mqueue."), name.starts_with("net."));
    let message = match (is_plain && (is_ipc || is_net), is_net && host_network, is_ipc && host_ipc) {
        (true, false, false) => return Ok(()),
        (true, true, _) => format!("sysctl '{name}' not allowed in host network namespace"),
        (true, _, true) => format!("sysctl '{name}' not allowed in host ipc namespace"),
        (false, ..) => format!("sysctl \"{name}\" is not in a separate kernel namespace"),
    };
    Err(failure::create(message))
}

/// `check` has refused the others.
pub fn namespace(mode: Option<&str>, shared: Option<&PathBuf>) -> Namespace {
    match (mode, shared) {
        (Some("host"), _) => Namespace::Host,
        (_, Some(path)) => Namespace::Path(path.clone()),
        _ => Namespace::Private,
    }
}

/// The size of the container's own `/dev/shm`. With the IPC mode `none` there is none.
pub fn shm_bytes(task: &TaskPlan, host: &docker::HostConfig) -> Option<u64> {
    let given = host.shm_size.and_then(|size| u64::try_from(size).ok()).filter(|size| *size > 0);
    (task.payload.ipc_mode.as_deref() != Some("none")).then(|| given.unwrap_or(SHM_BYTES))
}

/// A terminal is for reading as well, whether or not anybody writes to it.
pub fn stdin(config: &docker::ContainerConfig) -> Stdin {
    match (config.tty, config.open_stdin) {
        (Some(true), _) => Stdin::Terminal,
        (_, Some(true)) => Stdin::Open,
        _ => Stdin::Empty,
    }
}

pub fn no_new_privileges(options: &[String]) -> Result<bool, Failure> {
    let mut found = false;
    for option in options {
        match option.replace('=', ":").as_str() {
            "no-new-privileges" | "no-new-privileges:true" => found = true,
            "no-new-privileges:false" => {}
            // `apparmor_profile` and `selinux::labels` have them.
            given if given.starts_with("apparmor:") || given.starts_with("label:") => {}
            _ => {
                let text = format!("security option {option:?} is not available on this container instance");
                return Err(Failure::new(FailureKind::Create, text));
            }
        }
    }
    Ok(found)
}

/// The profile that confines the container; the last that is named, else the machine's default, which privileged ones go without. One
/// that the kernel has not loaded is refused when the container starts.
pub fn apparmor_profile(host: &docker::HostConfig, machine: &HostFiles) -> Result<Option<String>, Failure> {
    let default = machine.apparmor_default.filter(|_| host.privileged != Some(true));
    let mut profile = default.map(str::to_owned);
    for option in &host.security_opt {
        match option.strip_prefix("apparmor").and_then(|rest| rest.strip_prefix([':', '='])) {
            None => {}
            Some("unconfined") => profile = None,
            Some(name) if machine.has_apparmor => profile = Some(name.to_owned()),
            Some(_) => {
                let text = format!("security option {option:?} is not available on this container instance");
                return Err(Failure::new(FailureKind::Create, text));
            }
        }
    }
    Ok(profile)
}

pub fn devices(given: &[docker::Device]) -> Vec<Device> {
    let or = |text: &str, default: &str| if text.is_empty() { default.to_owned() } else { text.to_owned() };
    given
        .iter()
        .map(|device| Device {
            host_path: device.path_on_host.clone().into(),
            container_path: or(&device.path_in_container, &device.path_on_host).into(),
            access: or(&device.cgroup_permissions, "rwm"),
            mode: None,
            uid: None,
            gid: None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sysctls_of_the_machine_are_out_of_reach() {
        let check = |name: &str, network, ipc| check_sysctl(name, network, ipc).map_err(|failure| failure.reason());
        for good in ["net.core.somaxconn", "kernel.shmmax", "fs.mqueue.msg_max", "net/ipv4/conf/eth0/rp_filter"] {
            assert_eq!(check(good, false, false), Ok(()), "{good}");
        }
        for bad in ["kernel.panic", "vm.swappiness", "net", "net..x", "net.x/../../kernel/panic", ""] {
            let reason = check(bad, false, false).unwrap_err();
            assert!(reason.contains("not in a separate kernel namespace"), "{bad}: {reason}");
        }
        assert!(check("net.core.somaxconn", true, false).unwrap_err().contains("host network namespace"));
        assert!(check("kernel.sem", false, true).unwrap_err().contains("host ipc namespace"));
    }

    #[test]
    fn security_options_are_kept_or_refused() {
        let options = |text: &str| no_new_privileges(&[text.to_owned()]);
        assert_eq!(options("no-new-privileges"), Ok(true));
        assert_eq!(options("no-new-privileges=true"), Ok(true));
        assert_eq!(options("no-new-privileges:false"), Ok(false));
        assert!(options("seccomp=unconfined").is_err() && options("labels:type:svirt_t").is_err());
        let profile = |text: &str, there| {
            let host = docker::HostConfig { security_opt: vec![text.to_owned()], ..Default::default() };
            apparmor_profile(&host, &HostFiles { has_apparmor: there, ..HostFiles::default() })
        };
        assert_eq!(profile("apparmor:web", true), Ok(Some("web".to_owned())));
        assert_eq!(profile("apparmor=web", true), Ok(Some("web".to_owned())));
        assert_eq!(profile("apparmor:unconfined", false), Ok(None));
        assert_eq!(profile("no-new-privileges", false), Ok(None));
        let why = profile("apparmor:web", false).unwrap_err().reason();
        assert!(why.ends_with("security option \"apparmor:web\" is not available on this container instance"), "{why}");
        let default = |options: &[&str], privileged| {
            let security_opt = options.iter().map(|text| (*text).to_owned()).collect();
            let host = docker::HostConfig { security_opt, privileged: Some(privileged), ..Default::default() };
            let machine = HostFiles { has_apparmor: true, apparmor_default: Some("ours"), ..HostFiles::default() };
            apparmor_profile(&host, &machine).unwrap()
        };
        assert_eq!(default(&[], false).as_deref(), Some("ours"));
        assert_eq!(default(&[], true), None);
        assert_eq!(default(&["apparmor:unconfined"], false), None);
        assert_eq!(default(&["apparmor:web"], true).as_deref(), Some("web"));
    }
}
