//! `label:` options: under which labels of SELinux a container runs.
//!
//! Source: `docker run --security-opt label=…`, and its public source, `opencontainers/selinux`.

use agent_api::docker;
use runtime::SelinuxLabels;
use task_engine::{Failure, FailureKind};

/// What containers and their files are labelled as when nothing else is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelinuxContexts {
    process: String,
    file: String,
}

impl SelinuxContexts {
    /// From a policy's `lxc_contexts`: `process = "system_u:system_r:container_t:s0"`. What it does not say is as in the policies of
    /// Fedora and its kin.
    pub fn read(text: &str) -> SelinuxContexts {
        let of = |wanted: &str, otherwise: &str| {
            let lines = text.lines().filter_map(|line| line.split_once('='));
            let found = lines
                .filter(|(name, _)| name.trim() == wanted)
                .map(|(_, value)| value.trim().trim_matches('"'))
                .next_back();
            found.filter(|context| context.split(':').count() >= 4).unwrap_or(otherwise).to_owned()
        };
        SelinuxContexts {
            process: of("process", "system_u:system_r:container_t:s0"),
            file: of("file", "system_u:object_r:container_file_t:s0"),
        }
    }
}

/// The labels that the options ask for; none when they ask for none or want none. Privileged containers have none either.
///
/// Errors: an option that is none, and any but `label:disable` on a machine without SELinux.
pub fn labels(host: &docker::HostConfig, contexts: Option<&SelinuxContexts>) -> Result<Option<SelinuxLabels>, Failure> {
    let mut wanted: Vec<(usize, &str)> = Vec::new();
    let mut is_disabled = host.privileged == Some(true);
    for option in &host.security_opt {
        let Some(label) = option.strip_prefix("label").and_then(|rest| rest.strip_prefix([':', '='])) else { continue };
        let refuse = |why: &str| Failure::new(FailureKind::Create, format!("security option {option:?} {why}"));
        if label == "disable" {
            is_disabled = true;
            continue;
        }
        let (part, value) = label.split_once(':').ok_or_else(|| refuse("is not valid"))?;
        let part = ["user", "role", "type", "level"].iter().position(|name| *name == part);
        let part = part.filter(|_| is_word(value)).ok_or_else(|| refuse("is not valid"))?;
        if contexts.is_none() {
            return Err(refuse("is not available on this container instance"));
        }
        wanted.push((part, value));
    }
    let Some(contexts) = contexts.filter(|_| !is_disabled && !wanted.is_empty()) else { return Ok(None) };
    let mut process: Vec<&str> = contexts.process.splitn(4, ':').collect();
    let mut file: Vec<&str> = contexts.file.splitn(4, ':').collect();
    for (part, value) in wanted {
        process[part] = value;
        // Of a file's label the user's choice is the level alone: it is what keeps containers apart.
        if part == LEVEL {
            file[part] = value;
        }
    }
    Ok(Some(SelinuxLabels { process: process.join(":"), mount: file.join(":") }))
}

const LEVEL: usize = 3;

/// A part of a label, which is a word among mount options too: a level may have commas, colons and a hyphen.
fn is_word(text: &str) -> bool {
    let is_good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b',' | b':');
    !text.is_empty() && text.bytes().all(is_good)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(options: &[&str], privileged: bool, has_selinux: bool) -> Result<Option<(String, String)>, String> {
        let security_opt = options.iter().map(|text| (*text).to_owned()).collect();
        let host = docker::HostConfig { security_opt, privileged: Some(privileged), ..Default::default() };
        let contexts = has_selinux.then(|| SelinuxContexts::read(""));
        let labels = labels(&host, contexts.as_ref()).map_err(|failure| failure.reason())?;
        Ok(labels.map(|labels| (labels.process, labels.mount)))
    }

    #[test]
    fn labels_are_those_of_the_machine_but_for_what_is_said() {
        let labels = |process: &str, mount: &str| Ok(Some((process.to_owned(), mount.to_owned())));
        for (options, expected) in [
            (
                vec!["label:type:svirt_apache_t"],
                labels("system_u:system_r:svirt_apache_t:s0", "system_u:object_r:container_file_t:s0"),
            ),
            (
                vec!["label=user:staff_u", "label=role:staff_r", "label=level:s0:c100,c200"],
                labels("staff_u:staff_r:container_t:s0:c100,c200", "system_u:object_r:container_file_t:s0:c100,c200"),
            ),
            (
                vec!["label:type:a_t", "label:type:b_t"],
                labels("system_u:system_r:b_t:s0", "system_u:object_r:container_file_t:s0"),
            ),
            (vec!["label:disable", "label:type:a_t"], Ok(None)),
            (vec!["no-new-privileges"], Ok(None)),
            (vec![], Ok(None)),
        ] {
            assert_eq!(of(&options, false, true), expected, "{options:?}");
        }
        assert_eq!(of(&["label:type:a_t"], true, true), Ok(None), "privileged");
    }

    #[test]
    fn what_is_no_label_or_has_no_use_is_refused() {
        for option in ["label:type", "label:colour:red", "label:type:", "label:type:a b", "label:level:s0\",context=x"]
        {
            let why = of(&[option], false, true).unwrap_err();
            assert!(why.contains("is not valid"), "{option}: {why}");
        }
        assert_eq!(of(&["label:disable"], false, false), Ok(None));
        let why = of(&["label:type:svirt_t"], false, false).unwrap_err();
        assert!(
            why.ends_with("security option \"label:type:svirt_t\" is not available on this container instance"),
            "{why}"
        );
    }

    #[test]
    fn a_policy_says_what_containers_are() {
        let text = "# the policy's\nprocess = \"system_u:system_r:svirt_lxc_net_t:s0\"\nfile = \"system_u:object_r:svirt_sandbox_file_t:s0\"\n";
        let contexts = SelinuxContexts::read(text);
        assert_eq!(contexts.process, "system_u:system_r:svirt_lxc_net_t:s0");
        assert_eq!(contexts.file, "system_u:object_r:svirt_sandbox_file_t:s0");
        assert_eq!(SelinuxContexts::read("process = \"nonsense\"").process, "system_u:system_r:container_t:s0");
    }
}
