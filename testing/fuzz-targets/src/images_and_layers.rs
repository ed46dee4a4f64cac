//! What an image brings to a node.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use http::Uri;
use images::{Platform, Reference, parsers};

use crate::text;

pub(crate) fn image_reference(bytes: &[u8]) {
    if let Ok(reference) = text(bytes).parse::<Reference>() {
        assert_eq!(reference.to_string().parse::<Reference>().as_ref(), Ok(&reference));
        assert!(!reference.repository().split('/').any(|part| part.is_empty() || part == ".."));
        let _ = (reference.familiar(), reference.ecr_scope());
    }
    let _ = parsers::challenge(text(bytes));
    for from in ["https://registry.example/v2/", "http://127.0.0.1:4566/v2/"] {
        let from = Uri::from_static(from);
        if let Some(to) = parsers::redirect(&from, text(bytes)) {
            assert!(to.scheme_str() == Some("https") || from.scheme_str() == Some("http"), "{to}");
        }
    }
}

pub(crate) fn image_manifest(bytes: &[u8]) {
    let platform = Platform { os: "linux".into(), architecture: "amd64".into(), variant: None };
    let _ = parsers::manifest(bytes, &platform);
}

pub(crate) fn image_config(bytes: &[u8]) {
    let _ = parsers::config(bytes);
}

/// Nothing decompresses to more than the limit.
pub(crate) fn compressed(bytes: &[u8]) {
    const LIMIT: u64 = 64 * 1024;
    if let Ok(plain) = parsers::plain(bytes, LIMIT) {
        assert!(plain <= LIMIT);
    }
}

/// A tar whose checksums are put right first: else nothing behind them would ever be reached.
pub(crate) fn tar_entries(bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    for block in bytes.chunks_exact_mut(512) {
        block[148..156].copy_from_slice(b"        ");
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    }
    if let Ok((entries, content)) = parsers::tar(&bytes) {
        assert!(content <= bytes.len() as u64 && entries * 512 <= bytes.len() as u64);
    }
}

/// Layers as text, unpacked over each other: nothing outside of them is there afterwards, or changed.
///
/// A line is an entry, `type path [target]`; an empty line begins the next layer. What cannot be made without root is
/// refused by the kernel, and looked at all the same.
pub(crate) fn tar_layers(bytes: &[u8]) {
    // A layer ends with a flush of its file system: in memory that takes no time.
    let memory = Path::new("/dev/shm");
    let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    let dir = dir.expect("there is room for a directory");
    let outside = dir.path().join("outside");
    fs::create_dir(&outside).expect("a directory can be made");
    fs::write(outside.join("secret"), "secret").expect("a file can be written");
    let before = listing(dir.path());
    let mut layers: Vec<PathBuf> = Vec::new();
    for (number, entries) in text(bytes).split("\n\n").take(3).enumerate() {
        let root = dir.path().join(format!("layer-{number}"));
        fs::create_dir(&root).expect("a directory can be made");
        let tar: Vec<u8> = entries.lines().take(24).flat_map(|entry| block(entry, dir.path())).collect();
        let _ = parsers::unpack(&tar[..], &root, &layers);
        layers.push(root);
    }
    let after: Vec<_> = listing(dir.path()).into_iter().filter(|(path, ..)| !layers.contains(path)).collect();
    assert_eq!(after, before, "something outside of the layers has changed");
}

/// One entry as a tar has it. `@` in a path is the directory around the layers.
fn block(entry: &str, around: &Path) -> Vec<u8> {
    let mut block = vec![0; 512];
    let mut words = entry.split(' ');
    let kind = words.next().and_then(|word| word.bytes().next()).unwrap_or(b'0');
    let around = around.to_string_lossy();
    let mut name = |from: usize, length: usize| {
        let name = words.next().unwrap_or_default().replace('@', &around);
        let name = &name.as_bytes()[..name.len().min(length)];
        block[from..from + name.len()].copy_from_slice(name);
    };
    name(0, 100);
    name(157, 100);
    block[100..107].copy_from_slice(b"0000755");
    block[156] = kind;
    block[257..263].copy_from_slice(b"ustar\0");
    block[148..156].copy_from_slice(b"        ");
    let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

/// Everything beside the layers, with what could be changed of it.
fn listing(dir: &Path) -> Vec<(PathBuf, u32, u64, u64)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).expect("a directory can be listed") {
        let path = entry.expect("an entry can be read").path();
        let metadata = fs::symlink_metadata(&path).expect("an entry can be looked at");
        let is_layer = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("layer-"));
        if metadata.is_dir() && !is_layer {
            found.extend(listing(&path));
        }
        found.push((path, metadata.mode(), metadata.size(), metadata.nlink()));
    }
    found.sort();
    found
}
