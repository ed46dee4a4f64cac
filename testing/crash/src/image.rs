//! The image that the load runs: one static program, compiled here, in an OCI layout.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

pub const NAME: &str = "crash:1";

/// Compiles the program and writes the layout; returns its folder.
pub fn write(dir: &Path) -> anyhow::Result<PathBuf> {
    let (source, program) = (dir.join("program.c"), dir.join("program"));
    fs::write(&source, include_str!("program.c")).context("failed to write the program's source")?;
    let compiled = Command::new("cc").args(["-static", "-O1", "-o"]).arg(&program).arg(&source).status();
    ensure!(compiled.context("failed to start cc")?.success(), "the program does not compile");
    let layer = layer(&fs::read(&program)?)?;
    let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    let config = json!({
        "architecture": architecture,
        "os": "linux",
        "config": { "Entrypoint": ["/program"], "Env": ["PATH=/"], "StopSignal": "SIGTERM" },
        "rootfs": { "type": "layers", "diff_ids": [digest(&layer)] },
    });
    let config = config.to_string().into_bytes();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": descriptor("application/vnd.oci.image.config.v1+json", &config),
        "layers": [descriptor("application/vnd.oci.image.layer.v1.tar", &layer)],
    });
    let manifest = manifest.to_string().into_bytes();
    let mut entry = descriptor("application/vnd.oci.image.manifest.v1+json", &manifest);
    entry["annotations"] = json!({ "org.opencontainers.image.ref.name": NAME });
    let index = json!({ "schemaVersion": 2, "manifests": [entry] });
    let folder = dir.join("image");
    let blobs = folder.join("blobs/sha256");
    fs::create_dir_all(&blobs)?;
    fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#)?;
    fs::write(folder.join("index.json"), index.to_string())?;
    for blob in [&config, &manifest, &layer] {
        fs::write(blobs.join(digest(blob).replace("sha256:", "")), blob)?;
    }
    Ok(folder)
}

fn layer(program: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut builder = tar::Builder::new(Vec::new());
    let mut add = |path: &str, kind, bytes: &[u8]| {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(0o755);
        header.set_size(bytes.len() as u64);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        builder.append_data(&mut header, path, bytes)
    };
    add("marks/", tar::EntryType::Directory, b"")?;
    add("program", tar::EntryType::Regular, program)?;
    builder.into_inner()
}

fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": digest(bytes), "size": bytes.len() })
}

fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}
