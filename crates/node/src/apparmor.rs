//! The profile of AppArmor that confines containers which name none, on machines that have it.
//!
//! It allows and denies what Docker's `docker-default` does, under a name of our own: two engines on one machine do not overwrite
//! each other's. The kernel is looked at before each start, because tools that tidy profiles up unload those of no file.
//!
//! Source: moby, `profiles/apparmor`: the rules of its profile and when it is used; apparmor.d(5).

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use task_engine::{Failure, FailureKind};

/// What `ps -Z` shows of a container.
pub const NAME: &str = "berth-default";

/// Where things are on a machine with AppArmor.
struct Places {
    /// `NAME (enforce)` a line.
    loaded: PathBuf,
    parser: PathBuf,
    /// Variables and common rules that a distribution brings.
    rules: PathBuf,
}

/// Has the kernel know the profile, and says its name. None where the machine has no AppArmor, or no program that could load a
/// profile: there containers are confined by all the rest alone, as Docker's are.
pub async fn ensure() -> Result<Option<&'static str>, Failure> {
    if !agent::has_apparmor() {
        return Ok(None);
    }
    let ensured = tokio::task::spawn_blocking(|| {
        let places = Places {
            loaded: PathBuf::from("/sys/kernel/security/apparmor/profiles"),
            parser: PathBuf::from("/sbin/apparmor_parser"),
            rules: PathBuf::from("/etc/apparmor.d"),
        };
        places.ensure()
    });
    let failed = |why: String| {
        let text = format!("AppArmor enabled on system but the {NAME} profile could not be loaded: {why}");
        Failure::new(FailureKind::Create, text)
    };
    ensured.await.map_err(|panic| failed(panic.to_string()))?.map_err(|error| failed(error.to_string()))
}

impl Places {
    fn ensure(&self) -> io::Result<Option<&'static str>> {
        if !self.parser.exists() {
            return Ok(None);
        }
        let loaded = std::fs::read_to_string(&self.loaded)?;
        if !loaded.lines().any(|line| line.split(' ').next() == Some(NAME)) {
            self.load()?;
        }
        Ok(Some(NAME))
    }

    /// In place of one that is there, and past the parser's cache.
    fn load(&self) -> io::Result<()> {
        let mut parser = Command::new(&self.parser);
        parser.args(["--skip-cache", "--replace"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut parser = parser.spawn()?;
        // Its end is the end of what the parser reads. One that does not read says why.
        let written = parser.stdin.take().map_or(Ok(()), |mut input| input.write_all(profile(&self.rules).as_bytes()));
        let output = parser.wait_with_output()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(io::Error::other(format!("{}: {}", self.parser.display(), said.trim())));
        }
        written
    }
}

/// The text of the profile, with what the distribution has to include.
fn profile(rules: &Path) -> String {
    let include = |path: &str, otherwise: &str| match rules.join(path).exists() {
        true => format!("#include <{path}>"),
        false => otherwise.to_owned(),
    };
    let variables = include("tunables/global", "@{PROC}=/proc/");
    let base = include("abstractions/base", "# no abstractions/base");
    format!(
        r#"{variables}

profile {NAME} flags=(attach_disconnected,mediate_deleted) {{
  {base}

  network,
  capability,
  file,
  umount,

  # Who stops a container is not confined itself; OCI runtimes may have profiles of their own.
  signal (receive) peer=unconfined,
  signal (receive) peer=runc,
  signal (receive) peer=crun,
  signal (send,receive) peer={NAME},

  # Files of /proc that belong to no process, and of /proc/sys all but those of shared memory.
  deny @{{PROC}}/* w,
  deny @{{PROC}}/{{[^1-9],[^1-9][^0-9],[^1-9s][^0-9y][^0-9s],[^1-9][^0-9][^0-9][^0-9/]*}}/** w,
  deny @{{PROC}}/sys/[^k]** w,
  deny @{{PROC}}/sys/kernel/{{?,??,[^s][^h][^m]**}} w,
  deny @{{PROC}}/sysrq-trigger rwklx,
  deny @{{PROC}}/kcore rwklx,

  deny mount,

  # Of /sys nothing but cgroups.
  deny /sys/[^f]*/** wklx,
  deny /sys/f[^s]*/** wklx,
  deny /sys/fs/[^c]*/** wklx,
  deny /sys/fs/c[^g]*/** wklx,
  deny /sys/fs/cg[^r]*/** wklx,
  deny /sys/firmware/** rwklx,
  deny /sys/devices/virtual/powercap/** rwklx,
  deny /sys/kernel/security/** rwklx,

  # Programs of a container may look at each other.
  ptrace (trace,read,tracedby,readby) peer={NAME},
}}
"#
    )
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use expect_test::expect;
    use tempfile::TempDir;

    use super::*;

    /// A machine whose parser is a script that keeps what it reads.
    fn machine(parser: &str, loaded: &str) -> (TempDir, Places) {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::write(at("parser"), format!("#!/bin/sh\nHERE={}\n{parser}\n", dir.path().display())).unwrap();
        fs::set_permissions(at("parser"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(at("profiles"), loaded).unwrap();
        let places = Places { loaded: at("profiles"), parser: at("parser"), rules: at("rules") };
        (dir, places)
    }

    #[test]
    fn the_profile_is_loaded_once() {
        let (dir, places) = machine("cat > $HERE/read; echo \"$@\" > $HERE/arguments", "docker-default (enforce)\n");
        assert_eq!(places.ensure().unwrap(), Some(NAME));
        assert_eq!(fs::read_to_string(dir.path().join("read")).unwrap(), profile(&places.rules));
        assert_eq!(fs::read_to_string(dir.path().join("arguments")).unwrap(), "--skip-cache --replace\n");
        let (dir, places) = machine("cat > $HERE/read", "docker-default (enforce)\nberth-default (enforce)\n");
        assert_eq!(places.ensure().unwrap(), Some(NAME));
        assert!(!dir.path().join("read").exists(), "it was there");
    }

    #[test]
    fn what_the_parser_refuses_is_told() {
        let (_dir, places) = machine("cat > /dev/null; echo 'syntax error' >&2; exit 1", "");
        let error = places.ensure().unwrap_err().to_string();
        assert!(error.ends_with("parser: syntax error"), "{error}");
        let (_dir, places) = machine("", "");
        let without = Places { parser: PathBuf::from("/nonexistent"), ..places };
        assert_eq!(without.ensure().unwrap(), None);
    }

    #[test]
    fn what_a_distribution_has_is_included() {
        let (dir, places) = machine("", "");
        let begins = |text: &str| text.lines().take(4).collect::<Vec<_>>().join("\n");
        expect![[r#"
            @{PROC}=/proc/

            profile berth-default flags=(attach_disconnected,mediate_deleted) {
              # no abstractions/base"#]]
        .assert_eq(&begins(&profile(&places.rules)));
        for name in ["tunables/global", "abstractions/base"] {
            let path = dir.path().join("rules").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        expect![[r#"
            #include <tunables/global>

            profile berth-default flags=(attach_disconnected,mediate_deleted) {
              #include <abstractions/base>"#]]
        .assert_eq(&begins(&profile(&places.rules)));
    }
}
