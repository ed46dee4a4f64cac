//! Who a container's program runs as: Docker's `user[:group]`, resolved with the image's own files.

use std::fs;
use std::io::{self, Read as _};
use std::os::fd::{AsRawFd as _, FromRawFd as _, OwnedFd};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use crate::RuntimeError;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
    pub additional_gids: Vec<u32>,
    /// From the image's list of users.
    pub home: Option<String>,
}

/// A list of users larger than this is no list of users.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Looks the user up in the layers, the topmost first.
pub fn resolve(user: &str, layers: &[PathBuf]) -> Result<User, RuntimeError> {
    let read = |name: &str| {
        let path = Path::new("etc").join(name);
        read_from_layers(layers, &path).map_err(RuntimeError::io("read the image's", path))
    };
    resolve_in(user, &read("passwd")?, &read("group")?)
}

pub(crate) fn resolve_in(user: &str, passwd: &str, group: &str) -> Result<User, RuntimeError> {
    let (name, group_name) = match user.split_once(':') {
        Some((name, group)) => (name, Some(group).filter(|group| !group.is_empty())),
        None => (user, None),
    };
    let name = if name.is_empty() { "0" } else { name };
    let invalid = |reason: String| RuntimeError::InvalidUser { user: user.to_owned(), reason };

    let entry = passwd
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| fields.len() >= 6 && (fields[0] == name || (is_number(name) && fields[2] == name)));
    let mut found = User::default();
    let mut login = None;
    match &entry {
        Some(fields) => {
            let bad = || invalid(format!("the image's list of users has a bad line for {}", fields[0]));
            found.uid = fields[2].parse().map_err(|_| bad())?;
            found.gid = fields[3].parse().map_err(|_| bad())?;
            found.home = Some(fields[5].to_owned());
            login = Some(fields[0]);
        }
        // These are Docker's words.
        None => {
            found.uid = name
                .parse()
                .map_err(|_| invalid(format!("unable to find user {name}: no matching entries in passwd file")))?
        }
    }
    let groups = group
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .filter_map(|fields| {
            Some((*fields.first()?, fields.get(2)?.parse::<u32>().ok()?, fields.get(3).copied().unwrap_or("")))
        })
        .collect::<Vec<_>>();
    match group_name {
        Some(wanted) => {
            let known = groups.iter().find(|(name, gid, _)| *name == wanted || gid.to_string() == wanted);
            found.gid = match known {
                Some((_, gid, _)) => *gid,
                None => wanted.parse().map_err(|_| {
                    invalid(format!("unable to find group {wanted}: no matching entries in group file"))
                })?,
            };
        }
        // A group that is asked for replaces the memberships, as in Docker.
        None => {
            if let Some(login) = login {
                let member = |members: &str| members.split(',').any(|member| member == login);
                let gids = groups.iter().filter(|(_, _, members)| member(members)).map(|(_, gid, _)| *gid);
                found.additional_gids = gids.collect();
            }
        }
    }
    Ok(found)
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// A file as the container will see it, without mounting anything; empty if there is none.
fn read_from_layers(layers: &[PathBuf], path: &Path) -> io::Result<String> {
    let parent = path.parent().unwrap_or(Path::new(""));
    for layer in layers {
        match fs::symlink_metadata(layer.join(path)) {
            Ok(metadata) if is_whiteout(&metadata) => break,
            Ok(_) => return read_inside(layer, path),
            Err(err) if matches!(err.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
            Err(err) => return Err(err),
        }
        // A layer can also hide everything below it, by a whiteout of the directory or by making it opaque.
        match fs::symlink_metadata(layer.join(parent)) {
            Ok(metadata) if is_whiteout(&metadata) || is_opaque(&layer.join(parent)) => break,
            _ => {}
        }
    }
    Ok(String::new())
}

fn is_whiteout(metadata: &fs::Metadata) -> bool {
    metadata.file_type().is_char_device() && metadata.rdev() == 0
}

fn is_opaque(dir: &Path) -> bool {
    let Ok(path) = std::ffi::CString::new(dir.as_os_str().as_encoded_bytes()) else { return false };
    let mut value = [0_u8; 1];
    // SAFETY: the strings are terminated and the buffer is as long as the call is told.
    let length =
        unsafe { libc::lgetxattr(path.as_ptr(), c"trusted.overlay.opaque".as_ptr(), value.as_mut_ptr().cast(), 1) };
    length == 1 && value[0] == b'y'
}

/// Reads a file below `root`; a symbolic link of the image leads nowhere outside.
fn read_inside(root: &Path, path: &Path) -> io::Result<String> {
    // A pipe in the place of a list of users must not make us wait.
    let file = match open_inside(root, path, libc::O_RDONLY | libc::O_NONBLOCK) {
        Ok(file) => file,
        // A link into another layer: rare for these files, and then they count as missing.
        Err(err) if err.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        Err(err) => return Err(err),
    };
    let mut text = Vec::new();
    file.take(FILE_BYTES_MAX).read_to_end(&mut text)?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

/// Opens what is below `root` as a process sees it whose root that is.
pub(crate) fn open_inside(root: &Path, path: &Path, flags: libc::c_int) -> io::Result<fs::File> {
    let root = fs::File::open(root)?;
    let path = std::ffi::CString::new(path.as_os_str().as_encoded_bytes())?;
    // SAFETY: `open_how` is plain integers, all zero is valid; the path is terminated; the size is the struct's; the new
    // descriptor is ours.
    unsafe {
        let mut how = std::mem::zeroed::<libc::open_how>();
        how.flags = (flags | libc::O_CLOEXEC).unsigned_abs().into();
        how.resolve = libc::RESOLVE_IN_ROOT | libc::RESOLVE_NO_MAGICLINKS;
        let fd = libc::syscall(libc::SYS_openat2, root.as_raw_fd(), path.as_ptr(), &how, size_of::<libc::open_how>());
        match i32::try_from(fd) {
            Ok(fd) if fd >= 0 => Ok(fs::File::from(OwnedFd::from_raw_fd(fd))),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/sh\nweb:x:33:44::/srv:/bin/sh\n7:x:70:70::/seven:/bin/sh\n";
    const GROUP: &str = "root:x:0:\nweb:x:44:\nlogs:x:50:web,root\nops:x:51:web\n";

    fn check(user: &str, uid: u32, gid: u32, additional: &[u32], home: Option<&str>) {
        let found = resolve_in(user, PASSWD, GROUP).unwrap();
        let expected = User { uid, gid, additional_gids: additional.to_vec(), home: home.map(str::to_owned) };
        assert_eq!(found, expected, "{user}");
    }

    #[test]
    fn users_are_resolved_as_docker_does() {
        check("", 0, 0, &[50], Some("/root"));
        check("web", 33, 44, &[50, 51], Some("/srv"));
        check("33", 33, 44, &[50, 51], Some("/srv"));
        check("web:ops", 33, 51, &[], Some("/srv"));
        check("web:99", 33, 99, &[], Some("/srv"));
        check("1234", 1234, 0, &[], None);
        check("1234:5678", 1234, 5678, &[], None);
        check("7", 70, 70, &[], Some("/seven"));
        check(":ops", 0, 51, &[], Some("/root"));
    }

    #[test]
    fn unknown_names_are_errors() {
        let error = |user| resolve_in(user, PASSWD, GROUP).unwrap_err().to_string();
        assert_eq!(
            error("nobody"),
            "invalid user \"nobody\": unable to find user nobody: no matching entries in passwd file"
        );
        assert_eq!(
            error("web:none"),
            "invalid user \"web:none\": unable to find group none: no matching entries in group file"
        );
    }

    #[test]
    fn the_topmost_layer_that_has_the_file_counts() {
        let dir = tempfile::tempdir().unwrap();
        let layer = |name: &str, passwd: Option<&str>| {
            let layer = dir.path().join(name);
            fs::create_dir_all(layer.join("etc")).unwrap();
            if let Some(text) = passwd {
                fs::write(layer.join("etc/passwd"), text).unwrap();
            }
            layer
        };
        let top = layer("top", None);
        let middle = layer("middle", Some("web:x:1:1::/:/bin/sh\n"));
        let bottom = layer("bottom", Some("web:x:2:2::/:/bin/sh\n"));
        assert_eq!(resolve("web", &[top.clone(), middle, bottom.clone()]).unwrap().uid, 1);
        // A link that leads out of the image finds nothing.
        std::os::unix::fs::symlink("/etc/passwd", top.join("etc/passwd")).unwrap();
        assert!(resolve("root", &[top, bottom]).is_err());
    }
}
