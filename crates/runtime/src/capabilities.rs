//! Which capabilities a container has.

use crate::RuntimeError;

/// All of them, each at its number.
const ALL: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// What Docker gives every container.
const DEFAULT: [&str; 14] = [
    "CAP_AUDIT_WRITE",
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_MKNOD",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_RAW",
    "CAP_SETFCAP",
    "CAP_SETGID",
    "CAP_SETPCAP",
    "CAP_SETUID",
    "CAP_SYS_CHROOT",
];

/// A capability's number in the kernel's masks.
pub fn number(name: &str) -> Option<usize> {
    ALL.iter().position(|known| *known == name)
}

/// The defaults with some added and some dropped, as Docker computes them: `ALL` dropped wins over the defaults but not
/// over what is added by name; `ALL` added wins over everything but what is dropped by name.
///
/// `held` is the mask of what this process may give away at all.
pub fn effective(
    added: &[String],
    dropped: &[String],
    privileged: bool,
    held: u64,
) -> Result<Vec<&'static str>, RuntimeError> {
    let (add_all, added) = parse(added)?;
    let (drop_all, dropped) = parse(dropped)?;
    let base: &[&str] = match (privileged || add_all, drop_all) {
        (true, _) => &ALL,
        (false, true) => &[],
        (false, false) => &DEFAULT,
    };
    let wanted = |name: &str| (base.contains(&name) && !dropped.contains(&name)) || added.contains(&name);
    let wanted = |name: &str| privileged || wanted(name);
    Ok(ALL
        .iter()
        .enumerate()
        .filter(|(bit, name)| held >> bit & 1 == 1 && wanted(name))
        .map(|(_, name)| *name)
        .collect())
}

/// Is `ALL` among them, and which are named?
fn parse(names: &[String]) -> Result<(bool, Vec<&'static str>), RuntimeError> {
    let mut all = false;
    let mut known = Vec::new();
    for name in names {
        let upper = name.to_ascii_uppercase();
        let full = if upper.starts_with("CAP_") { upper } else { format!("CAP_{upper}") };
        match ALL.iter().find(|known| **known == full) {
            Some(name) => known.push(*name),
            None if full == "CAP_ALL" => all = true,
            None => return Err(RuntimeError::InvalidSpec(format!("unknown capability {name:?}"))),
        }
    }
    Ok((all, known))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(added: &[&str], dropped: &[&str], expected: &[&str]) {
        let own = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        let mut found = effective(&own(added), &own(dropped), false, u64::MAX).unwrap();
        found.sort_unstable();
        assert_eq!(found, expected, "+{added:?} -{dropped:?}");
    }

    #[test]
    fn additions_and_drops_combine_as_in_docker() {
        check(&[], &[], &DEFAULT);
        check(&["NET_ADMIN"], &["ALL"], &["CAP_NET_ADMIN"]);
        check(&[], &["all"], &[]);
        let mut fewer = DEFAULT.to_vec();
        fewer.retain(|name| *name != "CAP_MKNOD");
        check(&[], &["cap_mknod"], &fewer);
        let mut most = ALL.to_vec();
        most.retain(|name| *name != "CAP_SYS_ADMIN");
        most.sort_unstable();
        check(&["ALL"], &["SYS_ADMIN"], &most);
    }

    #[test]
    fn nobody_gives_what_he_does_not_have() {
        let without_resource = !(1 << number("CAP_SYS_RESOURCE").unwrap());
        let found = effective(&[], &[], true, without_resource).unwrap();
        assert_eq!(found.len(), ALL.len() - 1);
        assert!(!found.contains(&"CAP_SYS_RESOURCE"));
    }

    #[test]
    fn unknown_names_are_errors() {
        assert!(effective(&["FLY".to_owned()], &[], false, u64::MAX).is_err());
    }
}
