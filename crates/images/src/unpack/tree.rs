//! A directory one cannot leave, over the layers below it.
//!
//! Names from a tar are resolved with `openat2(RESOLVE_IN_ROOT)`, so neither `..` nor a symbolic link leads out. What the
//! kernel does not find in this layer alone may be in a layer below: then names are resolved one component at a time as
//! overlayfs would show them, and what is touched is copied up. Doing this without a mount leaves nothing to clean up after a crash, and
//! does not depend on how many layers the kernel's mount options can name.

use std::collections::VecDeque;
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, ResolveFlags, Stat, XattrFlags};
use rustix::io::Errno;

use super::apply::ApplyError;
use super::place::Place;
use crate::limits::SYMLINKS_MAX;

/// The longest resolved path. Source: Linux, `PATH_MAX`.
const PATH_BYTES_MAX: usize = 4096;

pub(super) const OPAQUE: &str = "trusted.overlay.opaque";

/// A resolved path: plain names, no links.
pub(super) type Names = Vec<Vec<u8>>;

pub(super) struct Tree {
    root: OwnedFd,
    /// Topmost first; `None` when the layers below are not known yet.
    lowers: Option<Vec<OwnedFd>>,
    /// The last directory that entries went to: tars keep a directory's entries together.
    last: Option<(Vec<u8>, Rc<OwnedFd>)>,
}

/// What one layer says about a path.
enum Probe {
    Missing,
    /// Nothing below this layer shows through here.
    Hidden,
    Found(Stat),
}

/// What all layers together say about a path.
pub(super) enum Found {
    Absent,
    Upper(Stat),
    /// In the layer below with this number.
    Lower(usize, Stat),
}

pub(super) fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// Overlayfs marks a deleted name by a character device 0:0.
pub(super) fn is_whiteout(stat: &Stat) -> bool {
    kind(stat) == FileType::CharacterDevice && stat.st_rdev == 0
}

/// Joins names to a path that is safe for `openat2`, `.` for the root itself.
fn join(names: &[Vec<u8>]) -> Vec<u8> {
    if names.is_empty() { b".".to_vec() } else { names.join(&b'/') }
}

pub(super) fn c(bytes: &[u8]) -> io::Result<CString> {
    CString::new(bytes).map_err(|_| io::ErrorKind::InvalidInput.into())
}

/// The path of a name in an open directory, for the calls that have no `*at` form.
pub(super) fn proc_path(dir: BorrowedFd<'_>, name: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    Path::new(&format!("/proc/self/fd/{}", dir.as_raw_fd())).join(std::ffi::OsStr::from_bytes(name))
}

const DIRECTORY: OFlags = OFlags::DIRECTORY.union(OFlags::CLOEXEC);

fn open_beneath(root: &OwnedFd, names: &[Vec<u8>], flags: OFlags) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    fs::openat2(root, join(names), flags | OFlags::CLOEXEC, Mode::empty(), resolve)
}

impl Tree {
    pub(super) fn open(root: &Path, lowers: Option<&[PathBuf]>) -> io::Result<Tree> {
        let open = |path: &Path| fs::open(path, OFlags::RDONLY | DIRECTORY, Mode::empty());
        let lowers = match lowers {
            Some(paths) => Some(paths.iter().rev().map(|path| open(path)).collect::<Result<Vec<_>, _>>()?),
            None => None,
        };
        Ok(Tree { root: open(root)?, lowers, last: None })
    }

    pub(super) fn root(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }

    /// Must be called whenever a directory, or a link to one, may have gone away.
    pub(super) fn forget(&mut self) {
        self.last = None;
    }

    /// The directory that the names lead to, made in this layer if need be.
    pub(super) fn directory(&mut self, names: &[Vec<u8>]) -> Result<Rc<OwnedFd>, ApplyError> {
        let path = join(names);
        if let Some((last, directory)) = &self.last
            && *last == path
        {
            return Ok(Rc::clone(directory));
        }
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let directory = match fs::openat2(&self.root, &path, OFlags::RDONLY | DIRECTORY, Mode::empty(), resolve) {
            Ok(directory) => directory,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {
                let resolved = self.make(names)?;
                open_beneath(&self.root, &resolved, OFlags::RDONLY | DIRECTORY)?
            }
            Err(error) => return Err(error.into()),
        };
        let directory = Rc::new(directory);
        self.last = Some((path, Rc::clone(&directory)));
        Ok(directory)
    }

    /// Opens a directory that an entry named, without following a link at its end; `None` when it is no longer there.
    pub(super) fn existing_directory(&self, names: &[Vec<u8>]) -> Option<OwnedFd> {
        let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | DIRECTORY;
        fs::openat2(&self.root, join(names), flags, Mode::empty(), resolve).ok()
    }

    /// Looks a resolved path up as overlayfs would show it.
    pub(super) fn look(&self, names: &[Vec<u8>]) -> Result<Found, ApplyError> {
        match probe(&self.root, names)? {
            Probe::Found(stat) => return Ok(Found::Upper(stat)),
            Probe::Hidden => return Ok(Found::Absent),
            Probe::Missing => {}
        }
        for (index, lower) in self.lowers.as_ref().ok_or(ApplyError::NeedsLower)?.iter().enumerate() {
            match probe(lower, names)? {
                Probe::Found(stat) => return Ok(Found::Lower(index, stat)),
                Probe::Hidden => return Ok(Found::Absent),
                Probe::Missing => {}
            }
        }
        Ok(Found::Absent)
    }

    /// Resolves a path through the links of all layers, and makes its directories in this one.
    pub(super) fn make(&mut self, names: &[Vec<u8>]) -> Result<Names, ApplyError> {
        let mut pending: VecDeque<Vec<u8>> = names.iter().cloned().collect();
        let mut resolved = Names::new();
        let mut links = 0;
        while let Some(name) = pending.pop_front() {
            if name == b".." {
                resolved.pop();
                continue;
            }
            resolved.push(name);
            if resolved.iter().map(|name| name.len() + 1).sum::<usize>() > PATH_BYTES_MAX {
                return Err(Errno::NAMETOOLONG.into());
            }
            let found = self.look(&resolved)?;
            match &found {
                Found::Upper(stat) if kind(stat) == FileType::Directory => {}
                Found::Absent => self.make_directory(&resolved, None)?,
                Found::Lower(index, stat) if kind(stat) == FileType::Directory => {
                    self.make_directory(&resolved, Some(*index))?;
                }
                Found::Upper(stat) | Found::Lower(_, stat) if kind(stat) == FileType::Symlink => {
                    links += 1;
                    if links > SYMLINKS_MAX {
                        return Err(Errno::LOOP.into());
                    }
                    let target = self.read_link(&resolved, &found)?;
                    resolved.pop();
                    if target.starts_with(b"/") {
                        resolved.clear();
                    }
                    let parts = target.split(|byte| *byte == b'/').filter(|part| !part.is_empty() && *part != b".");
                    for part in parts.rev() {
                        pending.push_front(part.to_vec());
                    }
                }
                Found::Upper(_) | Found::Lower(..) => return Err(Errno::NOTDIR.into()),
            }
        }
        Ok(resolved)
    }

    fn layer(&self, found: &Found) -> &OwnedFd {
        match (found, &self.lowers) {
            (Found::Lower(index, _), Some(lowers)) => &lowers[*index],
            _ => &self.root,
        }
    }

    fn read_link(&self, names: &[Vec<u8>], found: &Found) -> Result<Vec<u8>, ApplyError> {
        let link = open_beneath(self.layer(found), names, OFlags::PATH | OFlags::NOFOLLOW)?;
        Ok(fs::readlinkat(&link, c"", Vec::new())?.into_bytes())
    }

    /// Makes one directory in this layer, with the looks it has below, or plain when it is new.
    fn make_directory(&mut self, names: &[Vec<u8>], lower: Option<usize>) -> Result<(), ApplyError> {
        let Some((name, parents)) = names.split_last() else { return Ok(()) };
        let parent = open_beneath(&self.root, parents, OFlags::RDONLY | DIRECTORY)?;
        let mut was_deleted = false;
        match fs::mkdirat(&parent, c(name)?.as_c_str(), Mode::from_raw_mode(0o755)) {
            Err(Errno::EXIST) => {
                // Only a whiteout can be here: anything else would have been found.
                fs::unlinkat(&parent, c(name)?.as_c_str(), AtFlags::empty())?;
                fs::mkdirat(&parent, c(name)?.as_c_str(), Mode::from_raw_mode(0o755))?;
                was_deleted = true;
            }
            made => made?,
        }
        let directory = open_beneath(&self.root, names, OFlags::RDONLY | DIRECTORY)?;
        fs::fchmod(&directory, Mode::from_raw_mode(0o755))?;
        if was_deleted {
            fs::fsetxattr(&directory, OPAQUE, b"y", XattrFlags::empty())?;
        }
        if let (Some(index), Some(lowers)) = (lower, &self.lowers) {
            let source = open_beneath(&lowers[index], names, OFlags::RDONLY | DIRECTORY)?;
            copy_looks(&source, &directory)?;
        }
        Ok(())
    }

    /// Makes sure that what a hard link will point to is in this layer, and gives its directory and name.
    pub(super) fn link_source(&mut self, names: &[Vec<u8>]) -> Result<Place, ApplyError> {
        let (name, parents) = names.split_last().ok_or_else(no_file)?;
        let mut resolved = self.make(parents)?;
        let parent = open_beneath(&self.root, &resolved, OFlags::RDONLY | DIRECTORY)?;
        resolved.push(name.clone());
        let found = self.look(&resolved)?;
        match &found {
            Found::Absent => return Err(Errno::NOENT.into()),
            Found::Upper(stat) | Found::Lower(_, stat) if kind(stat) == FileType::Directory => return Err(no_file()),
            Found::Upper(_) => {}
            Found::Lower(..) => self.copy_up(&resolved, &found, parent.as_fd(), name)?,
        }
        Place::new(Rc::new(parent), name)
    }

    fn copy_up(&self, names: &[Vec<u8>], found: &Found, parent: BorrowedFd<'_>, name: &[u8]) -> Result<(), ApplyError> {
        let Found::Lower(_, stat) = found else { return Ok(()) };
        let name = c(name)?;
        match kind(stat) {
            FileType::RegularFile => {
                let source = open_beneath(self.layer(found), names, OFlags::RDONLY | OFlags::NOFOLLOW)?;
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let target = fs::openat(parent, name.as_c_str(), flags, Mode::from_raw_mode(0o600))?;
                let (mut reader, mut writer) = (std::fs::File::from(source), std::fs::File::from(target));
                io::copy(&mut reader, &mut writer)?;
                copy_looks(&reader.into(), &writer.into())
            }
            FileType::Symlink => {
                let target = self.read_link(names, found)?;
                fs::symlinkat(c(&target)?.as_c_str(), parent, name.as_c_str())?;
                let (uid, gid) = owner(stat.st_uid, stat.st_gid)?;
                Ok(fs::chownat(parent, name.as_c_str(), Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?)
            }
            _ => Err(no_file()),
        }
    }
}

fn no_file() -> ApplyError {
    ApplyError::Invalid { reason: "a hard link must lead to a file".to_owned() }
}

/// An owner that can be set. The highest number means "leave it", and would be misread.
pub(super) fn owner(uid: u32, gid: u32) -> Result<(fs::Uid, fs::Gid), ApplyError> {
    if uid == u32::MAX || gid == u32::MAX {
        return Err(ApplyError::Invalid { reason: "owner out of range".to_owned() });
    }
    Ok((fs::Uid::from_raw(uid), fs::Gid::from_raw(gid)))
}

/// Copies owner, mode, attributes and times of an open file or directory.
fn copy_looks(source: &OwnedFd, target: &OwnedFd) -> Result<(), ApplyError> {
    let stat = fs::fstat(source)?;
    let (uid, gid) = owner(stat.st_uid, stat.st_gid)?;
    fs::fchown(target, Some(uid), Some(gid))?;
    fs::fchmod(target, Mode::from_raw_mode(stat.st_mode & 0o7777))?;
    let mut names = vec![0; 64 * 1024];
    let length = fs::flistxattr(source, &mut names[..])?;
    for name in names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty()) {
        // What overlayfs notes for itself belongs to the layer it was noted in.
        if name.starts_with(b"trusted.overlay.") {
            continue;
        }
        let name = c(name)?;
        let mut value = vec![0; 64 * 1024];
        let length = fs::fgetxattr(source, name.as_c_str(), &mut value[..])?;
        fs::fsetxattr(target, name.as_c_str(), &value[..length], XattrFlags::empty())?;
    }
    let times = fs::Timestamps {
        last_access: fs::Timespec { tv_sec: stat.st_atime as _, tv_nsec: stat.st_atime_nsec as _ },
        last_modification: fs::Timespec { tv_sec: stat.st_mtime as _, tv_nsec: stat.st_mtime_nsec as _ },
    };
    Ok(fs::futimens(target, &times)?)
}

/// What one layer says about a resolved path.
fn probe(root: &OwnedFd, names: &[Vec<u8>]) -> Result<Probe, ApplyError> {
    let mut directory = fs::openat(root, c".", OFlags::RDONLY | DIRECTORY, Mode::empty())?;
    let mut opaque = is_opaque(&directory)?;
    for (index, name) in names.iter().enumerate() {
        let name = c(name)?;
        let stat = match fs::statat(&directory, name.as_c_str(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => return Ok(if opaque { Probe::Hidden } else { Probe::Missing }),
            Err(error) => return Err(error.into()),
        };
        if is_whiteout(&stat) {
            return Ok(Probe::Hidden);
        }
        if index + 1 == names.len() {
            return Ok(Probe::Found(stat));
        }
        if kind(&stat) != FileType::Directory {
            return Ok(Probe::Hidden);
        }
        directory =
            fs::openat(&directory, name.as_c_str(), OFlags::RDONLY | OFlags::NOFOLLOW | DIRECTORY, Mode::empty())?;
        opaque = opaque || is_opaque(&directory)?;
    }
    Ok(Probe::Found(fs::fstat(&directory)?))
}

fn is_opaque(directory: &OwnedFd) -> Result<bool, ApplyError> {
    let mut value = [0; 1];
    match fs::fgetxattr(directory, OPAQUE, &mut value[..]) {
        Ok(length) => Ok(&value[..length] == b"y"),
        Err(Errno::NODATA | Errno::OPNOTSUPP | Errno::RANGE) => Ok(false),
        Err(error) => Err(error.into()),
    }
}
