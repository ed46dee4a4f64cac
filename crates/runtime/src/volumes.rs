//! Empty volumes, which begin with what the image has in their place, as Docker's do.

use std::fs::{self, File, Metadata};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use crate::users::open_inside;
use crate::{ContainerSpec, MountSource, RuntimeError, overlay};

/// Two containers that start at once may have the same volume.
static FILLING: Mutex<()> = Mutex::new(());

/// Fills the container's volumes that are empty. `scratch` must not exist.
pub fn fill(spec: &ContainerSpec, scratch: &Path) -> Result<(), RuntimeError> {
    for mount in &spec.mounts {
        let MountSource::Volume(volume) = &mount.source else { continue };
        if !may_have(&spec.lower_dirs, &mount.target) {
            continue;
        }
        let _turn = FILLING.lock().unwrap_or_else(PoisonError::into_inner);
        let is_empty = fs::read_dir(volume).map_err(RuntimeError::io("list", volume))?.next().is_none();
        if is_empty {
            let work = |image: &Path| match directory_in(image, &mount.target)? {
                // By way of the descriptor, so that no link is followed a second time.
                Some(dir) => copy_dir(&PathBuf::from(format!("/proc/self/fd/{}", dir.as_raw_fd())), volume),
                None => Ok(()),
            };
            let filled = overlay::with_image(&spec.lower_dirs, scratch, work);
            filled.map_err(RuntimeError::io("copy what the image has into", volume))?;
        }
    }
    Ok(())
}

/// False when no layer has anything at `target`. A symbolic link on the way could lead anywhere, so it is a maybe.
fn may_have(layers: &[PathBuf], target: &Path) -> bool {
    let mut at = PathBuf::new();
    for name in target.components().skip(1) {
        at.push(name);
        let found: Vec<Metadata> =
            layers.iter().filter_map(|layer| fs::symlink_metadata(layer.join(&at)).ok()).collect();
        if found.iter().any(|metadata| metadata.is_symlink()) {
            return true;
        }
        if !found.iter().any(|metadata| metadata.is_dir()) {
            return false;
        }
    }
    true
}

fn directory_in(image: &Path, target: &Path) -> io::Result<Option<File>> {
    let target = target.strip_prefix("/").unwrap_or(target);
    match open_inside(image, target, libc::O_RDONLY | libc::O_DIRECTORY) {
        Ok(dir) => Ok(Some(dir)),
        Err(err) if matches!(err.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(None),
        Err(err) => Err(err),
    }
}

/// Both exist. Devices are left out: a volume is no place for them.
fn copy_dir(from: &Path, to: &Path) -> io::Result<()> {
    let metadata = fs::metadata(from)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        let metadata = entry.metadata()?;
        let kind = metadata.file_type();
        if kind.is_dir() {
            fs::create_dir(&to)?;
            copy_dir(&from, &to)?;
        } else if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&from)?, &to)?;
            std::os::unix::fs::lchown(&to, Some(metadata.uid()), Some(metadata.gid()))?;
        } else if kind.is_file() {
            fs::copy(&from, &to)?;
            give_identity(&from, &to, &metadata)?;
        } else if !kind.is_char_device() && !kind.is_block_device() {
            tracing::debug!(path = %from.display(), "a socket or pipe of an image is not copied");
        }
    }
    give_identity(from, to, &metadata)
}

/// Owner first: changing it takes away special permissions and capabilities.
fn give_identity(from: &Path, to: &Path, metadata: &Metadata) -> io::Result<()> {
    std::os::unix::fs::chown(to, Some(metadata.uid()), Some(metadata.gid()))?;
    fs::set_permissions(to, fs::Permissions::from_mode(metadata.mode() & 0o7777))?;
    copy_capabilities(from, to)?;
    let times = fs::FileTimes::new().set_accessed(metadata.accessed()?).set_modified(metadata.modified()?);
    File::open(to)?.set_times(times)
}

fn copy_capabilities(from: &Path, to: &Path) -> io::Result<()> {
    const NAME: &std::ffi::CStr = c"security.capability";
    let path = |path: &Path| std::ffi::CString::new(path.as_os_str().as_bytes());
    let (from, to) = (path(from)?, path(to)?);
    let mut value = [0_u8; 64];
    // SAFETY: the strings are terminated, and the buffer is as long as the call is told.
    let length = unsafe { libc::getxattr(from.as_ptr(), NAME.as_ptr(), value.as_mut_ptr().cast(), value.len()) };
    let Ok(length) = usize::try_from(length) else { return Ok(()) };
    // SAFETY: as above; `length` bytes of the buffer were filled.
    match unsafe { libc::setxattr(to.as_ptr(), NAME.as_ptr(), value.as_ptr().cast(), length, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn most_volumes_are_known_to_stay_empty_without_a_mount() {
        let dir = tempfile::tempdir().unwrap();
        let (top, bottom) = (dir.path().join("top"), dir.path().join("bottom"));
        fs::create_dir_all(top.join("srv/empty")).unwrap();
        fs::create_dir_all(bottom.join("srv/data/deep")).unwrap();
        fs::write(bottom.join("srv/file"), "").unwrap();
        std::os::unix::fs::symlink("/anywhere", top.join("link")).unwrap();
        let layers = [top, bottom];
        for (target, expected) in [
            ("/srv/data/deep", true),
            ("/srv/empty", true),
            ("/link/x", true),
            ("/srv/nothing", false),
            ("/srv/file", false),
            ("/other", false),
        ] {
            assert_eq!(may_have(&layers, Path::new(target)), expected, "{target}");
        }
    }

    #[test]
    fn a_copy_keeps_links_and_permissions() {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("from"), dir.path().join("to"));
        fs::create_dir_all(from.join("sub")).unwrap();
        fs::create_dir(&to).unwrap();
        fs::write(from.join("sub/file"), "text").unwrap();
        fs::set_permissions(from.join("sub/file"), fs::Permissions::from_mode(0o4751)).unwrap();
        fs::set_permissions(&from, fs::Permissions::from_mode(0o1777)).unwrap();
        std::os::unix::fs::symlink("sub/file", from.join("link")).unwrap();
        copy_dir(&from, &to).unwrap();
        assert_eq!(fs::read_to_string(to.join("link")).unwrap(), "text");
        let mode = |path: &str| fs::symlink_metadata(to.join(path)).unwrap().mode() & 0o7777;
        assert_eq!((mode("sub/file"), mode("")), (0o4751, 0o1777));
    }
}
