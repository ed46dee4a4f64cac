//! What this machine can do, asked before the first container needs it. Blocking.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use runtime::Cgroups;

use crate::OpenError;
use crate::spec::{HostFiles, SelinuxContexts};

pub fn check_root() -> Result<(), OpenError> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    match effective_user(&status) {
        Some(0) => Ok(()),
        _ => Err(OpenError::NotRoot),
    }
}

/// The second number of `Uid:`, which lists the real, effective, saved and file system user.
fn effective_user(status: &str) -> Option<u32> {
    status.lines().find_map(|line| line.strip_prefix("Uid:"))?.split_whitespace().nth(1)?.parse().ok()
}

/// A name without a slash is looked for as a shell does.
pub fn check_program(program: &Path) -> Result<(), OpenError> {
    let is_program = |path: &Path| {
        fs::metadata(path).is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    };
    let found = match program.components().count() {
        1 if !program.is_absolute() => {
            let path = std::env::var_os("PATH").unwrap_or_default();
            std::env::split_paths(&path).any(|dir| is_program(&dir.join(program)))
        }
        _ => is_program(program),
    };
    if found { Ok(()) } else { Err(OpenError::Program { path: program.to_owned() }) }
}

/// For root alone: containers' settings lie below, and what they are told in confidence is in them.
pub fn make_private_dir(path: &Path) -> Result<(), OpenError> {
    let made = fs::create_dir_all(path).and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(0o700)));
    made.map_err(|source| OpenError::Directory { path: path.to_owned(), source })
}

pub fn check_overlay(path: &Path) -> Result<(), OpenError> {
    runtime::probe_overlay(path).map_err(|source| OpenError::Overlay { path: path.to_owned(), source })
}

pub fn cgroups(parent: &str) -> Result<Cgroups, OpenError> {
    let refuse = |source| OpenError::Cgroups { path: parent.to_owned(), source };
    let cgroups = Cgroups::detect().map_err(refuse)?;
    cgroups.ensure_parent(parent).map_err(refuse)?;
    Ok(cgroups)
}

/// Where the policies of Fedora and its kin say what containers are.
const SELINUX_CONTEXTS: &str = "/etc/selinux/targeted/contexts/lxc_contexts";

/// Small, in the page cache, and changed by others at any time: read for each container.
pub fn host_files() -> HostFiles {
    let read = |path: &str| fs::read_to_string(PathBuf::from(path)).unwrap_or_default();
    HostFiles {
        hostname: read("/proc/sys/kernel/hostname").trim().to_owned(),
        hosts: read("/etc/hosts"),
        resolv_conf: network::files::host_resolv_conf(),
        has_apparmor: agent::has_apparmor(),
        apparmor_default: None,
        selinux: agent::has_selinux().then(|| SelinuxContexts::read(&read(SELINUX_CONTEXTS))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_effective_user_counts() {
        assert_eq!(effective_user("Name:\tx\nUid:\t1000\t0\t1000\t0\nGid:\t1\t1\t1\t1\n"), Some(0));
        assert_eq!(effective_user("Name:\tx\n"), None);
    }

    #[test]
    fn programs_are_found_as_a_shell_finds_them() {
        assert!(check_program(Path::new("sh")).is_ok());
        assert!(check_program(Path::new("/bin/sh")).is_ok());
        for missing in ["no-such-program", "/etc/passwd", "/etc", "./sh"] {
            assert!(matches!(check_program(Path::new(missing)), Err(OpenError::Program { .. })), "{missing}");
        }
    }
}
