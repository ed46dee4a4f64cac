//! Archives of images as folders and tars, both read in the same two steps: documents first, then the parts that are missing.
//!
//! A tar is read from its beginning to its end, whatever compression is around it; documents may come after the layers that they
//! describe. So a first pass remembers the documents, and a second one, only if a part is missing, brings parts. An archive that was
//! loaded before is thus read, and nothing is written.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use blobs::{Blobs, Digest};
use rustix::fs::OFlags;

use crate::limits::{ARCHIVE_DOCUMENTS_BYTES_MAX, ARCHIVE_FILES_MAX, DOCUMENT_BYTES_MAX};
use crate::unpack::tar::{Kind, Tar};
use crate::{ImageError, compression};

pub(crate) enum Archive {
    Folder(PathBuf),
    Tar(TarArchive),
}

pub(crate) struct TarArchive {
    file: File,
    /// The most bytes that it may unpack to.
    bytes_max: u64,
    documents: BTreeMap<String, Vec<u8>>,
    files: BTreeSet<String>,
    /// Names of other files: `docker save` writes equal layers once.
    links: BTreeMap<String, String>,
}

/// A file of the archive that shall become a blob.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) path: String,
    pub(crate) digest: Digest,
    pub(crate) form: Form,
}

/// What the digest of a wanted file is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// The bytes in the archive.
    AsItIs,
    /// The plain tar, whether or not it is compressed in the archive.
    Plain,
}

pub(crate) fn invalid(reason: impl Into<String>) -> ImageError {
    ImageError::Invalid { what: "archive", reason: reason.into() }
}

/// An error while reading the archive: the disk's if the kernel says so, else the archive's.
fn unreadable(error: io::Error) -> ImageError {
    match error.raw_os_error() {
        Some(_) => ImageError::Disk { action: "read or write", path: "the archive".into(), source: error },
        None if error.kind() == io::ErrorKind::UnexpectedEof => invalid("unexpected EOF"),
        None => invalid(error.to_string()),
    }
}

impl Archive {
    pub(crate) fn open(path: &Path, bytes_max: u64) -> Result<Archive, ImageError> {
        let file = open_file(path).map_err(ImageError::disk("open", path))?;
        if file.metadata().map_err(ImageError::disk("look at", path))?.is_dir() {
            return Ok(Archive::Folder(path.to_owned()));
        }
        Archive::of_tar(file, bytes_max)
    }

    /// A tar, perhaps compressed, in a file.
    pub(crate) fn of_tar(file: File, bytes_max: u64) -> Result<Archive, ImageError> {
        let tar =
            TarArchive { file, bytes_max, documents: BTreeMap::new(), files: BTreeSet::new(), links: BTreeMap::new() };
        tar.scan().map(Archive::Tar)
    }

    /// Reads a JSON document; `None` when the archive does not have it.
    pub(crate) fn document(&self, path: &str) -> Result<Option<Vec<u8>>, ImageError> {
        match self {
            Archive::Folder(dir) => folder_document(dir, path),
            Archive::Tar(tar) => Ok(tar.documents.get(tar.follow(path)).cloned()),
        }
    }

    /// Makes blobs of files, checking their digests. Two that are equal may be one.
    pub(crate) fn import(&self, blobs: &Blobs, wanted: Vec<Wanted>, bytes_max: u64) -> Result<(), ImageError> {
        let mut missing = Vec::new();
        for wanted in wanted {
            if !blobs.keep(&wanted.digest)? {
                missing.push(wanted);
            }
        }
        match self {
            Archive::Folder(dir) => {
                for wanted in missing {
                    let path = inside(dir, &wanted.path)?;
                    let file = open_file(&path).map_err(ImageError::disk("open", &path))?;
                    store(file, blobs, &wanted, bytes_max)?;
                }
                Ok(())
            }
            Archive::Tar(tar) if !missing.is_empty() => tar.import(blobs, missing),
            Archive::Tar(_) => Ok(()),
        }
    }
}

/// Opens without waiting for whoever may be at the other end of a pipe.
fn open_file(path: &Path) -> io::Result<File> {
    File::options().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path)
}

fn inside(dir: &Path, path: &str) -> Result<PathBuf, ImageError> {
    Ok(dir.join(normal(path.as_bytes()).ok_or_else(|| invalid("invalid path"))?))
}

fn folder_document(dir: &Path, path: &str) -> Result<Option<Vec<u8>>, ImageError> {
    let path = inside(dir, path)?;
    let file = match open_file(&path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(ImageError::disk("open", &path)(error)),
    };
    let mut bytes = Vec::new();
    file.take(DOCUMENT_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(ImageError::disk("read", &path))?;
    if bytes.len() as u64 > DOCUMENT_BYTES_MAX {
        return Err(invalid(format!("{} is larger than {DOCUMENT_BYTES_MAX} bytes", path.display())));
    }
    Ok(Some(bytes))
}

impl TarArchive {
    fn tar(&self) -> Result<Tar<compression::Plain<'_>>, ImageError> {
        (&self.file).seek(SeekFrom::Start(0)).map_err(unreadable)?;
        Ok(Tar::new(compression::reader(&self.file, self.bytes_max).map_err(unreadable)?))
    }

    /// The first pass.
    fn scan(mut self) -> Result<TarArchive, ImageError> {
        let mut documents = BTreeMap::new();
        let (mut files, mut links) = (BTreeSet::new(), BTreeMap::new());
        let mut bytes = 0;
        let mut tar = self.tar()?;
        while let Some(entry) = tar.next_entry().map_err(unreadable)? {
            let Some(path) = normal(&entry.path) else { return Err(invalid("invalid path")) };
            if files.len() + links.len() > ARCHIVE_FILES_MAX {
                return Err(invalid("too many files"));
            }
            match entry.kind {
                Kind::File => {
                    if let Some(document) = read_document(&mut tar, entry.size).map_err(unreadable)? {
                        bytes += document.len();
                        if bytes > ARCHIVE_DOCUMENTS_BYTES_MAX {
                            return Err(invalid("too many documents"));
                        }
                        documents.insert(path.clone(), document);
                    }
                    files.insert(path);
                }
                Kind::HardLink => links.extend(normal(&entry.link).map(|target| (path, target))),
                Kind::Symlink => links.extend(beside(&path, &entry.link).map(|target| (path, target))),
                _ => {}
            }
        }
        drop(tar);
        (self.documents, self.files, self.links) = (documents, files, links);
        Ok(self)
    }

    /// The file that a path names, through a few links.
    fn follow<'a>(&'a self, path: &'a str) -> &'a str {
        let mut path = path;
        for _ in 0..4 {
            match self.links.get(path) {
                Some(target) if !self.files.contains(path) => path = target,
                _ => break,
            }
        }
        path
    }

    /// The second pass.
    fn import(&self, blobs: &Blobs, wanted: Vec<Wanted>) -> Result<(), ImageError> {
        let mut by_path: BTreeMap<&str, &Wanted> = BTreeMap::new();
        for wanted in &wanted {
            let earlier = by_path.insert(self.follow(&wanted.path), wanted);
            if earlier.is_some_and(|earlier| earlier.digest != wanted.digest) {
                return Err(invalid(format!("{} cannot be two layers", wanted.path)));
            }
        }
        if let Some(path) = by_path.keys().find(|path| !self.files.contains(**path)) {
            return Err(invalid(format!("{path} is missing")));
        }
        let mut tar = self.tar()?;
        while !by_path.is_empty() {
            let entry = tar.next_entry().map_err(unreadable)?;
            let Some(entry) = entry else { return Err(invalid("it changed while it was read")) };
            let path = normal(&entry.path).filter(|_| entry.kind == Kind::File);
            if let Some(wanted) = path.and_then(|path| by_path.remove(path.as_str())) {
                store(&mut tar, blobs, wanted, self.bytes_max)?;
            }
        }
        Ok(())
    }
}

/// Makes a blob of a stream.
fn store(source: impl Read + Send, blobs: &Blobs, wanted: &Wanted, bytes_max: u64) -> Result<(), ImageError> {
    let mut writer = blobs.writer_by(wanted.digest.algorithm())?;
    let copied = match wanted.form {
        Form::AsItIs => io::copy(&mut source.take(bytes_max), &mut writer),
        Form::Plain => compression::reader(source, bytes_max).and_then(|mut plain| io::copy(&mut plain, &mut writer)),
    };
    copied.map_err(unreadable)?;
    writer.commit(Some(wanted.digest))?;
    Ok(())
}

/// Reads a file that may be a JSON document, as far as one may go.
fn read_document(content: &mut impl Read, size: u64) -> io::Result<Option<Vec<u8>>> {
    if size > DOCUMENT_BYTES_MAX {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    content.take(1).read_to_end(&mut bytes)?;
    if !matches!(bytes.first(), Some(b'{' | b'[' | b' ' | b'\n' | b'\t' | b'\r')) {
        return Ok(None);
    }
    content.read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// A path without `.` and a leading `/`; `None` when it leads out or is no text.
fn normal(path: &[u8]) -> Option<String> {
    let path = std::str::from_utf8(path).ok()?;
    let mut names = Vec::new();
    for name in path.split('/') {
        match name {
            "" | "." => {}
            ".." => {
                names.pop()?;
            }
            name => names.push(name),
        }
    }
    Some(names.join("/"))
}

/// Where a symbolic link at `path` leads.
fn beside(path: &str, target: &[u8]) -> Option<String> {
    if target.starts_with(b"/") {
        return None;
    }
    let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
    normal(&[parent.as_bytes(), b"/", target].concat())
}
