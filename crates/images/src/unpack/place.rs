//! One name in one open directory: where an entry goes.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{self, AtFlags, FileType, Mode, OFlags, Stat, Timespec, Timestamps, XattrFlags};
use rustix::io::Errno;

use super::apply::ApplyError;
use super::tar::{Entry, Kind};
use super::tree::{OPAQUE, c, kind, owner, proc_path};

pub(super) struct Place {
    directory: Rc<OwnedFd>,
    name: CString,
}

impl Place {
    /// `name` is one component, neither `.` nor `..`.
    pub(super) fn new(directory: Rc<OwnedFd>, name: &[u8]) -> Result<Place, ApplyError> {
        Ok(Place { directory, name: c(name)? })
    }

    /// A path for the calls that have no `*at` form.
    fn path(&self) -> PathBuf {
        proc_path(self.directory.as_fd(), self.name.as_bytes())
    }

    /// What is here now; a link is not followed.
    pub(super) fn look(&self) -> Result<Option<Stat>, ApplyError> {
        match fs::statat(&*self.directory, self.name.as_c_str(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the same file is here.
    pub(super) fn is(&self, other: &Stat) -> Result<bool, ApplyError> {
        Ok(self.look()?.is_some_and(|stat| (stat.st_dev, stat.st_ino) == (other.st_dev, other.st_ino)))
    }

    /// Removes what is here.
    pub(super) fn clear(&self, stat: &Stat) -> Result<(), ApplyError> {
        if kind(stat) == FileType::Directory {
            Ok(std::fs::remove_dir_all(self.path())?)
        } else {
            Ok(fs::unlinkat(&*self.directory, self.name.as_c_str(), AtFlags::empty())?)
        }
    }

    /// Makes this another name of what is at `source`.
    pub(super) fn link(&self, source: &Place) -> Result<(), ApplyError> {
        let flags = AtFlags::empty();
        Ok(fs::linkat(&*source.directory, source.name.as_c_str(), &*self.directory, self.name.as_c_str(), flags)?)
    }

    /// Makes a file; none, when anything is here.
    pub(super) fn create(&self) -> Result<Option<File>, ApplyError> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        match fs::openat(&*self.directory, self.name.as_c_str(), flags, Mode::from_raw_mode(0o600)) {
            Ok(file) => Ok(Some(file.into())),
            Err(Errno::EXIST) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives a new file here everything of an entry. Through the open file, the kernel need not find it each time.
    pub(super) fn fill(
        &self,
        file: &File,
        entry: &Entry,
        content: &mut dyn Read,
        buffer: &mut [u8],
    ) -> Result<(), ApplyError> {
        copy(content, file, buffer)?;
        let (uid, gid) = owner(entry.uid, entry.gid)?;
        fs::fchown(file, Some(uid), Some(gid))?;
        // After the owner, because a change of owner takes the setuid bit away.
        fs::fchmod(file, Mode::from_raw_mode(entry.mode))?;
        attributes(&self.path(), entry)?;
        Ok(fs::futimens(file, &times(entry.modified))?)
    }

    /// Makes what an entry other than a file or a hard link describes. Nothing is here.
    pub(super) fn make(&self, entry: &Entry) -> Result<(), ApplyError> {
        let (directory, name) = (&*self.directory, self.name.as_c_str());
        match entry.kind {
            Kind::Directory => Ok(fs::mkdirat(directory, name, Mode::from_raw_mode(0o700))?),
            Kind::Symlink => Ok(fs::symlinkat(c(&entry.link)?.as_c_str(), directory, name)?),
            Kind::CharacterDevice => self.make_node(FileType::CharacterDevice, entry),
            Kind::BlockDevice => self.make_node(FileType::BlockDevice, entry),
            Kind::Fifo => self.make_node(FileType::Fifo, entry),
            Kind::File | Kind::HardLink => Err(Errno::NOENT.into()),
        }
    }

    fn make_node(&self, file_type: FileType, entry: &Entry) -> Result<(), ApplyError> {
        if file_type == FileType::CharacterDevice && entry.device == (0, 0) {
            return Err(ApplyError::Invalid { reason: "character device 0:0 is overlayfs's own mark".to_owned() });
        }
        let (major, minor) = entry.device;
        let device = if file_type == FileType::Fifo { 0 } else { fs::makedev(major, minor) };
        let mode = Mode::from_raw_mode(entry.mode);
        Ok(fs::mknodat(&*self.directory, self.name.as_c_str(), file_type, mode, device)?)
    }

    /// Hides what the layers below have by this name. Nothing is here.
    pub(super) fn mark_deleted(&self) -> Result<(), ApplyError> {
        let file_type = FileType::CharacterDevice;
        Ok(fs::mknodat(&*self.directory, self.name.as_c_str(), file_type, Mode::empty(), 0)?)
    }

    /// Lets nothing of the layers below show through the directory that is here.
    pub(super) fn hide_below(&self) -> Result<(), ApplyError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let directory = fs::openat(&*self.directory, self.name.as_c_str(), flags, Mode::empty())?;
        Ok(fs::fsetxattr(&directory, OPAQUE, b"y", XattrFlags::empty())?)
    }

    /// Gives what is here the owner, mode, attributes and time of an entry.
    pub(super) fn dress(&self, entry: &Entry) -> Result<(), ApplyError> {
        let (directory, name) = (&*self.directory, self.name.as_c_str());
        let (uid, gid) = owner(entry.uid, entry.gid)?;
        fs::chownat(directory, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
        if entry.kind != Kind::Symlink {
            // After the owner, because a change of owner takes the setuid bit away.
            fs::chmodat(directory, name, Mode::from_raw_mode(entry.mode), AtFlags::empty())?;
        }
        attributes(&self.path(), entry)?;
        Ok(fs::utimensat(directory, name, &times(entry.modified), AtFlags::SYMLINK_NOFOLLOW)?)
    }
}

/// Fills the buffer before each write: a decompressor gives less at a time.
fn copy(content: &mut dyn Read, mut file: &File, buffer: &mut [u8]) -> io::Result<()> {
    loop {
        let mut filled = 0;
        while filled < buffer.len() {
            match content.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        file.write_all(&buffer[..filled])?;
        if filled < buffer.len() {
            return Ok(());
        }
    }
}

pub(super) fn times((seconds, nanoseconds): (i64, u32)) -> Timestamps {
    let time = Timespec { tv_sec: seconds as _, tv_nsec: nanoseconds as _ };
    Timestamps { last_access: time, last_modification: time }
}

/// Sets extended attributes. `trusted.*` is passed over: overlayfs keeps its own marks there, which could lead out of the layer.
pub(super) fn attributes(path: &Path, entry: &Entry) -> Result<(), ApplyError> {
    for (name, value) in entry.xattrs.iter().filter(|(name, _)| !name.starts_with(b"trusted.")) {
        match fs::lsetxattr(path, c(name)?.as_c_str(), value, XattrFlags::empty()) {
            // As Docker does: an attribute that this file system or kind of file cannot have is left out.
            Ok(()) | Err(Errno::OPNOTSUPP | Errno::PERM) => {}
            Err(Errno::RANGE | Errno::TOOBIG) => {
                return Err(ApplyError::Invalid { reason: "invalid extended attribute".to_owned() });
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
