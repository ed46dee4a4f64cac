//! An image's files on this side: to see whether images can be mounted at all, and to fill empty volumes from them.
//!
//! Everything happens on a thread with a mount namespace of its own, so that a mount ends with the thread, whatever
//! becomes of it.

use std::ffi::{CStr, CString};
use std::fs;
use std::io;
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

/// `mount(2)` copies its options into one page.
const OPTIONS_BYTES_MAX: usize = 4095;

/// Tries a mount as every container needs one, with its writable layer below `dir`. Leaves nothing behind.
pub fn probe(dir: &Path) -> io::Result<()> {
    let scratch = dir.join(format!(".probe-{}", std::process::id()));
    let [lower, upper, work, target] = ["lower", "upper", "work", "target"].map(|name| scratch.join(name));
    for dir in [&lower, &upper, &work, &target] {
        fs::create_dir_all(dir)?;
    }
    let found = privately(|| {
        let text = format!("lowerdir={},upperdir={},workdir={}", escape(&lower), escape(&upper), escape(&work));
        mount(c"overlay", &target, 0, Some(&CString::new(text)?))
    });
    fs::remove_dir_all(&scratch)?;
    found
}

/// Runs `work` with the path under which the image of these layers, the topmost first, can be read. `scratch` is made
/// for it and removed.
pub fn with_image<T: Send>(
    layers: &[PathBuf],
    scratch: &Path,
    work: impl FnOnce(&Path) -> io::Result<T> + Send,
) -> io::Result<T> {
    // A layer alone needs no mount.
    if let [only] = layers {
        return work(only);
    }
    fs::create_dir_all(scratch)?;
    let done = privately(|| {
        let lower = layers.iter().map(|layer| escape(layer)).collect::<Vec<_>>().join(":");
        let text = format!("lowerdir={lower}");
        match text.len() <= OPTIONS_BYTES_MAX {
            true => mount(c"overlay", scratch, libc::MS_RDONLY, Some(&CString::new(text)?))?,
            false => mount_piecewise(layers, scratch)?,
        }
        work(scratch)
    });
    fs::remove_dir(scratch)?;
    done
}

/// On a thread whose mounts nobody else sees.
fn privately<T: Send>(work: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    let thread = || {
        // SAFETY: unshare has no memory effects; a mount namespace concerns the calling thread only.
        check(unsafe { libc::unshare(libc::CLONE_NEWNS) }.into())?;
        mount(c"none", Path::new("/"), libc::MS_REC | libc::MS_PRIVATE, None)?;
        work()
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().spawn_scoped(scope, thread)?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

fn mount(kind: &CStr, target: &Path, flags: libc::c_ulong, options: Option<&CStr>) -> io::Result<()> {
    let target = c_path(target)?;
    let options = options.map_or(std::ptr::null(), CStr::as_ptr);
    // SAFETY: the strings are terminated and live until the call returns.
    check(unsafe { libc::mount(kind.as_ptr(), target.as_ptr(), kind.as_ptr(), flags, options.cast()) }.into()).map(drop)
}

/// The newer calls take many layers one by one (Linux 6.5).
fn mount_piecewise(layers: &[PathBuf], target: &Path) -> io::Result<()> {
    const SET_STRING: libc::c_uint = 1;
    const CREATE: libc::c_uint = 6;
    const EMPTY_PATH: libc::c_uint = 4;
    let null = std::ptr::null::<libc::c_char>();
    let target = c_path(target)?;
    // SAFETY: every string is terminated and lives until its call returns; the descriptors are new and ours.
    unsafe {
        let context = owned(check(libc::syscall(libc::SYS_fsopen, c"overlay".as_ptr(), 1))?);
        for layer in layers {
            let (key, value) = (c"lowerdir+", c_path(layer)?);
            let fd = context.as_raw_fd();
            check(libc::syscall(libc::SYS_fsconfig, fd, SET_STRING, key.as_ptr(), value.as_ptr(), 0))?;
        }
        check(libc::syscall(libc::SYS_fsconfig, context.as_raw_fd(), CREATE, null, null, 0))?;
        let mount = owned(check(libc::syscall(libc::SYS_fsmount, context.as_raw_fd(), 1, 0))?);
        let (from, to) = (mount.as_raw_fd(), libc::AT_FDCWD);
        check(libc::syscall(libc::SYS_move_mount, from, c"".as_ptr(), to, target.as_ptr(), EMPTY_PATH)).map(drop)
    }
}

/// # Safety
/// The descriptor is open and nobody else's.
unsafe fn owned(fd: libc::c_long) -> OwnedFd {
    // SAFETY: as the caller promises; descriptors are ints.
    unsafe { OwnedFd::from_raw_fd(libc::c_int::try_from(fd).unwrap_or(-1)) }
}

fn check(result: libc::c_long) -> io::Result<libc::c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn c_path(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

/// In overlay's options a comma, a colon or a backslash of a path is escaped.
fn escape(path: &Path) -> String {
    let mut out = String::new();
    for char in path.to_string_lossy().chars() {
        if matches!(char, ':' | ',' | '\\') {
            out.push('\\');
        }
        out.push(char);
    }
    out
}
