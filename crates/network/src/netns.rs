//! Network namespaces that outlive the thread that made them: a file with the namespace mounted on it.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::error::NetworkError;

const NSFS_MAGIC: i64 = 0x6e73_6673;
const THIS_NAMESPACE: &str = "/proc/thread-self/ns/net";

/// Makes the folder of namespaces a mount, so that whoever is not interested in them can be rid of all at once, and so
/// that new ones do not appear in other mount namespaces. Fine when it is one already.
pub(crate) fn ensure_folder(folder: &Path) -> Result<(), NetworkError> {
    let what = "make a mount of the folder";
    let failed = |source| NetworkError::Io { what, path: folder.to_owned(), source };
    // Namespaces that were mounted here before would be hidden, and are kept instead.
    if is_mount(folder).map_err(failed)? || has_namespaces(folder).map_err(failed)? {
        return Ok(());
    }
    bind_mount(folder, folder).map_err(failed)?;
    let target = c_path(folder)?;
    let null = std::ptr::null::<libc::c_char>();
    // SAFETY: the pointers are to a string with a final NUL that lives across the call, or null where it allows that.
    match unsafe { libc::mount(null, target.as_ptr(), null, libc::MS_PRIVATE, null.cast()) } {
        0 => Ok(()),
        _ => Err(failed(io::Error::last_os_error())),
    }
}

/// Undoes [`ensure_folder`]. Fine when it never ran.
pub(crate) fn release_folder(folder: &Path) -> Result<(), NetworkError> {
    match is_mount(folder) {
        Ok(true) => unmount(folder),
        Ok(false) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(NetworkError::Io { what: "look at the folder", path: folder.to_owned(), source }),
    }
}

fn is_mount(path: &Path) -> io::Result<bool> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: statx is plain data for which all zeroes is a value.
    let mut found: libc::statx = unsafe { std::mem::zeroed() };
    let flags = libc::AT_SYMLINK_NOFOLLOW | libc::AT_NO_AUTOMOUNT;
    // SAFETY: both pointers are valid for the call; the kernel fills `found`.
    match unsafe { libc::statx(libc::AT_FDCWD, path.as_ptr(), flags, 0, &mut found) } {
        0 => Ok(found.stx_attributes & libc::STATX_ATTR_MOUNT_ROOT as u64 != 0),
        _ => Err(io::Error::last_os_error()),
    }
}

fn has_namespaces(folder: &Path) -> io::Result<bool> {
    for entry in std::fs::read_dir(folder)? {
        if exists(&entry?.path()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Moves the calling thread into a new network namespace and mounts that on `path`.
///
/// There is no way back: call it on a thread that ends soon after. What it returns is the namespace itself.
pub(crate) fn enter_new(path: &Path, sysctls: &[(&str, &str)]) -> Result<File, NetworkError> {
    // A file that a power loss or a kill left here names nothing of use.
    remove(path)?;
    File::create(path).map_err(NetworkError::io("create the namespace file", path))?;
    let namespace = enter_unnamed()?;
    bind_mount(Path::new(THIS_NAMESPACE), path).map_err(|source| NetworkError::Io {
        what: "mount the network namespace on",
        path: path.to_owned(),
        source,
    })?;
    for (name, value) in sysctls {
        write_sysctl(name, value)?;
    }
    Ok(namespace)
}

/// Moves the calling thread into a new network namespace that has no name and ends with its last user.
pub(crate) fn enter_unnamed() -> Result<File, NetworkError> {
    // SAFETY: unshare has no memory effects; CLONE_NEWNET concerns the calling thread only.
    if unsafe { libc::unshare(libc::CLONE_NEWNET) } != 0 {
        return Err(NetworkError::system("create a network namespace")(io::Error::last_os_error()));
    }
    File::open(THIS_NAMESPACE).map_err(NetworkError::system("open the new network namespace"))
}

/// Moves the calling thread into a namespace that is there. There is no way back, as with [`enter_new`].
pub(crate) fn enter(path: &Path) -> io::Result<()> {
    let namespace = File::open(path)?;
    // SAFETY: the descriptor is open across the call, which has no memory effects and concerns the calling thread only.
    match unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWNET) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Unmounts and removes a namespace file. The namespace goes with its last process. Fine when there is none.
pub(crate) fn remove(path: &Path) -> Result<(), NetworkError> {
    unmount(path)?;
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(NetworkError::io("remove the namespace file", path)(error))
        }
        _ => Ok(()),
    }
}

/// More than once: an agent killed between two steps may have mounted twice.
fn unmount(path: &Path) -> Result<(), NetworkError> {
    let target = c_path(path)?;
    // SAFETY: the pointer is to a string with a final NUL that lives across the call.
    while unsafe { libc::umount2(target.as_ptr(), libc::MNT_DETACH | libc::UMOUNT_NOFOLLOW) } == 0 {}
    Ok(())
}

/// Whether a namespace is mounted on this file, rather than an empty file left by a reboot.
pub(crate) fn exists(path: &Path) -> bool {
    let Ok(target) = c_path(path) else { return false };
    // SAFETY: statfs is plain data for which all zeroes is a value.
    let mut found: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: both pointers are valid for the call; the kernel fills `found`.
    let answer = unsafe { libc::statfs(target.as_ptr(), &mut found) };
    let magic: i64 = found.f_type;
    answer == 0 && magic == NSFS_MAGIC
}

/// Writes a setting of the calling thread's network namespace. A setting that the kernel does not have is
/// passed over: without IPv6 there is nothing to turn off.
pub(crate) fn write_sysctl(name: &str, value: &str) -> Result<(), NetworkError> {
    let path = Path::new("/proc/sys").join(name.replace('.', "/"));
    match std::fs::write(&path, value) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(NetworkError::io("write the kernel setting", &path)(error))
        }
        _ => Ok(()),
    }
}

fn bind_mount(from: &Path, to: &Path) -> io::Result<()> {
    let (from, to) = (CString::new(from.as_os_str().as_bytes())?, CString::new(to.as_os_str().as_bytes())?);
    // SAFETY: the pointers are to strings with a final NUL, or null where the call allows it.
    let answer = unsafe { libc::mount(from.as_ptr(), to.as_ptr(), std::ptr::null(), libc::MS_BIND, std::ptr::null()) };
    if answer == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn c_path(path: &Path) -> Result<CString, NetworkError> {
    CString::new(path.as_os_str().as_bytes()).map_err(|error| NetworkError::io("use the path", path)(error.into()))
}
