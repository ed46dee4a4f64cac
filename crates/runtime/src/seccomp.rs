//! The default system call filter, as the OCI configuration wants it.

use serde_json::{Value, json};

/// The lists, as data: see the file's own head.
const PROFILE: &str = include_str!("seccomp.txt");

/// `CLONE_NEW*` without `CLONE_NEWTIME`: a container does not make namespaces.
const CLONE_NAMESPACES: u64 = 0x7E02_0000;

const ENOSYS: u32 = 38;
const AF_VSOCK: u64 = 40;

/// `personality(2)`: Linux, with 32 bits, with the old `uname` release, with both; and the question what it is.
const PERSONALITIES: [u64; 5] = [0, 0x8, 0x2_0000, 0x2_0008, 0xffff_ffff];

/// The filter for a container with these capabilities, and with 32-bit programs or without.
///
/// Docker's has both halves of the processor always, and x32, which kernels are built without. The filter is compiled
/// for each container anew, and that takes four times as long for both halves as for one: see `abi`.
pub fn profile(capabilities: &[&str], has_32_bit_programs: bool) -> Value {
    let (machine, architectures) = match cfg!(target_arch = "aarch64") {
        true => ("arm64", ["SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"]),
        false => ("amd64", ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"]),
    };
    let architectures = if has_32_bit_programs { &architectures[..] } else { &architectures[..1] };
    let applies = |when: &str| when == "always" || when == machine || capabilities.contains(&when);
    let mut names = PROFILE
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(' '))
        .filter(|(when, _)| applies(when))
        .flat_map(|(_, names)| names.split_whitespace())
        .collect::<Vec<_>>();
    names.sort_unstable();
    names.dedup();

    let allow = |name: &str, index: u32, value: u64, op: &str| {
        let args = json!([{ "index": index, "value": value, "op": op }]);
        json!({ "names": [name], "action": "SCMP_ACT_ALLOW", "args": args })
    };
    let mut rules = vec![json!({ "names": names, "action": "SCMP_ACT_ALLOW" })];
    // A virtual machine's socket family reaches its host, past every network namespace.
    rules.push(allow("socket", 0, AF_VSOCK, "SCMP_CMP_NE"));
    rules.extend(PERSONALITIES.iter().map(|&value| allow("personality", 0, value, "SCMP_CMP_EQ")));
    if !capabilities.contains(&"CAP_SYS_ADMIN") {
        let masked = json!([{ "index": 0, "value": CLONE_NAMESPACES, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ" }]);
        rules.push(json!({ "names": ["clone"], "action": "SCMP_ACT_ALLOW", "args": masked }));
        // Its flags are behind a pointer, so it cannot be filtered; told that it does not exist, libc uses clone.
        rules.push(json!({ "names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": ENOSYS }));
    }
    json!({
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": 1,
        "architectures": architectures,
        "syscalls": rules,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(capabilities: &[&str]) -> Vec<String> {
        let profile = profile(capabilities, false);
        let list = profile["syscalls"][0]["names"].as_array().unwrap();
        list.iter().map(|name| name.as_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn capabilities_open_calls() {
        let plain = names(&["CAP_CHOWN"]);
        for absent in ["mount", "unshare", "setns", "bpf", "io_uring_setup", "reboot", "keyctl", "kexec_load"] {
            assert!(!plain.iter().any(|name| name == absent), "{absent}");
        }
        assert!(plain.len() > 300, "{}", plain.len());
        assert!(names(&["CAP_SYS_ADMIN"]).iter().any(|name| name == "mount"));
        assert!(names(&["CAP_SYS_CHROOT"]).iter().any(|name| name == "chroot"));
    }

    #[test]
    fn every_line_of_the_profile_is_understood() {
        for line in PROFILE.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            let (when, names) = line.split_once(' ').unwrap();
            let known = ["always", "amd64", "arm64"].contains(&when) || when.starts_with("CAP_");
            assert!(known && !names.is_empty(), "{line}");
            let good = |name: &str| name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_');
            assert!(names.split_whitespace().all(good), "{line}");
        }
    }
}
