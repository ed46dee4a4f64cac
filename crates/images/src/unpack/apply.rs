//! What each entry of a layer means.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use rustix::fs::{self, FileType, Mode, XattrFlags};
use rustix::io::Errno;

use super::place::{Place, attributes, times};
use super::tar::{Entry, Kind, Tar};
use super::tree::{self, OPAQUE, Tree, kind, owner, proc_path};
use crate::limits::{DIRECTORIES_MAX, ENTRIES_MAX};

/// What lies below the layer that is unpacked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lower<'a> {
    /// Not there yet: a layer that needs it fails with [`ApplyError::NeedsLower`].
    Unknown,
    /// These directories, lowest first.
    Known(&'a [PathBuf]),
}

#[derive(Debug)]
pub(crate) enum ApplyError {
    /// The layer goes through a link, or links to a file, that a layer below has.
    NeedsLower,
    /// The layer is not one that can be unpacked.
    Invalid { reason: String },
    /// The disk, or the stream, failed.
    Io(io::Error),
}

impl From<io::Error> for ApplyError {
    fn from(error: io::Error) -> ApplyError {
        match error.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
                ApplyError::Invalid { reason: error.to_string() }
            }
            io::ErrorKind::UnexpectedEof => ApplyError::Invalid { reason: "unexpected EOF".to_owned() },
            _ => ApplyError::Io(error),
        }
    }
}

impl From<Errno> for ApplyError {
    fn from(error: Errno) -> ApplyError {
        match error {
            // The layer's own doing: links in circles, files used as directories, names without end.
            Errno::LOOP
            | Errno::NOTDIR
            | Errno::NOENT
            | Errno::NAMETOOLONG
            | Errno::XDEV
            | Errno::INVAL
            | Errno::ISDIR => ApplyError::Invalid { reason: io::Error::from(error).to_string() },
            other => ApplyError::Io(other.into()),
        }
    }
}

/// How much of a file is written at once: most files of images are smaller.
const BUFFER: usize = 128 * 1024;

const WHITEOUT: &[u8] = b".wh.";
const WHITEOUT_OPAQUE: &[u8] = b".wh..wh..opq";
/// Names that the AUFS driver kept for itself; old images still carry them.
const WHITEOUT_META: &[u8] = b".wh..wh.";

/// Unpacks a plain tar stream into `root`, which exists and is empty.
///
/// The stream is read to its very end, so that a digest of it can be taken.
pub(crate) fn apply(source: &mut dyn Read, root: &Path, lower: Lower<'_>) -> Result<(), ApplyError> {
    let lowers = match lower {
        Lower::Unknown => None,
        Lower::Known(paths) => Some(paths),
    };
    let buffer = vec![0; BUFFER];
    let mut unpack = Unpack { tree: Tree::open(root, lowers)?, times: Vec::new(), buffer };
    let mut tar = Tar::new(&mut *source);
    let mut entries = 0;
    while let Some(entry) = tar.next_entry()? {
        entries += 1;
        if entries > ENTRIES_MAX {
            return Err(ApplyError::Invalid { reason: "too many entries".to_owned() });
        }
        unpack.entry(&entry, &mut tar).map_err(|error| match error {
            ApplyError::Invalid { reason } => {
                ApplyError::Invalid { reason: format!("{}: {reason}", shown(&entry.path)) }
            }
            other => other,
        })?;
    }
    // Padding behind the end mark belongs to the stream.
    io::copy(source, &mut io::sink())?;
    unpack.finish()
}

/// A path as an error shows it.
fn shown(path: &[u8]) -> String {
    String::from_utf8_lossy(path).chars().take(256).collect()
}

struct Unpack {
    tree: Tree,
    /// Directories get their times last: whatever is made in them changes those.
    times: Vec<(tree::Names, (i64, u32))>,
    /// What is on its way into a file.
    buffer: Vec<u8>,
}

/// The names of a path. A leading slash means the layer's root; `..` is refused.
fn names(path: &[u8]) -> Result<tree::Names, ApplyError> {
    let mut names = tree::Names::new();
    for name in path.split(|byte| *byte == b'/').filter(|name| !name.is_empty() && *name != b".") {
        if name == b".." || name.contains(&0) {
            return Err(ApplyError::Invalid { reason: "invalid path".to_owned() });
        }
        names.push(name.to_vec());
    }
    Ok(names)
}

impl Unpack {
    fn entry(&mut self, entry: &Entry, content: &mut dyn Read) -> Result<(), ApplyError> {
        let path = names(&entry.path)?;
        let Some((name, parents)) = path.split_last() else {
            return self.root(entry);
        };
        if name.starts_with(WHITEOUT) {
            return self.whiteout(parents, name);
        }
        // The link's target first: finding it may change what the parent directory holds.
        let source = match entry.kind {
            Kind::HardLink => Some(self.tree.link_source(&names(&entry.link)?)?),
            _ => None,
        };
        let place = Place::new(self.tree.directory(parents)?, name)?;
        // Nearly every entry is a file that nothing is in the way of.
        if entry.kind == Kind::File
            && let Some(file) = place.create()?
        {
            return place.fill(&file, entry, content, &mut self.buffer);
        }
        let before = place.look()?;
        if let (Some(source), Some(before)) = (&source, &before)
            && source.is(before)?
        {
            // A link to itself would delete what it points to.
            return Ok(());
        }
        let is_kept = entry.kind == Kind::Directory && before.as_ref().map(kind) == Some(FileType::Directory);
        let replaces = before.is_some() && !is_kept;
        if let Some(before) = before.filter(|_| replaces) {
            place.clear(&before)?;
            // The way to a directory may have led through it.
            self.tree.forget();
        }
        if let Some(source) = source {
            // Owner, mode and times are the target's.
            return place.link(&source);
        }
        if entry.kind == Kind::File {
            let file = place.create()?.ok_or(Errno::EXIST)?;
            return place.fill(&file, entry, content, &mut self.buffer);
        }
        if !is_kept {
            place.make(entry)?;
        }
        if entry.kind == Kind::Directory {
            if replaces {
                // It took the place of a file or a whiteout, which hid what is below; so must it.
                place.hide_below()?;
            }
            self.remember(path, entry.modified)?;
        }
        place.dress(entry)
    }

    fn remember(&mut self, path: tree::Names, modified: (i64, u32)) -> Result<(), ApplyError> {
        if self.times.len() >= DIRECTORIES_MAX {
            return Err(ApplyError::Invalid { reason: "too many directories".to_owned() });
        }
        self.times.push((path, modified));
        Ok(())
    }

    /// An entry for the root itself.
    fn root(&mut self, entry: &Entry) -> Result<(), ApplyError> {
        if entry.kind != Kind::Directory {
            return Err(ApplyError::Invalid { reason: "the root must be a directory".to_owned() });
        }
        let (uid, gid) = owner(entry.uid, entry.gid)?;
        fs::fchown(self.tree.root(), Some(uid), Some(gid))?;
        fs::fchmod(self.tree.root(), Mode::from_raw_mode(entry.mode))?;
        attributes(&proc_path(self.tree.root(), b"."), entry)?;
        self.remember(tree::Names::new(), entry.modified)
    }

    /// Hides something of the layers below. What this layer itself brought stays.
    fn whiteout(&mut self, parents: &[Vec<u8>], name: &[u8]) -> Result<(), ApplyError> {
        if name == WHITEOUT_OPAQUE {
            let directory = self.tree.directory(parents)?;
            return Ok(fs::fsetxattr(&*directory, OPAQUE, b"y", XattrFlags::empty())?);
        }
        if name.starts_with(WHITEOUT_META) {
            return Ok(());
        }
        let hidden = &name[WHITEOUT.len()..];
        if hidden.is_empty() || hidden == b"." || hidden == b".." {
            return Err(ApplyError::Invalid { reason: "invalid whiteout".to_owned() });
        }
        let place = Place::new(self.tree.directory(parents)?, hidden)?;
        match place.look()? {
            None => place.mark_deleted(),
            Some(stat) if kind(&stat) == FileType::Directory => place.hide_below(),
            // A file of this layer hides what is below by being there, and a whiteout is one already.
            Some(_) => Ok(()),
        }
    }

    fn finish(self) -> Result<(), ApplyError> {
        // Children before their parents is not needed: setting times changes no parent.
        for (names, modified) in &self.times {
            if let Some(directory) = self.tree.existing_directory(names) {
                fs::futimens(&directory, &times(*modified))?;
            }
        }
        Ok(())
    }
}
