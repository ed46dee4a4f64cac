//! The parsers that are private otherwise, for those who feed them nonsense on purpose. Nobody else calls these.

use std::io::{self, Read};
use std::path::{Path, PathBuf};

use http::Uri;

use crate::manifest::{Document, choose};
use crate::unpack::tar::Tar;
use crate::unpack::{ApplyError, Lower, apply};
use crate::{ImageConfig, ImageError, Platform, compression, remote};

/// Reads a manifest or an index; gives the number of parts it lists.
pub fn manifest(bytes: &[u8], platform: &Platform) -> Result<usize, ImageError> {
    match Document::parse(bytes)? {
        Document::Manifest(manifest) => Ok(manifest.layers.len()),
        Document::Index(manifests) => choose(&manifests, platform).map(|_| manifests.len()),
    }
}

/// Reads a configuration; gives it and the number of its layers.
pub fn config(bytes: &[u8]) -> Result<(ImageConfig, usize), ImageError> {
    ImageConfig::parse(bytes).map(|(config, layers)| (config, layers.len()))
}

/// Whether a `WWW-Authenticate` header asks for something that we can answer.
pub fn challenge(header: &str) -> bool {
    remote::is_challenge(header)
}

/// Where a redirect leads.
pub fn redirect(from: &Uri, location: &str) -> Option<Uri> {
    remote::follow(from, location)
}

/// Decompresses up to `limit` bytes; gives their number.
pub fn plain(bytes: &[u8], limit: u64) -> io::Result<u64> {
    io::copy(&mut compression::reader(bytes, limit)?, &mut io::sink())
}

/// Reads every entry of a tar; gives the number of entries and of bytes of content.
pub fn tar(bytes: &[u8]) -> io::Result<(u64, u64)> {
    let mut tar = Tar::new(bytes);
    let (mut entries, mut content) = (0, 0);
    while tar.next_entry()?.is_some() {
        entries += 1;
        content += io::copy(&mut tar, &mut io::sink())?;
    }
    Ok((entries, content))
}

/// Unpacks a plain tar into an empty directory, over others, lowest first.
pub fn unpack(mut tar: impl Read, root: &Path, lowers: &[PathBuf]) -> Result<(), String> {
    apply(&mut tar, root, Lower::Known(lowers)).map_err(|error| match error {
        ApplyError::NeedsLower => "it needs the layers below".to_owned(),
        ApplyError::Invalid { reason } => reason,
        ApplyError::Io(error) => error.to_string(),
    })
}
