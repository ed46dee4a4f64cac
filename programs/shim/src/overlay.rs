//! Mounting a container's root file system.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};

use shim_api::Overlay;

use crate::sys;

/// `mount(2)` copies its options into one page.
const OPTIONS_BYTES_MAX: usize = 4095;

/// An overlay with everything that its mount needs already in memory.
///
/// It is mounted volatile where the kernel can (Linux 5.10): otherwise the end of every container waits until everything
/// that anybody has written to the same file system is on the disk. What a container wrote into its own layer is of no use
/// after a power cut, as the container itself.
pub struct Mount {
    target: CString,
    options: CString,
    volatile_options: CString,
    lower: Vec<CString>,
    upper: CString,
    work: CString,
    /// What a volatile mount leaves, so that nobody mounts the same again: an earlier start of the same container.
    marks: [CString; 2],
}

impl Mount {
    pub fn new(overlay: &Overlay, target: &str) -> io::Result<Mount> {
        let lower = overlay.lower.iter().map(|dir| escape(dir)).collect::<Vec<_>>().join(":");
        let options = format!("lowerdir={lower},upperdir={},workdir={}", escape(&overlay.upper), escape(&overlay.work));
        let mark = |name| CString::new(format!("{}/work/{name}", overlay.work));
        Ok(Mount {
            target: CString::new(target)?,
            volatile_options: CString::new(format!("{options},volatile"))?,
            options: CString::new(options)?,
            lower: overlay.lower.iter().map(|dir| CString::new(dir.as_str())).collect::<Result<_, _>>()?,
            upper: CString::new(overlay.upper.as_str())?,
            work: CString::new(overlay.work.as_str())?,
            marks: [mark("incompat/volatile")?, mark("incompat")?],
        })
    }

    pub fn mount(&self) -> io::Result<()> {
        self.marks.iter().for_each(|mark| sys::remove_dir(mark));
        match self.mount_so(true) {
            Err(err) if err.raw_os_error() == Some(libc::EINVAL) => self.mount_so(false),
            done => done,
        }
    }

    /// Many layers do not fit into the options of `mount(2)`; then the newer calls take them one by one (Linux 6.5).
    fn mount_so(&self, volatile: bool) -> io::Result<()> {
        let options = if volatile { &self.volatile_options } else { &self.options };
        match options.count_bytes() <= OPTIONS_BYTES_MAX {
            true => sys::mount(c"overlay", &self.target, options),
            false => self.mount_piecewise(volatile),
        }
    }

    fn mount_piecewise(&self, volatile: bool) -> io::Result<()> {
        let context = open_context(c"overlay")?;
        for lower in &self.lower {
            configure(&context, c"lowerdir+", lower)?;
        }
        configure(&context, c"upperdir", &self.upper)?;
        configure(&context, c"workdir", &self.work)?;
        if volatile {
            configure_flag(&context, c"volatile")?;
        }
        attach(&context, &self.target)
    }
}

/// In overlay's options a comma, a colon or a backslash of a path is escaped.
fn escape(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for char in path.chars() {
        if matches!(char, ':' | ',' | '\\') {
            out.push('\\');
        }
        out.push(char);
    }
    out
}

// From linux/mount.h; the libc crate has the numbers of the calls only.
const FSOPEN_CLOEXEC: libc::c_uint = 1;
const FSCONFIG_SET_FLAG: libc::c_uint = 0;
const FSCONFIG_SET_STRING: libc::c_uint = 1;
const FSCONFIG_CMD_CREATE: libc::c_uint = 6;
const FSMOUNT_CLOEXEC: libc::c_uint = 1;
const MOVE_MOUNT_F_EMPTY_PATH: libc::c_uint = 4;

fn check(result: libc::c_long) -> io::Result<libc::c_int> {
    sys::check(libc::c_int::try_from(result).unwrap_or(-1))
}

fn open_context(kind: &CStr) -> io::Result<OwnedFd> {
    // SAFETY: `kind` is terminated; the descriptor is new and ours.
    unsafe {
        let fd = check(libc::syscall(libc::SYS_fsopen, kind.as_ptr(), FSOPEN_CLOEXEC))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

fn configure(context: &OwnedFd, key: &CStr, value: &CStr) -> io::Result<()> {
    let (fd, command) = (context.as_raw_fd(), FSCONFIG_SET_STRING);
    // SAFETY: key and value are terminated and live until the call returns.
    check(unsafe { libc::syscall(libc::SYS_fsconfig, fd, command, key.as_ptr(), value.as_ptr(), 0) }).map(drop)
}

fn configure_flag(context: &OwnedFd, key: &CStr) -> io::Result<()> {
    let (fd, command) = (context.as_raw_fd(), FSCONFIG_SET_FLAG);
    let null = std::ptr::null::<libc::c_char>();
    // SAFETY: the key is terminated and lives until the call returns; a flag has no value.
    check(unsafe { libc::syscall(libc::SYS_fsconfig, fd, command, key.as_ptr(), null, 0) }).map(drop)
}

fn attach(context: &OwnedFd, target: &CStr) -> io::Result<()> {
    let null = std::ptr::null::<libc::c_char>();
    // SAFETY: the strings are terminated and live until the calls return; the mount's descriptor is new and ours.
    unsafe {
        check(libc::syscall(libc::SYS_fsconfig, context.as_raw_fd(), FSCONFIG_CMD_CREATE, null, null, 0))?;
        let mount = check(libc::syscall(libc::SYS_fsmount, context.as_raw_fd(), FSMOUNT_CLOEXEC, 0))?;
        let mount = OwnedFd::from_raw_fd(mount);
        let empty = c"".as_ptr();
        let (from, to) = (mount.as_raw_fd(), libc::AT_FDCWD);
        check(libc::syscall(libc::SYS_move_mount, from, empty, to, target.as_ptr(), MOVE_MOUNT_F_EMPTY_PATH))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_with_odd_characters_stay_one_path() {
        let overlay = Overlay { lower: vec!["/a:b".into(), "/c".into()], upper: "/u,p".into(), work: "/w\\k".into() };
        let mount = Mount::new(&overlay, "/t").unwrap();
        assert_eq!(mount.options.to_str().unwrap(), "lowerdir=/a\\:b:/c,upperdir=/u\\,p,workdir=/w\\\\k");
    }
}
