//! How many files this process may have open. A server for thousands of clients wants more than the usual 1024; what it starts
//! shall have what this process was given itself, because containers inherit it.

use std::io;
use std::sync::OnceLock;

/// Enough for every connection of a full server, and for a file and a socket of each of as many containers.
const OPEN_FILES: libc::rlim_t = 65_536;

/// What this process was given, once it has taken more.
static GIVEN: OnceLock<libc::rlimit> = OnceLock::new();

/// Takes as many as the system lets this process have, up to a limit; gives their number.
pub fn raise_open_files() -> io::Result<u64> {
    let given = *GIVEN.get_or_init(|| limit(None).unwrap_or(libc::rlimit { rlim_cur: 0, rlim_max: 0 }));
    let wanted = given.rlim_max.min(OPEN_FILES);
    if given.rlim_cur >= wanted {
        return Ok(given.rlim_cur);
    }
    limit(Some((0, libc::rlimit { rlim_cur: wanted, ..given })))?;
    Ok(wanted)
}

/// Gives a child that was just started what this process was given. It matters to what the child starts much later.
pub(crate) fn as_given(child: Option<u32>) {
    let pid = child.and_then(|child| libc::pid_t::try_from(child).ok()).filter(|pid| *pid > 0);
    if let (Some(given), Some(pid)) = (GIVEN.get(), pid)
        && let Err(error) = limit(Some((pid, *given)))
    {
        // It may be gone already.
        tracing::debug!(pid, %error, "a child keeps the limit of its parent");
    }
}

/// Reads this process's limit, or sets that of a process.
fn limit(set: Option<(libc::pid_t, libc::rlimit)>) -> io::Result<libc::rlimit> {
    let mut old = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    let (pid, new) = match &set {
        Some((pid, new)) => (*pid, std::ptr::from_ref(new)),
        None => (0, std::ptr::null()),
    };
    // SAFETY: both pointers are to limits that live until the call returns, or null.
    match unsafe { libc::prlimit(pid, libc::RLIMIT_NOFILE, new, &mut old) } {
        0 => Ok(old),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_given_what_its_parent_was() {
        let before = limit(None).unwrap();
        let low = libc::rlimit { rlim_cur: before.rlim_cur.min(100), ..before };
        limit(Some((0, low))).unwrap();
        let raised = raise_open_files().unwrap();
        assert_eq!(raised, before.rlim_max.min(OPEN_FILES));
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        as_given(Some(child.id()));
        let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
        assert_eq!(line.split_whitespace().nth(3), Some(low.rlim_cur.to_string().as_str()), "{line}");
        as_given(None);
    }
}
