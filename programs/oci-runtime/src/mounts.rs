//! Mount namespaces and the few mounts that are made before libcontainer works.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

const THIS_NAMESPACE: &str = "/proc/self/ns/mnt";

/// The mount namespace that this process is in, which is for the container alone: its caller made it so and says so, or it
/// is made here.
pub fn own() -> io::Result<File> {
    if std::env::var_os(shim_api::OWN_MOUNTS).is_none() {
        unshare()?;
    }
    File::open(THIS_NAMESPACE)
}

/// Moves this process into a copy of its mount namespace, and there into a root with nothing but the root file system, `/proc`, `/sys`
/// and what `needed` is on. At `hidden`, which is a mount point, is an empty folder then.
///
/// libcontainer reads the list of mounts a dozen times, and so finds a short one however many there are on the machine.
pub fn withdraw(hidden: &Path, needed: &[&Path], mountinfo: &str) -> io::Result<()> {
    unshare()?;
    clone_root(hidden)?;
    let needed: Vec<&Path> = needed.iter().copied().chain(["/proc", "/sys"].map(Path::new)).collect();
    for point in points(mountinfo, &needed) {
        bind(point, &below(hidden, point))?;
    }
    tmpfs(&below(hidden, hidden), "mode=755,size=0")?;
    let root = c(hidden)?;
    // SAFETY: the string is terminated and lives until the call returns. The working directory stays where it is.
    check(unsafe { libc::chroot(root.as_ptr()) })
}

fn below(root: &Path, path: &Path) -> PathBuf {
    root.join(path.strip_prefix("/").unwrap_or(path))
}

/// The mount points on the way to these paths, the outermost first. That of the root is none of them.
fn points<'a>(mountinfo: &'a str, needed: &[&Path]) -> Vec<&'a Path> {
    let points = mountinfo.lines().filter_map(|line| line.split(' ').nth(4)).map(Path::new);
    let on_the_way = |point: &&Path| *point != Path::new("/") && needed.iter().any(|path| path.starts_with(point));
    let mut points: Vec<&Path> = points.filter(on_the_way).collect();
    points.sort();
    points.dedup();
    points
}

/// Mounts the file system of the root, without those below it, once more at `target`.
fn clone_root(target: &Path) -> io::Result<()> {
    const CLONE: libc::c_uint = 1;
    const EMPTY_PATH: libc::c_uint = 4;
    let target = c(target)?;
    // SAFETY: the strings are terminated and live until the calls return; the descriptor is new and ours.
    unsafe {
        let root =
            libc::syscall(libc::SYS_open_tree, libc::AT_FDCWD, c"/".as_ptr(), CLONE | libc::O_CLOEXEC as libc::c_uint);
        let root = libc::c_int::try_from(root).ok().filter(|root| *root >= 0).ok_or_else(io::Error::last_os_error)?;
        let root = OwnedFd::from_raw_fd(root);
        let (from, to) = (root.as_raw_fd(), libc::AT_FDCWD);
        match libc::syscall(libc::SYS_move_mount, from, c"".as_ptr(), to, target.as_ptr(), EMPTY_PATH) {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// No mount from here on reaches the machine.
fn unshare() -> io::Result<()> {
    let flags = libc::MS_REC | libc::MS_SLAVE;
    // SAFETY: unshare has no memory effects, and the strings are static and terminated.
    unsafe {
        check(libc::unshare(libc::CLONE_NEWNS))?;
        check(libc::mount(c"none".as_ptr(), c"/".as_ptr(), std::ptr::null(), flags, std::ptr::null()))
    }
}

pub fn tmpfs(target: &Path, options: &str) -> io::Result<()> {
    let (target, options) = (c(target)?, CString::new(options)?);
    let (kind, flags) = (c"tmpfs", libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC);
    // SAFETY: all strings are terminated and live until the call returns.
    check(unsafe { libc::mount(kind.as_ptr(), target.as_ptr(), kind.as_ptr(), flags, options.as_ptr().cast()) })
}

pub fn bind(source: &Path, target: &Path) -> io::Result<()> {
    let (source, target) = (c(source)?, c(target)?);
    let null = std::ptr::null();
    // SAFETY: both strings are terminated and live until the call returns.
    check(unsafe { libc::mount(source.as_ptr(), target.as_ptr(), null, libc::MS_BIND, null.cast()) })
}

/// Takes set-uid bits, devices and execution away from a mount and all below it, and writing too if it is to be read-only.
pub fn restrict(target: &Path, readonly: bool) -> io::Result<()> {
    /// The kernel's `struct mount_attr`, and its numbers: include/uapi/linux/mount.h.
    #[repr(C)]
    struct Attributes {
        set: u64,
        clear: u64,
        propagation: u64,
        user_namespace: u64,
    }
    const READONLY: u64 = 1;
    const NO_SUID_NO_DEVICES_NO_EXECUTION: u64 = 2 | 4 | 8;

    let set = NO_SUID_NO_DEVICES_NO_EXECUTION | if readonly { READONLY } else { 0 };
    let attributes = Attributes { set, clear: 0, propagation: 0, user_namespace: 0 };
    let target = c(target)?;
    // SAFETY: the string is terminated, and it and the attributes live until the call returns.
    let done = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            target.as_ptr(),
            libc::AT_RECURSIVE,
            &attributes,
            size_of::<Attributes>(),
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn c(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_mounts_on_the_way_are_taken_along() {
        let line = |point: &str| format!("1 0 0:1 / {point} rw - x x rw\n");
        let text =
            ["/run/berth/state", "/", "/sys", "/proc", "/run", "/run/berth", "/run", "/run/berth/state/x", "/data"];
        let text: String = text.map(line).concat();
        let found = points(&text, &[Path::new("/run/berth/state/tasks/t"), Path::new("/proc"), Path::new("/database")]);
        assert_eq!(found, ["/proc", "/run", "/run/berth", "/run/berth/state"].map(Path::new));
    }
}
