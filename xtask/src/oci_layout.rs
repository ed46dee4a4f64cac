//! An image of one layer in the OCI image layout, as a folder and as a tar file.
//!
//! The same input gives the same bytes: no time, no owner, no order of a hash map finds its way in. So an
//! image that was not changed keeps its digest, and loading it again costs nothing.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::Context;
use flate2::{Compression, GzBuilder};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

const EPOCH: &str = "1970-01-01T00:00:00Z";

/// A file of the layer: its path without a leading slash, its mode, its bytes.
pub struct LayerFile<'a> {
    pub path: &'a str,
    pub mode: u32,
    pub bytes: &'a [u8],
}

pub struct Image<'a> {
    /// `repository:tag`, as people will call it.
    pub name: &'a str,
    /// In the words of Go: amd64, arm64.
    pub architecture: &'a str,
    /// The `config` object of the OCI image configuration.
    pub config: Value,
    pub files: &'a [LayerFile<'a>],
}

/// The files of a layout: where they lie in it, and their bytes.
pub fn files(image: &Image<'_>) -> anyhow::Result<Vec<(PathBuf, Vec<u8>)>> {
    let layer = tar(image.files.iter().map(|file| (Path::new(file.path), file.mode, file.bytes)))?;
    let mut gzip = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    gzip.write_all(&layer)?;
    let packed = gzip.finish()?;

    let config = json!({
        "created": EPOCH,
        "architecture": image.architecture,
        "os": "linux",
        "config": image.config,
        "rootfs": { "type": "layers", "diff_ids": [digest(&layer)] },
        "history": [{ "created": EPOCH, "created_by": "cargo xtask sample-image" }],
    });
    let config = config.to_string().into_bytes();
    let mut manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar+gzip", &packed)],
    });
    manifest["annotations"] = json!({ "org.opencontainers.image.created": EPOCH });
    let manifest = manifest.to_string().into_bytes();
    let mut entry = descriptor("application/vnd.oci.image.manifest.v1+json", &manifest);
    entry["platform"] = json!({ "architecture": image.architecture, "os": "linux" });
    // Podman and skopeo read the first, containerd and Docker the second.
    entry["annotations"] = json!({
        "org.opencontainers.image.ref.name": image.name,
        "io.containerd.image.name": format!("docker.io/library/{}", image.name),
    });
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [entry],
    });

    let blob = |bytes: &[u8]| PathBuf::from(digest(bytes).replace("sha256:", "blobs/sha256/"));
    let mut all = vec![
        (PathBuf::from("oci-layout"), json!({ "imageLayoutVersion": "1.0.0" }).to_string().into_bytes()),
        (PathBuf::from("index.json"), index.to_string().into_bytes()),
        (blob(&config), config),
        (blob(&manifest), manifest),
        (blob(&packed), packed),
    ];
    all.sort();
    Ok(all)
}

/// Writes `FOLDER/` and `FOLDER.tar`, each complete or as it was before.
pub fn write(files: &[(PathBuf, Vec<u8>)], folder: &Path) -> anyhow::Result<()> {
    let aside = folder.with_extension("new");
    for old in [&aside, folder] {
        if old.exists() {
            fs::remove_dir_all(old).with_context(|| format!("failed to remove {}", old.display()))?;
        }
    }
    for (path, bytes) in files {
        let path = aside.join(path);
        fs::create_dir_all(path.parent().expect("it lies in the folder"))?;
        fs::write(&path, bytes).with_context(|| format!("failed to write {}", path.display()))?;
    }
    fs::rename(&aside, folder)?;
    let packed = tar(files.iter().map(|(path, bytes)| (path.as_path(), 0o644, bytes.as_slice())))?;
    let (aside, whole) = (folder.with_extension("tar.new"), folder.with_extension("tar"));
    fs::write(&aside, packed).with_context(|| format!("failed to write {}", aside.display()))?;
    Ok(fs::rename(&aside, whole)?)
}

/// A tar of regular files and the folders above them, all of root's, all of the first of January 1970.
fn tar<'a>(files: impl Iterator<Item = (&'a Path, u32, &'a [u8])>) -> anyhow::Result<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut known = std::collections::BTreeSet::new();
    for (path, mode, bytes) in files {
        let mut above: Vec<&Path> = path.ancestors().skip(1).filter(|path| !path.as_os_str().is_empty()).collect();
        above.reverse();
        for folder in above {
            if known.insert(folder.to_owned()) {
                builder.append_data(&mut header(tar::EntryType::Directory, 0o755, 0), folder.join(""), &[][..])?;
            }
        }
        let size = bytes.len() as u64;
        builder.append_data(&mut header(tar::EntryType::Regular, mode, size), path, bytes)?;
    }
    Ok(builder.into_inner()?)
}

fn header(kind: tar::EntryType, mode: u32, size: u64) -> tar::Header {
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_size(size);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    header
}

fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": digest(bytes), "size": bytes.len() })
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image() -> Vec<(PathBuf, Vec<u8>)> {
        let config = json!({ "Entrypoint": ["/etc/hello"] });
        let layer = [LayerFile { path: "etc/hello", mode: 0o755, bytes: b"#!" }];
        files(&Image { name: "hello:1", architecture: "amd64", config, files: &layer }).unwrap()
    }

    #[test]
    fn the_same_input_gives_the_same_bytes() {
        assert_eq!(image(), image());
    }

    #[test]
    fn every_descriptor_names_a_blob_that_is_there() {
        let all = image();
        let read = |path: &str| &all.iter().find(|(known, _)| known == Path::new(path)).unwrap().1;
        let blob = |descriptor: &Value| {
            let digest = descriptor["digest"].as_str().unwrap();
            let bytes = read(&digest.replace("sha256:", "blobs/sha256/"));
            assert_eq!(super::digest(bytes), digest);
            assert_eq!(descriptor["size"], json!(bytes.len()));
            bytes.clone()
        };
        let index: Value = serde_json::from_slice(read("index.json")).unwrap();
        let manifest: Value = serde_json::from_slice(&blob(&index["manifests"][0])).unwrap();
        let config: Value = serde_json::from_slice(&blob(&manifest["config"])).unwrap();
        let mut layer = Vec::new();
        let packed = blob(&manifest["layers"][0]);
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(packed.as_slice()), &mut layer).unwrap();
        assert_eq!(config["rootfs"]["diff_ids"][0], json!(super::digest(&layer)));
        let mut archive = tar::Archive::new(layer.as_slice());
        let listed = archive.entries().unwrap().map(|entry| {
            let header = entry.unwrap().header().clone();
            (header.path().unwrap().display().to_string(), header.mode().unwrap())
        });
        let listed: Vec<_> = listed.collect();
        assert_eq!(listed, [("etc/".to_owned(), 0o755), ("etc/hello".to_owned(), 0o755)]);
    }

    #[test]
    fn folder_and_tar_hold_the_same() {
        let base = tempfile::tempdir().unwrap();
        let folder = base.path().join("hello-1");
        for _ in 0..2 {
            write(&image(), &folder).unwrap();
        }
        let mut names: Vec<_> = fs::read_dir(base.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["hello-1", "hello-1.tar"]);
        let mut archive = tar::Archive::new(fs::File::open(base.path().join("hello-1.tar")).unwrap());
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = folder.join(entry.path().unwrap());
            let mut bytes = Vec::new();
            std::io::Read::read_to_end(&mut entry, &mut bytes).unwrap();
            if path.is_file() {
                assert_eq!(bytes, fs::read(path).unwrap());
            }
        }
    }
}
