//! A directory that is kept in memory, for what is written at every start and worth nothing after a reboot.
//!
//! An OCI runtime rewrites its state file while a container starts, and ext4 flushes a file that was cut short and
//! written again; and it looks long for a free inode where many files were removed a moment ago. Milliseconds of each
//! launch, for files whose container no power cut survives.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

/// Makes the directory, and mounts a tmpfs there unless it is on one already.
pub fn ensure(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    if is_in_memory(dir)? {
        return Ok(());
    }
    mount(dir, "mode=0700")
}

/// Makes the directory, and mounts a tmpfs of this size there unless one of its own is there already. Everybody may write to
/// it, as to `/dev/shm`.
pub fn ensure_own(dir: &Path, bytes: u64) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    let around = dir.parent().unwrap_or(Path::new("/"));
    if fs::metadata(dir)?.dev() != fs::metadata(around)?.dev() {
        return Ok(());
    }
    mount(dir, &format!("mode=1777,size={bytes}"))
}

fn mount(dir: &Path, options: &str) -> io::Result<()> {
    let (target, options) = (c(dir)?, CString::new(options)?);
    // SAFETY: all strings are terminated and outlive the call.
    let mounted = unsafe {
        libc::mount(
            c"berth".as_ptr(),
            target.as_ptr(),
            c"tmpfs".as_ptr(),
            libc::MS_NOSUID | libc::MS_NODEV | libc::MS_NOEXEC,
            options.as_ptr().cast(),
        )
    };
    if mounted == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Takes the mount away, if there is one, and then the directory. One that somebody still keeps something in stays; empty
/// directories are nothing.
pub fn release(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if fs::remove_dir(entry.path()).is_err() {
            return;
        }
    }
    release_with_content(dir);
}

/// The same, whatever is in it. For what is a mount of its own: a directory that is none stays when something is in it.
pub fn release_with_content(dir: &Path) {
    if let Ok(target) = c(dir) {
        // SAFETY: the string is terminated and outlives the call. What is no mount is left alone by the kernel.
        unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH | libc::UMOUNT_NOFOLLOW) };
    }
    let _ = fs::remove_dir(dir);
}

fn is_in_memory(dir: &Path) -> io::Result<bool> {
    let path = c(dir)?;
    // SAFETY: plain integers, all zero is valid; the string is terminated, and both outlive the call.
    unsafe {
        let mut about = std::mem::zeroed::<libc::statfs>();
        match libc::statfs(path.as_ptr(), &mut about) {
            0 => Ok(about.f_type == libc::TMPFS_MAGIC),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

fn c(path: &Path) -> io::Result<CString> {
    Ok(CString::new(path.as_os_str().as_bytes())?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_in_memory_until_it_is_released() {
        let base = tempfile::tempdir_in("/var/tmp").unwrap();
        let dir = base.path().join("state");
        for _ in 0..2 {
            ensure(&dir).unwrap();
            assert!(is_in_memory(&dir).unwrap());
        }
        fs::write(dir.join("file"), "x").unwrap();
        release(&dir);
        assert!(dir.join("file").exists(), "somebody needs it");
        fs::remove_file(dir.join("file")).unwrap();
        release(&dir);
        assert!(!dir.exists());
        let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains(base.path().to_str().unwrap()), "mounted once, however often it was ensured");
        release(&dir);
    }
}
